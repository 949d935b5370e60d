//! Who gets a place, and who loses it.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

const OWN: NodeId = NodeId([0; 20]);
const RTT: Duration = Duration::from_millis(50);

/// A public address in a network of its own.
fn addr(network: u16) -> SocketAddr {
    let [high, low] = network.to_be_bytes();
    SocketAddr::from(([50, high, low, 1], 6881))
}

/// An id that shares exactly `bits` with ours.
fn near(bits: u32, rng: &mut StdRng) -> NodeId {
    OWN.random_sharing(bits, rng)
}

fn check(table: &Table) {
    assert_eq!(table.contacts().count(), table.len());
    assert_eq!(table.subnets.values().sum::<usize>(), table.len());
    for contact in table.contacts() {
        assert_eq!(table.by_addr[&contact.addr], contact.id);
    }
    for (index, bucket) in table.buckets.iter().enumerate() {
        assert!(bucket.contacts.len() <= capacity(index) && bucket.spares.len() <= K);
    }
}

#[test]
fn a_full_bucket_keeps_its_old_nodes_while_they_answer() {
    let mut rng = StdRng::seed_from_u64(1);
    let mut table = Table::new(OWN, false);
    let mut now = Instant::now();
    let old: Vec<NodeId> = (0..8).map(|_| near(20, &mut rng)).collect();
    for (at, id) in (0..).zip(&old) {
        assert_eq!(table.heard(now, *id, addr(at), RTT), None);
        now += Duration::from_secs(1);
    }
    let newcomer = near(20, &mut rng);
    assert_eq!(table.heard(now, newcomer, addr(100), RTT), None);
    assert_eq!(table.len(), 8);
    // The most silent is asked when it may be gone.
    now += STALE_AFTER;
    let asked = table.heard(now, newcomer, addr(100), RTT).unwrap();
    assert_eq!(asked.id, old[0].0);
    table.failed(&asked.addr);
    assert_eq!(table.len(), 8);
    assert!(table.contacts().any(|contact| contact.id == old[0]));
    // Twice without an answer, and the newcomer has its place.
    table.failed(&asked.addr);
    assert!(table.contacts().any(|contact| contact.id == newcomer));
    assert!(!table.contacts().any(|contact| contact.id == old[0]));
    check(&table);
}

#[test]
fn one_network_gets_one_place_in_a_bucket_and_few_in_all() {
    let mut rng = StdRng::seed_from_u64(2);
    let mut table = Table::new(OWN, true);
    let now = Instant::now();
    for bits in 0..20 {
        for host in 0..12 {
            let host = (bits * 12 + host) as u8;
            let addr = SocketAddr::from(([66, 6, 6, host], 6881));
            table.heard(now, near(bits, &mut rng), addr, RTT);
        }
    }
    assert_eq!(table.len(), PER_SUBNET);
    let mut buckets = table.buckets.iter();
    assert!(buckets.all(|bucket| bucket.contacts.len() <= 1));
    // One address has one place, whatever its ports.
    for port in 1..50 {
        let addr = SocketAddr::from(([77, 7, 7, 7], port));
        table.heard(now, near(u32::from(port), &mut rng), addr, RTT);
    }
    assert_eq!(table.len(), PER_SUBNET + 1);
    check(&table);
}

#[test]
fn an_id_that_its_address_may_have_takes_the_place_of_one_that_it_may_not() {
    let mut rng = StdRng::seed_from_u64(3);
    let mut table = Table::new(OWN, true);
    let now = Instant::now();
    for at in 0..8 {
        table.heard(now, near(5, &mut rng), addr(at), RTT);
    }
    assert_eq!(table.len(), 8);
    for at in 100..2000 {
        let id = secure::id_for(addr(at).ip(), &mut rng);
        if OWN.shared_bits(&id) == 5 {
            table.heard(now, id, addr(at), RTT);
        }
    }
    let mut bucket = table
        .contacts()
        .filter(|contact| OWN.shared_bits(&contact.id) == 5);
    assert!(bucket.all(|contact| contact.valid));
    assert_eq!(table.len(), 8);
    check(&table);
}

#[test]
fn nobody_takes_the_id_of_a_node_that_answers() {
    let mut rng = StdRng::seed_from_u64(4);
    let mut table = Table::new(OWN, true);
    let now = Instant::now();
    let id = near(3, &mut rng);
    table.heard(now, id, addr(1), RTT);
    table.heard(now, id, addr(2), RTT);
    assert_eq!(table.contacts().next().unwrap().addr, addr(1));
    table.failed(&addr(1));
    table.heard(now, id, addr(2), RTT);
    assert_eq!(table.contacts().next().unwrap().addr, addr(2));
    // A node that has taken another id is one node.
    let other = near(9, &mut rng);
    table.heard(now, other, addr(2), RTT);
    assert_eq!(table.len(), 1);
    assert_eq!(table.contacts().next().unwrap().id, other);
    table.heard(now, OWN, addr(3), RTT);
    assert_eq!(table.len(), 1);
    check(&table);
}

#[test]
fn whoever_asks_us_is_asked_back_only_where_there_is_a_place() {
    let mut rng = StdRng::seed_from_u64(5);
    let mut table = Table::new(OWN, true);
    let now = Instant::now();
    assert!(table.queried(now, &near(20, &mut rng), addr(50)));
    for at in 0..8 {
        table.heard(now, near(20, &mut rng), addr(at), RTT);
    }
    assert!(!table.queried(now, &near(20, &mut rng), addr(50)));
    assert!(table.queried(now, &near(21, &mut rng), addr(50)));
    assert!(!table.queried(now, &near(21, &mut rng), addr(3)));
    assert!(!table.queried(now, &OWN, addr(50)));
    assert_eq!(table.len(), 8);
}

#[test]
fn the_nearest_are_the_nearest() {
    let mut rng = StdRng::seed_from_u64(6);
    let mut table = Table::new(OWN, false);
    let now = Instant::now();
    for at in 0..400 {
        let bits = rng.random_range(0..12);
        table.heard(now, near(bits, &mut rng), addr(at), RTT);
    }
    check(&table);
    for _ in 0..200 {
        let bits = rng.random_range(0..20);
        let target = near(bits, &mut rng);
        let mut all: Vec<NodeId> = table.contacts().map(|contact| contact.id).collect();
        all.sort_by_key(|id| target.distance(id));
        let near = table.closest(&target, 8, true);
        let near: Vec<NodeId> = near.iter().map(|node| NodeId(node.id)).collect();
        assert_eq!(near, all[..8], "{target}");
    }
}

#[test]
fn stale_buckets_are_refreshed_and_silent_nodes_asked() {
    let mut rng = StdRng::seed_from_u64(7);
    let mut table = Table::new(OWN, true);
    let mut now = Instant::now();
    table.heard(now, near(1, &mut rng), addr(1), RTT);
    // Buckets 0 to 2: those up to the deepest that has a node, and one more.
    for expected in 0..3 {
        let stale = table.stale(now).unwrap();
        assert_eq!(stale, expected);
        table.refreshing(now, stale);
    }
    assert_eq!(table.stale(now), None);
    assert!(table.questionable(now, 9).is_empty());
    now += STALE_AFTER;
    assert_eq!(table.stale(now), Some(0));
    assert_eq!(table.questionable(now, 9).len(), 1);
    assert!(table.questionable(now, 9).is_empty(), "it is being asked");
    table.not_asked(&addr(1));
    assert_eq!(table.questionable(now, 9).len(), 1);
}

#[test]
fn the_size_of_the_network_is_judged_by_its_density() {
    let mut rng = StdRng::seed_from_u64(8);
    let now = Instant::now();
    for size in [200u16, 2000, 20_000] {
        let mut sum = 0.0;
        for _ in 0..10 {
            let mut table = Table::new(NodeId::random(&mut rng), false);
            for at in 0..size {
                table.heard(now, NodeId::random(&mut rng), addr(at), RTT);
            }
            check(&table);
            sum += 7.0 / table.radius().unwrap();
        }
        let ratio = sum / 10.0 / f64::from(size);
        assert!((0.6..1.7).contains(&ratio), "{size}: {ratio}");
    }
}
