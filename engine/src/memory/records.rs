//! What is kept of a torrent, out of what it was added with, and back.
//!
//! What an engine has no use for, as comments, stays in the records as it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use protocol::bencode::Encoder;
use protocol::id::InfoHashes;
use protocol::magnet::{Magnet, MutableItem};
use protocol::metainfo::{LoadLimits, Metainfo};
use state::{Content, Details, FileChoice, Follow, Torrent};

use crate::modes::{Mode, keep_modes, modes_of};
use crate::torrent::picker::Priority;
use crate::{AddTorrent, Choices, Existing, Labels, Limits, Reuse, Source};

/// What is kept of a torrent beside its .torrent file and what it has on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The short record.
    pub(crate) torrent: Torrent,
    /// What else was decided.
    pub(crate) details: Details,
}

impl Kept {
    /// Of a new torrent; `now` is in seconds since 1970.
    pub(crate) fn new(add: &AddTorrent, hashes: InfoHashes, hops: u8, now: i64) -> Self {
        let name = match &add.source {
            Source::Metainfo(metainfo) => metainfo.name().to_owned(),
            Source::Magnet(magnet) => {
                let name = magnet.name.clone();
                name.unwrap_or_else(|| hashes.wire().to_string())
            }
        };
        let mut torrent = Torrent::new(hashes, name, add.dir.clone(), now);
        if let Source::Metainfo(metainfo) = &add.source {
            torrent.content = Some(content(metainfo));
        }
        let mut kept = Self {
            torrent,
            details: Details::default(),
        };
        kept.update(add, hops);
        kept
    }

    /// Takes over what commands have changed.
    pub(crate) fn update(&mut self, add: &AddTorrent, hops: u8) {
        let torrent = &mut self.torrent;
        torrent.dir.clone_from(&add.dir);
        torrent.hops = hops;
        torrent.down_limit = add.limits.down;
        torrent.up_limit = add.limits.up;
        torrent.max_peers = add
            .max_peers
            .map(|most| u32::try_from(most).unwrap_or(u32::MAX));
        torrent.upload_slots = add.upload_slots;
        torrent.existing = existing(add.existing);
        Labels::keep(add.labels.as_deref(), torrent);
        keep_modes(torrent, add.modes());
        torrent.seeding = add.seeding;
        let switches = &mut torrent.switches;
        switches.paused = add.paused;
        switches.trusted = add.trust_data;
        switches.reuse = add.reuse.torrents;
        self.update_details(add);
    }

    fn update_details(&mut self, add: &AddTorrent) {
        let details = &mut self.details;
        if let Source::Magnet(magnet) = &add.source
            && details.link.as_deref().map(Magnet::parse) != Some(Ok(Magnet::clone(magnet)))
        {
            details.link = Some(magnet.to_string());
        }
        let others = match &add.files {
            Some(_) => Priority::SKIP,
            None => add.choices.others,
        };
        details.other_files = (others != Priority::NORMAL).then_some(others.get());
        details.files = files_of(add);
        let pieces = add.choices.pieces.iter();
        details.pieces = pieces.map(|(piece, it)| (*piece, it.get())).collect();
        details.trackers.clone_from(&add.trackers);
        details.peers.clone_from(&add.peers);
        details.reuse.clone_from(&add.reuse.dirs);
        let others = !add.use_named_web_seeds;
        details.web_seeds = (others || !add.web_seeds.is_empty()).then(|| {
            if others {
                return add.web_seeds.clone();
            }
            // What is kept takes the place of what the metadata names.
            let mut urls = match &add.source {
                Source::Metainfo(metainfo) => metainfo.web_seeds().to_vec(),
                Source::Magnet(magnet) => magnet.web_seeds.clone(),
            };
            for url in &add.web_seeds {
                if !urls.contains(url) {
                    urls.push(url.clone());
                }
            }
            urls
        });
        details.follow = add.follow.as_ref().map(|named| Follow {
            key: named.public_key,
            salt: named.salt.clone(),
        });
    }

    /// Forgets the peers that were named for the route that it was on: see [`AddTorrent::forget_peers`].
    pub(crate) fn forget_peers(&mut self) {
        self.details.peers.clear();
        if let Some(Ok(mut magnet)) = self.details.link.as_deref().map(Magnet::parse)
            && !magnet.peers.is_empty()
        {
            magnet.peers.clear();
            self.details.link = Some(magnet.to_string());
        }
    }

    /// The metadata came.
    pub(crate) fn describe(&mut self, metainfo: &Metainfo) {
        metainfo.name().clone_into(&mut self.torrent.name);
        self.torrent.hashes = metainfo.hashes();
        self.torrent.content = Some(content(metainfo));
    }

    /// What was decided about files and pieces.
    fn choices(&self) -> Choices {
        let details = &self.details;
        let files = || {
            details
                .files
                .iter()
                .map(|(file, choice)| (*file as usize, choice))
        };
        let own = files().filter_map(|(file, choice)| Some((file, choice.priority?)));
        let renamed = files().filter_map(|(file, choice)| Some((file, choice.renamed.as_ref()?)));
        let pieces = details.pieces.iter();
        Choices {
            files: own.map(|(file, it)| (file, Priority::new(it))).collect(),
            others: details.other_files.map_or(Priority::NORMAL, Priority::new),
            pieces: pieces
                .map(|(piece, it)| (*piece, Priority::new(*it)))
                .collect(),
            renamed: renamed
                .map(|(file, path)| (file, path.split('/').map(str::to_owned).collect()))
                .collect(),
        }
    }

    /// What it is added with again. Without a link and without metadata, its hashes are all that is known.
    pub(crate) fn add(&self, metainfo: Option<&Arc<Metainfo>>) -> AddTorrent {
        let Self { torrent, details } = self;
        let link = details.link.as_deref().map(Magnet::parse);
        let source = match (link, metainfo) {
            (Some(Ok(mut magnet)), _) => {
                magnet.hashes = magnet.hashes.or(Some(torrent.hashes));
                Source::Magnet(Box::new(magnet))
            }
            (_, Some(metainfo)) => Source::Metainfo(Arc::clone(metainfo)),
            (_, None) => {
                let mut magnet = Magnet::new(torrent.hashes);
                magnet.name = Some(torrent.name.clone());
                Source::Magnet(Box::new(magnet))
            }
        };
        let switches = torrent.switches;
        let mut add = AddTorrent {
            hops: Some(torrent.hops),
            peers: details.peers.clone(),
            choices: self.choices(),
            trust_data: switches.trusted,
            existing: match torrent.existing {
                state::Existing::Complete => Existing::Complete,
                state::Existing::Replace => Existing::Replace,
                state::Existing::Serve => Existing::Serve,
            },
            follow: details.follow.as_ref().map(|follow| MutableItem {
                public_key: follow.key,
                salt: follow.salt.clone(),
            }),
            reuse: Reuse {
                torrents: switches.reuse,
                dirs: details.reuse.clone(),
            },
            trackers: details.trackers.clone(),
            web_seeds: details.web_seeds.clone().unwrap_or_default(),
            use_named_web_seeds: details.web_seeds.is_none(),
            labels: Labels::of(torrent),
            paused: switches.paused,
            max_peers: torrent.max_peers.map(|most| most as usize),
            upload_slots: torrent.upload_slots,
            seeding: torrent.seeding,
            limits: Limits {
                down: torrent.down_limit,
                up: torrent.up_limit,
            },
            ..AddTorrent::new(source, torrent.dir.clone())
        };
        let modes = modes_of(torrent);
        for mode in Mode::EACH {
            add.set_mode(mode, modes.has(mode));
        }
        add
    }
}

/// What was decided about files: those that are listed are wanted as usual where nothing else was said of them.
fn files_of(add: &AddTorrent) -> BTreeMap<u32, FileChoice> {
    let mut files: BTreeMap<u32, FileChoice> = BTreeMap::new();
    let mut choose = |file: usize, change: &dyn Fn(&mut FileChoice)| {
        if let Ok(file) = u32::try_from(file) {
            change(files.entry(file).or_default());
        }
    };
    for file in add.files.iter().flatten() {
        let usual = Some(Priority::NORMAL.get());
        choose(*file, &|choice| choice.priority = usual);
    }
    for (file, priority) in &add.choices.files {
        choose(*file, &|choice| choice.priority = Some(priority.get()));
    }
    for (file, path) in &add.choices.renamed {
        choose(*file, &|choice| choice.renamed = Some(path.join("/")));
    }
    files
}

const fn existing(existing: Existing) -> state::Existing {
    match existing {
        Existing::Complete => state::Existing::Complete,
        Existing::Replace => state::Existing::Replace,
        Existing::Serve => state::Existing::Serve,
    }
}

fn content(metainfo: &Metainfo) -> Content {
    let geometry = metainfo.geometry();
    Content {
        len: metainfo.content_len(),
        piece_len: geometry.piece_len(),
        pieces: geometry.pieces(),
        files: u32::try_from(metainfo.files().len()).unwrap_or(u32::MAX),
        private: metainfo.is_private(),
    }
}

/// The .torrent file of a torrent that was given without its bytes. Where piece layers are missing, which come from peers
/// later, it has its info dictionary, trackers and web seeds.
pub(crate) fn file_of(metainfo: &Metainfo) -> Bytes {
    if let Ok(bytes) = metainfo.to_bytes() {
        return bytes.into();
    }
    let mut e = Encoder::new();
    e.begin_dict();
    if !metainfo.trackers().is_empty() {
        e.key(b"announce-list").begin_list();
        for tier in metainfo.trackers() {
            e.begin_list();
            for url in tier {
                e.bytes(url.as_bytes());
            }
            e.end();
        }
        e.end();
    }
    e.key(b"info").raw(metainfo.info_bytes());
    if !metainfo.web_seeds().is_empty() {
        e.key(b"url-list").begin_list();
        for url in metainfo.web_seeds() {
            e.bytes(url.as_bytes());
        }
        e.end();
    }
    e.end();
    e.finish().into()
}

/// The metadata in the bytes of a .torrent file, if it is of the torrent that has these hashes.
pub(crate) fn metainfo_of(bytes: &[u8], hashes: &InfoHashes) -> Option<Metainfo> {
    let metainfo = Metainfo::from_bytes(bytes, &LoadLimits::default()).ok()?;
    hashes.describe(metainfo.info_bytes()).then_some(metainfo)
}

#[cfg(test)]
mod tests;
