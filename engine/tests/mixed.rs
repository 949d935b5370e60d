//! TCP and uTP side by side on one link.

mod common;

use std::time::Duration;

use common::Payload;
use common::sim::{self, Node, addr, ip, simulate};
use engine::settings::Patch;
use engine::{MixedMode, Source};
use net::Pool;
use net::ports::{Transports, open};
use net::sim::{HostOptions, Link, Sim};
use net::utp::UtpOptions;
use tokio::time::sleep;

/// Bytes a second from the network to the one who downloads.
const LINK: u64 = 1_000_000;

/// How long they are left to find their pace, and how long they are watched then.
const SETTLE: u64 = 30;
const WATCH: u64 = 25;

/// An engine on a host, at a port that takes streams of these kinds.
fn start(sim: &Sim, number: u32, link: Link, transports: Transports, mode: MixedMode) -> Node {
    let host = sim.host(HostOptions {
        link,
        ..HostOptions::at(ip(number))
    });
    let mut config = sim::config(&host, u64::from(number));
    let mut options = UtpOptions::default();
    options.seed = Some(u64::from(number));
    let pool = Pool::current();
    let port = open(
        &config.network,
        (addr(number), 0),
        transports,
        &pool,
        &options,
    );
    let port = port.expect("a port");
    (config.network, config.listen) = (port.network, Some(port.addr));
    config.settings.limits.mixed_mode = mode;
    Node::start(host, config)
}

fn uploaded(node: &Node) -> u64 {
    let snapshot = node.handle.snapshot();
    snapshot
        .torrents
        .iter()
        .map(|torrent| torrent.uploaded)
        .sum()
}

/// What so many seeds by TCP, and one by uTP, send a second to one engine.
fn rates(mode: MixedMode, by_tcp: u32) -> [u64; 2] {
    rates_after(mode, None, by_tcp)
}

/// The same; where a word is given, the one who downloads is set to that mode after a while.
fn rates_after(mode: MixedMode, then: Option<&str>, by_tcp: u32) -> [u64; 2] {
    let mut rates = [0; 2];
    simulate(async {
        let sim = Sim::new(11);
        let payload = Payload::new(11, 58_000_000, 512 * 1024);
        let source = || Source::Metainfo(payload.metainfo());
        let mut seeds = Vec::new();
        for number in 0..=by_tcp {
            let transports = if number == 0 {
                Transports::Utp
            } else {
                Transports::Tcp
            };
            let seed = start(&sim, number, Link::default(), transports, mode);
            seed.put(&payload);
            seed.add_with(source(), |add| add.trust_data = true).await;
            seeds.push(seed);
        }
        let slow = Link::default().with_rates(None, Some(LINK));
        let leech = start(&sim, 100, slow, Transports::Both, mode);
        let known = (0..=by_tcp).map(addr).collect();
        leech.add_with(source(), |add| add.peers = known).await;
        if let Some(then) = then {
            sleep(Duration::from_secs(3)).await;
            let patch = Patch::new().with("limits.mixed_mode", then);
            leech.handle.set_settings(patch).await.expect("settings");
        }
        let sent = || {
            let sent: Vec<u64> = seeds.iter().map(uploaded).collect();
            [sent[1..].iter().sum(), sent[0]]
        };
        sleep(Duration::from_secs(SETTLE)).await;
        let before: [u64; 2] = sent();
        sleep(Duration::from_secs(WATCH)).await;
        let after = sent();
        rates = [0, 1].map(|at| (after[at] - before[at]) / WATCH);
        sim
    });
    rates
}

#[test]
fn utp_gets_little_beside_tcp_that_goes_first() {
    let [tcp, utp] = rates(MixedMode::PreferTcp, 1);
    assert!(tcp + utp > LINK * 9 / 10, "{tcp} and {utp}");
    assert!(utp < LINK / 5, "{tcp} and {utp}");
}

#[test]
fn one_of_two_peers_gets_about_half_by_utp() {
    let [tcp, utp] = rates(MixedMode::PeerProportional, 1);
    assert!(tcp + utp > LINK * 9 / 10, "{tcp} and {utp}");
    assert!((40..60).contains(&(utp * 100 / LINK)), "{tcp} and {utp}");
}

#[test]
fn one_of_four_peers_gets_half_as_much_again_by_utp() {
    let [tcp, utp] = rates(MixedMode::PeerProportional, 3);
    let [_, starved] = rates(MixedMode::PreferTcp, 3);
    assert!(tcp + utp > LINK * 9 / 10, "{tcp} and {utp}");
    assert!(
        utp * 2 > starved * 3 && utp < LINK / 3,
        "{tcp} and {utp}, {starved}"
    );
}

#[test]
fn the_mode_can_be_changed_while_both_are_at_work() {
    let [tcp, utp] = rates_after(MixedMode::PreferTcp, Some("proportional"), 1);
    assert!((35..65).contains(&(utp * 100 / LINK)), "{tcp} and {utp}");
    let [tcp, utp] = rates_after(MixedMode::PeerProportional, Some("prefer-tcp"), 1);
    assert!(utp < LINK / 5, "{tcp} and {utp}");
}
