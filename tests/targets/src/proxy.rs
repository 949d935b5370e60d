//! Answers of proxies: however they are cut, they come to the same end, in bounded room, and nothing behind them is read;
//! datagrams come out of their headers as they went in.

use protocol::proxy::socks5::{self, Command};
use protocol::proxy::{Credentials, Destination, HostName, connect, datagram};

/// The most that a machine may ask for at a time.
const MOST: usize = 262;

/// Checks one input.
pub fn run(data: &[u8]) {
    let Some((options, answer)) = data.split_first() else {
        return;
    };
    let step = usize::from(options >> 2).max(1);
    let credentials = Credentials::new(b"user".to_vec(), b"password".to_vec()).ok();
    let credentials = credentials.filter(|_| options & 1 != 0);
    let name = HostName::new("a.example").expect("a name");
    let to = Destination::Name(name, 6881);
    let socks = |step: usize| {
        let mut machine = socks5::Negotiation::new(Command::Connect, &to, credentials.as_ref());
        let mut rest = answer;
        loop {
            let wants = machine.wants();
            assert!(wants <= MOST);
            let len = wants.min(step).min(rest.len());
            let (now, later) = rest.split_at(len);
            match machine.handle(now) {
                Ok(None) if len > 0 => rest = later,
                outcome => return (later.len(), outcome),
            }
            assert!(machine.output().len() <= 600);
        }
    };
    assert_eq!(socks(step), socks(usize::MAX));
    let http = |step: usize| {
        let mut machine = connect::Negotiation::new(&to, credentials.as_ref());
        let mut rest = answer;
        loop {
            let wants = machine.wants();
            assert!(wants <= MOST);
            let len = wants.min(step).min(rest.len());
            let (now, later) = rest.split_at(len);
            match machine.handle(now) {
                Ok(false) if len > 0 => rest = later,
                outcome => return (answer.len() - later.len(), outcome),
            }
        }
    };
    let (read, outcome) = http(usize::MAX);
    if outcome == Ok(true) {
        assert_eq!(http(step), (read, outcome));
        let head = &answer[..read];
        assert!(head.ends_with(b"\n\r\n") || head.ends_with(b"\n\n"));
    }
    if let Some((from, payload)) = datagram::unwrap(data) {
        let mut out = Vec::new();
        datagram::wrap(&Destination::Addr(from), payload, &mut out);
        assert_eq!(datagram::unwrap(&out), Some((from, payload)));
    }
}
