use proptest::prelude::*;

use super::*;

const ASKER: PeerKey = PeerKey(1);
const TARGET: PeerKey = PeerKey(2);
const OTHER: PeerKey = PeerKey(3);

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn party(key: PeerKey, at: &str) -> Party {
    Party {
        key,
        addr: addr(at),
    }
}

fn punch(keys: &[PeerKey]) -> Punch {
    let mut punch = Punch::default();
    for key in keys {
        punch.joined(*key);
    }
    punch
}

#[test]
fn a_relay_refuses_with_the_code_for_the_reason() {
    let asker = party(ASKER, "5.0.0.1:10");
    let target = party(TARGET, "6.0.0.2:20");
    let silent = party(OTHER, "7.0.0.3:30");
    let home = |at| party(TARGET, at);
    let cases = [
        ("6.0.0.2:20", Some(target), false, Answer::Connect),
        (
            "6.0.0.2:0",
            Some(target),
            false,
            Answer::Refuse(Refusal::NoSuchPeer),
        ),
        (
            "0.0.0.0:20",
            None,
            false,
            Answer::Refuse(Refusal::NoSuchPeer),
        ),
        (
            "239.1.1.1:20",
            None,
            false,
            Answer::Refuse(Refusal::NoSuchPeer),
        ),
        (
            "6.0.0.2:20",
            None,
            false,
            Answer::Refuse(Refusal::NotConnected),
        ),
        (
            "6.0.0.2:20",
            Some(silent),
            false,
            Answer::Refuse(Refusal::NoSupport),
        ),
        (
            "5.0.0.1:10",
            Some(asker),
            false,
            Answer::Refuse(Refusal::NoSelf),
        ),
        ("8.0.0.4:40", None, true, Answer::Refuse(Refusal::NoSelf)),
        // Those of our home are nobody's business outside, nor of this machine's at home.
        (
            "10.0.0.1:20",
            Some(home("10.0.0.1:20")),
            false,
            Answer::Refuse(Refusal::NotConnected),
        ),
        (
            "127.0.0.1:20",
            Some(home("127.0.0.1:20")),
            false,
            Answer::Refuse(Refusal::NotConnected),
        ),
    ];
    for (wanted, found, own, expected) in cases {
        let mut punch = punch(&[ASKER, TARGET]);
        let answer = punch.wished(asker, addr(wanted), found, own, Instant::now());
        assert_eq!(answer, expected, "{wanted}, {found:?}");
    }
    // Of two at home, one of them on this machine, neither can reach the other where we know it.
    let mut punch = punch(&[ASKER, TARGET]);
    let (here, near) = (party(ASKER, "127.0.0.1:1"), party(TARGET, "10.0.0.1:2"));
    for (asker, target) in [(here, near), (near, here)] {
        let answer = punch.wished(asker, target.addr, Some(target), false, Instant::now());
        assert_eq!(answer, Answer::Refuse(Refusal::NotConnected));
    }
}

#[test]
fn who_does_not_speak_the_extension_is_not_served() {
    let mut punch = punch(&[TARGET]);
    let (asker, target) = (party(ASKER, "5.0.0.1:10"), party(TARGET, "6.0.0.2:20"));
    let answer = punch.wished(asker, target.addr, Some(target), false, Instant::now());
    assert_eq!(answer, Answer::Ignore);
    let invited = punch.invited(ASKER, addr("6.0.0.2:20"), Instant::now());
    assert_eq!(invited, Invitation::Ignored);
}

#[test]
fn one_who_asks_too_often_is_ignored_and_then_cut_off() {
    let mut punch = punch(&[ASKER, TARGET]);
    let (asker, now) = (party(ASKER, "5.0.0.1:10"), Instant::now());
    let mut answers = Vec::new();
    for port in 1..=100 {
        let nobody = SocketAddr::from(([6, 0, 0, 2], port));
        answers.push(punch.wished(asker, nobody, None, false, now));
    }
    let refused = Answer::Refuse(Refusal::NotConnected);
    assert!(answers[..6].iter().all(|answer| *answer == refused));
    assert!(
        answers[6..56]
            .iter()
            .all(|answer| *answer == Answer::Ignore)
    );
    assert!(answers[56..].iter().all(|answer| *answer == Answer::Flood));
}

#[test]
fn many_together_cannot_have_one_peer_dial_more_than_alone() {
    let keys: Vec<PeerKey> = (10..110).map(PeerKey).collect();
    let mut punch = punch(&keys);
    punch.joined(TARGET);
    let (target, now) = (party(TARGET, "6.0.0.2:20"), Instant::now());
    let mut dials = 0;
    for second in 0..60 {
        let now = now + Duration::from_secs(second);
        for key in &keys {
            let ip = [5, 0, 0, key.0 as u8];
            let asker = Party {
                key: *key,
                addr: SocketAddr::from((ip, 10)),
            };
            let answer = punch.wished(asker, target.addr, Some(target), false, now);
            assert!(
                matches!(answer, Answer::Connect | Answer::Ignore),
                "{answer:?}"
            );
            dials += usize::from(answer == Answer::Connect);
        }
    }
    assert_eq!(dials, 6 + 5);
}

#[test]
fn who_told_of_a_peer_is_asked_once_and_the_next_one_when_it_refuses() {
    let mut punch = punch(&[ASKER, TARGET, OTHER]);
    let (peer, now) = (addr("6.0.0.2:20"), Instant::now());
    assert_eq!(punch.unreachable(peer, now), None, "nobody has told of it");
    for relay in [ASKER, OTHER, OTHER] {
        punch.told(relay, peer);
    }
    assert_eq!(punch.unreachable(peer, now), Some(ASKER));
    assert_eq!(punch.unreachable(peer, now), None, "it was asked just now");
    assert_eq!(punch.refused(TARGET, peer, now), None, "it was not asked");
    assert_eq!(punch.refused(ASKER, peer, now), Some(OTHER));
    assert_eq!(
        punch.refused(ASKER, peer, now),
        None,
        "it is asked no longer"
    );
    assert_eq!(punch.refused(OTHER, peer, now), None, "that was the last");
    let later = now + REST;
    punch.told(ASKER, peer);
    assert_eq!(punch.unreachable(peer, later), Some(ASKER));
    punch.left(ASKER);
    assert_eq!(punch.unreachable(peer, later + REST), None);
}

#[test]
fn a_relay_that_no_longer_knows_the_peer_is_not_asked() {
    let mut punch = punch(&[ASKER]);
    let peer = addr("6.0.0.2:20");
    punch.told(ASKER, peer);
    punch.dropped(ASKER, peer);
    assert_eq!(punch.unreachable(peer, Instant::now()), None);
    // Nor one that does not speak the extension.
    punch.told(OTHER, peer);
    assert_eq!(punch.unreachable(peer, Instant::now()), None);
}

#[test]
fn an_invitation_that_was_asked_for_is_taken_from_the_relay_that_was_asked_in_time() {
    let mut punch = punch(&[ASKER, OTHER]);
    let (peer, now) = (addr("6.0.0.2:20"), Instant::now());
    punch.told(ASKER, peer);
    punch.unreachable(peer, now);
    assert_eq!(punch.invited(OTHER, peer, now), Invitation::Ignored);
    assert_eq!(punch.invited(ASKER, peer, now), Invitation::Taken);
    assert_eq!(
        punch.invited(ASKER, peer, now),
        Invitation::Ignored,
        "again"
    );
    let later = now + REST;
    punch.unreachable(peer, later);
    let too_late = later + ANSWER;
    assert_eq!(punch.invited(ASKER, peer, too_late), Invitation::Ignored);
}

#[test]
fn a_relay_cannot_have_us_dial_whom_it_likes() {
    let mut punch = punch(&[ASKER, OTHER]);
    let now = Instant::now();
    let victim = addr("9.9.9.9:53");
    let taken =
        |punch: &mut Punch, by, addr, now| punch.invited(by, addr, now) == Invitation::Taken;
    let at_once = (0..6).filter(|_| taken(&mut punch, ASKER, victim, now));
    assert_eq!(at_once.count(), 1, "one address is dialled once in a while");
    let mut dials = 0;
    for second in 0..100 {
        let now = now + Duration::from_secs(second);
        for key in [ASKER, OTHER] {
            let victim = SocketAddr::from(([9, 9, key.0 as u8, second as u8], 53));
            dials += usize::from(taken(&mut punch, key, victim, now));
        }
    }
    assert!((20..=2 * (6 + 10)).contains(&dials), "{dials}");
    let cut_off = (0..100).any(|_| punch.invited(ASKER, victim, now) == Invitation::Flood);
    assert!(cut_off);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Joined(u32),
    Left(u32),
    Told(u32, u16),
    Dropped(u32, u16),
    Unreachable(u16),
    Refused(u32, u16),
    Invited(u32, u16),
    Wished(u32, u32),
    Wait(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (key, port) = (0..5_u32, 0..20_u16);
    prop::collection::vec(
        prop_oneof![
            key.clone().prop_map(Step::Joined),
            key.clone().prop_map(Step::Left),
            (key.clone(), port.clone()).prop_map(|(key, port)| Step::Told(key, port)),
            (key.clone(), port.clone()).prop_map(|(key, port)| Step::Dropped(key, port)),
            port.clone().prop_map(Step::Unreachable),
            (key.clone(), port.clone()).prop_map(|(key, port)| Step::Refused(key, port)),
            (key.clone(), port).prop_map(|(key, port)| Step::Invited(key, port)),
            (key.clone(), key).prop_map(|(asker, wanted)| Step::Wished(asker, wanted)),
            (0..20_000_u16).prop_map(Step::Wait),
        ],
        0..200,
    )
}

proptest! {
    /// Whatever happens: only those are asked who are connected, speak the extension and told of the peer, and what others
    /// make us do has a bound.
    #[test]
    fn no_order_of_events_breaks_the_bounds(steps in steps()) {
        let mut punch = Punch::default();
        let begin = Instant::now();
        let mut now = begin;
        let at = |port: u16| SocketAddr::from(([6, 0, 0, 1], port));
        let (mut met, mut dialled, mut asked) = (0, 0, 0);
        for step in steps {
            match step {
                Step::Joined(key) => punch.joined(PeerKey(key)),
                Step::Left(key) => punch.left(PeerKey(key)),
                Step::Told(key, port) => punch.told(PeerKey(key), at(port)),
                Step::Dropped(key, port) => punch.dropped(PeerKey(key), at(port)),
                Step::Unreachable(port) => {
                    if let Some(relay) = punch.unreachable(at(port), now) {
                        asked += 1;
                        prop_assert!(punch.speaks(relay));
                        prop_assert!(punch.relays[&at(port)].contains(&relay));
                        prop_assert_eq!(punch.unreachable(at(port), now), None);
                    }
                }
                Step::Refused(key, port) => {
                    if let Some(relay) = punch.refused(PeerKey(key), at(port), now) {
                        prop_assert!(punch.speaks(relay) && relay != PeerKey(key));
                    }
                }
                Step::Invited(key, port) => {
                    let taken = punch.invited(PeerKey(key), at(port), now);
                    dialled += usize::from(taken == Invitation::Taken);
                }
                Step::Wished(asker, wanted) => {
                    let party = |key: u32| Party { key: PeerKey(key), addr: at(key as u16 + 100) };
                    let (asker, wanted) = (party(asker), party(wanted));
                    let answer = punch.wished(asker, wanted.addr, Some(wanted), false, now);
                    met += usize::from(answer == Answer::Connect);
                    prop_assert!(answer != Answer::Connect || asker.key != wanted.key);
                }
                Step::Wait(ms) => now += Duration::from_millis(ms.into()),
            }
            prop_assert!(punch.relays.values().all(|relays| !relays.is_empty()));
            prop_assert!(punch.asked.len() <= MOST_ASKED);
        }
        let seconds = now.duration_since(begin).as_secs() as usize;
        prop_assert!(met <= 30 + seconds);
        prop_assert!(dialled <= asked * MOST_RELAYS + 20 + seconds / 2 + 1);
    }
}
