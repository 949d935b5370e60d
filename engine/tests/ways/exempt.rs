//! Torrents that the IP filter does not hold for, beside others of the same engine.

use std::time::Duration;

use engine::{Encryption, Mode, Modes, Source, TorrentId};
use net::Filter;
use net::filter::IpFilter;
use net::ports::Transports;
use net::sim::{HostOptions, Sim};
use tokio::time::sleep;

use crate::common::Payload;
use crate::common::sim::{Node, addr, config, ip, simulate};
use crate::{PIECE, ported};

const PATIENCE: Duration = Duration::from_secs(300);

/// A host with two torrents, one that keeps to a list on which the host is and one that does not.
struct Pair {
    sim: Sim,
    _seed: Node,
    us: Node,
    exempt: TorrentId,
    held: TorrentId,
}

impl Pair {
    async fn new(transports: Transports, we_dial: bool) -> Self {
        let sim = Sim::new(17);
        let payloads = [17, 18].map(|seed| Payload::new(seed, 300_000, PIECE));
        let node = |number: u32, filter: Option<Filter>| {
            let host = sim.host(HostOptions::at(ip(number)));
            let mut config = config(&host, u64::from(number));
            if let Some(filter) = filter {
                config.network = config.network.clone().filtered(&filter);
            }
            ported(&mut config, addr(number), transports);
            config.settings.encryption.peers = Encryption::Off;
            Node::start(host, config)
        };
        let list = format!("{}\n", ip(0));
        let list = IpFilter::parse(list.as_bytes()).expect("a list");
        let (seed, us) = (node(0, None), node(1, Some(Filter::new(list))));
        let mut ids = Vec::new();
        for (payload, keeps) in payloads.iter().zip([false, true]) {
            let name = if keeps { "held" } else { "exempt" };
            let dir = |node: &Node| node.dir.path().join(name);
            std::fs::create_dir(dir(&seed)).expect("a folder");
            std::fs::write(dir(&seed).join("payload"), payload.bytes()).expect("written");
            let source = || Source::Metainfo(payload.metainfo());
            seed.add_with(source(), |add| {
                add.dir = dir(&seed);
                add.peers = if we_dial { Vec::new() } else { vec![addr(1)] };
            })
            .await;
            let known = if we_dial { vec![addr(0)] } else { Vec::new() };
            let id = us.add_with(source(), |add| {
                add.dir = dir(&us);
                add.use_ip_filter = keeps;
                add.peers = known;
            });
            ids.push(id.await);
        }
        Self {
            sim,
            _seed: seed,
            us,
            exempt: ids[0],
            held: ids[1],
        }
    }

    fn done(&self, id: TorrentId) -> (usize, u64) {
        let status = self.us.handle.status(id).expect("it is there");
        (status.peers, status.done)
    }
}

#[test]
fn who_is_on_the_list_is_a_peer_of_those_torrents_alone_that_do_not_keep_to_it() {
    for (transports, we_dial) in [
        (Transports::Tcp, true),
        (Transports::Tcp, false),
        (Transports::Utp, true),
        (Transports::Utp, false),
    ] {
        simulate(async {
            let pair = Pair::new(transports, we_dial).await;
            let case = format!("{transports:?}, {we_dial}");
            assert!(pair.us.finishes(pair.exempt, PATIENCE).await, "{case}");
            sleep(PATIENCE).await;
            assert_eq!(pair.done(pair.held), (0, 0), "{case}");
            let filter = Modes::NONE.with(Mode::IpFilter, true);
            let turn = |id, on, off| pair.us.handle.set_modes(id, on, off);
            turn(pair.held, Modes::NONE, filter).await.expect("turned");
            pair.us
                .handle
                .add_peer(pair.held, addr(0))
                .await
                .expect("told");
            assert!(pair.us.finishes(pair.held, PATIENCE).await, "{case}");
            pair.sim
        });
    }
}

#[test]
fn who_keeps_to_the_list_again_lets_go_of_those_on_it() {
    simulate(async {
        let pair = Pair::new(Transports::Both, true).await;
        assert!(pair.us.meets(pair.exempt, 1, PATIENCE).await);
        let filter = Modes::NONE.with(Mode::IpFilter, true);
        let turned = pair.us.handle.set_modes(pair.exempt, filter, Modes::NONE);
        turned.await.expect("turned");
        sleep(Duration::from_secs(5)).await;
        let (peers, done) = pair.done(pair.exempt);
        assert_eq!(peers, 0);
        sleep(PATIENCE).await;
        assert_eq!(pair.done(pair.exempt), (0, done));
        pair.sim
    });
}
