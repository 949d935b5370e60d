//! Looks at a session and its files, and compares them with what was said and with the bytes that there should be.

use std::collections::BTreeMap;
use std::time::Duration;

use engine::{Event, FileError, Priority, State};
use state::{Hops, TorrentKey};
use tokio::time::Instant;

use crate::deeds::{Wish, usual};
use crate::world::{LENS, PLACES, Sought, World};

/// How long a torrent that is paused may take to come to rest and to tell its trackers.
const RESTS_WITHIN: Duration = Duration::from_secs(20);

/// How long something may still be sent by a route that a torrent has left: connections are closed, trackers told.
const LEAVES_WITHIN: Duration = Duration::from_secs(60);

/// What can be seen without a word to a torrent.
pub(crate) fn look(world: &World, wishes: &mut [Option<Wish>]) {
    let there = wishes.iter().flatten().count();
    let all = world.session.handle.page(&engine::Query::default());
    assert_eq!(all.torrents, there);
    let records = world.session.keeper.summaries().expect("read");
    assert!(records.unreadable.is_empty());
    let records: BTreeMap<TorrentKey, _> = records.torrents.into_iter().collect();
    for (number, wish) in wishes.iter_mut().enumerate() {
        let Some(wish) = wish else { continue };
        let status = world.session.handle.status(wish.id).expect("it is there");
        assert!(
            status.done <= status.wanted && status.wanted <= status.size,
            "{status:?}"
        );
        assert!(!matches!(status.state, State::Error(_)), "{status:?}");
        assert!(
            wish.hops.may_be(&status.hops) || recent(wish, status.hops),
            "{status:?}"
        );
        let record = &records[&TorrentKey(wish.id.number())];
        let loose = wish.is_under_way();
        // What is kept beside the record counts as well: a torrent goes by the most of both when it wakes.
        let kept = record.hops.max(noted(world, number));
        wish.hops.see("the kept number of hops", kept, loose);
        wish.paused
            .see("that it is kept as paused", record.switches.paused, loose);
        let places = (0..PLACES).map(|place| world.dir(number, place));
        let place = places.clone().position(|dir| dir == record.dir);
        let place = place.unwrap_or_else(|| panic!("kept at {}", record.dir.display()));
        assert!(
            wish.place.may_be(&place),
            "at {place}, said was {:?}",
            wish.place
        );
        let long_ago = wish.told + RESTS_WITHIN <= Instant::now();
        if long_ago {
            let paused = record.switches.paused;
            assert_eq!(status.state == State::Paused, paused, "{status:?}");
            assert!(!paused || status.peers == 0, "{status:?}");
        }
    }
    routes(world, wishes);
}

fn recent(wish: &Wish, hops: u8) -> bool {
    wish.went.iter().any(|(went, _)| *went == hops)
}

/// Nobody is dialled for a torrent by another route than its own, and nobody at all for one that rests.
fn routes(world: &World, wishes: &[Option<Wish>]) {
    for sought in world.sought() {
        let Sought {
            at,
            by,
            whom,
            dialled,
        } = sought;
        let number = world
            .contents
            .iter()
            .position(|content| content.seeder.ip() == whom || content.trackers.contains(&whom));
        let Some(number) = number else { continue };
        let Some(wish) = &wishes[number] else {
            continue;
        };
        let seeder = world.contents[number].seeder.ip() == whom;
        let late = |(hops, until): &(u8, Instant)| {
            // Trackers hear that it leaves, and connections end.
            let within = if seeder && dialled {
                Duration::from_secs(2)
            } else {
                LEAVES_WITHIN
            };
            *hops == by && *until + within > at
        };
        assert!(
            wish.hops.may_be(&by) || wish.went.iter().any(late),
            "{whom} was sought by {by} hops for {number} at {at:?}, said was {:?} after {:?}",
            wish.hops,
            wish.went
        );
        let rests = wish.paused.sure() == Some(&true) && wish.told + RESTS_WITHIN <= at;
        assert!(
            !(rests && dialled),
            "{whom} was dialled for {number}, which rests"
        );
    }
}

/// By how many hops it is kept to go, beside its record.
fn noted(world: &World, number: usize) -> u8 {
    let names = world.contents[number].folder.metainfo.hashes().names();
    let noted = names.map(|name| world.session.keeper.hops(name.0).expect("read"));
    let hops = noted.flatten().map(|noted| match noted {
        Hops::Said(hops) => hops,
        Hops::Unknown => panic!("it was said"),
    });
    hops.max().unwrap_or_default()
}

/// Asks a torrent for everything, and reads all that it says it has.
pub(crate) async fn ask(world: &World, number: usize, wish: &mut Wish) {
    let (handle, content) = (&world.session.handle, &world.contents[number]);
    let numbers = content.numbers();
    let loose = wish.is_under_way();
    let priorities = handle.file_priorities(wish.id).await.expect("told");
    for (said, file) in wish.files.iter_mut().zip(&numbers) {
        said.see("the priority of a file", priorities[*file].get(), loose);
    }
    let renamed = handle.renamed_files(wish.id).await.expect("told");
    for (file, said) in wish.names.iter_mut().enumerate() {
        let path = renamed
            .get(&numbers[file])
            .map(|path| path.display().to_string());
        said.see(
            "the name of a file",
            path.unwrap_or_else(|| usual(file)),
            loose,
        );
    }
    let limits = handle.limits(wish.id).await.expect("told");
    wish.limit.see("the limit", limits.down, loose);
    let trackers = handle.trackers(wish.id).await.expect("told");
    let trackers = trackers.iter().flatten().map(|url| {
        let at = (0..content.trackers.len()).find(|at| content.tracker(*at) == *url);
        at.expect("one of those that were named")
    });
    wish.trackers.see("the trackers", trackers.collect(), loose);
    claims(world, number, wish).await;
}

/// Compares every piece that is said to be there, and sees that none is lost.
async fn claims(world: &World, number: usize, wish: &mut Wish) {
    let (handle, content) = (&world.session.handle, &world.contents[number]);
    let have = handle.pieces(wish.id).await.expect("told");
    if have.is_empty() {
        // It is not at work.
        return;
    }
    for piece in wish.have.keys() {
        let geometry = content.folder.metainfo.geometry();
        let piece = geometry.piece(*piece).expect("a piece");
        assert!(
            have.get(piece),
            "piece {piece:?} of {number} was there, and is not any more"
        );
    }
    for index in have.ones() {
        match handle.read_piece(wish.id, index).await {
            Ok(bytes) => assert!(
                *bytes == content.piece(index)[..],
                "piece {index} of {number} is wrong"
            ),
            // It has come to rest meanwhile.
            Err(FileError::NotThere(_)) => {
                let now = handle.pieces(wish.id).await.expect("told");
                assert!(
                    now.is_empty(),
                    "piece {index} of {number} is said to be there, and is not"
                );
                return;
            }
            Err(other) => panic!("piece {index} of {number}: {other:?}"),
        }
    }
    wish.saw(&have);
}

/// Sees what has happened since this was asked last.
pub(crate) fn happened(world: &mut World) -> Vec<Event> {
    let events = &mut world.session.events;
    let all: Vec<Event> = std::iter::from_fn(|| events.try_recv().ok()).collect();
    for event in &all {
        let bad = matches!(
            event,
            Event::PieceFailed { .. }
                | Event::PeerBanned { .. }
                | Event::Error { .. }
                | Event::Unsaved { .. }
        );
        assert!(!bad, "{event:?}");
    }
    all
}

/// Looks at a folder of a torrent: nothing is there but these files, and what a torrent may leave. That is a second name of a
/// file that was being renamed when the process was killed, or a folder of it that is empty, and a file that was not wanted, and of which nothing was verified,
/// when the content moved. Nothing of that is anything but the torrent's own bytes.
pub(crate) fn assert_only(
    world: &World,
    number: usize,
    place: usize,
    wish: &Wish,
    files: &[String],
) {
    let (dir, content) = (world.dir(number, place), &world.contents[number]);
    let mine = std::fs::read(dir.join("t/mine")).expect("there");
    assert_eq!(mine, b"not of the torrent");
    let listed = crate::world::listing(&dir);
    for name in files {
        assert!(
            listed.contains(name),
            "{name} is not at {place} of {number}: {listed:?}"
        );
    }
    for name in listed
        .iter()
        .filter(|name| **name != "t/mine" && !files.contains(name))
        .filter(|name| !(wish.killed && name.ends_with('/')))
    {
        let bytes = std::fs::read(dir.join(name))
            .unwrap_or_else(|_| panic!("{name} at {place} of {number}"));
        let is_of = |file: usize| {
            let right = content.folder.files[file].iter();
            bytes.len() <= LENS[file]
                && bytes
                    .iter()
                    .zip(right)
                    .all(|(is, right)| is == right || *is == 0)
        };
        let mut ever = wish.ever.iter().filter(|(_, ever)| ever == name);
        assert!(
            ever.any(|(file, _)| is_of(*file)),
            "{name} at {place} of {number}: {listed:?}"
        );
    }
}

/// Everything that was said is so on the disk, and nothing else is there.
pub(crate) fn assert_whole(world: &World, number: usize, wish: &Wish) {
    let content = &world.contents[number];
    let here = *wish.place.sure().expect("it has one place");
    let names = wish.names.iter();
    let names: Vec<String> = names
        .map(|name| name.sure().expect("it has one name").clone())
        .collect();
    for place in 0..PLACES {
        let files = if place == here { &names[..] } else { &[] };
        assert_only(world, number, place, wish, files);
    }
    for (file, name) in content.folder.files.iter().zip(&names) {
        let path = world.dir(number, here).join(name);
        let bytes = std::fs::read(&path).expect("there");
        assert!(bytes == *file, "{} differs", path.display());
    }
    for said in &wish.files {
        assert_eq!(said.sure(), Some(&Priority::NORMAL.get()));
    }
}
