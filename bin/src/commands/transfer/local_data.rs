//! What people and programs are told of content that lies on this machine already.

use std::collections::BTreeSet;

use engine::{LocalFile, TorrentId};

use super::Transfer;
use crate::failure::Failure;
use crate::json::Line;
use crate::screen::Style;
use crate::text::printable;
use crate::units::Size;

/// Folders that a person is told of; programs hear of all.
const MOST_PLACES: usize = 3;

impl Transfer {
    /// Other torrents have files that this one lacks.
    pub(super) fn local_data(&mut self, id: TorrentId, files: &[LocalFile]) -> Result<(), Failure> {
        let Some(torrent) = self.torrents.get(&id) else {
            return Ok(());
        };
        let numbers: BTreeSet<usize> = files.iter().map(|file| file.file).collect();
        let mut counted = BTreeSet::new();
        let first = files.iter().filter(|file| counted.insert(file.file));
        let bytes = first.map(|file| file.len).sum();
        let folders = files.iter().map(|file| {
            let mut parts = file.path.components();
            let top = parts.next().filter(|_| parts.next().is_some());
            let folder = top.map_or_else(|| file.dir.clone(), |top| file.dir.join(top));
            folder.display().to_string()
        });
        let places: Vec<String> = folders.collect::<BTreeSet<_>>().into_iter().collect();
        if self.screen.style() == Style::Json {
            return self.screen.json(&Line::LocalData {
                info_hash: &torrent.info_hash,
                files: numbers.len(),
                bytes,
                places: &places,
            });
        }
        let shown: Vec<String> = places
            .iter()
            .take(MOST_PLACES)
            .map(|place| printable(place))
            .collect();
        let more = if places.len() > MOST_PLACES {
            " and elsewhere"
        } else {
            ""
        };
        let name = printable(&torrent.name);
        let (count, size) = (numbers.len(), Size(bytes));
        let what = if count == 1 {
            "1 file".to_owned()
        } else {
            format!("{count} files")
        };
        self.screen.say(format_args!(
            "{name}: {what} ({size}) lie in {}{more} already, of another torrent; --reuse-local-data copies them",
            shown.join(", ")
        ))
    }

    /// What lay here was taken over.
    pub(super) fn reused(&mut self, id: TorrentId, pieces: u32, bytes: u64) -> Result<(), Failure> {
        let Some(torrent) = self.torrents.get(&id) else {
            return Ok(());
        };
        let info_hash = torrent.info_hash.as_str();
        if self.screen.style() == Style::Json {
            return self.screen.json(&Line::Reused {
                info_hash,
                pieces,
                bytes,
            });
        }
        let name = printable(&torrent.name);
        if pieces == 0 {
            let line = format_args!("{name}: nothing of it was found on this machine");
            return self.screen.say(line);
        }
        let size = Size(bytes);
        self.screen
            .say(format_args!("{name}: {size} were here already, and copied"))
    }
}
