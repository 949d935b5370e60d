//! What those do who mean no good.

use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{Rng, RngExt, SeedableRng};

use crate::utp::{CloseReason, Config, Connection, Header, Ids, Kind, Packet, Seq};

fn packet(kind: Kind, id: u16, seq: u16, ack: u16) -> Packet<'static> {
    Packet {
        header: Header {
            kind,
            id,
            timestamp: 1,
            delay: 0,
            window: 100_000,
            seq: Seq(seq),
            ack: Seq(ack),
        },
        sack: None,
        close_reason: None,
        payload: &[],
    }
}

fn transmit(connection: &mut Connection, now: Instant) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    let mut out = Vec::new();
    while connection.poll_transmit(now, &mut out).is_some() {
        packets.push(std::mem::take(&mut out));
    }
    packets
}

/// An acceptor, and the sequence number that its answer shows.
fn accepted(now: Instant) -> (Connection, u16) {
    let mut rng = SmallRng::seed_from_u64(1);
    let syn = packet(Kind::Syn, 7, 100, 0);
    let config = Config::default();
    let mut connection = Connection::accept(now, &config, &syn, &mut rng).unwrap();
    let answer = transmit(&mut connection, now);
    let [answer] = &answer[..] else {
        panic!("one answer");
    };
    let answer = Packet::parse(answer).unwrap();
    assert_eq!(answer.header.kind, Kind::State);
    assert_eq!((answer.header.id, answer.header.ack), (7, Seq(100)));
    (connection, answer.header.seq.0)
}

/// The same, after the initiator has shown itself.
fn open(now: Instant) -> (Connection, u16) {
    let (mut connection, seq) = accepted(now);
    connection.handle(now, &packet(Kind::State, 8, 101, seq.wrapping_sub(1)));
    assert!(connection.is_connected());
    (connection, seq)
}

#[test]
fn a_syn_from_nowhere_gets_no_more_than_its_own_bytes_and_dies_at_the_first_timeout() {
    let now = Instant::now();
    let (mut connection, _) = accepted(now);
    assert!(connection.is_unproven());
    assert_eq!(connection.write(&[1; 1000]), 0);
    let mut sent = 0;
    while let Some((at, _)) = connection.poll_timeout() {
        connection.handle_timeout(at);
        sent += transmit(&mut connection, at).concat().len();
    }
    assert_eq!(sent, 0);
    assert_eq!(connection.closed(), Some(CloseReason::TimedOut));
}

#[test]
fn each_syn_of_the_same_stream_is_answered_with_one_state() {
    let now = Instant::now();
    let (mut connection, seq) = accepted(now);
    connection.handle(now, &packet(Kind::Syn, 7, 100, 0));
    let answers = transmit(&mut connection, now);
    assert_eq!(answers.len(), 1);
    let answer = Packet::parse(&answers[0]).unwrap();
    assert_eq!(answer.header.seq, Seq(seq));
    connection.handle(now, &packet(Kind::Syn, 7, 101, 0));
    assert!(
        transmit(&mut connection, now).is_empty(),
        "another stream's"
    );
}

#[test]
fn an_acknowledgement_of_what_was_never_sent_closes_the_stream() {
    let now = Instant::now();
    for (kind, ahead) in [(Kind::State, 0), (Kind::Data, 1), (Kind::Fin, 0x7000)] {
        let (mut connection, seq) = open(now);
        transmit(&mut connection, now);
        connection.handle(now, &packet(kind, 8, 101, seq.wrapping_add(ahead)));
        assert_eq!(connection.closed(), Some(CloseReason::NeverSent));
        let last = transmit(&mut connection, now);
        assert_eq!(Packet::parse(&last[0]).unwrap().header.kind, Kind::Reset);
        assert_eq!(last.len(), 1);
    }
}

#[test]
fn few_guesses_of_an_acknowledgement_of_what_was_never_sent_are_right() {
    let now = Instant::now();
    let right = |seq: &u16| {
        let (mut connection, ours) = open(now);
        connection.handle(now, &packet(Kind::State, 8, *seq, ours.wrapping_add(100)));
        assert_eq!(
            transmit(&mut connection, now).len(),
            connection.closed().map_or(0, |_| 1)
        );
        connection.closed().is_some()
    };
    let right: Vec<u16> = (0..=u16::MAX).filter(right).collect();
    assert!(right.contains(&100) && right.contains(&101) && right.contains(&1000));
    assert!(right.len() < 65_536 / 16, "{}", right.len());
}

#[test]
fn acknowledgements_that_come_late_or_twice_do_no_harm() {
    let mut now = Instant::now();
    let (mut connection, first) = open(now);
    transmit(&mut connection, now);
    // All acknowledgements of a stream so long that its numbers begin anew, and again a sample of the old ones.
    let (mut acked, mut sent) = (first.wrapping_sub(1), 0_u32);
    let bytes = vec![1; 60_000];
    while sent < 70_000 {
        connection.write(&bytes);
        for bytes in transmit(&mut connection, now) {
            if Packet::parse(&bytes).unwrap().header.kind == Kind::Data {
                acked = acked.wrapping_add(1);
                sent += 1;
            }
        }
        now += Duration::from_millis(10);
        connection.handle(now, &packet(Kind::State, 8, 101, acked));
        for late in [1, 2, 3, 10, 100, 1000, 10_000, 0x7f00] {
            let old = packet(Kind::State, 8, 101, acked.wrapping_sub(late));
            connection.handle(now, &old);
        }
        assert_eq!(connection.closed(), None, "after {sent}");
        assert_eq!(connection.stats().resent, 0);
    }
}

#[test]
fn a_reset_counts_only_if_it_knows_where_the_stream_is() {
    let now = Instant::now();
    let (mut connection, seq) = open(now);
    connection.handle(now, &packet(Kind::Reset, 7, 1, seq.wrapping_add(3)));
    assert_eq!(connection.closed(), None);
    connection.handle(now, &packet(Kind::Reset, 7, 1, seq.wrapping_sub(1)));
    assert_eq!(connection.closed(), Some(CloseReason::Reset));
    assert!(transmit(&mut connection, now).is_empty());
}

#[test]
fn few_guesses_of_a_reset_are_right() {
    let now = Instant::now();
    for written in [0, 10_000] {
        let right = |ack: &u16| {
            let (mut connection, _) = open(now);
            connection.write(&[1; 10_000][..written]);
            transmit(&mut connection, now);
            connection.handle(now, &packet(Kind::Reset, 7, 1, *ack));
            connection.closed().is_some()
        };
        let on_way = {
            let (mut connection, _) = open(now);
            connection.write(&[1; 10_000][..written]);
            transmit(&mut connection, now).len()
        };
        let right = (0..=u16::MAX).filter(right).count();
        assert!((1..=on_way + 2).contains(&right), "{right}, {on_way}");
    }
}

#[test]
fn a_refused_syn_is_a_refusal() {
    let now = Instant::now();
    let mut rng = SmallRng::seed_from_u64(1);
    let config = Config::default();
    let mut connection = Connection::connect(now, &config, Ids::of_initiator(5), &mut rng);
    let syn = transmit(&mut connection, now);
    let syn = Packet::parse(&syn[0]).unwrap().header;
    assert_eq!((syn.kind, syn.id), (Kind::Syn, 5));
    connection.handle(now, &packet(Kind::Reset, 5, 0, syn.seq.0));
    assert_eq!(connection.closed(), Some(CloseReason::Refused));
}

#[test]
fn a_million_random_packets_make_nothing_grow() {
    let mut now = Instant::now();
    let mut rng = SmallRng::seed_from_u64(42);
    let (mut connection, mut seq) = open(now);
    let mut out = Vec::new();
    let (mut closed, mut most) = (0, 0);
    let payload = [7; 2000];
    for _ in 0..1_000_000 {
        let kind = [Kind::Data, Kind::Fin, Kind::State, Kind::Reset, Kind::Syn];
        let mut packet = packet(kind[rng.random_range(0..5)], 8, rng.random(), rng.random());
        packet.payload = &payload[..rng.random_range(0..2000)];
        packet.header.window = rng.random();
        packet.header.timestamp = rng.random();
        packet.header.delay = rng.random();
        let near = rng.next_u32();
        if near & 7 != 0 {
            // Near enough to be taken for a packet of this stream.
            packet.header.ack = Seq(seq.wrapping_sub(1));
            packet.header.seq = Seq(101 + rng.random_range(0..5000));
        }
        if near & 0x38 != 0 && packet.header.kind != Kind::Data {
            packet.header.kind = Kind::State;
        }
        connection.handle(now, &packet);
        now += Duration::from_micros(rng.random_range(0..300));
        connection.handle_timeout(now);
        out.clear();
        while connection.poll_transmit(now, &mut out).is_some() {
            out.clear();
        }
        most = most.max(connection.memory());
        if connection.closed().is_some() {
            closed += 1;
            (connection, seq) = open(now);
        }
    }
    assert!(closed > 100, "{closed}");
    assert!(most < 600 * 1024, "{most}");
}
