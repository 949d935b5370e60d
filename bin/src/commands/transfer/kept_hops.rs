//! By how many hops torrents go where `--hops` is not given: as they went the last time. That is found out, told and kept
//! before there is a network.

use std::path::{Path, PathBuf};

use net::Network;
use protocol::id::InfoHashes;
use protocol::krpc::item::mutable_target;
use storage::hops::{self, Noted};

use crate::cli::transfer::Common;
use crate::failure::Failure;
use crate::json::Line;
use crate::screen::{Screen, Style};
use crate::source::{Source, shown_hash};
use crate::text::printable;
use crate::wire::default_state_dir;

/// A torrent of the command line, as far as it is known.
#[derive(Debug)]
pub(crate) struct Named {
    /// What people know it by.
    label: String,
    /// What notes of it are kept under.
    names: Vec<[u8; 20]>,
}

impl Named {
    /// What a SOURCE argument names that was not fetched yet: an address, or more where it was `read`.
    pub(crate) fn of(text: &str, read: Option<&Source>) -> Self {
        let Some(source) = read else {
            return Self {
                label: printable(text),
                names: vec![hash::sha1(text.as_bytes())],
            };
        };
        let mut names = Vec::new();
        let hashes = source.hashes();
        names.extend(hashes.iter().flat_map(InfoHashes::names).map(|name| name.0));
        if let Source::Magnet(magnet) = source
            && let Some(key) = &magnet.mutable
        {
            names.push(mutable_target(&key.public_key, &key.salt).0);
        }
        let label = source.name().map(str::to_owned);
        let label = label.or_else(|| hashes.map(shown_hash));
        Self {
            label: printable(label.as_deref().unwrap_or(text)),
            names,
        }
    }

    fn note(&self, common: &Common) -> Result<Noted, Failure> {
        let Some(dir) = state_dir(common) else {
            return Ok(None);
        };
        match hops::load(&dir, &self.names) {
            Ok(noted) => Ok(noted),
            // It is said now, and kept anew.
            Err(_) if common.hops.hops.is_some() => Ok(None),
            Err(error) => Err(Failure::Failed(format!(
                "{}: it is not known by how many hops it went before ({error}); say --hops N, or --hops 0 for the direct way",
                self.label
            ))),
        }
    }

    /// Keeps by how many hops it goes. Of the direct way the engine does.
    fn keep(&self, common: &Common, noted: Noted, screen: &Screen) {
        let hops = common.hops();
        if hops == 0 && noted.is_none() {
            return;
        }
        let why = match state_dir(common) {
            Some(dir) => keep(&dir, &self.names, hops).err(),
            None => Some("there is no folder for it; --state names one".to_owned()),
        };
        if let Some(why) = why.filter(|_| hops > 0) {
            let line = format_args!(
                "{}: that it goes by {} cannot be kept ({why}): say --hops {hops} the next time, too",
                self.label,
                counted(hops),
            );
            screen.warn("warning", line);
        }
    }
}

/// Settles by how many hops the torrents of a command line go, which is one number for all of them.
///
/// # Errors
/// [`Failure::Usage`] where `--hops` is not given and they went by different numbers; [`Failure::Failed`] where it is not given
/// and not known how one went.
pub(crate) fn settle(
    common: &mut Common,
    torrents: &[Named],
    screen: &Screen,
) -> Result<(), Failure> {
    let mut notes = Vec::new();
    for torrent in torrents {
        notes.push((torrent, torrent.note(common)?));
    }
    if common.hops.hops.is_none() {
        let before = |noted: &Noted| noted.unwrap_or_default();
        let most = notes.iter().max_by_key(|(_, noted)| before(noted));
        let least = notes.iter().min_by_key(|(_, noted)| before(noted));
        if let (Some((one, most)), Some((other, least))) = (most, least) {
            let (most, least) = (before(most), before(least));
            if most != least {
                let other_way = match least {
                    0 => "did not".to_owned(),
                    hops => format!("by {}", counted(hops)),
                };
                return Err(Failure::Usage(format!(
                    "{} went by {} before, and {} {other_way}: say --hops for all of them, or name them in runs of their own",
                    one.label,
                    counted(most),
                    other.label,
                )));
            }
            common.hops.kept = Some(most);
        }
    }
    for (torrent, noted) in notes {
        tell(torrent, noted, common, screen)?;
        torrent.keep(common, noted, screen);
    }
    Ok(())
}

/// Settles the same of a torrent that was fetched since, when it is decided by how many hops all goes.
///
/// # Errors
/// [`Failure::Usage`] where it went by more before and `--hops` is not given.
fn join(common: &Common, torrent: &Named, screen: &Screen) -> Result<(), Failure> {
    let noted = torrent.note(common)?;
    let hops = common.hops();
    if let Some(before) = noted.filter(|before| *before > hops)
        && common.hops.hops.is_none()
    {
        return Err(Failure::Usage(format!(
            "{} went by {} before: say --hops {before} to go on so, or --hops {hops}",
            torrent.label,
            counted(before),
        )));
    }
    tell(torrent, noted, common, screen)?;
    torrent.keep(common, noted, screen);
    Ok(())
}

/// Fetches a torrent by its address, and settles by how many hops it goes.
///
/// # Errors
/// As [`Source::read`] and [`join`].
pub(crate) async fn fetch(
    text: &str,
    network: &Network,
    common: &Common,
    screen: &Screen,
) -> Result<Source, Failure> {
    let source = match Source::read(text, network).await {
        Err(Failure::Failed(error)) if common.hops() > 0 => {
            return Err(Failure::Failed(format!(
                "{error}; through circuits only small .torrent files come, and those by http:// alone: get the file in another way, and name it here"
            )));
        }
        read => read?,
    };
    join(common, &Named::of(text, Some(&source)), screen)?;
    Ok(source)
}

/// Says where it goes another way than before, and where it goes by hops though nobody has said so now.
fn tell(torrent: &Named, noted: Noted, common: &Common, screen: &Screen) -> Result<(), Failure> {
    let hops = common.hops();
    let Some(before) = noted else { return Ok(()) };
    let goes_on = before == hops;
    if goes_on && (hops == 0 || common.hops.hops.is_some()) {
        return Ok(());
    }
    let name = &torrent.label;
    if screen.style() == Style::Json {
        return screen.json(&Line::Hops { name, hops, before });
    }
    let (now, then) = (counted(hops), counted(before));
    match (before, hops) {
        _ if goes_on => screen.say(format_args!(
            "{name} goes on by {now}, as before; --hops 0 goes the direct way"
        )),
        (_, 0) => {
            let line = format_args!(
                "{name} went by {then} before, and goes the direct way now: whoever it meets sees this machine's address"
            );
            screen.warn("warning", line);
            Ok(())
        }
        (0, _) => screen.say(format_args!(
            "{name} went the direct way before, and goes by {now} from now on"
        )),
        _ => screen.say(format_args!(
            "{name} went by {then} before, and goes by {now} from now on"
        )),
    }
}

fn state_dir(common: &Common) -> Option<PathBuf> {
    common.state.clone().or_else(default_state_dir)
}

fn keep(dir: &Path, names: &[[u8; 20]], number: u8) -> Result<(), String> {
    std::fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    hops::save(dir, names, number, &storage::Watcher::default()).map_err(|error| error.to_string())
}

fn counted(hops: u8) -> String {
    let plural = if hops == 1 { "" } else { "s" };
    format!("{hops} hop{plural}")
}
