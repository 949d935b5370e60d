//! An endpoint on the simulated network, in virtual time.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};

use net::sim::{HostOptions, Sim};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::LocalSet;
use tokio::time::sleep;

use super::*;
use crate::packet::{CommunityId, plain};

pub(crate) fn simulate(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, test);
}

const PORT: u16 = 7759;

fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, last)
}

fn endpoint(sim: &Sim, last: u8) -> Endpoint {
    let host = sim.host(HostOptions::at(IpAddr::V4(ip(last))));
    let any = (Ipv4Addr::UNSPECIFIED, PORT).into();
    let socket = host.network().datagram(any).unwrap();
    Endpoint::launch(EndpointConfig::new(socket, Pool::current()))
}

fn prefix(byte: u8) -> Prefix {
    Prefix::new(CommunityId([byte; 20]))
}

fn packet(byte: u8, message: u8) -> Vec<u8> {
    plain(prefix(byte), message, |out| {
        out.u8(9);
    })
}

#[test]
fn datagrams_reach_the_community_of_their_prefix_and_others_nobody() {
    simulate(async {
        let sim = Sim::new(1);
        let (a, b) = (endpoint(&sim, 1), endpoint(&sim, 2));
        let mut one = b.open(Some(prefix(1)), None);
        let mut two = b.open(Some(prefix(2)), None);
        let to = SocketAddrV4::new(ip(2), PORT);
        for datagram in [&packet(3, 0)[..], b"alien", &packet(2, 5), &packet(1, 6)] {
            assert!(a.send(to, datagram));
        }
        let from = SocketAddrV4::new(ip(1), PORT);
        let bytes = packet(1, 6);
        assert_eq!(one.recv().await, Some(Datagram { from, bytes }));
        assert_eq!(two.recv().await.unwrap().bytes, packet(2, 5));
        let counters = b.counters();
        assert_eq!((counters.received, counters.alien), (4, 2));
        let mut rest = b.open(None, None);
        a.send(to, &packet(3, 1));
        assert_eq!(rest.recv().await.unwrap().bytes, packet(3, 1));
        drop(one);
        a.send(to, &packet(1, 7));
        assert_eq!(rest.recv().await.unwrap().bytes, packet(1, 7));
        b.shutdown().await;
        assert_eq!(two.recv().await, None);
    });
}

#[test]
fn datagrams_of_one_length_are_sent_together_and_counted_one_by_one() {
    simulate(async {
        let sim = Sim::new(5);
        let (a, b) = (endpoint(&sim, 1), endpoint(&sim, 2));
        let mut inbox = b.open(Some(prefix(1)), None);
        let mut run = Vec::new();
        for message in 0..3 {
            run.extend_from_slice(&packet(1, message));
        }
        let whole = packet(1, 0).len();
        let last = &packet(1, 3)[..whole - 1];
        run.extend_from_slice(last);
        a.send_segments(SocketAddrV4::new(ip(2), PORT), &run, whole);
        for message in 0..3 {
            assert_eq!(inbox.recv().await.unwrap().bytes, packet(1, message));
        }
        assert_eq!(inbox.recv().await.unwrap().bytes, last);
        assert_eq!((a.counters().sent, a.counters().unsent), (4, 0));
        let bytes = run.len() as u64;
        let counted = (a.counters().sent_bytes, b.counters().received_bytes);
        assert_eq!(counted, (bytes, bytes));
    });
}

#[test]
fn datagrams_are_counted_by_messages_while_somebody_wants_that() {
    simulate(async {
        let sim = Sim::new(7);
        let (a, b) = (endpoint(&sim, 1), endpoint(&sim, 2));
        let mut inbox = b.open(Some(prefix(1)), None);
        let to = SocketAddrV4::new(ip(2), PORT);
        let mut send = async |message| {
            a.send(to, &packet(1, message));
            inbox.recv().await.unwrap();
        };
        send(4).await;
        assert!(b.measured(prefix(1)).is_empty());
        let begun = tokio::time::Instant::now().into_std();
        for endpoint in [&a, &b] {
            endpoint.measure(prefix(1), true);
        }
        send(5).await;
        sleep(Duration::from_secs(3)).await;
        send(5).await;
        send(6).await;
        let run = [packet(1, 7), packet(1, 7)].concat();
        a.send_segments(to, &run, run.len() / 2);
        // What is nobody's is counted for nobody.
        a.send(to, &packet(2, 5));
        a.measure(prefix(1), false);
        sleep(Duration::from_secs(1)).await;
        let whole = packet(1, 5).len() as u64;
        for (endpoint, way) in [(&a, "sent"), (&b, "received")] {
            let measured = endpoint.measured(prefix(1));
            let ways = measured.iter().map(|(message, measured)| match way {
                "sent" => (*message, measured.sent, measured.received),
                _ => (*message, measured.received, measured.sent),
            });
            let ways: Vec<_> = ways.collect();
            let counts: Vec<_> = ways.iter().map(|(at, way, _)| (*at, way.count)).collect();
            assert_eq!(counts, [(5, 2), (6, 1), (7, 2)], "{way}");
            assert!(ways.iter().all(|(_, way, other)| {
                way.bytes == way.count * whole && *other == Way::default()
            }));
            let (first, last) = ways[0].1.between.unwrap();
            assert!(first >= begun && last - first >= Duration::from_secs(3));
            assert!(endpoint.measured(prefix(2)).is_empty());
        }
        a.send(to, &packet(1, 5));
        assert_eq!(a.measured(prefix(1))[&5].sent.count, 2);
        a.measure(prefix(1), true);
        assert!(a.measured(prefix(1)).is_empty(), "it is counted anew");
    });
}

#[test]
fn a_full_inbox_loses_what_comes_and_harms_no_other() {
    simulate(async {
        let sim = Sim::new(2);
        let (a, b) = (endpoint(&sim, 1), endpoint(&sim, 2));
        let mut slow = b.open(Some(prefix(1)), None);
        let mut quick = b.open(Some(prefix(2)), None);
        let to = SocketAddrV4::new(ip(2), PORT);
        for _ in 0..10 {
            for _ in 0..100 {
                a.send(to, &packet(1, 0));
            }
            sleep(Duration::from_secs(1)).await;
        }
        a.send(to, &packet(2, 0));
        assert!(quick.recv().await.is_some());
        assert_eq!(b.counters().overrun, 1000 - INBOX as u64);
        assert!(slow.recv().await.is_some());
    });
}

#[test]
fn a_hook_takes_datagrams_in_the_pump_and_leaves_the_rest_to_the_inbox() {
    #[derive(Default)]
    struct Cells(Mutex<Vec<u8>>);

    impl Hook for Cells {
        fn receive(&self, _: SocketAddrV4, datagram: &mut [u8]) -> bool {
            let message = datagram[Prefix::LEN];
            self.0.lock().push(message);
            datagram[Prefix::LEN + 1] ^= 0xff;
            message == 1
        }

        fn flush(&self) {
            self.0.lock().push(255);
        }
    }

    simulate(async {
        let sim = Sim::new(3);
        let (a, b) = (endpoint(&sim, 1), endpoint(&sim, 2));
        let cells = Arc::new(Cells::default());
        let mut inbox = b.open(Some(prefix(1)), Some(cells.clone()));
        let to = SocketAddrV4::new(ip(2), PORT);
        for message in [1, 2] {
            a.send(to, &packet(1, message));
        }
        let left = inbox.recv().await.unwrap().bytes;
        assert_eq!(left[Prefix::LEN..], [2, 9 ^ 0xff]);
        sleep(Duration::from_secs(1)).await;
        let taken = cells.0.lock().clone();
        assert_eq!(taken.iter().filter(|message| **message < 255).count(), 2);
        assert_eq!(taken.last(), Some(&255));
    });
}

#[test]
fn others_get_their_turn_and_what_was_put_off_is_sent_while_much_comes() {
    /// What happened: a datagram, a flush, a turn of somebody else's.
    #[derive(Clone, Copy, PartialEq)]
    enum Step {
        Datagram,
        Flush,
        Turn,
    }

    #[derive(Default)]
    struct Steps(Mutex<Vec<Step>>, Notify);

    impl Hook for Steps {
        fn receive(&self, _: SocketAddrV4, _: &mut [u8]) -> bool {
            self.0.lock().push(Step::Datagram);
            true
        }

        fn flush(&self) {
            self.0.lock().push(Step::Flush);
            self.1.notify_one();
        }
    }

    const MANY: usize = 300;

    simulate(async {
        let sim = Sim::new(6);
        let (a, b) = (endpoint(&sim, 1), endpoint(&sim, 2));
        let steps = Arc::new(Steps::default());
        let _inbox = b.open(Some(prefix(1)), Some(steps.clone()));
        let other = steps.clone();
        tokio::task::spawn_local(async move {
            loop {
                other.1.notified().await;
                other.0.lock().push(Step::Turn);
            }
        });
        for _ in 0..MANY {
            a.send(SocketAddrV4::new(ip(2), PORT), &packet(1, 1));
        }
        sleep(Duration::from_secs(1)).await;
        let steps = steps.0.lock().clone();
        let count = |of: Step| steps.iter().filter(|step| **step == of).count();
        assert_eq!(count(Step::Datagram), MANY);
        let most = |between: Step| {
            let parts = steps.split(|step| *step == between);
            let datagrams = parts.map(|part| part.iter().filter(|it| **it == Step::Datagram));
            datagrams.map(Iterator::count).max()
        };
        assert!(most(Step::Flush) <= Some(64), "{:?}", most(Step::Flush));
        assert!(most(Step::Turn) <= Some(64), "{:?}", most(Step::Turn));
    });
}

#[test]
fn a_pump_that_fails_starts_again() {
    struct Fails;

    impl Hook for Fails {
        fn receive(&self, _: SocketAddrV4, datagram: &mut [u8]) -> bool {
            assert_ne!(datagram[Prefix::LEN], 13, "planted");
            false
        }
    }

    simulate(async {
        let sim = Sim::new(4);
        let (a, b) = (endpoint(&sim, 1), endpoint(&sim, 2));
        let mut inbox = b.open(Some(prefix(1)), Some(Arc::new(Fails)));
        let to = SocketAddrV4::new(ip(2), PORT);
        a.send(to, &packet(1, 13));
        sleep(Duration::from_secs(1)).await;
        a.send(to, &packet(1, 14));
        assert_eq!(inbox.recv().await.unwrap().bytes, packet(1, 14));
    });
}
