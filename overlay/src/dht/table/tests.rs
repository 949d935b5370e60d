use super::*;
use crate::key::PublicKey;
use crate::testing::{from_hex, list, text, vectors};

fn id(text: &str) -> NodeId {
    NodeId(from_hex(text).try_into().unwrap())
}

/// A node at a place, whatever its key.
fn node(place: NodeId, number: u8) -> Node {
    let info = NodeInfo {
        key: PublicKey::from_halves([number; 32], [number; 32]),
        addr: SocketAddrV4::new([8, 8, 8, number].into(), 1),
    };
    let mut node = Node::new(info, Dialect::Tribler75);
    node.id = place;
    node
}

#[test]
fn the_table_takes_and_splits_and_finds_as_the_vectors_say() {
    let vectors = vectors(include_str!("../../../tests/vectors/dht.json"));
    let case = &vectors["routing_table"];
    let mut table = RoutingTable::new(id(text(&case["my_node_id"])));
    let now = Instant::now();
    for (number, insertion) in list(&case["insertions_in_order"]).iter().enumerate() {
        let place = id(text(&insertion["node_id"]));
        let mid = Mid(from_hex(text(&insertion["mid"])).try_into().unwrap());
        let addr: SocketAddrV4 = text(&insertion["address"]).parse().unwrap();
        assert_eq!(NodeId::of(*addr.ip(), mid, Dialect::Tribler75), place);
        let added = table.add(now, &node(place, number as u8)).is_some();
        assert_eq!(added, insertion["added"].as_bool().unwrap());
    }
    let expected: Vec<(String, Vec<String>)> = list(&case["buckets_after"])
        .iter()
        .map(|bucket| {
            let ids = list(&bucket["node_ids"]).iter();
            let mut ids: Vec<String> = ids.map(|id| text(id).to_owned()).collect();
            ids.sort();
            (text(&bucket["prefix"]).to_owned(), ids)
        })
        .collect();
    let mut buckets = table.ids_by_prefix();
    buckets.sort();
    let mut sorted = expected;
    sorted.sort();
    assert_eq!(buckets, sorted);
    let closest = table.closest(now, id(text(&case["closest_8_to"])), 8, None);
    let closest: Vec<String> = closest.iter().map(|node| node.id().to_string()).collect();
    let expected: Vec<&str> = list(&case["closest"]).iter().map(text).collect();
    assert_eq!(closest, expected);
}

#[test]
fn a_full_bucket_takes_a_node_for_a_bad_one_or_for_one_that_is_twice_as_slow() {
    let own = NodeId([0; 20]);
    let mut table = RoutingTable::new(own);
    let now = Instant::now();
    let place = |last: u8| {
        let mut id = [0xff; 20];
        id[19] = last;
        NodeId(id)
    };
    for last in 0..8 {
        assert!(table.add(now, &node(place(last), last)).is_some());
    }
    let newcomer = node(place(100), 100);
    assert!(table.add(now, &newcomer).is_none());
    assert_eq!(table.len(), 8);
    table.get_mut(place(3)).unwrap().failed = 2;
    assert!(table.closest(now, place(3), 8, None).len() == 7);
    assert!(table.add(now, &newcomer).is_some());
    assert!(table.get(place(3)).is_none());
    let mut quick = node(place(101), 101);
    quick.round_trip = Some(Duration::from_millis(50));
    assert!(table.add(now, &quick).is_none());
    table.get_mut(place(4)).unwrap().round_trip = Some(Duration::from_millis(100));
    assert!(table.add(now, &quick).is_some());
    assert!(table.get(place(4)).is_none());
}

#[test]
fn who_asks_more_than_ten_times_in_five_seconds_waits() {
    let mut node = node(NodeId([1; 20]), 1);
    let now = Instant::now();
    let asked = (0..20).filter(|_| node.may_ask(now)).count();
    assert_eq!(asked, 10);
    assert!(!node.may_ask(now + Duration::from_millis(4999)));
    assert!(node.may_ask(now + Duration::from_secs(5)));
}

#[test]
fn a_node_is_good_after_an_answer_and_bad_after_two_silences() {
    let mut node = node(NodeId([1; 20]), 1);
    let now = Instant::now();
    let later = now + GOOD_FOR;
    assert_eq!(node.state(now), NodeState::Unknown);
    node.last_response = Some(now);
    assert_eq!(
        (node.state(now), node.state(later)),
        (NodeState::Good, NodeState::Unknown)
    );
    assert!(node.may_ask(later));
    assert_eq!(node.state(later), NodeState::Good);
    node.failed = 2;
    assert_eq!(node.state(now), NodeState::Bad);
}
