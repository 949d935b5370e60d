use super::*;

fn addr(number: u32) -> SocketAddr {
    SocketAddr::from((0x3200_0000_u32.wrapping_add(number).to_be_bytes(), 6881))
}

fn contacts(numbers: impl IntoIterator<Item = u32>) -> BTreeMap<SocketAddr, Contact> {
    let contact = |number| Contact {
        key: PeerKey(number),
        flags: PexFlags::OUTGOING,
    };
    numbers
        .into_iter()
        .map(|number| (addr(number), contact(number)))
        .collect()
}

fn counts(messages: &[(PeerKey, PexMessage)]) -> Vec<(u32, usize, usize)> {
    let count = |(key, message): &(PeerKey, PexMessage)| {
        (key.0, message.added.len(), message.dropped.len())
    };
    messages.iter().map(count).collect()
}

#[test]
fn each_hears_of_the_others_once_and_of_their_end() {
    let mut now = Instant::now();
    let mut pex = Pex::default();
    for number in 1..=3 {
        pex.joined(PeerKey(number), addr(number), now);
    }
    let first = pex.messages(now, &contacts(1..=3));
    assert_eq!(counts(&first), [(1, 2, 0), (2, 2, 0), (3, 2, 0)]);
    let told: Vec<SocketAddr> = first[0].1.added.iter().map(|peer| peer.addr).collect();
    assert_eq!(told, [addr(2), addr(3)], "nobody hears of himself");
    now += EVERY;
    assert_eq!(pex.messages(now, &contacts(1..=3)), []);
    pex.left(PeerKey(3));
    let after = pex.messages(now, &contacts([1, 2, 4]));
    assert_eq!(counts(&after), [(1, 1, 1), (2, 1, 1)]);
}

#[test]
fn a_minute_lies_between_two_messages_and_fifty_are_in_one() {
    let mut now = Instant::now();
    let mut pex = Pex::default();
    pex.joined(PeerKey(1), addr(1), now);
    let all = contacts(1..=120);
    let mut added = Vec::new();
    for second in 0..200 {
        for (_, message) in pex.messages(now, &all) {
            added.push((second, message.added.len()));
        }
        now += Duration::from_secs(1);
    }
    assert_eq!(added, [(0, 50), (60, 50), (120, 19)]);
    // What changes after a quiet minute is told at once, all that is gone too.
    let later: Vec<_> = (0..4)
        .map(|n| counts(&pex.messages(now + EVERY * n, &contacts([1]))))
        .collect();
    assert_eq!(
        later,
        [vec![(1, 0, 50)], vec![(1, 0, 50)], vec![(1, 0, 19)], vec![]]
    );
}

#[test]
fn nobody_far_away_is_told_of_our_home() {
    let now = Instant::now();
    let mut pex = Pex::default();
    let at = |text: &str| text.parse::<SocketAddr>().unwrap();
    pex.joined(PeerKey(1), at("50.0.0.1:1"), now);
    pex.joined(PeerKey(2), at("10.0.0.2:1"), now);
    let contact = |number| Contact {
        key: PeerKey(number),
        flags: PexFlags::default(),
    };
    let all = BTreeMap::from([
        (at("50.0.0.1:1"), contact(1)),
        (at("10.0.0.2:1"), contact(2)),
        (at("10.0.0.3:1"), contact(3)),
        (at("127.0.0.1:1"), contact(4)),
    ]);
    let messages = pex.messages(now, &all);
    assert_eq!(counts(&messages), [(2, 2, 0)]);
    let told: Vec<_> = messages[0].1.added.iter().map(|peer| peer.addr).collect();
    assert_eq!(told, [at("10.0.0.3:1"), at("50.0.0.1:1")]);
    assert!(!may_name(at("50.0.0.1:1"), at("192.168.0.1:1")));
    assert!(!may_name(at("50.0.0.1:1"), at("224.0.0.1:1")));
}

#[test]
fn a_peer_that_talks_too_much_is_not_listened_to_and_then_left() {
    let mut now = Instant::now();
    let mut pex = Pex::default();
    assert_eq!(
        pex.heard(PeerKey(1), now),
        Verdict::Early,
        "it was not agreed on"
    );
    pex.joined(PeerKey(1), addr(1), now);
    for _ in 0..10 {
        assert_eq!(pex.heard(PeerKey(1), now), Verdict::Taken);
        now += EVERY;
    }
    assert_eq!(pex.heard(PeerKey(1), now), Verdict::Taken);
    assert_eq!(
        pex.heard(PeerKey(1), now),
        Verdict::Taken,
        "one more at the start"
    );
    for _ in 0..MOST_EARLY {
        assert_eq!(pex.heard(PeerKey(1), now), Verdict::Early);
    }
    assert_eq!(pex.heard(PeerKey(1), now), Verdict::Flood);
}
