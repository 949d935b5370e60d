//! What can be said to a torrent, and what it is to be like after that.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use engine::{CommandError, EngineHandle, FileError, Limits, Priority, TorrentId};
use protocol::bitfield::Bitfield;
use rand::RngExt;
use rand::rngs::StdRng;
use storage::MoveExisting;
use tokio::time::Instant;

use crate::said::Said;
use crate::world::{Content, LENS, PLACES, ROUTES, TRACKERS};

/// How old a verified piece may be that is forgotten where the process is killed.
const FORGIVEN: Duration = Duration::from_secs(5);

/// One command, with files by their numbers in the world.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    Ask,
    CancelMove,
    Due(u32),
    File(usize, u8),
    Files(Vec<u8>),
    Hops(u8),
    Limit(Option<u64>),
    MaxPeers(Option<u32>),
    Move(usize, MoveExisting),
    Pause,
    PauseMove(bool),
    Peer,
    Piece(u32, u8),
    Reannounce,
    Recheck,
    Rename(usize, String),
    Resume,
    Sequential(bool),
    Trackers(Vec<usize>),
}

/// What came of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// It is of no effect.
    Refused,
}

/// What was said of a torrent, and what was seen of it.
pub(crate) struct Wish {
    pub(crate) id: TorrentId,
    pub(crate) paused: Said<bool>,
    pub(crate) hops: Said<u8>,
    pub(crate) files: Vec<Said<u8>>,
    pub(crate) names: Vec<Said<String>>,
    /// All names that files may ever have had.
    pub(crate) ever: Vec<(usize, String)>,
    pub(crate) place: Said<usize>,
    pub(crate) trackers: Said<Vec<usize>>,
    pub(crate) limit: Said<Option<u64>>,
    /// When something was said last.
    pub(crate) told: Instant,
    /// Until when commands may be under way whose answers nobody waits for.
    pub(crate) under_way: Instant,
    /// Pieces that were there and may not be missing, and since when they are known.
    pub(crate) have: BTreeMap<u32, Instant>,
    /// A process was killed since it was added.
    pub(crate) killed: bool,
    /// By how many hops it went, and until when at least.
    pub(crate) went: Vec<(u8, Instant)>,
}

/// Where a file lies if nothing was said of it.
pub(crate) fn usual(file: usize) -> String {
    format!("t/{file}")
}

impl Wish {
    /// Of a torrent that is added at a place.
    pub(crate) fn new(id: TorrentId, place: usize, hops: u8) -> Self {
        Self {
            id,
            paused: Said::new(false),
            hops: Said::new(hops),
            files: vec![Said::new(Priority::NORMAL.get()); LENS.len()],
            names: (0..LENS.len()).map(|file| Said::new(usual(file))).collect(),
            ever: (0..LENS.len()).map(|file| (file, usual(file))).collect(),
            place: Said::new(place),
            trackers: Said::new(Vec::new()),
            limit: Said::new(None),
            told: Instant::now(),
            under_way: Instant::now(),
            have: BTreeMap::new(),
            killed: false,
            went: Vec::new(),
        }
    }

    /// A command goes out.
    pub(crate) fn asked(&mut self, deed: &Deed) {
        self.told = Instant::now();
        match deed {
            Deed::File(file, priority) => self.files[*file].asked(*priority),
            Deed::Files(all) => {
                for (file, priority) in self.files.iter_mut().zip(all) {
                    file.asked(*priority);
                }
            }
            Deed::Hops(hops) => {
                self.note_hops();
                self.hops.asked(*hops);
            }
            Deed::Limit(limit) => self.limit.asked(*limit),
            Deed::Move(place, _) => self.place.asked(*place),
            Deed::Pause => self.paused.asked(true),
            Deed::Resume => self.paused.asked(false),
            Deed::Rename(file, name) => {
                self.names[*file].asked(name.clone());
                self.ever.push((*file, name.clone()));
            }
            Deed::Trackers(trackers) => self.trackers.asked(trackers.clone()),
            Deed::Ask
            | Deed::CancelMove
            | Deed::Due(_)
            | Deed::MaxPeers(_)
            | Deed::PauseMove(_)
            | Deed::Peer
            | Deed::Piece(..)
            | Deed::Reannounce
            | Deed::Recheck
            | Deed::Sequential(_) => {}
        }
    }

    /// A command was carried out.
    pub(crate) fn done(&mut self, deed: &Deed) {
        self.told = Instant::now();
        if self.is_under_way() {
            return;
        }
        match deed {
            Deed::File(file, priority) => self.files[*file].set(*priority),
            Deed::Files(all) => {
                for (file, priority) in self.files.iter_mut().zip(all) {
                    file.set(*priority);
                }
            }
            Deed::Hops(hops) => {
                self.note_hops();
                self.hops.set(*hops);
            }
            Deed::Limit(limit) => self.limit.set(*limit),
            Deed::Pause => self.paused.set(true),
            Deed::Resume => self.paused.set(false),
            Deed::Rename(file, name) => self.names[*file].set(name.clone()),
            Deed::Trackers(trackers) => self.trackers.set(trackers.clone()),
            // That a move begins is not that it ends.
            Deed::Move(..)
            | Deed::Ask
            | Deed::CancelMove
            | Deed::Due(_)
            | Deed::MaxPeers(_)
            | Deed::PauseMove(_)
            | Deed::Peer
            | Deed::Piece(..)
            | Deed::Reannounce
            | Deed::Recheck
            | Deed::Sequential(_) => {}
        }
    }

    /// These pieces are there.
    pub(crate) fn saw(&mut self, have: &Bitfield) {
        let now = Instant::now();
        for piece in have.ones() {
            self.have.entry(piece).or_insert(now);
        }
    }

    /// The process is killed: what it has had for a moment only may be forgotten.
    pub(crate) fn killed(&mut self) {
        self.killed = true;
        let now = Instant::now();
        self.have.retain(|_, since| *since + FORGIVEN <= now);
    }

    /// Whether something may change yet that was said before.
    pub(crate) fn is_under_way(&self) -> bool {
        Instant::now() < self.under_way
    }

    fn note_hops(&mut self) {
        let now = Instant::now();
        self.went
            .retain(|(_, until)| *until + Duration::from_secs(600) > now);
        let may = self.hops.may().iter();
        self.went.extend(may.map(|hops| (*hops, now)));
    }
}

impl Deed {
    /// Some command, the kinds that change much more often than others.
    pub(crate) fn random(rng: &mut StdRng, content: &Content) -> Self {
        let file = rng.random_range(0..LENS.len());
        let piece = rng.random_range(0..content.folder.metainfo.geometry().pieces());
        let priority = |rng: &mut StdRng| [0, 0, 1, 4, 7][rng.random_range(0..5)];
        match rng.random_range(0..40) {
            0..7 => Self::File(file, priority(rng)),
            7 => Self::Files((0..LENS.len()).map(|_| priority(rng)).collect()),
            8..11 => Self::Piece(piece, priority(rng)),
            11..16 => {
                let names = [
                    usual(file),
                    format!("t/a{file}"),
                    format!("t/b/c/{file}"),
                    format!("elsewhere/{file}"),
                    usual((file + 1) % LENS.len()),
                    "t/mine".to_owned(),
                ];
                Self::Rename(file, names[rng.random_range(0..names.len())].clone())
            }
            16..19 => Self::Hops(rng.random_range(0..ROUTES)),
            19..23 => {
                let existing = [
                    MoveExisting::Adopt,
                    MoveExisting::Fail,
                    MoveExisting::Replace,
                ];
                let existing = existing[rng.random_range(0..existing.len())];
                Self::Move(rng.random_range(0..PLACES), existing)
            }
            23 => Self::PauseMove(rng.random()),
            24 => Self::CancelMove,
            25..28 => Self::Pause,
            28..31 => Self::Resume,
            31 => Self::Recheck,
            32 => {
                let some = rng.random_range(0..1_usize << TRACKERS);
                Self::Trackers((0..TRACKERS).filter(|at| some >> at & 1 == 1).collect())
            }
            33 => Self::Limit([None, Some(20_000), Some(100_000)][rng.random_range(0..3)]),
            34 => Self::Sequential(rng.random()),
            35 => Self::Due(piece),
            36 => Self::MaxPeers([None, Some(0), Some(1)][rng.random_range(0..3)]),
            37 => Self::Reannounce,
            38 => Self::Ask,
            _ => Self::Peer,
        }
    }

    /// Says it; what may not be refused is done.
    pub(crate) async fn say(
        &self,
        handle: &EngineHandle,
        id: TorrentId,
        content: &Content,
        dirs: &[PathBuf],
    ) -> Outcome {
        let numbers = content.numbers();
        let number = |file: usize| numbers[file];
        let priority = |number: u8| Priority::new(number);
        match self {
            Self::Ask => {
                handle.peers(id).await.expect("told");
                handle.availability(id).await.expect("told");
                Outcome::Done
            }
            Self::CancelMove => moving(handle.cancel_move(id).await),
            Self::Due(piece) => {
                let due = handle.set_piece_deadline(id, *piece, Duration::from_secs(3));
                files(due.await)
            }
            Self::File(file, wanted) => {
                let set = handle.set_file_priority(id, number(*file), priority(*wanted));
                files(set.await)
            }
            Self::Files(all) => {
                let last = numbers.last().map_or(0, |last| last + 1);
                let mut list = vec![Priority::NORMAL; last];
                for (file, wanted) in all.iter().enumerate() {
                    list[number(file)] = priority(*wanted);
                }
                files(handle.set_file_priorities(id, list).await)
            }
            Self::Hops(hops) => certain(handle.set_hops(id, *hops).await),
            Self::Limit(down) => {
                let limits = Limits {
                    down: *down,
                    up: None,
                };
                certain(handle.set_limits(Some(id), limits).await)
            }
            Self::MaxPeers(most) => certain(handle.set_max_peers(id, *most).await),
            Self::Move(place, existing) => moving(
                handle
                    .move_storage(id, dirs[*place].clone(), *existing)
                    .await,
            ),
            Self::Pause => certain(handle.pause(id).await),
            Self::PauseMove(paused) => moving(handle.pause_move(id, *paused).await),
            Self::Peer => certain(handle.add_peer(id, content.seeder).await),
            Self::Piece(piece, wanted) => files(
                handle
                    .set_piece_priority(id, *piece, priority(*wanted))
                    .await,
            ),
            Self::Reannounce => certain(handle.reannounce(id).await),
            Self::Recheck => certain(handle.recheck(id).await),
            Self::Rename(file, name) => {
                let renamed = handle.rename_file(id, number(*file), name.as_ref());
                files(renamed.await)
            }
            Self::Resume => certain(handle.resume(id).await),
            Self::Sequential(on) => certain(handle.set_sequential(id, *on).await),
            Self::Trackers(some) => {
                let urls = some.iter().map(|at| vec![content.tracker(*at)]);
                certain(handle.replace_trackers(id, urls.collect()).await)
            }
        }
    }
}

fn certain(answer: Result<(), CommandError>) -> Outcome {
    answer.expect("carried out");
    Outcome::Done
}

fn moving(answer: Result<(), CommandError>) -> Outcome {
    match answer {
        Ok(()) => Outcome::Done,
        Err(CommandError::Moving | CommandError::NotMoving) => Outcome::Refused,
        Err(other) => panic!("{other:?}"),
    }
}

fn files(answer: Result<(), FileError>) -> Outcome {
    match answer {
        Ok(()) => Outcome::Done,
        Err(FileError::Busy | FileError::Taken(_) | FileError::NotWanted) => Outcome::Refused,
        Err(other) => panic!("{other:?}"),
    }
}
