//! Moves that are cut off, or meet an error, at each of their calls.

use std::io;
use std::sync::Mutex;

use super::*;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;

/// A folder where bringing bytes to the disk takes no time.
fn in_memory() -> TempDir {
    TempDir::new_in("/dev/shm").unwrap_or_else(|_| TempDir::new().unwrap())
}

/// Lets `before` calls of the kind that `counts` pass, then lets `failing` of them fail, and then all pass again.
fn failing(
    counts: fn(Call) -> bool,
    (before, failing): (usize, usize),
    errno: i32,
) -> (Watcher, Arc<Mutex<Option<String>>>) {
    let seen = AtomicUsize::new(0);
    let met = Arc::new(Mutex::new(None));
    let tell = Arc::clone(&met);
    let watch = Watcher::new(move |call, path| {
        if !counts(call) {
            return Ok(());
        }
        let at = seen.fetch_add(1, Ordering::Relaxed);
        if at < before || at - before >= failing {
            return Ok(());
        }
        tell.lock()
            .unwrap()
            .get_or_insert_with(|| format!("{call:?} {}", path.display()));
        Err(io::Error::from_raw_os_error(errno))
    });
    (watch, met)
}

/// Everything from the k-th change on comes to nothing, as if the process were killed there; a later run goes on.
fn cut_everywhere(copies: bool, existing: MoveExisting) -> usize {
    for at in 0.. {
        let scene = Scene::at(in_memory());
        let to = scene.path("to");
        let foreign = to.join("t/in/foreign");
        fs::create_dir_all(to.join("t/in")).unwrap();
        fs::write(&foreign, "mine").unwrap();
        let (watch, met) = failing(Call::changes, (at, usize::MAX), EIO);
        let outcome = scene.play(&to, existing, copies, &watch);
        let Some(cut) = met.lock().unwrap().take() else {
            assert!(outcome.is_ok(), "{outcome:?}");
            return at;
        };
        let counts = scene.recover();
        scene.assert_at(&counts);
        let (other, rest) = if counts == to {
            (scene.path("from"), vec![])
        } else {
            (to, vec![foreign.clone()])
        };
        assert_eq!(listing(&other), rest, "cut at {at}: {cut}");
        assert_eq!(fs::read(&foreign).unwrap(), b"mine");
        assert!(!scene.note().exists());
    }
    unreachable!()
}

#[test]
fn a_move_by_names_that_is_cut_anywhere_loses_nothing() {
    let calls = cut_everywhere(false, MoveExisting::Adopt);
    assert!(calls > 20, "{calls} calls");
}

#[test]
fn a_move_by_copies_that_is_cut_anywhere_loses_nothing() {
    let calls = cut_everywhere(true, MoveExisting::Fail);
    assert!(calls > 40, "{calls} calls");
}

/// The n-th call, and none or all after it, fails; the content is where it was or where it went, whole.
fn error_everywhere(copies: bool, errno: i32, count: usize) {
    for at in 0.. {
        let scene = Scene::at(in_memory());
        let to = scene.path("to");
        let from = scene.path("from");
        let counts: fn(Call) -> bool = if errno == EIO {
            |_| true
        } else {
            Call::changes
        };
        // The store is opened before.
        let (watch, met) = failing(counts, (at, count), errno);
        let outcome = scene.play(&to, MoveExisting::Adopt, copies, &watch);
        let Some(met) = met.lock().unwrap().take() else {
            assert!(outcome.is_ok(), "{outcome:?}");
            return;
        };
        // An error that does no harm may pass.
        let done = if outcome.is_ok() {
            to.clone()
        } else {
            scene.recover()
        };
        scene.assert_at(&done);
        let other = if done == to { &from } else { &to };
        // A folder that could not be removed is no loss.
        let mut rest = listing(other);
        rest.retain(|path| !path.is_dir());
        assert_eq!(
            rest,
            Vec::<PathBuf>::new(),
            "error at {at}: {met}, {outcome:?}"
        );
        if outcome.is_err() && count > 1 {
            // Once it is cured, it can be moved.
            if done == from {
                let again = scene.play(&to, MoveExisting::Adopt, copies, &Watcher::default());
                assert!(again.is_ok(), "{again:?} after {met}");
            }
            scene.assert_at(&to);
        }
    }
}

#[test]
fn a_move_by_names_survives_an_error_at_each_call() {
    error_everywhere(false, EIO, 1);
    error_everywhere(false, EROFS, usize::MAX);
    error_everywhere(false, ENOSPC, usize::MAX);
}

#[test]
fn a_move_by_copies_survives_an_error_at_each_call() {
    error_everywhere(true, EIO, 1);
    error_everywhere(true, EIO, usize::MAX);
    error_everywhere(true, EROFS, usize::MAX);
    error_everywhere(true, ENOSPC, usize::MAX);
}
