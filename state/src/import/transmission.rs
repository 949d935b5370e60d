//! The resume files of Transmission.
//!
//! # Format
//! One bencoded dictionary in `resume/NAME.resume`, for the torrent in `torrents/NAME.torrent`, or the link in
//! `torrents/NAME.magnet`. Keys of several words have `-` between them, from 4.1 on `_`. Numbers with a fraction are texts.
//! `progress` has `blocks`, one bit for each 16 KiB of the whole torrent with the highest bit of a byte first, or the words
//! `all` or `none`; from 4.0 on `pieces`, in the same way, with those that have been verified, and `mtimes`, a time of change
//! for each file; before that `time-checked`, for each file the time at which its pieces were verified, or a list of one
//! time and what each piece adds to it, 0 for those that were not. `dnd` and `priority` have an entry for each file.
//!
//! A file whose time of change is not the one that was noted is not what was verified.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use bytes::Bytes;
use protocol::bencode::Value;
use protocol::magnet::Magnet;

use super::Imported;
use super::draft::{self, Meta};
use super::fault::{Fault, FaultKind};
use super::fields::Fields;

mod progress;

/// What names of files end in that are not complete.
const UNFINISHED: &str = ".part";
/// Labels of one torrent.
const MOST_LABELS: usize = 1000;

/// Where a torrent comes from.
#[derive(Clone, Copy, Debug)]
pub enum Origin<'a> {
    /// A .torrent file.
    File(&'a [u8]),
    /// A magnet link in a file.
    Link(&'a [u8]),
}

/// What is of no use here: peers, which are found anew, and what follows from the rest.
const OF_NO_USE: [&str; 5] = ["peers2", "peers2-6", "activity-date", "wanted", "files"];

/// Reads a resume file.
///
/// # Errors
/// [`Fault`] names the field that is missing or malformed.
pub fn parse(bytes: &[u8], origin: Origin<'_>) -> Result<Imported, Fault> {
    let mut fields = Keys(Fields::read(bytes)?);
    let mut it = of(origin)?;
    it.unfinished_suffix = Some(UNFINISHED);
    if let Some(name) = fields.at("name", Fields::text)? {
        it.torrent.name = name;
    }
    let dir = fields.at("destination", Fields::path)?;
    it.torrent.dir = dir.ok_or_else(|| Fault::new("destination", FaultKind::Missing))?;
    it.elsewhere = fields.at("incomplete-dir", Fields::path)?;
    it.elsewhere.take_if(|dir| *dir == it.torrent.dir);
    decisions(&mut fields, &mut it)?;
    limits(&mut fields, &mut it)?;
    files(&mut fields, &mut it)?;
    progress::take(&mut fields, &mut it)?;
    for key in OF_NO_USE {
        fields.at(key, |fields, key| Ok(fields.take(key)))?;
    }
    it.link();
    it.keep_foreign(fields.0.rest());
    Ok(it)
}

/// Fields whose names have changed with the versions.
struct Keys<'a>(Fields<'a>);

impl<'a> Keys<'a> {
    /// Takes a field by its name with `-`, or as later versions write it.
    fn at<T>(
        &mut self,
        key: &str,
        take: impl Fn(&mut Fields<'a>, &str) -> Result<Option<T>, Fault>,
    ) -> Result<Option<T>, Fault> {
        if let Some(value) = take(&mut self.0, key)? {
            return Ok(Some(value));
        }
        let later = LATER.iter().find(|(earlier, _)| *earlier == key);
        match later {
            Some((_, later)) => take(&mut self.0, later),
            None => take(&mut self.0, &key.replace('-', "_")),
        }
    }

    fn count(&mut self, key: &str) -> Result<u64, Fault> {
        let number = self.at(key, Fields::int)?.unwrap_or(0);
        Ok(u64::try_from(number).unwrap_or(0))
    }

    fn inside(&mut self, key: &str) -> Result<Option<Self>, Fault> {
        Ok(self.at(key, Fields::fields)?.map(Self))
    }
}

/// Names of fields that later versions have not only written in another way.
const LATER: [(&str, &str); 3] = [
    ("ratio-limit", "seed_ratio_limit"),
    ("sequentialDownload", "sequential_download"),
    (
        "sequentialDownloadFromPiece",
        "sequential_download_from_piece",
    ),
];

/// A torrent of which nothing is known but where it comes from.
fn of(origin: Origin<'_>) -> Result<Imported, Fault> {
    let link = match origin {
        Origin::File(bytes) => match draft::metainfo("the .torrent file", bytes)? {
            Meta::Whole(parsed) => {
                let name = parsed.name().to_owned();
                let mut it = Imported::new(parsed.hashes(), name);
                it.describe(*parsed, Bytes::copy_from_slice(bytes));
                return Ok(it);
            }
            Meta::Link(link) => *link,
        },
        Origin::Link(bytes) => {
            let text = std::str::from_utf8(bytes);
            let wrong = |kind| Fault::new("the magnet link", kind);
            let text = text.map_err(|_| wrong(FaultKind::Kind("text")))?;
            Magnet::parse(text).map_err(|error| wrong(FaultKind::Magnet(error)))?
        }
    };
    let hashes = link.hashes;
    let hashes =
        hashes.ok_or_else(|| Fault::new("the magnet link", FaultKind::Kind("of a torrent")))?;
    let name = link.name.clone();
    let name = name.unwrap_or_else(|| hashes.wire().to_string());
    let mut it = Imported::new(hashes, name);
    it.details.trackers = Some(link.trackers.into_iter().map(|url| vec![url]).collect());
    it.details.web_seeds = Some(link.web_seeds);
    Ok(it)
}

/// What is to be done with the torrent, and what it has done.
fn decisions(fields: &mut Keys<'_>, it: &mut Imported) -> Result<(), Fault> {
    let torrent = &mut it.torrent;
    torrent.added = fields.at("added-date", Fields::time)?.unwrap_or(0);
    torrent.completed = fields.at("done-date", Fields::time)?;
    torrent.switches.paused = fields.at("paused", Fields::int)? == Some(1);
    torrent.switches.sequential = fields.at("sequentialDownload", Fields::int)? == Some(1);
    let peers = fields.at("max-peers", Fields::int)?;
    torrent.max_peers = peers
        .and_then(|peers| u32::try_from(peers).ok())
        .filter(|peers| *peers > 0);
    if let Some(labels) = fields.at("labels", Fields::list)? {
        let labels = labels.iter().filter_map(Value::as_bytes);
        let labels = labels.map(|label| String::from_utf8_lossy(label).into_owned());
        let labels = labels.filter(|label| !label.is_empty()).take(MOST_LABELS);
        torrent.tags = labels.collect();
    }
    let traffic = &mut it.traffic;
    traffic.downloaded = fields.count("downloaded")?;
    traffic.uploaded = fields.count("uploaded")?;
    traffic.wasted = fields.count("corrupt")?;
    traffic.seeding_seconds = fields.count("seeding-time-seconds")?;
    traffic.finished_seconds = traffic.seeding_seconds;
    let downloading = fields.count("downloading-time-seconds")?;
    traffic.active_seconds = traffic.seeding_seconds.saturating_add(downloading);
    if fields
        .at("bandwidth-priority", Fields::int)?
        .is_some_and(|priority| priority != 0)
    {
        it.leave_out(
            "bandwidth-priority",
            "all torrents have the same share of the line",
        );
    }
    if let Some(group) = fields.at("group", Fields::text)? {
        it.leave_out(
            "group",
            format!("there is no group {group:?} with limits of its own"),
        );
    }
    if fields
        .at("sequentialDownloadFromPiece", Fields::int)?
        .is_some_and(|piece| piece != 0)
    {
        it.leave_out(
            "sequentialDownloadFromPiece",
            "what is fetched in order begins with the first piece",
        );
    }
    Ok(())
}

/// Limits of rates, of the ratio, and of idle seeding.
fn limits(fields: &mut Keys<'_>, it: &mut Imported) -> Result<(), Fault> {
    it.torrent.down_limit = rate(fields, it, "speed-limit-down")?;
    it.torrent.up_limit = rate(fields, it, "speed-limit-up")?;
    let (mut ratio, mut idle) = (OF_THE_SESSION, OF_THE_SESSION);
    if let Some(mut limit) = fields.inside("ratio-limit")? {
        ratio = limit
            .at("ratio-mode", Fields::int)?
            .unwrap_or(OF_THE_SESSION);
        let value = match limit.at("ratio-limit", |fields, key| Ok(fields.take(key)))? {
            Some(value) => Some(number(value, "ratio-limit.ratio-limit")?),
            None => None,
        };
        if ratio == ITS_OWN {
            it.torrent.seeding.ratio_per_mille = value;
        }
    }
    if let Some(mut limit) = fields.inside("idle-limit")? {
        idle = limit
            .at("idle-mode", Fields::int)?
            .unwrap_or(OF_THE_SESSION);
        let minutes = limit.count("idle-limit")?;
        if idle == ITS_OWN {
            it.torrent.seeding.idle_seconds = Some(minutes.saturating_mul(60));
        }
    }
    match (ratio, idle) {
        (NONE, NONE) => it.torrent.seeding.forever = true,
        (NONE, OF_THE_SESSION) | (OF_THE_SESSION, NONE) => {
            let why = "of the limits of the session one holds and the other does not, which cannot be said here: both hold";
            it.leave_out("ratio-limit", why);
        }
        _ => {}
    }
    Ok(())
}

/// Modes of a limit: that of the session, one of its own, none.
const OF_THE_SESSION: i64 = 0;
const ITS_OWN: i64 = 1;
const NONE: i64 = 2;

/// A limit of a rate in bytes a second, where it is in use.
fn rate(fields: &mut Keys<'_>, it: &mut Imported, key: &str) -> Result<Option<u64>, Fault> {
    let Some(mut limit) = fields.inside(key)? else {
        return Ok(None);
    };
    let in_use = limit
        .at("use-speed-limit", Fields::int)?
        .is_some_and(|on| on != 0);
    let exact = limit.at("speed-Bps", Fields::int)?;
    let thousands = limit.at("speed", Fields::int)?;
    let rate = exact.or_else(|| thousands.map(|rate| rate.saturating_mul(1000)));
    if limit.at("use-global-speed-limit", Fields::int)? == Some(0) {
        it.leave_out(key, "the limits of the session hold for all torrents");
    }
    Ok(rate
        .filter(|_| in_use)
        .and_then(|rate| u64::try_from(rate).ok()))
}

/// A number with a fraction, in thousandths.
fn number(value: Value<'_>, field: &'static str) -> Result<u32, Fault> {
    let whole = value.as_int().map(|number| number as f64);
    let number = whole.or_else(|| value.as_str()?.trim().parse().ok());
    let sound = number.filter(|number| (0.0..=1e6).contains(number));
    let wrong = || Fault::new(field, FaultKind::Kind("a number of 0 or more"));
    Ok((sound.ok_or_else(wrong)? * 1000.0).round() as u32)
}

/// What was decided about files.
fn files(fields: &mut Keys<'_>, it: &mut Imported) -> Result<(), Fault> {
    let files = it.files();
    let mut choices = vec![None; files];
    if let Some(list) = fields.at("priority", Fields::list)? {
        for (choice, value) in choices.iter_mut().zip(list.iter()) {
            let wrong = || Fault::new("priority", FaultKind::Kind("a list of whole numbers"));
            *choice = match value.as_int().ok_or_else(wrong)? {
                ..0 => Some(1),
                0 => None,
                1.. => Some(7),
            };
        }
    }
    if let Some(list) = fields.at("dnd", Fields::list)? {
        if list.iter().take(files.saturating_add(1)).count() != files && files > 0 {
            let why = FaultKind::Value("has not one entry for each file");
            return Err(Fault::new("dnd", why));
        }
        for (choice, value) in choices.iter_mut().zip(list.iter()) {
            if value.as_int().is_some_and(|unwanted| unwanted != 0) {
                *choice = Some(0);
            }
        }
    }
    it.prioritise(choices);
    if let Some(list) = fields.at("files", Fields::list)? {
        let names = list.iter().map(|name| name.as_bytes().unwrap_or_default());
        it.rename("files", names);
    }
    Ok(())
}
