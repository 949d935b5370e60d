//! A thousand peers that begin a handshake of the stream encryption and say no more.

use std::time::Duration;

use support::clients::Running as _;
use support::wire::RawPeer;
use support::{Need, isolated_test, process};

use crate::scene::{MIB, Scene, assert_bounded, bad_ip, watching};

const PEERS: u16 = 1_000;

/// Time of processors that they may cost, in a build without optimization and on a slow machine too; most of it is a thousand
/// key agreements, which take a third of a second on a machine of today.
const MOST_CPU: Duration = Duration::from_secs(10);

/// How soon who says nothing more is gone: 15 s, and what a busy machine needs.
const DROP: Duration = Duration::from_secs(20);

isolated_test! {
    fn a_thousand_half_open_encrypted_handshakes_cost_little_and_keep_nobody_away(
        lab, limit = 120, needs = [Need::Ours]
    ) {
        let scene = Scene::new(lab, MIB);
        let (mut seeder, address) = scene.seed(&["--encryption", "require"]);
        let pid = seeder.process().pid();
        let before = process::cpu_time(pid).expect("it runs");
        let ((), peak) = watching(pid, || {
            let key: Vec<u8> = (0..96).collect();
            let mut peers: Vec<RawPeer> = (0..PEERS)
                .map(|n| {
                    let mut peer = RawPeer::dial(address, bad_ip(n)).expect("the seeder listens");
                    let _ = peer.raw(&key);
                    peer
                })
                .collect();
            let (download, output) = scene.download(vec![address], &["--encryption", "require"]);
            scene.complete(download, &output, Duration::from_secs(30));
            for peer in &mut peers {
                assert!(peer.is_dropped_within(DROP), "still connected");
            }
        });
        assert_bounded(lab, "seeder with 1000 half-open encrypted handshakes", peak);
        let cpu = process::cpu_time(pid).expect("it runs").saturating_sub(before);
        lab.report(&format!("they cost {:.2} s of CPU", cpu.as_secs_f64()));
        assert!(cpu < MOST_CPU, "{cpu:?} of CPU");
    }
}
