//! A session is cut off at every change of the disk that its store lies on: no torrent is lost, no piece is forgotten that was
//! verified long enough before, and nothing is claimed that does not verify.

#[path = "../common/mod.rs"]
mod common;
#[allow(dead_code, reason = "other tests use what is not used here")]
#[path = "../../../state/tests/survival/cuts.rs"]
mod cuts;
mod play;
#[allow(dead_code, reason = "other tests use what is not used here")]
#[path = "../../../state/tests/survival/sim.rs"]
mod sim;

use std::collections::BTreeSet;
use std::time::Duration;

use cuts::{Cut, Cuts};
use play::{Life, Played, play};

/// How old a verified piece may be at most that is not in the store: five seconds, less the two for which a store that writes
/// beside the engine waits before it commits. (This one commits at once.)
const FORGIVEN: Duration = Duration::from_secs(3);

/// Cuts the power at one change in so many, in all ways, and says how often.
fn cut_all(seed: u64, one_in: usize) -> usize {
    let played = play(seed);
    let log = played.disk.log();
    let mut cuts = Cuts::default();
    let mut times = 0;
    for (at, op) in log.iter().enumerate() {
        if at >= played.made && (at + seed as usize).is_multiple_of(one_in) {
            for cut in [
                Cut::Nothing,
                Cut::Everything,
                Cut::Some(seed << 32 | at as u64),
            ] {
                let what = format!("seed {seed}, {cut:?} at change {at} of {}", log.len());
                check(&played, at, &cuts.disk(cut), &what);
                times += 1;
            }
        }
        cuts.advance(op);
    }
    times
}

/// What the store has after a cut, against what was told and what was true by then.
fn check(played: &Played, at: usize, disk: &sim::SimDisk, what: &str) {
    let keeper = play::keeper(disk);
    let found = keeper
        .summaries()
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(found.unreadable.is_empty(), "{what}");
    let there: BTreeSet<u64> = found.torrents.iter().map(|(key, _)| key.0).collect();
    for life in &played.lives {
        let id = life.id.number();
        let kept = life.added <= at && life.removing.is_none_or(|from| at <= from);
        assert!(!kept || there.contains(&id), "{what}: {id} is lost");
        let gone = life.removed.is_some_and(|from| from <= at);
        assert!(!gone || !there.contains(&id), "{what}: {id} is back");
    }
    for (key, record) in &found.torrents {
        let bytes = keeper
            .metainfo(*key)
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(bytes.is_some(), "{what}: the .torrent file of {key}");
        // One whose content is being deleted is paused, and its content forgotten.
        let leaving = |life: &&Life| life.removing.is_some_and(|from| from <= at);
        let leaving = played.lives.iter().filter(leaving);
        let leaving = leaving.map(|life| life.id.number()).any(|id| id == key.0);
        let mut changing = played.changing.iter();
        let changing = changing.any(|(of, range)| of.number() == key.0 && range.contains(&at));
        let mut told = played.paused.iter();
        let told = told.rfind(|(from, of, _)| of.number() == key.0 && *from <= at);
        if let (Some((_, _, paused)), false) = (told, leaving || changing) {
            assert_eq!(record.switches.paused, *paused, "{what}: {key}");
        }
        let progress = keeper
            .progress(*key)
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        let claimed: BTreeSet<u32> = progress.iter().flat_map(|it| it.have.ones()).collect();
        let moments = || {
            played
                .moments
                .iter()
                .filter(|moment| moment.id.number() == key.0)
        };
        // Of what was true a little later nothing more can be claimed.
        let later = moments().find(|moment| moment.at > at);
        let truth = later
            .or_else(|| moments().next_back())
            .map(|moment| &moment.have);
        let truth = truth.cloned().unwrap_or_default();
        assert!(claimed.is_subset(&truth), "{what}: {key} claims too much");
        let now = moments()
            .rfind(|moment| moment.at <= at)
            .map(|moment| moment.time);
        let old = now.and_then(|now| moments().rfind(|moment| moment.time + FORGIVEN <= now));
        if let Some(old) = old.filter(|_| !leaving) {
            assert!(
                claimed.is_superset(&old.have),
                "{what}: {key} has forgotten pieces"
            );
        }
    }
}

#[test]
fn a_cut_loses_no_torrent_and_no_piece_and_makes_nothing_up() {
    let times = cut_all(1, 23);
    println!("{times} cuts");
    assert!(times > 30);
}

/// For `./soak state`: every change of the disk, for as many plays as `TRIBLER_CRASH_SEEDS` says.
#[test]
#[ignore = "takes minutes: ./soak state"]
fn a_cut_at_every_change_loses_nothing() {
    let seeds =
        std::env::var("TRIBLER_CRASH_SEEDS").map_or(3, |seeds| seeds.parse().expect("a number"));
    for seed in 1..=seeds {
        println!("seed {seed}: {} cuts", cut_all(seed, 1));
    }
}
