//! Moves whose process is killed at each of their changes to the disk.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine::{Event, State};
use storage::{Call, MoveExisting, Watcher};

use crate::common::sim::simulate;
use crate::scene::{Other, Scene, listing};

const LENS: [usize; 4] = [300_000, 10, 200_000, 0];

/// Lets so many changes pass once it is armed; then the process is dead: nothing is done any more, and what it kept is as
/// it was at that moment.
#[derive(Clone)]
struct Killer {
    armed: Arc<AtomicBool>,
    left: Arc<AtomicUsize>,
    dead: Arc<Mutex<Option<(String, PathBuf)>>>,
}

impl Killer {
    fn new(after: usize, state: &Path, kept: &Path) -> (Self, Watcher) {
        let killer = Self {
            armed: Arc::default(),
            left: Arc::new(AtomicUsize::new(after)),
            dead: Arc::default(),
        };
        let (told, state, kept) = (killer.clone(), state.to_owned(), kept.to_owned());
        let watch = Watcher::new(move |call: Call, path| {
            if !told.armed.load(Ordering::SeqCst) {
                return Ok(());
            }
            let mut dead = told.dead.lock().expect("no panic inside");
            if dead.is_none() && !call.changes() {
                return Ok(());
            }
            if dead.is_none() && told.left.load(Ordering::SeqCst) > 0 {
                told.left.fetch_sub(1, Ordering::SeqCst);
                return Ok(());
            }
            if dead.is_none() {
                copy_files(&state, &kept);
                *dead = Some((format!("{call:?} {}", path.display()), kept.clone()));
            }
            Err(io::Error::from_raw_os_error(5))
        });
        (killer, watch)
    }

    /// Where it died, and what it had kept.
    fn died(&self) -> Option<(String, PathBuf)> {
        self.dead.lock().expect("no panic inside").clone()
    }
}

fn copy_files(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).into_iter().flatten() {
        let path = entry.expect("listed").path();
        fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("copied");
    }
}

/// Kills a download that moves after so many changes; says whether it got so far.
fn killed_after(changes: usize, copies: bool) -> bool {
    let mut got_there = true;
    simulate(async {
        let scene = Scene::new(1, &LENS).await;
        let other = Other::new(&scene);
        let to = match (&other, copies) {
            (Some(other), true) => other.path().to_owned(),
            (None, true) => {
                got_there = false;
                return scene.sim;
            }
            (_, false) => scene.dir("elsewhere"),
        };
        let (state, kept) = (scene.dir("state 2"), scene.dir("kept"));
        let (killer, watch) = Killer::new(changes, &state, &kept);
        scene.seeder.limit_up(100_000).await;
        let peer = scene
            .download(2, &[], |config| config.storage.watch = watch)
            .await;
        peer.until(|status| status.done > 200_000).await;
        let before = peer.status().done;
        killer.armed.store(true, Ordering::SeqCst);
        peer.move_to(&to, MoveExisting::Fail).await.expect("begun");
        // Until it is over, or dead for a while.
        let mut quiet = 0;
        while quiet < 20 && peer.status().state != State::Seeding {
            tokio::time::sleep(Duration::from_millis(500)).await;
            quiet += usize::from(killer.died().is_some());
        }
        let died = killer.died();
        let is_move = |event: &Event| matches!(event, Event::Moved { .. });
        let told = peer.events().iter().any(is_move);
        peer.handle.shutdown(Duration::from_secs(5)).await;
        let Some((at, kept)) = died else {
            got_there = false;
            scene.assert_content(&to);
            return scene.sim;
        };
        copy_files(&kept, peer.state());
        let (from, to) = (peer.dir.clone(), to);
        // Whoever heard that it has moved says so.
        let dir = if told { &to } else { &from };
        let peer = peer.restart(&scene, dir, |_| {}).await;
        peer.finished().await;
        let events = peer.events();
        let moved = told || events.iter().any(is_move);
        let (here, there) = if moved { (&to, &from) } else { (&from, &to) };
        scene.assert_content(here);
        assert_eq!(
            listing(there),
            Vec::<PathBuf>::new(),
            "killed at {changes}: {at}"
        );
        assert!(!peer.note().exists(), "killed at {changes}: {at}");
        let fetched = peer.status().downloaded;
        let due = 500_010 - before + 2 * 65_536;
        assert!(
            fetched <= due,
            "killed at {changes}: {at}: {fetched} of {due} fetched again"
        );
        scene.sim
    });
    got_there
}

#[test]
fn a_move_by_names_is_taken_back_or_finished_wherever_it_was_killed() {
    let mut changes = 0;
    while killed_after(changes, false) {
        changes += 1;
    }
    assert!(changes > 20, "{changes} changes");
}

#[test]
fn a_move_by_copies_is_taken_back_or_finished_wherever_it_was_killed() {
    let mut changes = 0;
    while killed_after(changes, true) {
        changes += 1;
    }
    assert!(
        changes > 30 || !Path::new("/dev/shm").exists(),
        "{changes} changes"
    );
}
