#![expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unchecked_time_subtraction,
    reason = "a panic is how a test fails"
)]

use proptest::prelude::*;

use super::*;

fn at(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn found(files: &[(&str, u64)]) -> BTreeMap<String, Stamp> {
    let stamp = |len| Stamp {
        len,
        written: len.cast_signed(),
    };
    files
        .iter()
        .map(|(name, len)| ((*name).to_owned(), stamp(*len)))
        .collect()
}

#[test]
fn a_file_is_taken_once_it_has_not_changed_for_a_while() {
    let mut watcher = Watcher::default();
    assert!(watcher.look(&found(&[("a.torrent", 5)]), at(0)).is_empty());
    assert_eq!(watcher.due(), Some(at(1500)));
    // Somebody still writes it.
    assert!(
        watcher
            .look(&found(&[("a.torrent", 9)]), at(1000))
            .is_empty()
    );
    assert!(
        watcher
            .look(&found(&[("a.torrent", 9)]), at(2000))
            .is_empty()
    );
    assert_eq!(
        watcher.look(&found(&[("a.torrent", 9)]), at(2500)),
        ["a.torrent"]
    );
    assert_eq!(watcher.done("a.torrent", Outcome::Gone, at(2500)), None);
    assert_eq!(watcher.due(), None);
    // It comes again.
    assert!(
        watcher
            .look(&found(&[("a.torrent", 9)]), at(9000))
            .is_empty()
    );
    assert_eq!(watcher.due(), Some(at(10_500)));
}

#[test]
fn what_is_empty_or_half_written_is_waited_for_and_then_told_once() {
    let mut watcher = Watcher::default();
    assert!(watcher.look(&found(&[("a.torrent", 0)]), at(0)).is_empty());
    assert!(
        watcher
            .look(&found(&[("a.torrent", 0)]), at(9999))
            .is_empty()
    );
    assert_eq!(watcher.due(), None, "nothing happens before it changes");
    let half = found(&[("a.torrent", 5)]);
    watcher.look(&half, at(10_000));
    let mut tries = 0;
    let told = loop {
        let now = watcher.due().expect("it is tried again");
        assert_eq!(watcher.look(&half, now), ["a.torrent"]);
        tries += 1;
        if let Some(why) = watcher.done("a.torrent", Outcome::Bad("half".to_owned()), now) {
            break (now, why);
        }
    };
    assert_eq!(told, (at(70_000), "half".to_owned()));
    assert!((3..12).contains(&tries), "{tries}");
    assert_eq!(watcher.due(), None);
    assert_eq!(watcher.refused().len(), 1);
    // The rest comes after all.
    assert!(
        watcher
            .look(&found(&[("a.torrent", 6)]), at(80_000))
            .is_empty()
    );
    assert!(watcher.refused().is_empty());
    assert_eq!(
        watcher.look(&found(&[("a.torrent", 6)]), at(81_500)),
        ["a.torrent"]
    );
}

#[test]
fn what_stays_is_not_taken_again_unless_it_is_another_file_by_then() {
    let mut watcher = Watcher::default();
    let files = found(&[("a.torrent", 5), ("b.magnet", 6)]);
    watcher.look(&files, at(0));
    for name in watcher.look(&files, at(2000)) {
        watcher.done(&name, Outcome::Kept, at(2000));
    }
    assert!(watcher.look(&files, at(9000)).is_empty());
    // After a restart, too.
    let mut again = Watcher::new(watcher.kept().clone());
    let other = found(&[("a.torrent", 5), ("b.magnet", 7)]);
    assert!(again.look(&other, at(0)).is_empty());
    assert_eq!(again.look(&other, at(2000)), ["b.magnet"]);
    assert_eq!(again.kept().len(), 1);
    again.look(&BTreeMap::new(), at(3000));
    assert!(again.kept().is_empty(), "what is gone is forgotten");
}

#[test]
fn what_cannot_be_taken_now_is_tried_less_and_less() {
    let mut watcher = Watcher::default();
    let files = found(&[("a.torrent", 5)]);
    watcher.look(&files, at(0));
    let mut last = at(0);
    for _ in 0..20 {
        let now = watcher.due().unwrap();
        assert!(now - last <= at(1500 * 256), "at most every six minutes");
        last = now;
        assert_eq!(watcher.look(&files, now).len(), 1);
        watcher.done("a.torrent", Outcome::Later("full".to_owned()), now);
    }
    assert!(last > at(1_000_000));
}

#[test]
fn files_are_known_by_their_names() {
    for name in ["a.torrent", "A.TORRENT", "x y.magnet", "a.torrent.torrent"] {
        assert!(Watcher::is_ours(name), "{name}");
    }
    for name in [
        "",
        ".torrent",
        ".a.torrent",
        "a.torrent.added",
        "a.torrent.part",
        "torrent",
        "a.",
    ] {
        assert!(!Watcher::is_ours(name), "{name}");
    }
}

proptest! {
    /// Files come, change and go; what is taken has not changed since it was settled, and is not taken twice.
    #[test]
    fn nothing_is_taken_that_changes_or_that_was_taken(steps in prop::collection::vec((0_u64..3000, 0..3_usize, 0_u64..4), 1..80)) {
        let names = ["a.torrent", "b.torrent", "c.magnet"];
        let mut watcher = Watcher::default();
        let mut files: BTreeMap<&str, u64> = BTreeMap::new();
        let mut changed: BTreeMap<&str, Duration> = BTreeMap::new();
        let mut taken: BTreeSet<(String, u64)> = BTreeSet::new();
        let mut now = at(0);
        for (wait, which, len) in steps {
            now += at(wait);
            let name = names[which];
            if len == 0 {
                if files.remove(name).is_some() {
                    taken.retain(|(of, _)| of != name);
                }
            } else if files.insert(name, len) != Some(len) {
                changed.insert(name, now);
                taken.retain(|(of, _)| of != name);
            }
            let list: Vec<(&str, u64)> = files.iter().map(|(name, len)| (*name, *len)).collect();
            for name in watcher.look(&found(&list), now) {
                let since = changed[name.as_str()];
                prop_assert!(now - since >= at(1500));
                prop_assert!(taken.insert((name.clone(), files[name.as_str()])));
                watcher.done(&name, Outcome::Kept, now);
            }
        }
    }
}
