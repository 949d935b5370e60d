//! What there is to be seen of a part in the overlay, with circuits through it.

use std::collections::BTreeSet;

use overlay::dht::NodeId;
use tokio::sync::broadcast;

use super::*;
use crate::{
    Closed, ClosedCircuit, CommunityKind, Flags, Purpose, SpeedTest, TestError, lookup_info_hash,
};

/// Waits until there is a circuit of so many hops.
async fn ready(citizen: &Citizen, hops: u8) {
    let begun = now();
    while citizen.anonymity.status(hops).ready == 0 {
        assert!(now() - begun < Duration::from_secs(120), "no circuit");
        sleep(Duration::from_millis(100)).await;
    }
}

const QUICK: SpeedTest = SpeedTest {
    request: 50,
    response: 1024,
    time: Duration::from_secs(2),
};

#[test]
fn what_goes_through_others_is_seen_there_and_circuits_that_are_gone_are_told_of() {
    simulate(async {
        let mut town = Town::new(70);
        let citizens = town.citizens(4, 2);
        Town::acquaint(&citizens).await;
        let (closings, mut closed) = broadcast::channel(64);
        let client = town.citizen(Roles::default(), |config| config.closings = Some(closings));
        let network = client.anonymity.network(2);
        let socket = network.datagram(([0, 0, 0, 0], 0).into()).unwrap();
        ready(&client, 2).await;
        let world = town.server.into();
        assert!(socket.try_send_to(&utp(500), world).is_ok());
        sleep(Duration::from_secs(30)).await;

        let own = client.anonymity.circuits();
        let (relayed, endings): (Vec<_>, Vec<_>) = citizens
            .iter()
            .map(|citizen| (citizen.anonymity.relayed(), citizen.anonymity.endings()))
            .unzip();
        let (relayed, endings) = (relayed.concat(), endings.concat());
        for circuit in &own {
            let begins = relayed.iter().find(|it| it.ends[0] == circuit.info.id);
            let begins = begins.unwrap_or_else(|| panic!("{circuit:?} is relayed"));
            let ends = endings.iter().find(|it| it.circuit == begins.ends[1]);
            let ends = ends.unwrap_or_else(|| panic!("{circuit:?} ends"));
            // The pings of a few seconds.
            assert!(begins.bytes[0] > 100 && begins.bytes[1] > 100, "{begins:?}");
            assert!(!begins.is_rendezvous && !ends.introduces && !ends.is_rendezvous);
            assert!(begins.born >= circuit.info.born);
        }
        let open: Vec<_> = endings.iter().filter(|ending| ending.is_open).collect();
        assert_eq!(open.len(), 1, "one circuit has brought a datagram out");
        assert!(open[0].bytes[0] > 500, "{:?}", open[0]);
        assert!(client.anonymity.relayed().is_empty() && client.anonymity.endings().is_empty());

        let members = client.anonymity.members().await;
        let exits = members.iter().filter(|it| it.flags.contain(Flags::EXIT));
        assert_eq!((members.len(), exits.count()), (6, 2));

        client.anonymity.shut_down().await;
        let mut told: Vec<ClosedCircuit> = Vec::new();
        while let Ok(gone) = closed.try_recv() {
            told.push(gone);
        }
        for circuit in &own {
            let gone = told.iter().find(|gone| gone.circuit == circuit.info.id);
            let gone = gone.unwrap_or_else(|| panic!("{circuit:?} is told of"));
            assert_eq!(
                (gone.purpose, gone.why, gone.goal),
                (Purpose::Data, Closed::Unneeded, 2)
            );
            assert!(gone.lasted >= Duration::from_secs(2), "{gone:?}");
            let [sent, received] = gone.bytes;
            assert!(sent >= circuit.info.sent && received > 0, "{gone:?}");
        }
        drop(socket);
    });
}

#[test]
fn circuits_are_tested_and_those_that_were_built_for_that_end() {
    simulate(async {
        let mut town = Town::new(71);
        let citizens = town.citizens(4, 2);
        Town::acquaint(&citizens).await;
        let client = town.citizen(Roles::default(), |_| {});
        let network = client.anonymity.network(1);
        let _socket = network.datagram(([0, 0, 0, 0], 0).into()).unwrap();
        ready(&client, 1).await;
        let speed = client.anonymity.test_new_circuit(2, QUICK).await.unwrap();
        assert!(
            speed.answered > 100 && speed.sent >= speed.answered,
            "{speed:?}"
        );
        assert!(
            speed.took <= QUICK.time + Duration::from_secs(3),
            "{speed:?}"
        );
        let [mean, median] = speed.round_trip.unwrap();
        assert!(mean > Duration::ZERO && median <= mean * 2, "{speed:?}");
        let tests = |citizen: &Citizen| {
            let own = citizen.anonymity.circuits().into_iter();
            own.filter(|it| it.info.purpose == Purpose::Test).count()
        };
        assert_eq!(tests(&client), 0, "it has ended");

        let one = client.anonymity.circuits()[0].info.id;
        let speed = client.anonymity.test_circuit(one, QUICK).await.unwrap();
        assert!(speed.answered > 100, "{speed:?}");
        let other = crate::CircuitId(one.0.wrapping_add(1));
        let unknown = client.anonymity.test_circuit(other, QUICK).await;
        assert_eq!(unknown, Err(TestError::Unknown));
        let (first, second) = tokio::join!(
            client.anonymity.test_circuit(one, QUICK),
            client.anonymity.test_circuit(one, QUICK),
        );
        assert!(first.is_ok());
        assert_eq!(second, Err(TestError::Busy));
        // Who stops waiting for it has the circuit end as well.
        let test = client.anonymity.test_new_circuit(2, QUICK);
        assert!(timeout(Duration::from_millis(500), test).await.is_err());
        assert_eq!(tests(&client), 0);
    });
}

#[test]
fn communities_their_members_and_their_datagrams_are_seen() {
    simulate(async {
        let mut town = Town::of_both(72);
        let citizens = town.citizens(2, 1);
        Town::acquaint(&citizens).await;
        let one = &citizens[0].anonymity;
        let communities = one.communities().await;
        let kinds = communities.iter().map(|community| community.kind);
        let each = [Dialect::Modern, Dialect::Classic];
        let due = [CommunityKind::Discovery]
            .into_iter()
            .chain(each.map(CommunityKind::Tunnels))
            .chain(each.map(CommunityKind::Dht));
        assert_eq!(kinds.collect::<Vec<_>>(), due.collect::<Vec<_>>());
        let ids: BTreeSet<_> = communities.iter().map(|community| community.id).collect();
        assert_eq!(ids.len(), 5);
        for community in &communities {
            assert!(community.global_time > 0, "{community:?}");
            assert!(community.measured.is_empty());
        }
        let tunnels = &communities[1];
        assert_eq!(tunnels.peers.len(), 2);
        one.measure(tunnels.prefix, true);
        sleep(Duration::from_secs(60)).await;
        let communities = one.communities().await;
        let names = communities[1].measured.keys();
        let names: BTreeSet<_> = names
            .map(|number| tunnels.kind.message(*number).expect("a name"))
            .collect();
        assert!(names.contains("introduction_request"), "{names:?}");
        assert!(communities[0].measured.is_empty(), "it was not asked for");

        let peers = one.peers().await;
        let others = citizens.iter().skip(1).map(|it| it.anonymity.local_addr());
        for other in others.take(2) {
            let at = |(peer, _): &&(overlay::directory::Peer, Vec<_>)| {
                peer.addr().port() == other.port()
            };
            let (_, services) = peers.iter().find(at).expect("a peer");
            assert!(services.contains(&tunnels.id), "{services:?}");
        }

        let dht = one.dht(None).unwrap();
        let key = NodeId([9; 20]);
        sleep(Duration::from_secs(60)).await;
        dht.store(key, b"value").await.unwrap();
        let (found, search) = dht.search_values(key).await.unwrap();
        assert_eq!(found[0].data, b"value");
        assert!(search.asked >= 1 && search.with_values >= 1, "{search:?}");
        assert!(
            dht.refresh("").await.unwrap(),
            "few nodes are in one bucket"
        );
        assert!(!dht.refresh("01").await.unwrap() && !dht.refresh("x").await.unwrap());
        let classic = one.dht(Some(Dialect::Classic)).unwrap();
        assert!(classic.find_values(key).await.unwrap().is_empty());
    });
}

#[test]
fn seeders_of_a_swarm_are_counted_by_who_is_in_none() {
    simulate(async {
        let mut town = Town::new(73);
        let citizens = town.citizens(9, 3);
        Town::acquaint(&citizens).await;
        let torrent = [7; 20];
        let name = lookup_info_hash(&torrent);
        let seeder = town.citizen(Roles::default(), |_| {}).anonymity;
        let network = seeder.network(1);
        let _socket = network.datagram(([0, 0, 0, 0], 0).into()).unwrap();
        sleep(Duration::from_secs(20)).await;
        let _peers = seeder.join_hidden(&torrent, 1, true);
        sleep(Duration::from_secs(40)).await;
        let swarms = seeder.swarms();
        assert_eq!(swarms.len(), 1);
        assert_eq!((swarms[0].info_hash, swarms[0].seeds), (name, true));
        let other = town.citizen(Roles::default(), |_| {}).anonymity;
        assert_eq!(other.count_seeders(name, 1).await, Some(1));
        assert_eq!(
            other.count_seeders(torrent, 1).await,
            Some(0),
            "no name of a swarm"
        );
        assert!(other.swarms().is_empty());
        // A downloader has a connection, and bytes go through it.
        let mut found = other.join_hidden(&torrent, 1, false);
        let _to_peers = other.network(1).datagram(([0, 0, 0, 0], 0).into()).unwrap();
        timeout(Duration::from_secs(60), found.recv())
            .await
            .unwrap();
        let swarm = other.swarms().remove(0);
        assert!(
            !swarm.seeds && swarm.seeders == 1 && swarm.links[0] >= 1,
            "{swarm:?}"
        );
        assert!(
            swarm.last_lookup.is_some() && swarm.bytes[0] > 0,
            "{swarm:?}"
        );
        let seen = seeder.swarms().remove(0);
        assert!(seen.links[0] >= 1, "{seen:?}");
    });
}
