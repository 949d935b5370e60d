use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::key::SecretKey;

const HERE: CommunityId = CommunityId([1; 20]);
const THERE: CommunityId = CommunityId([2; 20]);

fn key(seed: u64) -> PublicKey {
    SecretKey::generate(&mut StdRng::seed_from_u64(seed))
        .public()
        .clone()
}

fn addr(last: u8) -> SocketAddrV4 {
    SocketAddrV4::new([8, 8, 4, last].into(), 1000)
}

fn walkable(directory: &Directory, community: CommunityId) -> Vec<SocketAddrV4> {
    directory.walkable(community).collect()
}

#[test]
fn what_a_member_names_can_be_walked_to_until_somebody_is_verified_there() {
    let mut directory = Directory::new();
    let (a, b) = (key(1), key(2));
    assert!(directory.verify(&a, addr(1)));
    directory.discover_services(a.mid(), [HERE]);
    directory.discover(a.mid(), addr(2), HERE);
    assert_eq!(walkable(&directory, HERE), [addr(2)]);
    assert_eq!(walkable(&directory, THERE), []);
    directory.discover_services(a.mid(), [THERE]);
    assert_eq!(
        walkable(&directory, THERE),
        [addr(2)],
        "its introducer is there, too"
    );

    directory.verify(&b, addr(2));
    assert_eq!(walkable(&directory, HERE), [addr(2)], "not a member yet");
    directory.discover_services(b.mid(), [HERE]);
    assert_eq!(walkable(&directory, HERE), []);
    assert_eq!(directory.peers(HERE).count(), 2);

    directory.remove(b.mid());
    assert_eq!(directory.peers(HERE).count(), 1);
    assert_eq!(walkable(&directory, HERE), []);
}

#[test]
fn the_first_to_name_an_address_counts_while_it_is_verified() {
    let mut directory = Directory::new();
    let (a, b) = (key(1), key(2));
    directory.verify(&a, addr(1));
    directory.verify(&b, addr(2));
    directory.discover(a.mid(), addr(3), HERE);
    directory.discover(b.mid(), addr(3), THERE);
    assert_eq!(
        directory.introduced_by(a.mid()).collect::<Vec<_>>(),
        [addr(3)]
    );
    directory.remove(a.mid());
    directory.discover(b.mid(), addr(3), THERE);
    assert_eq!(
        directory.introduced_by(b.mid()).collect::<Vec<_>>(),
        [addr(3)]
    );
}

#[test]
fn a_peer_that_moves_is_the_same_peer_at_its_new_address() {
    let mut directory = Directory::new();
    let a = key(1);
    directory.verify(&a, addr(1));
    directory.verify(&a, addr(2));
    assert_eq!(directory.len(), 1);
    assert!(directory.peer_at(addr(1)).is_none());
    assert_eq!(directory.peer_at(addr(2)).unwrap().key(), &a);
    let now = Instant::now();
    directory.heard(now, addr(1));
    assert_eq!(directory.peer(a.mid()).unwrap().last_response(), None);
    directory.heard(now, addr(2));
    assert_eq!(directory.peer(a.mid()).unwrap().last_response(), Some(now));
}

#[test]
fn neither_we_nor_bootstrap_servers_nor_addresses_that_are_none_become_peers() {
    let mut directory = Directory::new();
    let (us, server) = (key(1), key(2));
    directory.exclude_own(us.mid());
    directory.exclude_address(addr(9));
    assert!(!directory.verify(&us, addr(1)));
    assert!(!directory.verify(&server, addr(9)));
    directory.discover(server.mid(), addr(9), HERE);
    for none in [
        "0.0.0.0:1",
        "255.255.255.255:1",
        "224.0.0.1:1",
        "8.8.8.8:0",
        "0.1.2.3:4",
    ] {
        directory.discover(server.mid(), none.parse().unwrap(), HERE);
        assert!(!directory.verify(&key(3), none.parse().unwrap()));
    }
    assert_eq!((directory.known(), directory.len()), (0, 0));
}

#[test]
fn a_snapshot_is_six_bytes_a_peer_and_is_walked_to_next_time() {
    let mut directory = Directory::new();
    directory.verify(&key(1), addr(7));
    directory.verify(&key(2), SocketAddrV4::new([1, 2, 3, 4].into(), 0x0506));
    let snapshot = directory.snapshot();
    assert_eq!(snapshot.len(), 12);
    assert!(snapshot.as_chunks::<6>().0.contains(&[1, 2, 3, 4, 5, 6]));
    let mut next = Directory::new();
    next.load(&[&snapshot[..], &[1, 2, 3]].concat(), HERE);
    assert_eq!(next.walkable(HERE).count(), 2);
    assert!(next.is_empty());
}

#[test]
fn what_strangers_name_is_bounded_and_pushes_out_no_verified_peer() {
    let mut directory = Directory::new();
    let liar = key(1);
    directory.verify(&liar, addr(1));
    directory.discover_services(liar.mid(), [HERE]);
    for number in 0..20_000u32 {
        let [.., a, b] = number.to_be_bytes();
        let made_up = SocketAddrV4::new([9, 9, a, b].into(), 1);
        directory.discover(liar.mid(), made_up, HERE);
    }
    assert_eq!(directory.known(), MAX_KNOWN);
    assert!(directory.peer_at(addr(1)).is_some());
    assert_eq!(directory.unverified.len(), MAX_KNOWN - 1);
    for number in 0..3 * MAX_KNOWN as u32 {
        let mut mid = [0; 20];
        mid[..4].copy_from_slice(&number.to_be_bytes());
        directory.discover_services(Mid(mid), (0..=255).map(|id| CommunityId([id; 20])));
    }
    assert!(directory.services.len() <= MAX_KNOWN);
    assert!(
        directory
            .services
            .values()
            .all(|services| services.len() <= MAX_SERVICES)
    );
    assert!(directory.offers(liar.mid(), HERE));
}
