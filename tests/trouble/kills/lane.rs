//! One daemon, and what its user knows of it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::clients::home;
use support::payload::SplitMix;
use support::process::Process;
use support::sandbox::must;
use support::{Lab, wait};

use super::channel::Channel;
use super::{Item, PATIENCE, add, start};

/// How old a verified piece may be at most that is forgotten.
const FORGIVEN: Duration = Duration::from_secs(5);

/// How many of its rounds are so long that there is something older than that at their end.
const LONG: f64 = 0.2;

/// One daemon, and what its user knows of it.
pub(super) struct Lane {
    number: usize,
    home: PathBuf,
    listen: SocketAddr,
    /// Folders for content: some on one file system, one on another.
    places: Vec<PathBuf>,
    items: Arc<[Item]>,
    known: Vec<Known>,
    seeder: SocketAddr,
    rng: SplitMix,
    counts: Counts,
    killed: Instant,
}

/// What was done and seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) kills: usize,
    pub(super) added: usize,
    pub(super) removed: usize,
    pub(super) moved: usize,
    pub(super) claims: usize,
    /// Torrents that had something at a kill that was old enough.
    pub(super) aged: usize,
    pub(super) remembered: usize,
}

/// What the user knows of a torrent.
#[derive(Debug, Default)]
struct Known {
    is: Is,
    /// Where its content may be.
    places: BTreeSet<PathBuf>,
    /// Where content was left when it was removed without it.
    litter: BTreeSet<PathBuf>,
    /// Bytes that it said that it has, and when.
    seen: Vec<(Instant, u64)>,
    /// Bytes that it had long enough before the last kill.
    old: u64,
    /// It was told to move since then: whoever reads its files may find them at neither place.
    moves: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Is {
    #[default]
    Absent,
    /// It was said that it is there.
    There,
    /// It was asked for, and there was no answer.
    Coming,
    /// It was told to go, and whether that was answered or not, it may be back after a kill.
    Going,
}

/// The daemon is gone.
struct Gone;

impl From<io::Error> for Gone {
    fn from(_: io::Error) -> Self {
        Self
    }
}

impl Lane {
    pub(super) fn new(
        lab: &Lab,
        number: usize,
        items: Arc<[Item]>,
        seeder: SocketAddr,
        rng: SplitMix,
    ) -> Self {
        let (home, listen) = home(lab, "lane");
        let apart = home.join("apart");
        fs::create_dir_all(&apart).expect("a folder");
        must(&["mount", "-t", "tmpfs", "none", &apart.to_string_lossy()]);
        let places = vec![
            home.join("data"),
            home.join("else"),
            home.join("else/where"),
            apart.join("there"),
        ];
        Self {
            number,
            known: items.iter().map(|_| Known::default()).collect(),
            home,
            listen,
            places,
            items,
            seeder,
            rng,
            counts: Counts::default(),
            killed: Instant::now(),
        }
    }

    /// Starts the daemon, has it work, and kills it at some moment of that.
    pub(super) fn round(&mut self) {
        let mut daemon = self.start();
        let moment = if self.rng.chance(LONG) {
            FORGIVEN + Duration::from_millis(1_000 + self.rng.below(3_000))
        } else {
            Duration::from_millis(30 + self.rng.below(2_500))
        };
        self.killed = std::thread::scope(|scope| {
            let killer = scope.spawn(|| {
                wait::pause(moment);
                let now = Instant::now();
                daemon.kill();
                now
            });
            // It is killed in the middle of whatever is asked last.
            assert!(self.use_it().is_err(), "it is killed");
            killer.join().expect("no panic inside")
        });
        self.counts.kills += 1;
    }

    fn start(&self) -> Process {
        let name = format!("daemon {}", self.counts.kills % 8);
        start(&self.home, self.listen, &["--max-down", "3MiB/s"], &name)
    }

    /// Looks whether everything is there, and changes this and that until the daemon is gone.
    fn use_it(&mut self) -> Result<(), Gone> {
        let state = self.home.join("state");
        let Some(mut channel) = Channel::open(&state, Duration::from_secs(5)) else {
            return Err(Gone);
        };
        self.compare(&channel.list()?);
        loop {
            let item = self.rng.below(self.items.len() as u64) as usize;
            match self.rng.below(10) {
                0..3 => self.add(item)?,
                3 => self.remove(&mut channel, item)?,
                4 | 5 => self.move_away(&mut channel, item)?,
                6 => self.simply(&mut channel, item, "pause")?,
                7 | 8 => self.simply(&mut channel, item, "resume")?,
                _ => {}
            }
            self.look(&channel.list()?);
            wait::pause(Duration::from_millis(self.rng.below(120)));
        }
    }

    /// What was found after a kill, against what is known.
    fn compare(&mut self, list: &[Value]) {
        for at in 0..self.items.len() {
            let row = self.row(list, at);
            let known = &mut self.known[at];
            let what = format!("lane {}, item {at}: {known:?}: {row:?}", self.number);
            match (known.is, row) {
                (Is::There, None) => panic!("{what}: is lost"),
                (Is::Absent, Some(_)) => panic!("{what}: is back"),
                (Is::Coming, Some(_)) => known.come(&self.places[0]),
                (Is::Coming | Is::Going, None) => known.forget(),
                // Its content may be gone.
                (Is::Going, Some(_)) => {
                    known.is = Is::There;
                    known.unsee();
                }
                (Is::There, Some(_)) | (Is::Absent, None) => {}
            }
        }
        for known in &mut self.known {
            let old = known.seen.iter();
            let old = old.filter(|(when, _)| *when + FORGIVEN <= self.killed);
            known.old = known.old.max(old.map(|(_, done)| *done).max().unwrap_or(0));
            self.counts.aged += usize::from(
                known
                    .seen
                    .iter()
                    .any(|(when, _)| *when + FORGIVEN <= self.killed),
            );
            // Younger ones grow old only if they are seen again.
            known.seen.clear();
            known.moves = false;
        }
        self.look(list);
    }

    /// What torrents say that they have, against the disk and against what they said before.
    fn look(&mut self, list: &[Value]) {
        for at in 0..self.items.len() {
            let Some(row) = self.row(list, at) else {
                if self.known[at].is == Is::Going {
                    self.known[at].forget();
                }
                continue;
            };
            let what = format!(
                "lane {}, item {at}: {:?}: {row:?}",
                self.number, self.known[at]
            );
            let state = row["state"].as_str().unwrap_or_default();
            assert_ne!(state, "error", "{what}");
            if !["downloading", "seeding"].contains(&state) || self.known[at].is != Is::There {
                continue;
            }
            let done = row["done"].as_u64().expect("a number");
            let known = &mut self.known[at];
            assert!(done >= known.old, "{what}: has forgotten what it had");
            self.counts.remembered += usize::from(known.old > 0);
            let told = known.seen.last().map_or(0, |(_, done)| *done);
            if done > told {
                known.seen.push((Instant::now(), done));
            }
            // Reading it all takes its time.
            if done > told && !known.moves {
                let right = known
                    .places
                    .iter()
                    .map(|place| self.items[at].right(place))
                    .max();
                assert!(
                    done <= right.unwrap_or(0),
                    "{what}: of that {right:?} bytes are right"
                );
                self.counts.claims += 1;
            }
        }
    }

    fn row<'a>(&self, list: &'a [Value], item: usize) -> Option<&'a Value> {
        let hex = self.items[item].torrent.hex();
        list.iter().find(|row| row["info_hash"] == hex.as_str())
    }

    fn add(&mut self, item: usize) -> Result<(), Gone> {
        let known = &mut self.known[item];
        if known.is != Is::Absent {
            return Ok(());
        }
        let place = self.places[0].clone();
        known.is = Is::Coming;
        known.places.insert(place);
        let peer = self.seeder.to_string();
        let added = add(
            &self.home.join("state"),
            &self.items[item],
            &["--peer", &peer],
        );
        // Why it was not is that it was killed, or looked for too late.
        added.map_err(|_| Gone)?;
        self.known[item].come(&self.places[0]);
        self.counts.added += 1;
        Ok(())
    }

    fn remove(&mut self, channel: &mut Channel, item: usize) -> Result<(), Gone> {
        let known = &mut self.known[item];
        if known.is != Is::There {
            return Ok(());
        }
        known.is = Is::Going;
        known.unsee();
        let data = self.rng.chance(0.5);
        if !data {
            known.litter.extend(known.places.iter().cloned());
        }
        let hex = self.items[item].torrent.hex();
        let answer = channel.ask(json!({"do": "remove", "torrents": [hex], "data": data}))?;
        assert!(answer.is_ok(), "{answer:?}");
        self.counts.removed += 1;
        Ok(())
    }

    fn move_away(&mut self, channel: &mut Channel, item: usize) -> Result<(), Gone> {
        if self.known[item].is != Is::There {
            return Ok(());
        }
        let place = &self.places[self.rng.below(self.places.len() as u64) as usize];
        let hex = self.items[item].torrent.hex();
        let before = self.known[item].places.clone();
        self.known[item].places.insert(place.clone());
        self.known[item].moves = true;
        let request = json!({"do": "move", "torrents": [hex], "dir": place.to_string_lossy()});
        match channel.ask(request)? {
            Ok(_) => self.counts.moved += 1,
            // It moves already.
            Err(_) => self.known[item].places = before,
        }
        Ok(())
    }

    fn simply(&mut self, channel: &mut Channel, item: usize, what: &str) -> Result<(), Gone> {
        if self.known[item].is == Is::There {
            let hex = self.items[item].torrent.hex();
            let answer = channel.ask(json!({"do": what, "torrents": [hex]}))?;
            assert!(answer.is_ok(), "{answer:?}");
        }
        Ok(())
    }

    /// Has everything that is there be fetched, and looks whether it is right, and in one place.
    pub(super) fn finish(mut self) -> Counts {
        let _daemon = self.start();
        let state = self.home.join("state");
        let mut channel = Channel::open(&state, PATIENCE).expect("the daemon answers");
        let ask = |channel: &mut Channel, what: Value| {
            channel.ask(what).expect("it runs").expect("it is done")
        };
        let list = channel.list().expect("it runs");
        self.compare(&list);
        ask(&mut channel, json!({"do": "resume", "all": true}));
        let whole = wait::until(Duration::from_mins(1), || {
            let list = channel.list().expect("it runs");
            self.look(&list);
            let rests = |row: &Value| row["state"] == "seeding" && row.get("moving").is_none();
            list.iter().all(rests).then_some(list)
        });
        let list = whole.unwrap_or_else(|| panic!("{:?}", channel.list()));
        for (at, item) in self.items.iter().enumerate() {
            let known = &self.known[at];
            let mut there = self.places.clone();
            there.retain(|place| item.right(place) > 0 && !known.litter.contains(place));
            let expected = usize::from(self.row(&list, at).is_some());
            let whole = self
                .places
                .iter()
                .filter(|place| item.right(place) == item.payload.len);
            assert!(
                there.len() <= expected,
                "item {at}: {known:?} is in {there:?}"
            );
            assert!(
                whole.count() >= expected,
                "item {at}: {known:?} is not whole"
            );
        }
        self.counts
    }
}

impl Known {
    /// It is there, and what was left in the folder that it was added with is its own again.
    fn come(&mut self, place: &Path) {
        self.is = Is::There;
        self.litter.remove(place);
    }

    /// It is gone, and its content with it, or left to the user.
    fn forget(&mut self) {
        self.is = Is::Absent;
        self.unsee();
        self.places.clear();
        self.places.extend(self.litter.iter().cloned());
    }

    fn unsee(&mut self) {
        self.seen.clear();
        self.old = 0;
    }
}

impl Item {
    /// Bytes of the pieces that are right in a folder.
    fn right(&self, place: &Path) -> u64 {
        let mut there = Vec::with_capacity(self.bytes.len());
        for (path, len) in self.payload.entries() {
            let end = there.len() + len as usize;
            let mut bytes = fs::read(place.join(path)).unwrap_or_default();
            bytes.truncate(len as usize);
            there.append(&mut bytes);
            // What is not there is not right.
            let lacking = self.bytes[there.len()..end].iter().map(|byte| !byte);
            there.extend(lacking);
        }
        let pieces = there.chunks(self.torrent.piece_len as usize);
        let pieces = pieces.zip(self.bytes.chunks(self.torrent.piece_len as usize));
        pieces
            .filter(|(there, right)| there == right)
            .map(|(_, right)| right.len() as u64)
            .sum()
    }
}
