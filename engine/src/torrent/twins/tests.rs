use proptest::prelude::*;
use protocol::peer::handshake::HANDSHAKE_LEN;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant as VirtualInstant, sleep};

use super::*;
use crate::EngineConfig;
use crate::scene::{Scene, addr, closed, is_open, play};

const SMALL: PeerId = PeerId(*b"-AA0001-smallsmallsm");
const GREAT: PeerId = PeerId(*b"~ZZ0001-greatgreatgr");

/// What one end does with two connections: `dialled` says for each whether this end did, `done` when it saw the
/// handshake done.
fn ended_by(ours: &PeerId, theirs: &PeerId, dialled: [bool; 2], done: [Instant; 2]) -> [bool; 2] {
    let link = |at: usize| Link {
        outgoing: dialled[at],
        since: done[at],
    };
    let newer = usize::from(done[1] >= done[0]);
    let mut ended = [false; 2];
    match judge(ours, theirs, link(1 - newer), link(newer)) {
        Verdict::Neither => {}
        Verdict::Newer => ended[newer] = true,
        Verdict::Older => ended[1 - newer] = true,
    }
    ended
}

proptest! {
    #[test]
    fn both_ends_keep_the_same_one(
        small_dialled: [bool; 2],
        starts in [0_u64..40_000, 0_u64..40_000],
        seen_by_small in [0_u64..4_900, 0_u64..4_900],
        seen_by_great in [0_u64..4_900, 0_u64..4_900],
    ) {
        let begin = Instant::now();
        let at = |seen: [u64; 2]| [0, 1].map(|n| begin + Duration::from_millis(starts[n] + seen[n]));
        let great_dialled = small_dialled.map(|dialled| !dialled);
        // No end sees an event more than the skew before the other.
        let skew = |n: usize| seen_by_small[n].abs_diff(seen_by_great[n]);
        prop_assume!(skew(0) + skew(1) < 5_000);
        let small = ended_by(&SMALL, &GREAT, small_dialled, at(seen_by_small));
        let great = ended_by(&GREAT, &SMALL, great_dialled, at(seen_by_great));
        let ended = [small[0] || great[0], small[1] || great[1]];
        prop_assert!(ended[0] != ended[1], "small ends {small:?}, great ends {great:?}");
    }
}

#[test]
fn engines_that_dial_each_other_keep_one_connection() {
    for seed in 0..8 {
        play(async {
            let scene = Scene::new(seed, 2_000_000, 32 * 1024);
            let slow = |config: &mut EngineConfig| config.settings.limits.up = Some(20_000);
            let one = scene.engine_with(0, true, &[addr(1)], slow).await;
            let two = scene.engine(1, false, &[addr(0)]).await;
            sleep(Duration::from_secs(3)).await;
            for _ in 0..60 {
                let peers = [one.status().peers, two.status().peers];
                assert_eq!(peers, [1, 1], "seed {seed}");
                sleep(Duration::from_secs(1)).await;
            }
            two.completes(&scene).await;
        });
    }
}

#[test]
fn of_two_connections_of_one_peer_from_two_places_the_older_stays() {
    play(async {
        let scene = Scene::new(1, 100_000, 16 * 1024);
        let engine = scene.engine(0, true, &[]).await;
        let mut first = scene.connect(&scene.host(1), addr(0), SMALL).await;
        let mut second = scene.connect(&scene.host(2), addr(0), SMALL).await;
        let mut other = scene.connect(&scene.host(3), addr(0), GREAT).await;
        closed(&mut second).await;
        engine.until(|status| status.peers == 2).await;
        let took = scene.sim.elapsed();
        assert!(took < Duration::from_secs(2), "it took {took:?}");
        assert!(is_open(&mut first).await && is_open(&mut other).await);
    });
}

#[test]
fn a_long_standing_connection_does_not_give_way_to_a_greater_id() {
    play(async {
        let scene = Scene::new(1, 100_000, 16 * 1024);
        let player = scene.host(1);
        let mut door = player.network().listen(addr(1)).unwrap();
        let _engine = scene.engine(0, true, &[addr(1)]).await;
        let (mut first, _) = door.accept().await.unwrap();
        scene.greet(&mut first, GREAT).await;
        sleep(Duration::from_secs(30)).await;
        let mut second = scene.connect(&player, addr(0), GREAT).await;
        closed(&mut second).await;
        assert!(is_open(&mut first).await);
    });
}

#[test]
fn who_dials_again_from_the_same_host_after_a_silence_has_lost_the_older_one() {
    for (silence, lost) in [(5, false), (30, true)] {
        play(async {
            let scene = Scene::new(1, 100_000, 16 * 1024);
            let engine = scene.engine(0, true, &[]).await;
            let player = scene.host(1);
            let mut first = scene.connect(&player, addr(0), SMALL).await;
            sleep(Duration::from_secs(silence)).await;
            let mut second = scene.connect(&player, addr(0), SMALL).await;
            let (gone, stays) = if lost {
                (&mut first, &mut second)
            } else {
                (&mut second, &mut first)
            };
            closed(gone).await;
            assert!(is_open(stays).await);
            engine.until(|status| status.peers == 1).await;
        });
    }
}

#[test]
fn where_both_dialled_at_once_the_greater_id_says_which_stays() {
    for (id, ours_stays) in [(SMALL, true), (GREAT, false)] {
        play(async {
            let scene = Scene::new(1, 100_000, 16 * 1024);
            let player = scene.host(1);
            let mut door = player.network().listen(addr(1)).unwrap();
            let _engine = scene.engine(0, true, &[addr(1)]).await;
            let (mut ours, _) = door.accept().await.unwrap();
            scene.greet(&mut ours, id).await;
            let mut theirs = scene.connect(&player, addr(0), id).await;
            let (stays, goes) = if ours_stays {
                (&mut ours, &mut theirs)
            } else {
                (&mut theirs, &mut ours)
            };
            closed(goes).await;
            assert!(is_open(stays).await);
        });
    }
}

#[test]
fn a_peer_that_ends_neither_of_two_connections_loses_the_later_one_after_a_while() {
    play(async {
        let scene = Scene::new(1, 100_000, 16 * 1024);
        let mut doors = [1, 2].map(|n| scene.host(n).network().listen(addr(n)).unwrap());
        let engine = scene.engine(0, true, &[addr(1), addr(2)]).await;
        let (mut first, _) = doors[0].accept().await.unwrap();
        let (mut second, _) = doors[1].accept().await.unwrap();
        scene.greet(&mut first, SMALL).await;
        sleep(Duration::from_millis(100)).await;
        scene.greet(&mut second, SMALL).await;
        let start = VirtualInstant::now();
        closed(&mut second).await;
        let took = start.elapsed();
        assert!(
            (GRACE..GRACE + Duration::from_secs(3)).contains(&took),
            "{took:?}"
        );
        assert!(is_open(&mut first).await);
        // When the one that stayed is gone, the other address is of use again.
        drop(first);
        let start = VirtualInstant::now();
        let (mut again, _) = doors[1].accept().await.unwrap();
        let mut handshake = [0; HANDSHAKE_LEN];
        again.read_exact(&mut handshake).await.unwrap();
        let waited = start.elapsed();
        assert!(waited < Duration::from_secs(5), "it took {waited:?}");
        engine.until(|status| status.peers == 0).await;
    });
}
