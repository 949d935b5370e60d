//! Whom a lookup asks, when it ends, and what liars can do about it.

use protocol::krpc::secure;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

const OWN: NodeId = NodeId([0xff; 20]);
const TARGET: NodeId = NodeId([0; 20]);

fn addr(network: u16, host: u8) -> SocketAddr {
    let [high, low] = network.to_be_bytes();
    SocketAddr::from(([50, high, low, host], 6881))
}

/// A node with an id that its address may have, or, for liars, next to the target.
fn node(network: u16, rng: &mut StdRng) -> (NodeId, SocketAddr) {
    let addr = addr(network, 1);
    (secure::id_for(addr.ip(), rng), addr)
}

/// Lets everybody answer at once, naming whom `names` gives; returns whom was asked.
fn run(
    lookup: &mut Lookup,
    ids: &BTreeMap<SocketAddr, NodeId>,
    mut names: impl FnMut(NodeId) -> Vec<(NodeId, SocketAddr)>,
) -> Vec<SocketAddr> {
    let mut asked = Vec::new();
    while let Some(step) = lookup.next() {
        let to = match step {
            Step::Seek(to) => to,
            Step::Beside(to, beside) => {
                match ids.get(&to) {
                    Some(_) => lookup.answered_beside(&to, names(beside).into_iter()),
                    None => lookup.failed_beside(),
                }
                continue;
            }
        };
        asked.push(to);
        match ids.get(&to) {
            Some(id) => {
                lookup.answered(to, *id, Some(b"token"), names(*id).into_iter());
            }
            None => lookup.failed(&to),
        }
    }
    assert!(lookup.is_done());
    asked
}

/// Whom to ask next, where nobody crowds.
fn seek(lookup: &mut Lookup) -> Option<SocketAddr> {
    lookup.next().map(|step| match step {
        Step::Seek(to) => to,
        Step::Beside(..) => panic!("nobody crowds"),
    })
}

/// `size` honest nodes, each of which knows the nearest ones to the target among all.
fn honest(size: u16, rng: &mut StdRng) -> BTreeMap<SocketAddr, NodeId> {
    (0..size)
        .map(|at| node(at, rng))
        .map(|(id, addr)| (addr, id))
        .collect()
}

fn nearest(ids: &BTreeMap<SocketAddr, NodeId>, most: usize) -> Vec<(NodeId, SocketAddr)> {
    let mut all: Vec<_> = ids.iter().map(|(addr, id)| (*id, *addr)).collect();
    all.sort_by_key(|(id, _)| TARGET.distance(id));
    all.truncate(most);
    all
}

#[test]
fn a_lookup_ends_with_the_nearest_nodes_and_asks_few_others() {
    let mut rng = StdRng::seed_from_u64(1);
    let ids = honest(1000, &mut rng);
    let mut lookup = Lookup::new(TARGET, OWN, true, 1000.0);
    for (addr, id) in ids.iter().take(8) {
        lookup.seed(*id, *addr);
    }
    let all: Vec<_> = ids.iter().map(|(addr, id)| (*id, *addr)).collect();
    let asked = run(&mut lookup, &ids, |id| {
        // Each knows nodes that are up to 8 times nearer than itself.
        let own = TARGET.distance(&id).fraction();
        let mut near: Vec<_> = all
            .iter()
            .copied()
            .filter(|(id, _)| TARGET.distance(id).fraction() > own / 8.0)
            .collect();
        near.sort_by_key(|(id, _)| TARGET.distance(id));
        near.truncate(8);
        near
    });
    let found: Vec<NodeId> = lookup.nearest().map(|c| c.id).take(8).collect();
    let expected: Vec<NodeId> = nearest(&ids, 8).iter().map(|(id, _)| *id).collect();
    assert_eq!(found, expected);
    assert!(asked.len() < 60, "{}", asked.len());
    assert!(
        lookup
            .nearest()
            .all(|c| c.token.as_deref() == Some(b"token"))
    );
    assert!(lookup.hops() >= 3);
}

#[test]
fn queries_under_way_are_few_and_slow_ones_do_not_count() {
    let mut rng = StdRng::seed_from_u64(2);
    let mut lookup = Lookup::new(TARGET, OWN, true, f64::INFINITY);
    for at in 0..20 {
        let (id, addr) = node(at, &mut rng);
        lookup.seed(id, addr);
    }
    let first: Vec<SocketAddr> = std::iter::from_fn(|| seek(&mut lookup)).collect();
    assert_eq!(first.len(), ALPHA);
    lookup.slow(&first[0]);
    lookup.slow(&first[0]);
    assert!(seek(&mut lookup).is_some() && seek(&mut lookup).is_none());
    // A late answer counts.
    lookup.answered(first[0], NodeId([1; 20]), None, std::iter::empty());
    assert!(!lookup.is_done());
}

#[test]
fn of_one_network_only_the_nearest_node_counts() {
    let mut rng = StdRng::seed_from_u64(3);
    let mut ids = honest(200, &mut rng);
    let honest = nearest(&ids, 8);
    let sybils: Vec<_> = (0..200)
        .map(|host| (TARGET.random_sharing(40, &mut rng), addr(60_000, host)))
        .collect();
    ids.extend(sybils.iter().map(|(id, addr)| (*addr, *id)));
    let mut lookup = Lookup::new(TARGET, OWN, true, 200.0);
    let near = honest;
    lookup.seed(near[7].0, near[7].1);
    let asked = run(&mut lookup, &ids, |id| {
        if near.iter().any(|(honest, _)| *honest == id) {
            let mut named = near.clone();
            named.extend(&sybils[..8]);
            named
        } else {
            sybils[..16].to_vec()
        }
    });
    let liars = asked
        .iter()
        .filter(|addr| ids[addr].shared_bits(&TARGET) >= 30);
    assert_eq!(liars.count(), 1);
    let stored: Vec<NodeId> = lookup.nearest().map(|c| c.id).collect();
    assert!(near.iter().all(|(id, _)| stored.contains(id)));
}

#[test]
fn a_crowd_around_the_target_makes_the_lookup_go_on() {
    let mut rng = StdRng::seed_from_u64(4);
    let mut ids = honest(300, &mut rng);
    let honest = nearest(&ids, 16);
    // Twelve networks, with ids that are in order and far nearer than chance allows.
    let crowd: Vec<_> = (0..12u16)
        .map(|at| {
            let addr = addr(50_000 + at, 1);
            let mut ids = (0..2000).map(|_| secure::id_for(addr.ip(), &mut rng));
            let nearest = ids.by_ref().min_by_key(|id| TARGET.distance(id)).unwrap();
            let mut id = nearest;
            // The rest of the id is free.
            id.0[4..12].fill(0);
            (id, addr)
        })
        .collect();
    let crowd: Vec<_> = crowd
        .into_iter()
        .map(|(mut id, addr)| {
            id.0[3] = 0;
            (id, addr)
        })
        .collect();
    ids.extend(crowd.iter().map(|(id, addr)| (*addr, *id)));
    let found = |size: f64, ids: &BTreeMap<SocketAddr, NodeId>| {
        let mut lookup = Lookup::new(TARGET, OWN, true, size);
        for (id, addr) in &honest {
            lookup.seed(*id, *addr);
        }
        run(&mut lookup, ids, |_| crowd.clone());
        let found = lookup
            .nearest()
            .filter(|c| honest.iter().any(|(id, _)| *id == c.id));
        found.count()
    };
    assert!(found(300.0, &ids) >= 6, "{}", found(300.0, &ids));
}

#[test]
fn honest_nodes_who_know_the_crowd_best_name_those_beside_it_when_they_are_asked_for_them() {
    let mut rng = StdRng::seed_from_u64(9);
    let ids = honest(1000, &mut rng);
    let true_ones = nearest(&ids, 8);
    // Ten networks, nearer than anybody else, whose nodes name each other.
    let crowd: Vec<_> = (0..10u16)
        .map(|at| {
            let (mut id, addr) = node(50_000 + at, &mut rng);
            id.0[..3].fill(0);
            (id, addr)
        })
        .collect();
    let mut all = ids.clone();
    all.extend(crowd.iter().map(|(id, addr)| (*addr, *id)));
    let mut lookup = Lookup::new(TARGET, OWN, false, 1000.0);
    let first = ids.iter().take(8);
    first.for_each(|(addr, id)| lookup.seed(*id, *addr));
    let mut beside = 0;
    while let Some(step) = lookup.next() {
        let (to, target) = match step {
            Step::Seek(to) => (to, TARGET),
            Step::Beside(to, target) => (to, target),
        };
        let mut named: Vec<_> = all.iter().map(|(addr, id)| (*id, *addr)).collect();
        named.sort_by_key(|(id, _)| target.distance(id));
        let named = if crowd.iter().any(|(_, addr)| *addr == to) {
            crowd[..8].to_vec()
        } else {
            named[..8].to_vec()
        };
        if target == TARGET {
            // What their addresses allow is not the point here.
            lookup.by_addr.values().for_each(|at| {
                if let Some(candidate) = lookup.candidates.get_mut(at) {
                    candidate.valid = true;
                }
            });
            lookup.answered(to, all[&to], Some(b"token"), named.into_iter());
        } else {
            beside += 1;
            lookup.answered_beside(&to, named.into_iter());
        }
    }
    assert!(lookup.is_done() && (1..=MAX_BESIDE).contains(&beside));
    let found: BTreeSet<NodeId> = lookup.nearest().map(|c| c.id).collect();
    let missing = true_ones.iter().filter(|(id, _)| !found.contains(id));
    assert!(missing.count() <= 2, "{found:?}");
}

#[test]
fn ids_that_break_the_rules_do_not_crowd_out_others() {
    let mut rng = StdRng::seed_from_u64(5);
    let mut ids = honest(100, &mut rng);
    let honest = nearest(&ids, 8);
    let unfit: Vec<_> = (0..100u16)
        .map(|at| (TARGET.random_sharing(50, &mut rng), addr(40_000 + at, 1)))
        .collect();
    ids.extend(unfit.iter().map(|(id, addr)| (*addr, *id)));
    let mut lookup = Lookup::new(TARGET, OWN, true, f64::INFINITY);
    for (id, addr) in honest.iter().chain(&unfit) {
        lookup.seed(*id, *addr);
    }
    let asked = run(&mut lookup, &ids, |_| Vec::new());
    assert!(asked.len() <= 2 * K + 1, "{}", asked.len());
    assert_eq!(lookup.nearest().filter(|c| c.valid).count(), K);
}

#[test]
fn what_one_liar_names_is_not_pursued_for_long() {
    let mut rng = StdRng::seed_from_u64(6);
    let (id, liar) = node(1, &mut rng);
    let ids = BTreeMap::from([(liar, id)]);
    let mut lookup = Lookup::new(TARGET, OWN, true, f64::INFINITY);
    lookup.seed(id, liar);
    let dead: Vec<_> = (0..30u16).map(|at| node(1000 + at, &mut rng)).collect();
    let asked = run(&mut lookup, &ids, |_| dead.clone());
    assert!(
        asked.len() <= 1 + usize::from(DEAD_ENDS) + ALPHA,
        "{}",
        asked.len()
    );
}

#[test]
fn whoever_has_another_id_than_was_said_counts_as_who_it_is() {
    let mut rng = StdRng::seed_from_u64(7);
    let (id, addr) = node(1, &mut rng);
    let mut lookup = Lookup::new(TARGET, OWN, true, f64::INFINITY);
    lookup.seed(TARGET.random_sharing(100, &mut rng), addr);
    assert_eq!(seek(&mut lookup), Some(addr));
    lookup.answered(addr, id, Some(b"t"), std::iter::empty());
    assert!(lookup.is_done());
    assert_eq!(lookup.nearest().map(|c| c.id).collect::<Vec<_>>(), [id]);
}

#[test]
fn nothing_grows_without_bound() {
    let mut rng = StdRng::seed_from_u64(8);
    let mut lookup = Lookup::new(TARGET, OWN, true, 1e9);
    let (id, first) = node(0, &mut rng);
    lookup.seed(id, first);
    let mut asked = 0;
    while let Some(to) = seek(&mut lookup) {
        asked += 1;
        // Every answer names hundreds of nodes, each nearer than the last.
        let named = (0..300).map(|_| {
            let id = TARGET.random_sharing(20 + asked.min(100), &mut rng);
            (id, addr(rng.random(), rng.random()))
        });
        let named: Vec<_> = named.collect();
        lookup.answered(
            to,
            OWN.random_sharing(asked, &mut rng),
            None,
            named.into_iter(),
        );
    }
    // Whoever turns out to be somebody else is remembered twice.
    let most = MAX_CANDIDATES + MAX_ASKED;
    assert!(asked as usize <= MAX_ASKED && lookup.candidates.len() <= most);
}
