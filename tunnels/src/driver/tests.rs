//! Tunnels on the simulated network, in virtual time.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use net::sim::{Host, HostOptions, Link, Sim};
use overlay::endpoint::{EndpointConfig, Inbox};
use overlay::key::SecretKey;
use tokio::time::{sleep, timeout};

use super::*;
use crate::testing::virtual_time::{receive, simulate, until_echoed, utp};
use crate::{Closed, Config, Flags, Head, LIBRARY, Protection, Refusal};

const PORT: u16 = 7759;

/// A node on a host of its own.
struct Peer {
    tunnels: Tunnels,
    host: Host,
    events: mpsc::Receiver<Event>,
    _inbox: Inbox,
}

/// The first node originates, then come relays and exits; each knows all of them.
fn network(sim: &Sim, dialect: Dialect, relays: u8, exits: u8) -> Vec<Peer> {
    let mut flags = vec![Flags::default()];
    flags.extend(vec![Flags::RELAY; relays.into()]);
    flags.extend(vec![Flags::RELAY.and(Flags::EXIT); exits.into()]);
    let peers: Vec<Peer> = flags
        .iter()
        .zip(1..)
        .map(|(flags, last)| {
            let ip = Ipv4Addr::new(20 + last, 0, 0, 1);
            let host = sim.host(HostOptions::at(IpAddr::V4(ip)));
            host.set_link(Link::with_latency(Duration::from_millis(20)));
            let socket = host
                .network()
                .datagram((Ipv4Addr::UNSPECIFIED, PORT).into())
                .unwrap();
            let endpoint = Endpoint::launch(EndpointConfig::new(socket, net::Pool::current()));
            let mut config = Config::new(dialect, LIBRARY);
            config.flags = *flags;
            let key = SecretKey::from_bytes(&[last; 64]).unwrap();
            let node = Node::new(now(), config, key, [last; 32]);
            let prefix = node.prefix();
            let (network, pool) = (host.network(), net::Pool::current());
            let (tunnels, events) = Tunnels::launch(node, endpoint.clone(), network, &pool);
            let inbox = endpoint.open(Some(prefix), Some(tunnels.hook()));
            Peer {
                tunnels,
                host,
                events,
                _inbox: inbox,
            }
        })
        .collect();
    for peer in &peers {
        for (other, flags) in peers.iter().zip(&flags).skip(1) {
            let key = other.tunnels.with(|node, _| node.public().clone());
            let addr = SocketAddr::new(other.host.ip(), PORT);
            peer.tunnels
                .with(|node, _| node.set_candidate(key, addr, *flags));
        }
    }
    peers
}

/// A host that sends everything back, and where it is.
fn echo(sim: &Sim) -> (Host, Task<()>, SocketAddr) {
    let host = sim.host(HostOptions::at(IpAddr::V4(Ipv4Addr::new(93, 184, 216, 34))));
    let socket = host
        .network()
        .datagram((Ipv4Addr::UNSPECIFIED, 6881).into())
        .unwrap();
    let at = SocketAddr::new(host.ip(), 6881);
    let task = net::Pool::current().spawn(async move {
        loop {
            let (data, from) = receive(&*socket).await;
            let _ = socket.try_send_to(&data, from);
        }
    });
    (host, task, at)
}

#[test]
fn a_socket_reaches_the_world_through_one_to_three_hops() {
    for dialect in [Dialect::Classic, Dialect::Modern] {
        simulate(async move {
            let sim = Sim::new(1);
            let peers = network(&sim, dialect, 5, 2);
            let (_host, _echo, target) = echo(&sim);
            for hops in 1..=3 {
                let ours = &peers[0].tunnels;
                let socket = ours.socket(hops);
                assert!(!socket.is_up());
                assert!(
                    socket.try_send_to(&utp(20), target).is_err(),
                    "there is no other way out"
                );
                ours.want(hops, 1, 1);
                sleep(Duration::from_secs(2)).await;
                assert!(socket.is_up());
                assert_eq!(ours.status(hops).protection, Protection::Protected);
                assert!(until_echoed(&*socket, target).await < Duration::from_secs(1));
                let most = utp(socket.max_payload());
                socket.try_send_to(&most, target).unwrap();
                assert_eq!(receive(&*socket).await.0, most);
            }
        });
    }
}

#[test]
fn each_socket_gets_the_answers_to_what_it_has_sent() {
    simulate(async {
        let sim = Sim::new(2);
        let peers = network(&sim, Dialect::Modern, 4, 2);
        let (_host, _echo, target) = echo(&sim);
        let ours = &peers[0].tunnels;
        ours.want(2, 2, 0);
        sleep(Duration::from_secs(2)).await;
        let (one, two) = (ours.socket(2), ours.socket(2));
        until_echoed(&*one, target).await;
        let silent = timeout(Duration::from_secs(2), receive(&*two)).await;
        assert!(silent.is_err(), "the other socket hears nothing");
    });
}

#[test]
fn names_are_looked_up_by_the_exit() {
    simulate(async {
        let sim = Sim::new(3);
        let peers = network(&sim, Dialect::Classic, 4, 1);
        let (host, _echo, target) = echo(&sim);
        sim.name("tracker.example.org", vec![host.ip()]);
        let ours = &peers[0].tunnels;
        ours.want(2, 1, 0);
        sleep(Duration::from_secs(2)).await;
        let socket = ours.socket(2);
        let to = ("tracker.example.org", 6881);
        poll_fn(|cx| socket.poll_send_to_name(cx, &utp(50), to))
            .await
            .unwrap();
        assert_eq!(receive(&*socket).await, (utp(50), target));
    });
}

#[test]
fn what_comes_while_a_name_is_looked_up_waits_with_the_first() {
    simulate(async {
        let sim = Sim::new(3);
        let peers = network(&sim, Dialect::Modern, 4, 1);
        let (host, _echo, target) = echo(&sim);
        sim.name("tracker.example.org", vec![host.ip()]);
        let ours = &peers[0].tunnels;
        ours.want(1, 1, 0);
        sleep(Duration::from_secs(2)).await;
        let socket = ours.socket(1);
        for len in 40..70 {
            let to = ("tracker.example.org", 6881);
            poll_fn(|cx| socket.poll_send_to_name(cx, &utp(len), to))
                .await
                .unwrap();
        }
        let mut got = BTreeSet::new();
        while let Ok((data, from)) = timeout(Duration::from_secs(2), receive(&*socket)).await {
            assert_eq!(from, target);
            got.insert(data.len());
        }
        assert!(got.into_iter().eq(40..70));
        let exit = &peers.last().unwrap().tunnels;
        assert!(exit.shared.lock().exits.lookups.is_empty());
    });
}

#[test]
fn bytes_flow_again_within_ten_seconds_when_a_node_of_the_path_goes() {
    for dialect in [Dialect::Classic, Dialect::Modern] {
        for dead in 1..=7_usize {
            simulate(async move {
                let sim = Sim::new(dead as u64);
                let peers = network(&sim, dialect, 5, 2);
                let (_host, _echo, target) = echo(&sim);
                let ours = &peers[0].tunnels;
                ours.want(3, 2, 1);
                sleep(Duration::from_secs(2)).await;
                let socket = ours.socket(3);
                until_echoed(&*socket, target).await;
                peers[dead].host.set_online(false);
                let outage = until_echoed(&*socket, target).await;
                assert!(
                    outage <= Duration::from_secs(10),
                    "{dialect:?} {dead}: {outage:?}"
                );
            });
        }
    }
}

#[test]
fn neighbours_are_told_when_a_node_stops() {
    simulate(async {
        let sim = Sim::new(4);
        let peers = network(&sim, Dialect::Modern, 4, 2);
        let ours = &peers[0].tunnels;
        ours.want(3, 2, 0);
        sleep(Duration::from_secs(2)).await;
        let held = |peer: &Peer| peer.tunnels.with(|node, _| node.joined());
        assert!(peers.iter().any(|peer| held(peer) != (0, 0)));
        ours.shut_down();
        sleep(Duration::from_secs(1)).await;
        assert!(peers.iter().all(|peer| held(peer) == (0, 0)));
        assert_eq!(ours.status(3).ready, 0);
    });
}

#[test]
fn a_failure_of_a_node_costs_its_circuits_and_nothing_else() {
    simulate(async {
        let sim = Sim::new(5);
        let peers = network(&sim, Dialect::Modern, 5, 2);
        let (_host, _echo, target) = echo(&sim);
        let ours = &peers[0].tunnels;
        ours.want(2, 2, 1);
        sleep(Duration::from_secs(2)).await;
        let socket = ours.socket(2);
        until_echoed(&*socket, target).await;
        let before: Vec<_> = ours.with(|node, _| node.circuits().map(|it| it.id).collect());
        let (closings, mut closed) = broadcast::channel(64);
        ours.tell_closed(closings);
        ours.shared.lock().trip = true;
        let outage = until_echoed(&*socket, target).await;
        assert!(outage < Duration::from_secs(10), "{outage:?}");
        let mut failed = Vec::new();
        while let Ok(closed) = closed.try_recv() {
            if closed.why == Closed::Failed {
                failed.push(closed.circuit);
            }
        }
        assert_eq!(failed, before, "they are told of");
        let after: Vec<_> = ours.with(|node, _| node.circuits().map(|it| it.id).collect());
        assert!(after.iter().all(|id| !before.contains(id)));
        assert_eq!(ours.with(|node, _| node.counters().failures), 1);
        // So does one of a relay or an exit.
        for peer in &peers[1..] {
            peer.tunnels.shared.lock().trip = true;
        }
        let outage = until_echoed(&*socket, target).await;
        assert!(outage < Duration::from_secs(15), "{outage:?}");
        assert!(
            peers[1..]
                .iter()
                .any(|peer| { peer.tunnels.with(|node, _| node.counters().failures == 1) })
        );
    });
}

#[test]
fn who_writes_unasked_is_answered_through_the_exit_that_it_wrote_to() {
    for dialect in [Dialect::Classic, Dialect::Modern] {
        simulate(async move {
            let sim = Sim::new(6);
            let peers = network(&sim, dialect, 4, 4);
            let ours = &peers[0].tunnels;
            ours.want(2, 4, 0);
            sleep(Duration::from_secs(3)).await;
            let socket = ours.socket(2);
            let others: Vec<_> = (1..=9)
                .map(|last| {
                    let ip = Ipv4Addr::new(93, 184, 216, last);
                    let host = sim.host(HostOptions::at(IpAddr::V4(ip)));
                    let at = SocketAddr::new(host.ip(), 6881);
                    (host.network().datagram(at).unwrap(), at, host)
                })
                .collect();
            // One of them is told where an exit of ours is, and tells the others.
            let (known, at, _) = &others[0];
            socket.try_send_to(&utp(40), *at).unwrap();
            let (_, exit) = receive(&**known).await;
            let asks = async |door: &dyn DatagramSocket, at: SocketAddr| {
                door.try_send_to(&utp(60), exit).unwrap();
                let (_, from) = receive(&*socket).await;
                assert_eq!(from, at);
                socket.try_send_to(&utp(70), from).unwrap();
                let (_, by) = receive(door).await;
                assert_eq!(by, exit, "an answer from somewhere else");
            };
            for (door, at, _) in &others[1..] {
                timeout(Duration::from_secs(5), asks(&**door, *at))
                    .await
                    .unwrap();
            }
            // However long ago it was that we wrote to somebody.
            sleep(Duration::from_secs(310)).await;
            for (door, at, _) in &others {
                timeout(Duration::from_secs(5), asks(&**door, *at))
                    .await
                    .unwrap();
            }
        });
    }
}

#[test]
fn what_strangers_bring_about_takes_no_place_from_the_rest() {
    simulate(async {
        let sim = Sim::new(7);
        let mut peers = network(&sim, Dialect::Modern, 1, 1);
        let Peer {
            tunnels, events, ..
        } = &mut peers[0];
        while events.try_recv().is_ok() {}
        let linked = Event::Linked {
            info_hash: [1; 20],
            circuit: CircuitId(1),
        };
        for id in 0..5000 {
            tunnels.with(|node, _| {
                node.pretend(Event::HttpPart {
                    circuit: CircuitId(1),
                    id,
                    part: (0, 1),
                    response: Vec::new(),
                });
                if id % 100 == 0 {
                    node.pretend(linked.clone());
                }
            });
        }
        let told: Vec<Event> = std::iter::from_fn(|| events.try_recv().ok()).collect();
        let ours = told.iter().filter(|event| **event == linked).count();
        assert_eq!(ours, 50);
        let of_strangers = told.len() - ours;
        assert!((OF_STRANGERS - 50..=OF_STRANGERS).contains(&of_strangers));
    });
}

#[test]
fn a_datagram_that_makes_a_node_fail_again_and_again_is_not_looked_at() {
    simulate(async {
        let sim = Sim::new(8);
        let peers = network(&sim, Dialect::Modern, 4, 2);
        let relay = &peers[1].tunnels;
        let hook = relay.hook();
        let from = |last| SocketAddrV4::new(Ipv4Addr::new(66, 6, 6, last), 7000);
        let prefix = relay.shared.prefix;
        // A plain cell with a message that one of our planted faults waits for.
        let give = |from: SocketAddrV4, number: u8| {
            let mut cell = vec![0; Head::len(Dialect::Modern)];
            let head = Head {
                circuit: CircuitId(77),
                plaintext: true,
                early: false,
            };
            assert!(head.write(Dialect::Modern, &prefix, &mut cell));
            cell.push(number);
            relay.shared.lock().trip = true;
            assert!(hook.receive(from, &mut cell));
            !std::mem::take(&mut relay.shared.lock().trip)
        };
        // Whoever sends it: its sender can be made up.
        assert!((1..=3).all(|last| give(from(last), 2)));
        assert_eq!(relay.with(|node, _| node.counters().failures), 3);
        assert!(!give(from(4), 2), "it is not even looked at");
        assert_eq!(relay.with(|node, _| node.counters().failures), 3);
        let refused = relay.with(|node, _| node.counters().of(Refusal::Harmful));
        assert_eq!(refused, 1);
        // What is of another kind is, and circuits through it are built.
        assert!(give(from(4), 3));
        let ours = &peers[0].tunnels;
        ours.want(2, 2, 0);
        sleep(Duration::from_secs(10)).await;
        assert_eq!(ours.status(2).ready, 2);
        // After a while it is borne with again.
        sleep(Duration::from_secs(600)).await;
        assert!(give(from(4), 2));
    });
}
