//! A session is cut off at every change that it makes of its store and of its content, and comes back: no torrent is lost, none that was
//! removed is back, no piece is forgotten that was verified long enough before, nothing is claimed that does not verify, and
//! content that was moved is whole in one place.

#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code, reason = "other tests use what is not used here")]
#[path = "../../../state/tests/survival/cuts.rs"]
mod cuts;
mod faults;
mod power;
mod record;
mod revive;
mod script;
#[allow(dead_code, reason = "other tests use what is not used here")]
#[path = "../../../state/tests/survival/sim.rs"]
mod sim;
mod tree;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use cuts::{Cut, Cuts};
use engine::State;
use faults::{Whose, everywhere};
use power::Power;
use revive::{Found, How, Revived, part_file, revive};
use script::{Life, Played, at, play};

/// How old a verified piece may be at most that is forgotten: five seconds, less the two for which a store that writes beside
/// the engine waits before it commits, and a disk may take to write what is brought to it. (These do so at once.)
const FORGIVEN: Duration = Duration::from_secs(3);

/// Which cuts are made.
#[derive(Clone, Copy, Debug)]
struct Plan {
    seed: u64,
    power: bool,
    /// What is remembered lies in files, and not in a store.
    files: bool,
    /// One change in so many, from this one on.
    one_in: usize,
    from: usize,
    /// Instead: those that have this in their words.
    named: Option<&'static str>,
    /// The rest is fetched after one cut in so many.
    fetch: usize,
}

/// Plays a session, and cuts it off; says how many changes there were, and how many cuts.
fn cut(plan: Plan) -> (usize, usize) {
    let played = play(plan.seed, plan.files);
    let mut times = 0;
    let mut store = Cuts::of(&played.disk_before);
    let mut power = Power::new(&played.moments[0].tree);
    let mut ops = 0;
    for (k, moment) in played.moments.iter().enumerate() {
        for op in &played.ops[ops..moment.ops] {
            store.advance(op);
        }
        ops = moment.ops;
        if k > 0 {
            power.advance(&played.moments[k - 1], moment);
        }
        let chosen = plan.named.map_or_else(
            || (k + plan.from).is_multiple_of(plan.one_in),
            |words| moment.what.contains(words),
        );
        if !chosen {
            continue;
        }
        let chance = plan.seed << 32 | k as u64;
        let ways: &[(Cut, Cut)] = if plan.power {
            &[
                (Cut::Nothing, Cut::Nothing),
                (Cut::Everything, Cut::Nothing),
                (Cut::Nothing, Cut::Everything),
                (Cut::Some(chance), Cut::Some(chance)),
                (Cut::Everything, Cut::Some(chance + (1 << 31))),
            ]
        } else {
            &[(Cut::Everything, Cut::Everything)]
        };
        for (of_store, of_content) in ways {
            let what = format!(
                "seed {}, before change {k} of {}, {}: the store {of_store:?}, the content {of_content:?}",
                plan.seed,
                played.moments.len(),
                moment.what
            );
            let how = How {
                power: plan.power,
                at: k,
                fetch: times % plan.fetch == 0,
            };
            let disk = store.disk(*of_store);
            let found = revive(&played, &power.tree(*of_content), &disk, how, &what);
            check(&played, k, &found, how, &what);
            times += 1;
        }
    }
    (played.moments.len(), times)
}

/// What came back, against what was told and what was true by then.
fn check(played: &Played, k: usize, revived: &Revived, how: How, what: &str) {
    let mut expected = BTreeSet::new();
    for life in &played.lives {
        let found = revived.torrents.get(&life.id.number());
        let going = life.is_going(k, played.files);
        let kept = life.added <= k && !going;
        assert!(!kept || found.is_some(), "{what}: {:?} is lost", life.id);
        let gone = life.removed.is_some_and(|from| from <= k);
        assert!(!gone || found.is_none(), "{what}: {:?} is back", life.id);
        if let Some(found) = found {
            check_torrent(played, life, found, (k, how), what);
            expected.extend(files(played, found));
        }
        let stays = life.removing.is_some_and(|(_, delete)| {
            // A file says nothing of a torrent that was about to go: nobody adds it again.
            let undone = played.files && life.removed.is_none_or(|gone| k < gone);
            going && (!delete || undone)
        });
        // Nobody was told yet that it is there.
        let comes = played.files && k < life.added;
        if stays || comes {
            // Its content belongs to whoever had it removed, or did not have it added.
            for (.., dir) in &life.places {
                expected.extend(
                    revived
                        .left
                        .iter()
                        .filter(|path| path.starts_with(dir))
                        .cloned(),
                );
            }
        }
    }
    if !how.power {
        let inode = |path: &PathBuf| fs::metadata(path).ok().map(|meta| meta.ino());
        let ours: BTreeSet<u64> = expected.iter().filter_map(inode).collect();
        let more = revived.left.difference(&expected);
        // Folders that nothing lies in are no content, and a file that was getting another name may have both.
        let more = more.filter(|path| path.is_file());
        let more: Vec<_> = more
            .filter(|path| inode(path).is_none_or(|it| !ours.contains(&it)))
            .collect();
        assert!(more.is_empty(), "{what}: {more:?} is left over");
    }
    // What was not written whole is written over by the next one. Who is not added again deals with none.
    let mut notes = revived.notes.iter();
    let whole = notes.find(|path| path.extension().is_some_and(|end| end == "move"));
    let mut lives = played.lives.iter();
    let going = lives.any(|life| life.is_going(k, true));
    assert!(
        whole.is_none() || played.files && going,
        "{what}: {whole:?} stays"
    );
}

/// Where the files of a torrent may lie, and what is kept of those that are not wanted.
fn files(played: &Played, found: &Found) -> impl Iterator<Item = PathBuf> {
    let parts = part_file(&played.folders[found.folder]);
    let rest = (1..played.folders[found.folder].files.len()).map(|number| format!("t/{number}"));
    let names = rest.chain([found.name.clone(), parts]);
    names.map(|name| found.dir.join(name))
}

fn check_torrent(played: &Played, life: &Life, found: &Found, (k, how): (usize, How), what: &str) {
    let id = life.id;
    let what = format!("{what}: {id:?}: {found:?}");
    let wrong: Vec<_> = found.have.difference(&found.right).collect();
    assert!(wrong.is_empty(), "{what}: claims {wrong:?}");
    // One whose content is being deleted is paused, and its content forgotten.
    if life.is_going(k, played.files) {
        return;
    }
    assert!(
        !matches!(found.state, State::Error(_)),
        "{what}: stands still"
    );
    if life.added <= k {
        let mut paused = at(&life.paused, k);
        let paused = paused.any(|it| *it == found.paused);
        // A file does not say it.
        assert!(played.files || paused, "{what}: paused");
        let mut places = at(&life.places, k);
        assert!(places.any(|it| *it == found.dir), "{what}: place");
        let mut names = at(&life.names, k);
        assert!(names.any(|it| *it == found.name), "{what}: name");
    }
    if how.power {
        // What the disk has kept is found, if only by a check.
        let unseen: Vec<_> = found.right.difference(&found.have).collect();
        assert!(unseen.is_empty(), "{what}: does not see {unseen:?}");
    }
    let now = played.moments[k].time;
    let old = life
        .seen
        .iter()
        .rfind(|seen| seen.at <= k && seen.time + FORGIVEN <= now);
    let forgotten: Vec<_> = old
        .iter()
        .flat_map(|old| old.have.difference(&found.have))
        .collect();
    assert!(forgotten.is_empty(), "{what}: has forgotten {forgotten:?}");
}

/// One cut in so many, so that all of them are a matter of seconds.
const SPARSE: Plan = Plan {
    seed: 0,
    power: false,
    files: false,
    one_in: 29,
    from: 0,
    named: None,
    fetch: 5,
};

#[test]
fn a_killed_session_comes_back_with_all_that_it_had() {
    for seed in 0..4 {
        let from = seed as usize;
        let (changes, times) = cut(Plan {
            seed,
            from,
            ..SPARSE
        });
        assert!(changes > 500 && times > 10, "{times} of {changes}");
    }
}

#[test]
fn a_session_whose_power_failed_comes_back_with_all_that_the_disk_kept() {
    for seed in 0..4 {
        let (changes, times) = cut(Plan {
            seed,
            from: seed as usize,
            power: true,
            one_in: 97,
            ..SPARSE
        });
        assert!(changes > 500 && times > 10, "{times} of {changes}");
    }
}

#[test]
fn power_may_fail_at_each_change_where_content_gets_other_names() {
    let (_, times) = cut(Plan {
        power: true,
        named: Some("else/again/0"),
        ..SPARSE
    });
    assert!(times > 30, "{times}");
}

#[test]
fn content_that_cannot_be_read_or_written_for_a_while_is_right_in_the_end() {
    let runs = everywhere(Whose::Content, 5);
    assert!(runs > 20, "{runs} runs");
}

#[test]
fn a_session_whose_store_fails_for_a_while_has_everything_in_the_end() {
    let runs = everywhere(Whose::Store, 29);
    assert!(runs > 20, "{runs} runs");
}

#[test]
fn a_disk_that_fails_with_all_that_is_on_it_loses_nothing() {
    let runs = everywhere(Whose::Both, 13);
    assert!(runs > 10, "{runs} runs");
}

#[test]
fn files_of_resume_data_survive_kills_and_power_cuts_as_well() {
    for power in [false, true] {
        for seed in 0..2 {
            let (changes, times) = cut(Plan {
                seed,
                from: seed as usize,
                power,
                files: true,
                one_in: 17,
                ..SPARSE
            });
            assert!(changes > 200 && times > 10, "{times} of {changes}");
        }
    }
}

/// For `./soak cuts`: every call.
#[test]
#[ignore = "takes minutes: ./soak cuts"]
fn an_error_at_every_call_loses_nothing() {
    for whose in [Whose::Content, Whose::Store, Whose::Both] {
        let begin = Instant::now();
        let runs = everywhere(whose, 1);
        let time = begin.elapsed().as_secs();
        println!("{whose:?}: {runs} runs, {time} s");
    }
}

/// For `./soak cuts`: every change, for as many plays as `TRIBLER_CRASH_SEEDS` says.
#[test]
#[ignore = "takes minutes: ./soak cuts"]
fn a_cut_at_every_change_loses_nothing() {
    let seeds =
        std::env::var("TRIBLER_CRASH_SEEDS").map_or(4, |seeds| seeds.parse().expect("a number"));
    for seed in 0..seeds {
        for (power, files) in [(false, false), (true, false), (false, true), (true, true)] {
            let begin = Instant::now();
            let (changes, times) = cut(Plan {
                seed,
                power,
                files,
                one_in: 1,
                ..SPARSE
            });
            let how = if power { "power cuts" } else { "kills" };
            let of = if files { "files" } else { "a store" };
            let time = begin.elapsed().as_secs();
            println!("seed {seed}, {of}: {changes} changes, {times} {how}, {time} s");
        }
    }
}
