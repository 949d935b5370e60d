//! Bodies of IPv8's messages: introductions, discovery, the DHT in both dialects, and its values.

use overlay::dht::{Dialect, Message, Value};
use overlay::discovery::{ExtendedRequest, Ping, SimilarityRequest, SimilarityResponse};
use overlay::introduction::{Puncture, PunctureRequest, Request, Response};
use overlay::wire::{Reader, Writer};

/// Whatever is read is written, and read as the same again.
macro_rules! same {
    ($body:expr, $type:ident) => {
        if let Ok(read) = $type::read(Reader::new($body)) {
            let mut out = Writer::new();
            read.write(&mut out);
            let again = $type::read(Reader::new(out.as_bytes()));
            assert_eq!(again.as_ref(), Ok(&read));
        }
    };
}

/// Checks one input.
pub fn run(data: &[u8]) {
    let Some((kind, body)) = data.split_first() else {
        return;
    };
    match kind {
        0 => same!(body, Request),
        1 => same!(body, Response),
        2 => same!(body, PunctureRequest),
        3 => same!(body, Puncture),
        4 => same!(body, SimilarityRequest),
        5 => same!(body, SimilarityResponse),
        6 => same!(body, Ping),
        7 => same!(body, ExtendedRequest),
        8 => {
            if let Ok(value) = Value::read(body) {
                assert!(value.data.len() < body.len());
            }
        }
        _ => {
            let dialect = if kind & 1 == 0 {
                Dialect::Tribler75
            } else {
                Dialect::Current
            };
            let number = kind >> 1;
            if let Ok(message) = Message::read(dialect, number, Reader::new(body)) {
                assert_eq!(message.body.number(dialect), number);
                let mut out = Writer::new();
                message.write(dialect, &mut out);
                let again = Message::read(dialect, number, Reader::new(out.as_bytes()));
                assert_eq!(again, Ok(message));
            }
        }
    }
}
