//! Any sequence of what becomes of addresses.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Op {
    Add(u8, u8),
    Dial,
    Connected(u8),
    Failed(u8),
    Ended(u8, u8),
    Ban(u8),
    Wait(u16),
    Retry,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..40_u8, 0..7_u8).prop_map(|(who, source)| Op::Add(who, source)),
        4 => Just(Op::Dial),
        2 => (0..40_u8).prop_map(Op::Connected),
        2 => (0..40_u8).prop_map(Op::Failed),
        2 => (0..40_u8, 0..7_u8).prop_map(|(who, how)| Op::Ended(who, how)),
        1 => (0..40_u8).prop_map(Op::Ban),
        3 => any::<u16>().prop_map(Op::Wait),
        1 => Just(Op::Retry),
    ]
}

const SOURCES: [Source; 7] = [
    Source::Manual,
    Source::Lsd,
    Source::Resume,
    Source::Incoming,
    Source::Tracker,
    Source::Pex,
    Source::Dht,
];

const ENDS: [Ended; 7] = [
    Ended::Normal,
    Ended::ProtocolError,
    Ended::Banned,
    Ended::BothSeeds,
    Ended::SelfConnection,
    Ended::Duplicate,
    Ended::Timeout,
];

fn check(list: &Candidates) {
    assert!(list.len() <= list.limit);
    assert!(
        list.index
            .iter()
            .all(|(addr, _)| !list.is_banned(addr.ip()))
    );
    list.index.check();
}

proptest! {
    #[test]
    fn the_indexes_agree_with_the_list(
        limit in 0..12_usize,
        ops in prop::collection::vec(op(), 0..200),
    ) {
        let mut now = Instant::now();
        let mut list = Candidates::new(limit);
        let who = |n: u8| SocketAddr::new(host(u32::from(n) / 2).ip(), 1 + u16::from(n) % 2);
        for op in ops {
            match op {
                Op::Add(n, source) => {
                    list.add(who(n), SOURCES[usize::from(source)], now);
                }
                Op::Dial => if let Some(next) = list.next(now) {
                    assert!(!list.is_banned(next.ip()));
                    list.dialing(next);
                    assert_ne!(list.next(now), Some(next));
                }
                Op::Connected(n) => list.connected(who(n), now),
                Op::Failed(n) => list.failed(who(n), now, DialFailure::Timeout),
                Op::Ended(n, how) => {
                    list.disconnected(who(n), now, ENDS[usize::from(how)]);
                }
                Op::Ban(n) => list.ban(who(n).ip()),
                Op::Wait(s) => now += secs(u64::from(s)),
                Op::Retry => list.retry_all(),
            }
            check(&list);
        }
    }
}
