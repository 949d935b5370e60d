//! Relays and exits that die, or have had enough.

use super::*;

#[test]
fn an_exit_that_has_carried_all_it_may_ends_its_circuits_and_others_are_found_at_once() {
    simulate(async {
        let mut town = Town::new(34);
        let mut roles = Roles::exit(ExitPolicy::default());
        roles.max_bytes = Some(200_000);
        let small = town.citizen(roles, |_| {});
        let large = town.citizen(Roles::exit(ExitPolicy::default()), |_| {});
        let (target, _echo) = town.echo();
        let ours = town.citizen(Roles::default(), |_| {});
        let socket = ours.anonymity.network(1);
        let socket = socket.datagram((Ipv4Addr::UNSPECIFIED, 0).into()).unwrap();
        sleep(Duration::from_secs(40)).await;
        let ends = |citizen: &Citizen| citizen.anonymity.counters().nodes[0].ends;
        assert!(ends(&small) > 0 && ends(&large) > 0, "both are in use");
        let spent = || small.anonymity.counters().nodes[0].spent;
        let mut used = 0;
        // Each address has a flow of its own, so that both exits carry some.
        while !spent() {
            used += 1;
            assert!(used < 3000);
            let to = SocketAddr::new(target.ip(), 7000 + used % 20);
            socket.try_send_to(&utp(1000), to).unwrap();
            sleep(Duration::from_millis(5)).await;
        }
        sleep(Duration::from_secs(1)).await;
        assert_eq!(ends(&small), 0, "it has ended its circuits");
        until_echoed(&*socket, target).await;
        sleep(Duration::from_secs(30)).await;
        let known = &ours.anonymity.counters().nodes[0];
        assert_eq!(known.known_exits, 1, "it is no exit any more");
        assert_eq!(ours.anonymity.status(1).ready, 4);
    });
}

/// A node of the path of some datagrams dies: how long until they come back again.
fn death(seed: u64, hops: u8, which: usize) -> Duration {
    let (told, heard) = std::sync::mpsc::channel();
    simulate(async move {
        let mut town = Town::new(seed);
        let citizens = town.citizens(9, 4);
        let (target, _echo) = town.echo();
        Town::acquaint(&citizens).await;
        let ours = town.citizen(Roles::default(), |_| {});
        let network = ours.anonymity.network(hops);
        let socket = network.datagram(([0, 0, 0, 0], 0).into()).unwrap();
        sleep(Duration::from_secs(20)).await;
        until_echoed(&*socket, target).await;
        let before: Vec<_> = ours.anonymity.circuits();
        socket.try_send_to(&utp(300), target).unwrap();
        receive(&*socket).await;
        let after = ours.anonymity.circuits();
        // That which has carried the most since is the one of the flow.
        let carried = |circuit: &CircuitStatus| {
            let at = before.iter().find(|it| it.info.id == circuit.info.id);
            circuit.info.bytes - at.map_or(0, |it| it.info.bytes)
        };
        let flow = after.into_iter().max_by_key(carried).unwrap();
        let hop = flow.hops[which % usize::from(hops)].unwrap();
        let dead = citizens
            .iter()
            .find(|citizen| citizen.host.ip() == hop.ip());
        dead.unwrap().host.set_online(false);
        told.send(until_echoed(&*socket, target).await).unwrap();
    });
    heard.recv().unwrap()
}

#[test]
fn datagrams_come_back_within_ten_seconds_when_a_relay_or_an_exit_of_the_network_dies() {
    let mut worst = Duration::ZERO;
    for (seed, hops) in [(50, 1), (51, 2), (52, 2), (53, 3), (54, 3), (55, 3)] {
        let outage = death(seed, hops, seed as usize);
        println!("seed {seed}, {hops} hops: {outage:?}");
        worst = worst.max(outage);
    }
    assert!(worst < Duration::from_secs(8), "{worst:?}");
}
