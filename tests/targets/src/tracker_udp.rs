//! Datagrams of UDP trackers, and the client's exchange of them.

use std::time::{Duration, Instant};

use crate::steps::Steps;
use protocol::id::{InfoHash, PeerId};
use protocol::tracker::udp::{Ask, Exchange, Family, Request, Response, Schedule};
use protocol::tracker::{Announce, UNKNOWN_LEFT};

/// Random numbers out of the fuzzer's bytes.
struct Numbers<'a, 'b>(&'a mut Steps<'b>);

impl rand::TryRng for Numbers<'_, '_> {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(self.0.word())
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(u64::from(self.0.word()) << 32 | u64::from(self.0.word()))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        for byte in out {
            *byte = self.0.byte();
        }
        Ok(())
    }
}

fn formats(datagram: &[u8]) {
    if let Ok(mut request) = Request::decode(datagram) {
        let bytes = request.encode();
        // What is unknown is written as a number.
        if let Request::Announce { announce, .. } = &mut request {
            announce.left.get_or_insert(UNKNOWN_LEFT);
        }
        assert_eq!(Request::decode(&bytes), Ok(request));
    }
    for family in [Family::V4, Family::V6] {
        if let Ok(response) = Response::decode(datagram, family) {
            let bytes = response.encode();
            // IPv4 in IPv6 clothes is written as IPv4, so that only the head is sure to come back.
            let again = Response::decode(&bytes, family).expect("own response");
            assert_eq!(again.transaction(), response.transaction());
        }
    }
}

fn exchange(steps: &mut Steps<'_>) {
    let hash = InfoHash([3; 20]);
    let ask = if steps.byte().is_multiple_of(2) {
        Ask::Announce(
            Announce::new(hash, PeerId([4; 20]), 1),
            b"/announce".to_vec(),
        )
    } else {
        Ask::Scrape(vec![hash; 3])
    };
    let schedule = Schedule {
        base: Duration::from_secs(1 + u64::from(steps.byte())),
        last: u32::from(steps.byte() % 10),
    };
    let mut now = Instant::now();
    let mut exchange = Exchange::new(ask, Family::V4, schedule, None);
    let (mut action, mut transaction) = ([0; 4], [0; 4]);
    while !steps.is_empty() {
        let was_done = exchange.is_done();
        match steps.byte() % 4 {
            0 => {
                if let Some(sent) = exchange.poll_transmit(now, &mut Numbers(steps)) {
                    assert!(!was_done);
                    Request::decode(&sent).expect("own datagram");
                    action.copy_from_slice(&sent[8..12]);
                    transaction.copy_from_slice(&sent[12..16]);
                    assert!(exchange.poll_timeout().is_some());
                }
            }
            1 => {
                let len = usize::from(steps.byte());
                let mut datagram = [action, transaction].concat();
                datagram.extend_from_slice(steps.take(len));
                let result = exchange.handle_datagram(now, &datagram);
                assert!(!was_done || result == Ok(None));
                assert!(exchange.is_done() || result == Ok(None));
            }
            2 => {
                let len = usize::from(steps.byte());
                let result = exchange.handle_datagram(now, steps.take(len));
                assert!(exchange.is_done() || result == Ok(None));
            }
            _ => {
                now += Duration::from_millis(u64::from(steps.word() % 5_000_000));
                if exchange.handle_timeout(now).is_err() {
                    assert!(exchange.is_done());
                }
                assert!(exchange.poll_timeout().is_none_or(|(at, _)| at > now));
            }
        }
    }
}

/// Checks one input.
pub fn run(data: &[u8]) {
    let mut steps = Steps::new(data);
    if steps.byte().is_multiple_of(2) {
        formats(steps.rest());
    } else {
        exchange(&mut steps);
    }
}
