#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a panic is how a test fails"
)]

use std::time::Duration;

use super::acks::NeverSent;
use super::*;
use crate::utp::sack::SelectiveAck;

const PACKET: usize = 100;
const REORDER: Duration = Duration::from_millis(5);

fn limits() -> Limits {
    Limits {
        congestion: 100_000,
        peer: 100_000,
        packet: PACKET,
        short: 1,
        test_window: false,
    }
}

/// Sends all that may be sent; the numbers.
fn send(outgoing: &mut Outgoing, now: Instant, limits: &Limits) -> Vec<u16> {
    let mut seqs = Vec::new();
    while let Ok(plan) = outgoing.plan(limits) {
        let [front, back] = outgoing.payload(&plan);
        assert_eq!(front.len() + back.len(), plan.len);
        outgoing.sent(now, &plan, PACKET, false);
        seqs.push(plan.seq.0);
    }
    seqs
}

fn mask(ack: u16, seqs: &[u16]) -> Vec<u8> {
    let mut mask = vec![0; 8];
    for seq in seqs {
        let bit = usize::from(seq.wrapping_sub(ack) - 2);
        mask[bit / 8] |= 1 << (bit % 8);
    }
    mask
}

fn ack(outgoing: &mut Outgoing, now: Instant, ack: u16, sacked: &[u16]) -> Progress {
    let mask = mask(ack, sacked);
    let sack = (!sacked.is_empty()).then(|| SelectiveAck::new(Seq(ack), &mask).unwrap());
    outgoing
        .acked(now, Seq(ack), sack.as_ref(), true, REORDER)
        .unwrap()
}

#[test]
fn packets_carry_what_was_written_and_a_short_one_waits_for_another() {
    let now = Instant::now();
    let mut outgoing = Outgoing::new(Seq(0xffff));
    assert_eq!(outgoing.write(&[1; 150], 1000), 150);
    assert_eq!(send(&mut outgoing, now, &limits()), [0xffff, 0]);
    outgoing.write(&[2; 10], 1000);
    assert_eq!(outgoing.plan(&limits()), Err(Held::Wait), "Nagle");
    outgoing.write(&[3; 90], 1000);
    assert_eq!(send(&mut outgoing, now, &limits()), [1]);
    let progress = ack(&mut outgoing, now, 0, &[]);
    assert_eq!((progress.bytes, progress.packets), (150, 2));
    assert_eq!(outgoing.write(&[4; 2000], 1000), 900);
}

#[test]
fn what_was_never_sent_cannot_be_acknowledged() {
    let now = Instant::now();
    let mut outgoing = Outgoing::new(Seq(5));
    let none =
        |outgoing: &mut Outgoing, ack| outgoing.acked(now, Seq(ack), None, true, REORDER).err();
    assert_eq!(none(&mut outgoing, 4), None);
    assert_eq!(none(&mut outgoing, 5), Some(NeverSent));
    outgoing.write(&[0; 10], 1000);
    send(&mut outgoing, now, &limits());
    assert_eq!(none(&mut outgoing, 6), Some(NeverSent));
    assert_eq!(none(&mut outgoing, 5), None);
    assert_eq!(none(&mut outgoing, 1), None, "an old one is passed over");
}

#[test]
fn a_packet_that_three_later_ones_overtook_goes_out_again_once() {
    let now = Instant::now();
    let mut outgoing = Outgoing::new(Seq(1));
    outgoing.write(&[7; 1000], 1000);
    assert_eq!(send(&mut outgoing, now, &limits()).len(), 10);
    assert!(!ack(&mut outgoing, now, 0, &[2, 3]).congestion);
    assert!(ack(&mut outgoing, now, 0, &[2, 3, 4]).congestion);
    outgoing.was_cut();
    assert_eq!(send(&mut outgoing, now, &limits()), [1]);
    assert!(!ack(&mut outgoing, now, 0, &[2, 3, 4, 5, 6]).congestion);
    assert!(send(&mut outgoing, now, &limits()).is_empty(), "on its way");
    outgoing.write(&[7; 300], 2000);
    assert_eq!(send(&mut outgoing, now, &limits()), [11, 12, 13]);
    let again = ack(&mut outgoing, now, 0, &[2, 3, 4, 5, 6, 11, 12, 13]);
    assert!(again.congestion, "newer ones than its second turn came");
    assert_eq!(send(&mut outgoing, now, &limits()), [1, 7, 8, 9, 10]);
    assert_eq!(ack(&mut outgoing, now, 13, &[]).packets, 5);
    assert!(!outgoing.is_waiting());
}

#[test]
fn three_repeated_acknowledgements_send_the_first_packet_again() {
    let now = Instant::now();
    let mut outgoing = Outgoing::new(Seq(1));
    outgoing.write(&[7; 500], 1000);
    send(&mut outgoing, now, &limits());
    for _ in 0..2 {
        assert!(!ack(&mut outgoing, now, 0, &[]).congestion);
    }
    assert!(ack(&mut outgoing, now, 0, &[]).congestion);
    assert_eq!(send(&mut outgoing, now, &limits()), [1]);
}

#[test]
fn a_timeout_sends_everything_again_within_the_window() {
    let now = Instant::now();
    let mut outgoing = Outgoing::new(Seq(1));
    outgoing.write(&[7; 500], 1000);
    send(&mut outgoing, now, &limits());
    assert!(!outgoing.timed_out().0);
    let narrow = Limits {
        congestion: PACKET,
        ..limits()
    };
    assert_eq!(send(&mut outgoing, now, &narrow), [1]);
    assert_eq!(ack(&mut outgoing, now, 3, &[]).rtt, Some(Duration::ZERO));
    assert_eq!(send(&mut outgoing, now, &narrow), [4]);
    assert_eq!(
        ack(&mut outgoing, now, 4, &[]).rtt,
        None,
        "it was sent twice"
    );
}

#[test]
fn a_window_of_nothing_is_tested_with_one_packet() {
    let now = Instant::now();
    let mut outgoing = Outgoing::new(Seq(1));
    outgoing.write(&[7; 500], 1000);
    let mut limits = Limits {
        peer: 0,
        ..limits()
    };
    assert_eq!(outgoing.plan(&limits), Err(Held::Window));
    limits.test_window = true;
    let plan = outgoing.plan(&limits).unwrap();
    outgoing.sent(now, &plan, PACKET, false);
    limits.test_window = false;
    assert_eq!(outgoing.plan(&limits), Err(Held::Wait));
}

#[test]
fn the_end_comes_after_everything() {
    let now = Instant::now();
    let mut outgoing = Outgoing::new(Seq(1));
    outgoing.write(&[7; 150], 1000);
    outgoing.end();
    assert_eq!(outgoing.write(&[7; 150], 1000), 0);
    assert_eq!(send(&mut outgoing, now, &limits()), [1, 2, 3]);
    assert!(!outgoing.only_end_is_left());
    ack(&mut outgoing, now, 2, &[]);
    assert!(outgoing.only_end_is_left() && !outgoing.is_whole());
    ack(&mut outgoing, now, 3, &[]);
    assert!(outgoing.is_whole() && !outgoing.has_more());
}

#[test]
fn the_last_packet_sent_again_tells_which_ones_are_lost() {
    let now = Instant::now();
    let mut outgoing = Outgoing::new(Seq(1));
    outgoing.write(&[7; 500], 1000);
    send(&mut outgoing, now, &limits());
    ack(&mut outgoing, now, 2, &[]);
    outgoing.send_tail_again(false);
    let later = now + REORDER * 2;
    assert_eq!(send(&mut outgoing, later, &limits()), [5]);
    assert!(ack(&mut outgoing, later, 2, &[5]).congestion);
    assert_eq!(send(&mut outgoing, later, &limits()), [3, 4]);
    assert_eq!(ack(&mut outgoing, later, 5, &[]).packets, 2);
}

#[test]
fn one_packet_goes_out_again_though_the_window_is_full_of_what_may_be_lost() {
    let now = Instant::now();
    let mut outgoing = Outgoing::new(Seq(1));
    outgoing.write(&[7; 800], 1000);
    send(&mut outgoing, now, &limits());
    ack(&mut outgoing, now, 0, &[4, 5, 6]);
    let narrow = Limits {
        congestion: PACKET,
        ..limits()
    };
    assert_eq!(outgoing.plan(&narrow), Err(Held::Congestion));
    outgoing.send_tail_again(false);
    assert_eq!(send(&mut outgoing, now, &narrow), [1], "and no more");
}

#[test]
fn the_first_packet_can_be_sent_again_which_the_other_side_can_always_tell_of() {
    let now = Instant::now();
    let mut outgoing = Outgoing::new(Seq(1));
    outgoing.write(&[7; 500], 1000);
    send(&mut outgoing, now, &limits());
    ack(&mut outgoing, now, 1, &[]);
    outgoing.send_tail_again(true);
    assert_eq!(send(&mut outgoing, now, &limits()), [2]);
}

#[test]
fn what_is_too_far_on_to_be_named_stops_counting_once_later_ones_came() {
    let now = Instant::now();
    let mut outgoing = Outgoing::new(Seq(1));
    outgoing.write(&[7; 900], 1000);
    assert_eq!(send(&mut outgoing, now, &limits()).len(), 9);
    // All that was sent is long out of the network when the first one, sent again, has come.
    outgoing.send_tail_again(true);
    let later = now + REORDER * 2;
    let narrow = Limits {
        congestion: PACKET * 2,
        ..limits()
    };
    assert_eq!(send(&mut outgoing, later, &narrow), [1]);
    // Of the others the second one can be told to be lost; what came of the rest is open, and not in the way.
    assert!(ack(&mut outgoing, later, 1, &[]).congestion);
    assert_eq!(send(&mut outgoing, later, &narrow), [2]);
    // They may have come all the same.
    assert_eq!(ack(&mut outgoing, later, 9, &[]).packets, 8);
    assert!(!outgoing.is_waiting() && !outgoing.has_more());
}

#[test]
fn after_a_timeout_what_is_too_far_on_to_be_named_goes_out_again_too() {
    let now = Instant::now();
    let mut outgoing = Outgoing::new(Seq(1));
    outgoing.write(&[7; 500], 1000);
    send(&mut outgoing, now, &limits());
    outgoing.send_tail_again(true);
    let later = now + REORDER * 2;
    send(&mut outgoing, later, &limits());
    ack(&mut outgoing, later, 1, &[]);
    outgoing.timed_out();
    assert_eq!(send(&mut outgoing, later, &limits()), [2, 3, 4, 5]);
}
