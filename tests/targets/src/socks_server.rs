//! Programs that talk to the SOCKS5 server: however their words are cut, they come to the same end, in bounded room, and
//! nothing behind them is read; datagrams come out of their headers as they went in.

use protocol::proxy::server::{Acceptance, MOST_MESSAGE, reply};
use protocol::proxy::socks5::Refusal;
use protocol::proxy::{Credentials, datagram};

/// Checks one input.
pub fn run(data: &[u8]) {
    let Some((options, said)) = data.split_first() else {
        return;
    };
    let credentials = Credentials::new(b"user".to_vec(), b"password".to_vec()).ok();
    let credentials = credentials.filter(|_| options & 1 != 0);
    let hear = |step: usize| {
        let mut machine = Acceptance::new(credentials.clone());
        let (mut rest, mut told) = (said, Vec::new());
        loop {
            let wants = machine.wants();
            assert!(wants <= MOST_MESSAGE);
            let len = wants.min(step).min(rest.len());
            let (now, later) = rest.split_at(len);
            rest = later;
            let outcome = machine.handle(now);
            told.extend(machine.output());
            assert!(told.len() <= 32);
            match outcome {
                Ok(None) if len > 0 => {}
                outcome => {
                    assert!(outcome == Ok(None) || machine.wants() == 0);
                    return (told, rest.len(), outcome);
                }
            }
        }
    };
    let step = usize::from(options >> 1).max(1);
    let (told, left, outcome) = hear(usize::MAX);
    assert_eq!(hear(step), (told.clone(), left, outcome.clone()));
    if let Ok(Some(request)) = outcome {
        // Who is let in has been told so, and is told the rest by the reply.
        assert!(told.starts_with(&[5]) && told.len() <= 4);
        let mut bytes = Vec::new();
        datagram::wrap(&request.destination, said, &mut bytes);
        assert_eq!(
            datagram::requested(&bytes),
            Some((request.destination, said))
        );
    }
    assert_eq!(reply(Err(Refusal::Other(*options)))[1], *options);
    if let Some((to, payload)) = datagram::requested(data) {
        let mut bytes = Vec::new();
        datagram::wrap(&to, payload, &mut bytes);
        assert_eq!(datagram::requested(&bytes), Some((to, payload)));
    }
}
