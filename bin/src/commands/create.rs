//! `create`: makes a .torrent of a file or folder.

mod exclude;
mod feeds;
mod files;
mod flags;
pub(crate) mod given;
mod hashing;
mod layout;
mod read;
mod signing;
mod walk;

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol::id::InfoHash;
use protocol::metainfo::build::{self, Extras, FileHashes, Hashes, Padding, Plan, SourceFile};
use protocol::metainfo::{Feed, FileAttr, LoadLimits, Metainfo, Version};

use self::flags::{check_url, name_of, node_of, similar_of, tier_of};
use self::hashing::{Digests, Work};
use self::layout::Layout;
use self::signing::{Signing, originator};
use self::walk::{Found, Tree};
use crate::cli::{CreateArgs, Date, Format};
use crate::failure::{Failure, reason};
use crate::progress::Meter;
use crate::screen::{Screen, Style};
use crate::units::Size;
use crate::wire;

pub(crate) fn run(args: &CreateArgs, screen: &Screen) -> Result<(), Failure> {
    let wish = Wish::new(args)?;
    let bytes = wish.make(screen)?;
    wish.write(&bytes, screen)?;
    wish.tell(&bytes, screen)
}

/// Makes the torrent that is asked for, without writing it anywhere.
///
/// # Errors
/// [`Failure`] names the flag that makes no sense or the file that cannot be shared.
pub(crate) fn make(args: &CreateArgs, screen: &Screen) -> Result<Vec<u8>, Failure> {
    Wish::new(args)?.make(screen)
}

/// Piece lengths that deployed clients take: 16 KiB to 256 MiB.
const PIECE_LENS: std::ops::RangeInclusive<u64> = 16 << 10..=256 << 20;

/// What torrents say of who made them.
const CREATED_BY: &str = concat!("tribler-rs/", env!("CARGO_PKG_VERSION"));

/// A command is broken off by its end.
static ON: AtomicBool = AtomicBool::new(false);

/// What is asked for, checked.
struct Wish<'a> {
    args: &'a CreateArgs,
    name: String,
    trackers: Vec<Vec<String>>,
    nodes: Vec<(String, u16)>,
    similar: Vec<InfoHash>,
    originator: Option<Vec<u8>>,
    feed: Option<Feed>,
    signing: Option<Signing>,
    piece_len: Option<u32>,
}

impl<'a> Wish<'a> {
    /// Checks the flags before anything is read.
    fn new(args: &'a CreateArgs) -> Result<Self, Failure> {
        let piece_len = match args.piece_length.map(|size| size.0) {
            Some(len) if !len.is_power_of_two() || !PIECE_LENS.contains(&len) => {
                let why = "--piece-length takes a power of two from 16KiB to 256MiB";
                return Err(Failure::Usage(why.to_owned()));
            }
            len => len.map(|len| len as u32),
        };
        let trackers = args.tracker.iter().map(|tier| tier_of(tier));
        let nodes = args.node.iter().map(|node| node_of(node));
        for url in &args.web_seed {
            check_url("--web-seed", url, &["http", "https"])?;
        }
        if let Some(url) = &args.update_url {
            check_url("--update-url", url, &["http", "https"])?;
        }
        let similar = args.similar.iter().map(|hash| similar_of(hash));
        Ok(Self {
            args,
            name: name_of(args)?,
            trackers: trackers.collect::<Result<_, _>>()?,
            nodes: nodes.collect::<Result<_, _>>()?,
            similar: similar.collect::<Result<_, _>>()?,
            originator: args.originator.as_deref().map(originator).transpose()?,
            feed: feeds::asked_for(&args.feed)?,
            signing: Signing::asked_for(args)?,
            piece_len,
        })
    }

    /// Reads and hashes everything; returns the torrent's bytes.
    fn make(&self, screen: &Screen) -> Result<Vec<u8>, Failure> {
        let tree = self.find_files(screen)?;
        let plan = self.plan(&tree)?;
        let layout = Layout::of(&plan);
        let work = Work {
            files: &tree.files,
            layout: &layout,
            v1: self.args.format != Format::V2,
            v2: self.args.format != Format::V1,
            stop: &ON,
        };
        let digests = hash(&work, self, screen)?;
        if let Some(file) = tree.files.iter().find(|file| !file.is_unchanged()) {
            return Err(Failure::Failed(read::changed(file)));
        }
        let mut signed = Ok(Vec::new());
        let written = plan.write_signed(&hashes(&plan, digests), &self.extras(), |info| {
            let signing = self.signing.iter();
            signed = signing.map(|signing| signing.sign(info)).collect();
            signed.clone().unwrap_or_default()
        });
        signed.map_err(Failure::failed)?;
        Ok(written.map_err(Failure::failed)?.0)
    }

    /// Refuses an output that is the content itself, or a file of another kind; says that an older torrent goes.
    fn must_be_replaceable(&self, screen: &Screen) -> Result<(), Failure> {
        let output = &self.args.output;
        let shown = output.display();
        let is_file = fs::metadata(output).is_ok_and(|meta| meta.is_file());
        if !is_file {
            return Ok(());
        }
        let [one, other] = [output, &self.args.path].map(fs::canonicalize);
        if one.is_ok() && one.ok() == other.ok() {
            let why = "is the file to share; name another one for the torrent";
            return Err(Failure::Usage(format!("--output {shown} {why}")));
        }
        if self.args.force {
            return Ok(());
        }
        if is_torrent(output) {
            screen.warn("warning", format_args!("writing over {shown}"));
            return Ok(());
        }
        let why = "is there already and no torrent; --force writes over it";
        Err(Failure::Usage(format!("--output {shown} {why}")))
    }

    /// Decides order, padding and piece length.
    fn plan(&self, tree: &Tree) -> Result<Plan, Failure> {
        let version = match self.args.format {
            Format::Hybrid => Version::Hybrid,
            Format::V1 => Version::V1,
            Format::V2 => Version::V2,
        };
        let layout = match tree.files.as_slice() {
            [file] if file.path.is_empty() => build::Layout::SingleFile,
            _ => build::Layout::Directory,
        };
        if self.feed.is_some() && layout == build::Layout::SingleFile {
            let why = "a feed is a folder (BEP 49), and this is a file";
            return Err(Failure::Usage(format!(
                "{}: {why}",
                self.args.path.display()
            )));
        }
        let mut files = Vec::with_capacity(tree.files.len());
        for file in &tree.files {
            let item = self.feed.is_some() && file.path.len() == 1;
            let sha1 = item.then(|| feeds::sha1_of(&file.at)).transpose();
            files.push(SourceFile {
                sha1: sha1.map_err(|error| Failure::on_file(&file.at, &error))?,
                ..shared(file)
            });
        }
        Plan::new(
            &self.name,
            version,
            layout,
            files,
            Padding::None,
            self.piece_len,
        )
        .map_err(Failure::failed)
    }

    /// What the torrent says beside its content.
    fn extras(&self) -> Extras {
        let now = || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
            i64::try_from(since.as_secs()).ok()
        };
        Extras {
            trackers: self.trackers.clone(),
            web_seeds: self.args.web_seed.clone(),
            nodes: self.nodes.clone(),
            private: self.args.private,
            source: self.args.source.clone(),
            comment: self.args.comment.clone(),
            update_url: self.args.update_url.clone(),
            similar: self.similar.clone(),
            collections: self.args.collection.clone(),
            originator: self.originator.clone(),
            feed: self.feed.clone(),
            created_by: Some(CREATED_BY.to_owned()),
            created: match self.args.date {
                Some(Date::None) => None,
                Some(Date::Unix(seconds)) => Some(seconds),
                None => now(),
            },
            ..Extras::default()
        }
    }

    fn to_stdout(&self) -> bool {
        self.args.output == Path::new("-")
    }

    /// Writes the torrent: to its place in one step, so that no half of it is ever seen there.
    fn write(&self, bytes: &[u8], screen: &Screen) -> Result<(), Failure> {
        if self.to_stdout() {
            return screen.write_bytes(bytes);
        }
        let output = &self.args.output;
        let failed = |error: &std::io::Error| {
            Failure::Failed(format!("{}: {}", output.display(), reason(error)))
        };
        let mut name = std::ffi::OsString::from(".");
        name.push(output.file_name().ok_or_else(|| {
            Failure::Usage(format!(
                "--output {}: not the name of a file",
                output.display()
            ))
        })?);
        name.push(format!(".{}.tmp", std::process::id()));
        let beside = output.with_file_name(name);
        let written = fs::File::create(&beside)
            .and_then(|mut file| file.write_all(bytes))
            .and_then(|()| fs::rename(&beside, output));
        written.map_err(|error| {
            // What is left of the attempt is of no use; that it may not be there is no matter.
            let _ = fs::remove_file(&beside);
            failed(&error)
        })
    }

    /// Says what was made.
    fn tell(&self, bytes: &[u8], screen: &Screen) -> Result<(), Failure> {
        let metainfo = Metainfo::from_bytes(bytes, &LoadLimits::default())
            .map_err(|error| Failure::Failed(format!("the torrent came out wrong: {error}")))?;
        if screen.style() == Style::Json {
            let line = super::info::made(&metainfo, &self.args.output)?;
            if self.to_stdout() {
                screen.note(&line);
                return Ok(());
            }
            return screen.write(&line);
        }
        let text = self.summary(&metainfo);
        if self.to_stdout() {
            screen.note(&text);
            return Ok(());
        }
        screen.write(&text)
    }

    fn summary(&self, metainfo: &Metainfo) -> String {
        let hashes = metainfo.hashes();
        let geometry = metainfo.geometry();
        let piece_len = Size(geometry.piece_len().into());
        let rows = [
            ("Info-hash v1", hashes.get_v1().map(|hash| hash.to_string())),
            ("Info-hash v2", hashes.get_v2().map(|hash| hash.to_string())),
            ("Size", Some(Size(metainfo.content_len()).to_string())),
            (
                "Pieces",
                Some(format!("{} of {piece_len}", geometry.pieces())),
            ),
            ("Magnet", Some(metainfo.magnet().to_string())),
            (
                "Written to",
                Some(self.args.output.display().to_string()).filter(|_| !self.to_stdout()),
            ),
        ];
        let mut text = String::new();
        for (name, value) in rows {
            if let Some(value) = value {
                let _ = writeln!(text, "{name:<13} {value}");
            }
        }
        text
    }
}

/// A file as the torrent's planner wants it.
fn shared(file: &Found) -> SourceFile {
    SourceFile {
        path: file.path.clone(),
        len: file.len,
        attr: FileAttr {
            executable: file.executable,
            ..FileAttr::default()
        },
        ..SourceFile::default()
    }
}

/// The digests as the torrent's writer wants them: the nodes of pieces gathered by file.
fn hashes(plan: &Plan, digests: Digests) -> Hashes {
    let piece_len = plan.geometry().piece_len();
    let mut nodes = digests.v2.into_iter();
    let with_content = plan
        .entries()
        .iter()
        .filter(|entry| entry.source.is_some() && entry.len > 0);
    let files = with_content.map(|entry| {
        let pieces = entry.len.div_ceil(piece_len.into()) as usize;
        let layer: Vec<_> = nodes.by_ref().take(pieces).collect();
        match layer.as_slice() {
            &[root] => FileHashes {
                root,
                layer: Vec::new(),
            },
            _ => FileHashes::from_piece_nodes(layer, piece_len),
        }
    });
    Hashes {
        files: if plan.version() == Version::V1 {
            Vec::new()
        } else {
            files.collect()
        },
        pieces: digests.v1,
    }
}

/// Hashes everything on threads of its own, and shows how far it is on this one.
fn hash(work: &Work<'_>, wish: &Wish<'_>, screen: &Screen) -> Result<Digests, Failure> {
    let threads = wish.args.threads.map_or_else(wire::cores, usize::from);
    let total = work.files.iter().map(|file| file.len).sum();
    let done = AtomicU64::new(0);
    let mut meter = Meter::new(screen, &wish.name, total);
    let watcher = thread::current();
    let digests = thread::scope(|scope| {
        let hashing = scope.spawn(|| {
            let digests = hashing::hash_all(work, threads, &done);
            watcher.unpark();
            digests
        });
        while !hashing.is_finished() {
            thread::park_timeout(Duration::from_millis(100));
            meter.update(done.load(Ordering::Relaxed));
        }
        hashing.join()
    });
    meter.finish();
    digests.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Whether there is a torrent in a file. One that is damaged is none.
fn is_torrent(path: &Path) -> bool {
    let limits = LoadLimits::default();
    let fits = fs::metadata(path).is_ok_and(|meta| meta.len() <= limits.bencode.bytes as u64);
    fits && fs::read(path).is_ok_and(|bytes| Metainfo::from_bytes(&bytes, &limits).is_ok())
}
