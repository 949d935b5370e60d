//! What the service manager hears while the daemon runs: how it stands, and that it is alive, which is more than that its process is there.

use std::time::Duration;

use engine::EngineHandle;
use engine::units::Rate;
use protocol::id::InfoHash;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::notify;

/// How often it is told how it stands, where that has changed.
const EVERY: Duration = Duration::from_secs(10);

/// Tells for as long as somebody listens, and does not return.
pub(crate) async fn beat(engine: &EngineHandle) {
    if !notify::is_heard() {
        return std::future::pending().await;
    }
    let alive = async || {
        // The Supervisor has to take it up and to answer, as everything that is asked of the daemon.
        engine.find(NOBODY).await.is_ok()
    };
    let patience = notify::patience();
    tokio::join!(
        live(patience, alive, notify::alive),
        stand(|| words(engine), notify::status)
    );
}

/// The info-hash of no torrent.
const NOBODY: InfoHash = InfoHash([0; 20]);

/// Says that it lives, twice as often as that is expected, whenever it has shown it in that time.
async fn live(patience: Option<Duration>, alive: impl AsyncFn() -> bool, say: impl Fn()) {
    let Some(patience) = patience else {
        return std::future::pending().await;
    };
    let mut tick = interval(patience / 2);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if timeout(patience / 2, alive()).await == Ok(true) {
            say();
        } else {
            tracing::warn!(
                "the engine does not answer, and the service manager is not told that all is well"
            );
        }
    }
}

/// Says how it stands, where that is something else than the last time.
async fn stand(words: impl Fn() -> String, say: impl Fn(&str)) {
    let mut last = String::new();
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let now = words();
        if now != last {
            say(&now);
            last = now;
        }
    }
}

/// How it stands, in a line.
fn words(engine: &EngineHandle) -> String {
    let snapshot = engine.snapshot();
    let (mut peers, mut down, mut up) = (0_u64, 0_u64, 0_u64);
    for torrent in &snapshot.torrents {
        peers += torrent.peers as u64;
        down += torrent.down_rate;
        up += torrent.up_rate;
    }
    format!(
        "{} torrents, {peers} peers, {} down, {} up",
        snapshot.torrents.len(),
        Rate(Some(down)),
        Rate(Some(up))
    )
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(120);

    #[tokio::test(start_paused = true)]
    async fn it_lives_while_the_engine_answers_and_no_longer() {
        let (answers, said) = (Cell::new(true), Cell::new(0));
        let alive = async || {
            if !answers.get() {
                std::future::pending::<()>().await;
            }
            true
        };
        let lives = live(Some(PATIENCE), alive, || said.set(said.get() + 1));
        tokio::pin!(lives);
        let _ = timeout(PATIENCE * 5, &mut lives).await;
        // Twice in each time, and at the start.
        assert!((10..=11).contains(&said.get()), "{}", said.get());
        answers.set(false);
        let before = said.get();
        let _ = timeout(PATIENCE * 5, &mut lives).await;
        assert_eq!(said.get(), before);
        answers.set(true);
        let _ = timeout(PATIENCE * 2, &mut lives).await;
        assert!(said.get() > before);
    }

    #[tokio::test(start_paused = true)]
    async fn who_expects_no_sign_of_life_gets_none() {
        let lives = live(None, async || true, || panic!("nobody asked"));
        assert!(timeout(PATIENCE, lives).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn how_it_stands_is_told_when_it_has_changed() {
        let (torrents, said) = (Cell::new(1), RefCell::new(Vec::new()));
        let stands = stand(
            || format!("{} torrents", torrents.get()),
            |words| said.borrow_mut().push(words.to_owned()),
        );
        tokio::pin!(stands);
        let _ = timeout(EVERY * 5, &mut stands).await;
        torrents.set(2);
        let _ = timeout(EVERY * 5, &mut stands).await;
        assert_eq!(*said.borrow(), ["1 torrents", "2 torrents"]);
    }
}
