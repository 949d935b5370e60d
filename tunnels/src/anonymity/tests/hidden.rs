//! Hidden peers, and who introduces them.

use super::*;
use crate::CircuitInfo;

/// A seeder and a downloader of one torrent with so many hops, who hear of each other by nothing but the DHT and circuits.
async fn hidden_pair(town: &mut Town, hops: u8) -> (Hidden, Hidden) {
    let torrent = [7; 20];
    let mut both = Vec::new();
    for seeds in [true, false] {
        let anonymity = town.citizen(Roles::default(), |_| {}).anonymity;
        let network = anonymity.network(hops);
        let socket = network.datagram(([0, 0, 0, 0], 0).into()).unwrap();
        sleep(Duration::from_secs(20)).await;
        let peers = anonymity.join_hidden(&torrent, hops, seeds);
        both.push(Hidden {
            anonymity,
            socket,
            peers,
        });
        sleep(Duration::from_secs(10)).await;
    }
    let downloader = both.pop().unwrap();
    (both.pop().unwrap(), downloader)
}

struct Hidden {
    anonymity: Anonymity,
    socket: Arc<dyn DatagramSocket>,
    peers: mpsc::Receiver<Vec<SocketAddr>>,
}

/// Sends a datagram until the hidden peer has it and has answered.
async fn is_answered(downloader: &Hidden, seeder: &Hidden, at: SocketAddr) -> bool {
    for _ in 0..3 {
        let _ = downloader.socket.try_send_to(&utp(200), at);
        let heard = timeout(Duration::from_secs(1), receive(&*seeder.socket)).await;
        let Ok((data, from)) = heard else {
            continue;
        };
        assert_eq!(data, utp(200));
        assert_eq!(from.port(), 1024);
        seeder.socket.try_send_to(&utp(300), from).unwrap();
        let heard = timeout(Duration::from_secs(1), receive(&*downloader.socket)).await;
        if let Ok(heard) = heard {
            assert_eq!(heard, (utp(300), at));
            return true;
        }
    }
    false
}

#[test]
fn hidden_peers_find_and_reach_each_other_by_circuits_of_one_to_three_hops() {
    for hops in 1..=3 {
        simulate(async move {
            let mut town = Town::new(10 + u64::from(hops));
            town.both = hops == 2;
            let citizens = town.citizens(9, 3);
            Town::acquaint(&citizens).await;
            let (seeder, mut downloader) = hidden_pair(&mut town, hops).await;
            assert!(seeder.anonymity.hidden_status(&[7; 20]).introductions >= 2);
            let found = timeout(Duration::from_secs(60), downloader.peers.recv()).await;
            let found = found.unwrap().unwrap();
            assert!(is_answered(&downloader, &seeder, found[0]).await);
        });
    }
}

#[test]
fn a_link_with_a_hidden_peer_is_made_again_when_a_node_on_it_dies() {
    simulate(async {
        let mut town = Town::new(20);
        let citizens = town.citizens(9, 3);
        Town::acquaint(&citizens).await;
        let (seeder, mut downloader) = hidden_pair(&mut town, 2).await;
        let first = timeout(Duration::from_secs(60), downloader.peers.recv()).await;
        let first = first.unwrap().unwrap()[0];
        assert!(is_answered(&downloader, &seeder, first).await);
        let circuits = downloader.anonymity.circuits();
        let leads = |info: &CircuitInfo| {
            let alias = info.alias.filter(|_| info.linked);
            alias.is_some_and(|alias| SocketAddr::from(alias.addr()) == first)
        };
        let mut links = circuits.iter().filter(|it| leads(&it.info));
        let link = links.next().unwrap();
        let at = link.info.first.ip();
        let dead = citizens.iter().find(|citizen| citizen.host.ip() == at);
        dead.unwrap().host.set_online(false);
        let died = now();
        loop {
            let next = timeout(Duration::from_secs(60), downloader.peers.recv()).await;
            let next = next.unwrap().unwrap()[0];
            assert_ne!(first, next);
            if is_answered(&downloader, &seeder, next).await {
                break;
            }
        }
        println!("a link again after {:?}", now() - died);
        assert!(now() - died < Duration::from_secs(15));
        drop(downloader.peers);
        sleep(Duration::from_secs(2)).await;
        let circuits = downloader.anonymity.circuits();
        assert!(circuits.iter().all(|circuit| !circuit.info.linked));
    });
}

#[test]
fn introduction_points_of_a_swarm_know_of_each_other_and_no_community_is_taken_away_by_a_name() {
    simulate(async {
        let mut town = Town::of_both(60);
        let citizens = town.citizens(8, 3);
        Town::acquaint(&citizens).await;
        let torrent = [9; 20];
        let seeders: Vec<_> = (0..2)
            .map(|_| town.citizen(Roles::default(), |_| {}).anonymity)
            .collect();
        sleep(Duration::from_secs(20)).await;
        let _seeding: Vec<_> = seeders
            .iter()
            .map(|seeder| seeder.join_hidden(&torrent, 1, true))
            .collect();
        sleep(Duration::from_secs(120)).await;
        let name = crate::lookup_info_hash(&torrent);
        let all = citizens.iter().flat_map(|citizen| {
            let nodes = citizen.anonymity.inner.lanes.nodes().iter();
            nodes
                .map(|node| node.with(|node, _| (node.introducing().len(), node.introduces(&name))))
        });
        let introducing: Vec<_> = all.filter(|(ours, _)| *ours > 0).collect();
        assert!(introducing.len() > 2, "{}", introducing.len());
        assert!(introducing.iter().any(|(ours, told)| told.len() > *ours));
        // A swarm whose name is that of the tunnels themselves.
        let tunnels = &citizens[0].anonymity.inner.lanes.nodes()[1];
        let name = TRIBLER_CLASSIC.0;
        assert_eq!(Exchange::community(Dialect::Classic, name), TRIBLER_CLASSIC);
        tunnels.with(|node, _| node.pretend_to_introduce(name));
        sleep(Duration::from_secs(60)).await;
        let late = town.citizen(Roles::default(), |config| config.communities.modern = None);
        sleep(Duration::from_secs(40)).await;
        let known = late.anonymity.inner.lanes.nodes()[0].with(|node, _| {
            node.candidates()
                .values()
                .map(|known| known.addr.ip())
                .collect::<Vec<_>>()
        });
        assert!(known.contains(&citizens[0].host.ip()));
    });
}
