//! The encoder.

use smallvec::SmallVec;

/// Writes bencode, front to back.
///
/// Keys of a dictionary must be written in byte order; debug builds assert it. Containers are closed with
/// [`Encoder::end`].
///
/// ```
/// let mut e = protocol::bencode::Encoder::new();
/// e.begin_dict().key(b"cow").bytes(b"moo").key(b"spam").int(-3).end();
/// assert_eq!(e.finish(), b"d3:cow3:moo4:spami-3ee");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Encoder {
    out: Vec<u8>,
    open: SmallVec<[Open; 8]>,
}

/// An open container.
#[derive(Clone, Copy, Debug)]
enum Open {
    List,
    /// A dictionary; the span of its last key in the output.
    Dict(Option<(usize, usize)>),
}

impl Encoder {
    /// An encoder with nothing written.
    pub fn new() -> Self {
        Self::default()
    }

    /// An encoder that appends to `out`.
    pub fn append_to(out: Vec<u8>) -> Self {
        Self {
            out,
            open: SmallVec::new(),
        }
    }

    /// Writes an integer.
    pub fn int(&mut self, value: i64) -> &mut Self {
        self.out.push(b'i');
        if value < 0 {
            self.out.push(b'-');
        }
        self.digits(value.unsigned_abs());
        self.out.push(b'e');
        self
    }

    /// Writes a byte string.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.digits(value.len() as u64);
        self.out.push(b':');
        self.out.extend_from_slice(value);
        self
    }

    /// Writes a text as byte string.
    pub fn str(&mut self, value: &str) -> &mut Self {
        self.bytes(value.as_bytes())
    }

    /// Writes an encoding as it is: it must be exactly one value.
    pub fn raw(&mut self, encoding: &[u8]) -> &mut Self {
        self.out.extend_from_slice(encoding);
        self
    }

    /// Opens a list.
    pub fn begin_list(&mut self) -> &mut Self {
        self.out.push(b'l');
        self.open.push(Open::List);
        self
    }

    /// Opens a dictionary.
    pub fn begin_dict(&mut self) -> &mut Self {
        self.out.push(b'd');
        self.open.push(Open::Dict(None));
        self
    }

    /// Writes a key of the innermost dictionary; its value must follow.
    pub fn key(&mut self, key: &[u8]) -> &mut Self {
        self.bytes(key);
        let end = self.out.len();
        let start = end - key.len();
        if let Some(Open::Dict(last)) = self.open.last_mut() {
            debug_assert!(
                last.is_none_or(|(from, to)| &self.out[from..to] < key),
                "key out of order: {}",
                key.escape_ascii()
            );
            *last = Some((start, end));
        } else {
            debug_assert!(false, "key outside a dictionary: {}", key.escape_ascii());
        }
        self
    }

    /// Closes the innermost container.
    pub fn end(&mut self) -> &mut Self {
        let open = self.open.pop();
        debug_assert!(open.is_some(), "nothing to close");
        self.out.push(b'e');
        self
    }

    /// What has been written; every container must be closed.
    pub fn finish(self) -> Vec<u8> {
        debug_assert!(self.open.is_empty(), "a container is open");
        self.out
    }

    fn digits(&mut self, mut value: u64) {
        let mut text = [0; 20];
        let mut at = text.len();
        loop {
            at -= 1;
            text[at] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                break;
            }
        }
        self.out.extend_from_slice(&text[at..]);
    }
}
