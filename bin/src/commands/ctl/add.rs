//! `ctl add`: files, folders of them, links and addresses, many to a line.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use control::{Add, Added, Ask, Blob, Code, Origin, Refusal};
use protocol::metainfo::LoadLimits;

use super::client::Client;
use super::habits::wished;
use super::waiting::{Goal, Wait};
use super::{Talk, failure, read};
use crate::cli::ctl::AddArgs;
use crate::failure::{Failure, reason};
use crate::source::Source;
use crate::text::printable;
use crate::units::Rate;

/// Bytes of torrents in a line, unless one alone has more.
const BYTES: usize = 1 << 20;

/// Torrents in a line.
const TORRENTS: usize = 512;

/// Lines that are not answered yet.
const AHEAD: usize = 4;

/// Something to add, and what people call it.
enum Named {
    File(PathBuf),
    Other(String, Origin),
}

/// What came of it.
#[derive(Default)]
struct Outcome {
    /// Of those that are there now.
    hashes: Vec<String>,
    added: usize,
    there_already: usize,
    first: Option<Refusal>,
    failed: usize,
}

pub(super) fn run(
    args: &AddArgs,
    connect: impl Fn() -> Result<Client, Failure>,
    talk: &Talk<'_>,
) -> Result<(), Failure> {
    let wish = wish(args)?;
    let named = named(&args.source)?;
    let mut client = connect()?;
    let wait = args.wait.then(|| Wait::new(Goal::Content, connect()?));
    let wait = wait.transpose()?;
    let mut outcome = Outcome::default();
    let (mut labels, mut line, mut bytes) = (Vec::new(), Vec::new(), 0);
    let mut sent: std::collections::VecDeque<Vec<String>> = std::collections::VecDeque::new();
    let mut send = |client: &mut Client, labels: &mut Vec<String>, line: &mut Vec<Origin>| {
        let add = Add {
            torrents: std::mem::take(line),
            ..wish.clone()
        };
        sent.push_back(std::mem::take(labels));
        client.send(Ask::Add(add))?;
        if client.due() < AHEAD {
            return Ok(());
        }
        outcome.take(client, &mut sent, talk)
    };
    for one in named {
        let (label, origin) = match one {
            Named::Other(label, origin) => (label, origin),
            Named::File(path) => (path.display().to_string(), Origin::File(load(&path)?)),
        };
        if let Origin::File(file) = &origin {
            bytes += file.0.len();
        }
        labels.push(label);
        line.push(origin);
        if bytes >= BYTES || line.len() >= TORRENTS {
            send(&mut client, &mut labels, &mut line)?;
            bytes = 0;
        }
    }
    if !line.is_empty() {
        send(&mut client, &mut labels, &mut line)?;
    }
    while client.due() > 0 {
        outcome.take(&mut client, &mut sent, talk)?;
    }
    let hashes = std::mem::take(&mut outcome.hashes);
    let ended = outcome.end(args, talk);
    match wait {
        Some(wait) => wait.until_done(hashes, &mut client, talk).and(ended),
        None => ended,
    }
}

impl Outcome {
    /// Takes the answer to the first line that is not answered yet.
    fn take(
        &mut self,
        client: &mut Client,
        sent: &mut std::collections::VecDeque<Vec<String>>,
        talk: &Talk<'_>,
    ) -> Result<(), Failure> {
        let answer = client.answer()?.map_err(|refusal| failure(&refusal))?;
        let labels = sent.pop_front().unwrap_or_default();
        let rows = answer.get("torrents").cloned().unwrap_or_default();
        if talk.json {
            for row in rows.as_array().into_iter().flatten() {
                talk.screen.json(row)?;
            }
        }
        let added: Vec<Added> = read(rows)?;
        for (label, added) in labels.iter().zip(added) {
            self.tell(label, added, talk)?;
        }
        Ok(())
    }

    fn tell(&mut self, label: &str, added: Added, talk: &Talk<'_>) -> Result<(), Failure> {
        let hash = added.info_hash.unwrap_or_default();
        let name = added.name.as_deref().filter(|name| *name != hash);
        let is_there = added.error.as_ref();
        if is_there.is_none_or(|refusal| refusal.code == Code::Duplicate) && !hash.is_empty() {
            self.hashes.push(hash.clone());
        }
        let Some(refusal) = added.error else {
            self.added += 1;
            let name = name.map(printable).unwrap_or_default();
            return talk.screen.say(format!("{hash} {name}").trim_end());
        };
        let (label, why) = (printable(label), printable(&refusal.message));
        // What was to be fetched is named in the reason.
        let told = if why.starts_with(&label) {
            why
        } else {
            format!("{label}: {why}")
        };
        if refusal.code == Code::Duplicate {
            self.there_already += 1;
            talk.screen.warn("warning", told);
        } else {
            self.failed += 1;
            talk.screen.warn("error", told);
            self.first.get_or_insert(refusal);
        }
        Ok(())
    }

    /// How it ends: as the first torrent that was refused, if any was; what is there already is no failure.
    fn end(self, args: &AddArgs, talk: &Talk<'_>) -> Result<(), Failure> {
        let many = self.added + self.there_already + self.failed > args.source.len().max(1);
        if many {
            talk.screen.say(format_args!(
                "{} added, {} there already, {} refused",
                self.added, self.there_already, self.failed
            ))?;
        }
        match self.first {
            // It is told already; the exit code is that of what it was.
            Some(refusal) => Err(failure(&refusal).silent()),
            None => Ok(()),
        }
    }
}

/// What is wanted of each of the torrents.
fn wish(args: &AddArgs) -> Result<Add, Failure> {
    let wish = wished(args.wish.clone())?;
    let bytes = |rate: Option<Rate>| rate.map(|rate| rate.0.unwrap_or(0));
    Ok(Add {
        torrents: Vec::new(),
        dir: wish.dir,
        category: wish.category,
        tags: wish.tags,
        paused: wish.paused,
        files: args.files.clone(),
        sequential: args.sequential,
        no_check: args.no_check,
        overwrite: args.overwrite,
        super_seed: args.super_seed,
        hops: wish.hops,
        peers: args.peer.iter().map(ToString::to_string).collect(),
        trackers: args.tracker.clone(),
        web_seeds: args.web_seed.clone(),
        down: bytes(args.max_down),
        up: bytes(args.max_up),
    })
}

/// What the words name; folders are taken apart. Nothing is sent before all of it is found.
fn named(words: &[String]) -> Result<Vec<Named>, Failure> {
    let mut all = Vec::new();
    for word in words {
        let path = Path::new(word);
        if word == "-" {
            let mut bytes = Vec::new();
            let read = bounded(io::stdin().lock()).read_to_end(&mut bytes);
            read.map_err(|error| Failure::Failed(format!("standard input: {}", reason(&error))))?;
            let origin = Origin::File(Blob(bytes));
            all.push(Named::Other("standard input".to_owned(), origin));
        } else if Source::is_remote(word) {
            all.push(Named::Other(word.clone(), Origin::Url(word.clone())));
        } else if Source::is_link(word) {
            all.push(Named::Other(word.clone(), Origin::Link(word.clone())));
        } else if path.is_dir() {
            all.extend(torrents_in(path)?.into_iter().map(Named::File));
        } else {
            fs::metadata(path).map_err(|error| Failure::on_file(path, &error))?;
            all.push(Named::File(path.to_owned()));
        }
    }
    Ok(all)
}

/// The .torrent files directly in a folder, by name.
fn torrents_in(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let on = |error| Failure::on_file(dir, &error);
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(on)? {
        let path = entry.map_err(on)?.path();
        let named = path
            .extension()
            .is_some_and(|extension| extension == "torrent");
        if named && path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        let dir = dir.display();
        return Err(Failure::NotFound(format!(
            "{dir}: there is no .torrent file in this folder"
        )));
    }
    files.sort();
    Ok(files)
}

/// Reads no more than a torrent may have, and one byte to tell that there was more.
fn bounded(from: impl Read) -> impl Read {
    let most = LoadLimits::default().bencode.bytes as u64;
    from.take(most.saturating_add(1))
}

fn load(path: &Path) -> Result<Blob, Failure> {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        bounded(File::open(path)?).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read()
        .map(Blob)
        .map_err(|error| Failure::on_file(path, &error))
}
