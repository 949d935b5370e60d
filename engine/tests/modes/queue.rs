//! The queue at work: who runs, who waits, in which order, in this session and the next.

use std::time::Duration;

use engine::settings::{Patch, Settings};
use engine::{AddTorrent, CommandError, Limits, Mode, Modes, Place, State, TorrentId};
use net::sim::{HostOptions, Sim};
use tokio::time::sleep;

use crate::common::Payload;
use crate::common::sim::{addr, ip, simulate};
use crate::scene::{Seeder, Session, root};
use crate::tracker::{Behaviour, Tracker};

const PIECE: usize = 16 * 1024;

fn limited(change: impl FnOnce(&mut Settings)) -> impl FnOnce(&mut engine::EngineConfig) {
    move |config| {
        config.local_discovery = false;
        // Whoever gets nothing takes a place all the same.
        config.settings.queue.slow_are_free = false;
        change(&mut config.settings);
    }
}

fn states(session: &Session, ids: &[TorrentId]) -> String {
    let words = ids.iter().map(|id| session.status(*id).state.word());
    let letters = words.map(|word| word.chars().next().unwrap_or('?'));
    letters.collect()
}

async fn add_all(
    session: &Session,
    payloads: &[Payload],
    change: impl Fn(&mut AddTorrent),
) -> Vec<TorrentId> {
    let mut ids = Vec::new();
    for payload in payloads {
        let mut add = session.usual(payload);
        add.dir = session.data().join(ids.len().to_string());
        change(&mut add);
        ids.push(session.handle.add(add).await.expect("added"));
    }
    ids
}

/// The same, of content that is there.
async fn add_whole(
    session: &Session,
    payloads: &[Payload],
    change: impl Fn(&mut AddTorrent),
) -> Vec<TorrentId> {
    for (number, payload) in payloads.iter().enumerate() {
        let dir = session.data().join(number.to_string());
        std::fs::create_dir_all(&dir).expect("made");
        std::fs::write(dir.join("payload"), payload.bytes()).expect("written");
    }
    let whole = |add: &mut AddTorrent| {
        add.trust_data = true;
        change(add);
    };
    add_all(session, payloads, whole).await
}

/// Has the queue settle, and asserts who downloads, seeds, is queued and is paused then.
async fn settles(session: &Session, ids: &[TorrentId], seconds: u64, due: &str) {
    sleep(Duration::from_secs(seconds)).await;
    assert_eq!(states(session, ids), due);
}

fn payloads<const N: usize>(seed: u64) -> [Payload; N] {
    std::array::from_fn(|at| Payload::new(seed + at as u64, 200_000, PIECE))
}

#[test]
fn so_many_download_at_a_time_in_the_order_of_the_queue_and_all_come_through() {
    simulate(async {
        let sim = Sim::new(80);
        let payloads = payloads::<4>(80);
        let mut seeders = Vec::new();
        for (number, payload) in (10..).zip(&payloads) {
            seeders.push(Seeder::start(&sim, number, payload, 20_000).await);
        }
        let session = Session::start_with(&sim, 1, root(), limited(|it| it.queue.downloads = 1));
        let ids = add_all(&session, &payloads, |add| {
            add.peers = (10..14).map(addr).collect();
        })
        .await;
        settles(&session, &ids, 2, "dqqq").await;
        let figures = session.handle.metrics().await.expect("it runs");
        assert_eq!(figures.get("ses.num_queued_torrents"), Some(3));
        assert!(
            !session.data().join("1").exists(),
            "who waits has nothing open"
        );
        // The last goes first.
        let handle = &session.handle;
        handle.queue_shift(ids[3], Place::Top).await.expect("moved");
        assert_eq!(
            handle.queue().await,
            Ok(vec![ids[3], ids[0], ids[1], ids[2]])
        );
        settles(&session, &ids, 2, "qqqd").await;
        assert!(session.status(ids[3]).queue < session.status(ids[0]).queue);
        let mut order = Vec::new();
        for _ in 0..200 {
            sleep(Duration::from_secs(1)).await;
            for id in &ids {
                if session.status(*id).state == State::Seeding && !order.contains(id) {
                    order.push(*id);
                }
            }
        }
        assert_eq!(order, [ids[3], ids[0], ids[1], ids[2]]);
        assert_eq!(session.status(ids[0]).queue, None);
        let refused = handle.queue_shift(ids[0], Place::Top).await;
        assert_eq!(refused, Err(CommandError::NotQueued));
        sim
    });
}

#[test]
fn the_order_and_who_waits_are_the_same_in_the_next_session() {
    simulate(async {
        let sim = Sim::new(81);
        let payloads = payloads::<4>(90);
        let limit = || limited(|it| it.queue.downloads = 1);
        let session = Session::start_with(&sim, 1, root(), limit());
        let ids = add_all(&session, &payloads, |_| {}).await;
        let handle = &session.handle;
        handle.queue_shift(ids[2], Place::Up).await.expect("moved");
        handle
            .queue_shift(ids[0], Place::At(2))
            .await
            .expect("moved");
        handle.pause(ids[2]).await.expect("paused");
        let order = vec![ids[2], ids[1], ids[0], ids[3]];
        assert_eq!(handle.queue().await, Ok(order.clone()));
        settles(&session, &ids, 20, "qdpq").await;
        let root = session.stop().await;
        let session = Session::start_with(&sim, 2, root, limit());
        let handle = &session.handle;
        assert_eq!(handle.queue().await, Ok(order));
        settles(&session, &ids, 20, "qdpq").await;
        // Who is resumed comes first again, though it sleeps.
        handle.resume(ids[2]).await.expect("resumed");
        settles(&session, &ids, 20, "qqdq").await;
        // One that waits is asked something, and waits.
        assert_eq!(handle.peers(ids[3]).await, Ok(Vec::new()));
        handle.remove(ids[2], false).await.expect("removed");
        sleep(Duration::from_secs(20)).await;
        assert_eq!(states(&session, &[ids[0], ids[1], ids[3]]), "qdq");
        sim
    });
}

#[test]
fn who_is_none_of_the_queues_runs_and_takes_nobodys_place() {
    simulate(async {
        let sim = Sim::new(82);
        let payloads = payloads::<3>(100);
        let session = Session::start_with(&sim, 1, root(), limited(|it| it.queue.downloads = 1));
        let ids = add_all(&session, &payloads, |_| {}).await;
        let managed = Modes::NONE.with(Mode::Managed, true);
        let handle = &session.handle;
        settles(&session, &ids, 20, "dqq").await;
        handle
            .set_modes(ids[2], Modes::NONE, managed)
            .await
            .expect("turned");
        settles(&session, &ids, 20, "dqd").await;
        handle
            .set_modes(ids[2], managed, Modes::NONE)
            .await
            .expect("turned");
        settles(&session, &ids, 20, "dqq").await;
        // More may run from now on, and then less.
        for (most, due) in [(2_u32, "ddq"), (0, "ddd"), (1, "dqq")] {
            let patch = Patch::new().with("queue.downloads", most);
            handle.set_settings(patch).await.expect("set");
            settles(&session, &ids, 20, due).await;
        }
        sim
    });
}

#[test]
fn of_seeds_those_that_have_not_given_enough_run_and_a_peer_may_wake_one_that_waits() {
    simulate(async {
        let sim = Sim::new(83);
        let payloads = payloads::<3>(110);
        let session = Session::start_with(
            &sim,
            1,
            root(),
            limited(|it| {
                it.queue.seeds = 1;
                it.queue.goal_time = Duration::from_secs(100);
            }),
        );
        let ids = add_whole(&session, &payloads, |_| {}).await;
        settles(&session, &ids, 60, "sqq").await;
        sleep(Duration::from_secs(100)).await;
        assert_eq!(
            states(&session, &ids),
            "qsq",
            "the first was seeded for long enough"
        );
        let peers_start = Patch::new().with("queue.peers_start", true);
        session.handle.set_settings(peers_start).await.expect("set");
        let other = Session::start(&sim, 2, root());
        let id = other.fetch(&payloads[2], 1).await;
        // Its own turn comes after more than a minute.
        let soon = tokio::time::timeout(Duration::from_secs(25), other.finished(id)).await;
        assert!(soon.is_ok());
        assert_eq!(states(&session, &ids[2..]), "s");
        sleep(Duration::from_secs(120)).await;
        let seeds = states(&session, &ids);
        assert_eq!(seeds.matches('s').count(), 1, "{seeds}");
        sim
    });
}

#[test]
fn a_seed_that_has_given_enough_stays_behind_the_others_while_it_sleeps() {
    simulate(async {
        let sim = Sim::new(87);
        let payloads = payloads::<3>(150);
        let session = Session::start_with(
            &sim,
            1,
            root(),
            limited(|it| {
                it.queue.seeds = 1;
                it.queue.goal_time = Duration::from_secs(100);
            }),
        );
        let ids = add_whole(&session, &payloads, |_| {}).await;
        for due in ["sqq", "qsq", "qqs"] {
            settles(&session, &ids, 80, due).await;
            sleep(Duration::from_secs(60)).await;
        }
        // By another goal all of them have given too little, and the first is first again.
        let more = Patch::new().with("queue.goal_time", "1h");
        session.handle.set_settings(more).await.expect("set");
        sleep(Duration::from_secs(80)).await;
        let seeds = states(&session, &ids);
        assert_eq!(seeds.matches('s').count(), 1, "{seeds}");
        sim
    });
}

#[test]
fn a_seed_has_given_enough_by_what_it_gave_and_by_how_long_it_took_to_come() {
    simulate(async {
        let sim = Sim::new(77);
        let payloads = payloads::<2>(180);
        let goal = |key: &str, value: f64| Patch::new().with(key, value);
        // By what it gave.
        let session = Session::start_with(&sim, 1, root(), limited(|it| it.queue.seeds = 1));
        let ids = add_whole(&session, &payloads, |_| {}).await;
        settles(&session, &ids, 60, "sq").await;
        for (number, ratio, due) in [(2, 1.5, "sq"), (3, 1.5, "qs")] {
            let set = session.handle.set_settings(goal("queue.goal_ratio", ratio));
            set.await.expect("set");
            let other = Session::start(&sim, number, root());
            let id = other.fetch(&payloads[0], 1).await;
            other.finished(id).await;
            sleep(Duration::from_secs(60)).await;
            assert_eq!(states(&session, &ids), due, "{number}");
        }
        // By how long it took to come: a torrent that came in ten seconds, twice as long.
        let _seeder = Seeder::start(&sim, 10, &payloads[0], 20_000).await;
        let second = Session::start_with(&sim, 11, root(), limited(|it| it.queue.seeds = 1));
        let set = second
            .handle
            .set_settings(goal("queue.goal_time_ratio", 5.0));
        set.await.expect("set");
        let first = second.fetch(&payloads[0], 10).await;
        second.finished(first).await;
        let dir = second.data().join("other");
        std::fs::create_dir_all(&dir).expect("made");
        std::fs::write(dir.join("payload"), payloads[1].bytes()).expect("written");
        let mut add = second.usual(&payloads[1]);
        (add.dir, add.trust_data) = (dir, true);
        let ids = [first, second.handle.add(add).await.expect("added")];
        settles(&second, &ids, 20, "sq").await;
        settles(&second, &ids, 100, "qs").await;
        sim
    });
}

#[test]
fn seeds_that_wait_are_asked_about_in_turn_as_often_as_is_set() {
    simulate(async {
        let sim = Sim::new(89);
        let host = sim.host(HostOptions::at(ip(99)));
        let tracker = Tracker::start(&host, Behaviour::default());
        let payloads = payloads::<3>(170);
        let session = Session::start_with(
            &sim,
            1,
            root(),
            limited(|it| {
                it.queue.seeds = 1;
                it.queue.scrape_every = Duration::from_secs(600);
                it.queue.scrape_apart = Duration::from_secs(60);
            }),
        );
        let url = format!("http://{}:80/announce", ip(99));
        let ids = add_whole(&session, &payloads, |add| {
            add.trackers = Some(vec![vec![url.clone()]]);
        })
        .await;
        settles(&session, &ids, 60, "sqq").await;
        let scrapes = async |seconds: u64| {
            let before = tracker.scrapes().len();
            sleep(Duration::from_secs(seconds)).await;
            tracker.scrapes().len() - before
        };
        // Each of the two that wait every ten minutes.
        let asked = scrapes(3000).await;
        assert!((9..=11).contains(&asked), "{asked}");
        let set = async |key: &str, value: u32| {
            let patch = Patch::new().with(key, value);
            session.handle.set_settings(patch).await.expect("set");
        };
        // However often it were: so far apart at least.
        set("queue.scrape_every", 10).await;
        let asked = scrapes(600).await;
        assert!((9..=11).contains(&asked), "{asked}");
        set("queue.scrape_every", 0).await;
        assert_eq!(scrapes(3000).await, 0);
        sim
    });
}

#[test]
fn slow_downloads_take_no_place_of_others() {
    simulate(async {
        let sim = Sim::new(84);
        let payloads = payloads::<3>(120);
        let session = Session::start_with(
            &sim,
            1,
            root(),
            limited(|it| {
                it.queue.downloads = 1;
                it.queue.active = 2;
                it.queue.slow_are_free = true;
            }),
        );
        let ids = add_all(&session, &payloads, |_| {}).await;
        settles(&session, &ids, 50, "dqq").await;
        settles(&session, &ids, 50, "ddq").await;
        sleep(Duration::from_secs(100)).await;
        assert_eq!(states(&session, &ids), "ddq", "no more than so many in all");
        sim
    });
}

#[test]
fn only_the_first_are_told_of_on_the_local_network() {
    simulate(async {
        let sim = Sim::new(86);
        let payloads = payloads::<2>(140);
        let start = |number, limit: u32| {
            Session::start_with(&sim, number, root(), move |config| {
                config.local_discovery = true;
                config.settings.queue.local_discovery = limit;
                config.settings.limits = Limits {
                    up: Some(100),
                    down: None,
                }
                .into();
            })
        };
        let one = start(1, 1);
        let ids = add_all(&one, &payloads, |_| {}).await;
        let other = start(2, 1);
        // In the other order.
        let [first, second] = payloads;
        let others = add_all(&other, &[second, first], |_| {}).await;
        sleep(Duration::from_secs(400)).await;
        assert_eq!(one.status(ids[0]).peers + one.status(ids[1]).peers, 0);
        let all = Patch::new().with("queue.local_discovery", 0_u32);
        for session in [&one, &other] {
            session.handle.set_settings(all.clone()).await.expect("set");
        }
        sleep(Duration::from_secs(400)).await;
        assert_eq!([ids[0], ids[1]].map(|id| one.status(id).peers), [1, 1]);
        assert_eq!(
            [others[0], others[1]].map(|id| other.status(id).peers),
            [1, 1]
        );
        sim
    });
}
