//! Until when torrents are seeded, and for how long they were.

use std::time::Duration;

use engine::settings::Patch;
use engine::{Categories, Event, SeedingEnd, SeedingRule, State, TorrentId};
use net::sim::Sim;
use tokio::time::sleep;

use crate::common::Payload;
use crate::common::sim::simulate;
use crate::scene::{Session, root};

const HOUR: Duration = Duration::from_hours(1);

async fn seed(session: &Session, payload: &Payload) -> TorrentId {
    std::fs::create_dir_all(session.data()).expect("made");
    std::fs::write(session.data().join("payload"), payload.bytes()).expect("written");
    let id = session
        .handle
        .add(session.usual(payload))
        .await
        .expect("added");
    session.finished(id).await;
    id
}

fn rule(seconds: Option<u64>, idle: Option<u64>) -> SeedingRule {
    SeedingRule {
        seconds,
        idle_seconds: idle,
        ..SeedingRule::default()
    }
}

#[test]
fn a_torrent_is_seeded_for_so_long_over_all_sessions_and_paused_then() {
    simulate(async {
        let sim = Sim::new(90);
        let payload = Payload::new(90, 100_000, 16 * 1024);
        let session = Session::start(&sim, 1, root());
        let id = seed(&session, &payload).await;
        let handle = &session.handle;
        handle
            .set_seeding(id, rule(Some(7200), None))
            .await
            .expect("said");
        sleep(HOUR).await;
        let history = handle.history(id).await.expect("known");
        let spent = [history.active, history.finished, history.seeding];
        assert!(
            spent.iter().all(|it| it.as_secs().abs_diff(3600) < 5),
            "{history:?}"
        );
        let root = session.stop().await;
        let session = Session::start(&sim, 2, root);
        let mut events = session.handle.events(Categories::USUAL, 100);
        assert_eq!(session.status(id).seeding, rule(Some(7200), None));
        session.finished(id).await;
        sleep(Duration::from_mins(59)).await;
        assert_eq!(session.status(id).state, State::Seeding);
        sleep(Duration::from_secs(120)).await;
        assert_eq!(session.status(id).state, State::Paused);
        let told = std::iter::from_fn(|| events.try_recv().ok());
        let ends: Vec<SeedingEnd> = told
            .filter_map(|event| {
                let Event::SeedingDone { end, .. } = event else {
                    return None;
                };
                Some(end)
            })
            .collect();
        assert_eq!(ends, [SeedingEnd::Time]);
        let root = session.stop().await;
        let session = Session::start(&sim, 3, root);
        sleep(Duration::from_secs(10)).await;
        assert_eq!(session.status(id).state, State::Paused);
        let history = session.handle.history(id).await.expect("read");
        assert!(
            history.finished.as_secs().abs_diff(7200) < 70,
            "{history:?}"
        );
        sim
    });
}

#[test]
fn a_torrent_that_gave_as_much_as_it_should_is_paused_and_others_by_the_settings() {
    simulate(async {
        let sim = Sim::new(91);
        let payload = Payload::new(91, 100_000, 16 * 1024);
        let session = Session::start(&sim, 1, root());
        let id = seed(&session, &payload).await;
        let mode = |word: &str| Patch::new().with("seeding.mode", word);
        let ratio = mode("ratio").with("seeding.ratio", 1.5);
        session.handle.set_settings(ratio).await.expect("set");
        for number in 2..4 {
            assert_eq!(session.status(id).state, State::Seeding);
            let other = Session::start(&sim, number, root());
            let fetched = other.fetch(&payload, 1).await;
            other.finished(fetched).await;
            other.stop().await;
            sleep(Duration::from_secs(5)).await;
        }
        assert_eq!(session.status(id).state, State::Paused);
        // What was said of it takes the place of the settings.
        let forever = SeedingRule {
            forever: true,
            ..SeedingRule::default()
        };
        session.handle.set_seeding(id, forever).await.expect("said");
        session.handle.resume(id).await.expect("resumed");
        sleep(HOUR).await;
        assert_eq!(session.status(id).state, State::Seeding);
        session
            .handle
            .set_settings(mode("never"))
            .await
            .expect("set");
        sleep(HOUR).await;
        assert_eq!(session.status(id).state, State::Seeding);
        let usual = SeedingRule::default();
        session.handle.set_seeding(id, usual).await.expect("said");
        sleep(Duration::from_secs(10)).await;
        assert_eq!(session.status(id).state, State::Paused);
        sim
    });
}

#[test]
fn a_torrent_from_which_nobody_fetches_is_paused_when_it_was_to_wait_no_longer() {
    simulate(async {
        let sim = Sim::new(92);
        let payload = Payload::new(92, 100_000, 16 * 1024);
        let session = Session::start(&sim, 1, root());
        let id = seed(&session, &payload).await;
        let handle = &session.handle;
        handle
            .set_seeding(id, rule(None, Some(600)))
            .await
            .expect("said");
        sleep(Duration::from_secs(500)).await;
        let other = Session::start(&sim, 2, root());
        let fetched = other.fetch(&payload, 1).await;
        other.finished(fetched).await;
        sleep(Duration::from_secs(500)).await;
        assert_eq!(session.status(id).state, State::Seeding, "somebody fetched");
        sleep(Duration::from_secs(200)).await;
        assert_eq!(session.status(id).state, State::Paused);
        sim
    });
}
