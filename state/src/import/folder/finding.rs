//! Which program's records lie at a path, and where they are in what it keeps.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::super::{ImportError, MOST_BYTES, MOST_DELUGE, Program, deluge, rqbit};
use super::{Pair, Records, Source, about, files_with, read};

/// Where qBittorrent keeps resume data, below a folder of its own or of the user.
const OF_QBITTORRENT: [&str; 6] = [
    "",
    "BT_backup",
    "data/BT_backup",
    "qBittorrent/data/BT_backup",
    "qBittorrent/BT_backup",
    ".local/share/qBittorrent/BT_backup",
];
/// The data base of qBittorrent.
const SQLITE: &str = "torrents.db";
/// Bytes of qBittorrent's list of the queue.
const MOST_QUEUE: usize = 16 << 20;

pub(super) fn find(path: &Path, program: Option<Program>) -> Result<Source, ImportError> {
    let meta = std::fs::metadata(path).map_err(|source| ImportError::Io {
        path: path.to_path_buf(),
        source,
    })?;
    let wanted = |one: Program| program.is_none_or(|program| program == one);
    let found = if meta.is_dir() {
        in_folder(path, &wanted)?
    } else {
        of_file(path, &wanted)?
    };
    found.ok_or_else(|| ImportError::Nothing {
        path: path.to_path_buf(),
        program,
    })
}

/// The records that a file is, or has.
fn of_file(path: &Path, wanted: &dyn Fn(Program) -> bool) -> Result<Option<Source>, ImportError> {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    match (name, ending) {
        ("torrents.fastresume", _) if wanted(Program::Deluge) => of_deluge(path).map(Some),
        (_, "fastresume") if wanted(Program::Qbittorrent) || wanted(Program::Libtorrent) => {
            let program = of_libtorrent(path.parent(), wanted);
            Ok(Some(Source {
                program,
                path: path.to_path_buf(),
                records: Records::Libtorrent(vec![(path.to_path_buf(), None)], OnceLock::new()),
            }))
        }
        (_, "resume") if wanted(Program::Transmission) => {
            let dir = path
                .parent()
                .and_then(Path::parent)
                .unwrap_or_else(|| Path::new(""));
            let stem = path.file_stem().unwrap_or_default();
            let records = Records::Transmission(vec![pair(dir, stem)]);
            Ok(Some(Source {
                program: Program::Transmission,
                path: path.to_path_buf(),
                records,
            }))
        }
        (SQLITE, _) if wanted(Program::Qbittorrent) => Err(ImportError::Sqlite {
            path: path.to_path_buf(),
        }),
        (_, "json") if wanted(Program::Rqbit) => of_rqbit(path).map(Some),
        _ => Ok(None),
    }
}

/// Which of the two programs with the same files it is: qBittorrent's lie in a folder with a name of its own.
fn of_libtorrent(dir: Option<&Path>, wanted: &dyn Fn(Program) -> bool) -> Program {
    let its_own = dir.and_then(Path::file_name) == Some(OsStr::new("BT_backup"));
    let only = wanted(Program::Qbittorrent) != wanted(Program::Libtorrent);
    if (only && wanted(Program::Qbittorrent)) || (!only && its_own) {
        Program::Qbittorrent
    } else {
        Program::Libtorrent
    }
}

fn in_folder(path: &Path, wanted: &dyn Fn(Program) -> bool) -> Result<Option<Source>, ImportError> {
    if wanted(Program::Deluge) {
        for below in ["torrents.fastresume", "state/torrents.fastresume"] {
            let file = path.join(below);
            if file.is_file() {
                return of_deluge(&file).map(Some);
            }
        }
    }
    if wanted(Program::Rqbit) {
        let file = path.join("session.json");
        if file.is_file() {
            return of_rqbit(&file).map(Some);
        }
    }
    if wanted(Program::Transmission)
        && let Some(dir) = transmissions(path)?
    {
        return of_transmission(dir).map(Some);
    }
    if wanted(Program::Qbittorrent) || wanted(Program::Libtorrent) {
        return fastresumes(path, wanted);
    }
    Ok(None)
}

/// The folder of Transmission's state that this one is, or is part of. Others call folders `resume` and `torrents`, too.
fn transmissions(path: &Path) -> Result<Option<&Path>, ImportError> {
    let is_whole = |dir: &Path| dir.join("resume").is_dir() && dir.join("torrents").is_dir();
    if is_whole(path) {
        return Ok(Some(path));
    }
    let name = path.file_name().and_then(OsStr::to_str);
    let is_part = matches!(name, Some("resume" | "torrents"));
    let above = path.parent().filter(|dir| is_part && is_whole(dir));
    if above.is_some() && !files_with(path, "fastresume")?.is_empty() {
        return Ok(None);
    }
    Ok(above)
}

/// Files of resume data, in the folder itself or where qBittorrent has them.
fn fastresumes(
    path: &Path,
    wanted: &dyn Fn(Program) -> bool,
) -> Result<Option<Source>, ImportError> {
    let mut sqlite = None;
    for below in OF_QBITTORRENT {
        let dir = if below.is_empty() {
            path.to_path_buf()
        } else {
            path.join(below)
        };
        if !below.is_empty() && !wanted(Program::Qbittorrent) {
            break;
        }
        if !dir.is_dir() {
            continue;
        }
        let files = files_with(&dir, "fastresume")?;
        // qBittorrent puts the data base beside the folder of the files.
        for place in [Some(&*dir), dir.parent()].into_iter().flatten() {
            let file = place.join(SQLITE);
            if sqlite.is_none() && (!below.is_empty() || place == dir) && file.is_file() {
                sqlite = Some(file);
            }
        }
        if files.is_empty() {
            continue;
        }
        let queue = queue(&dir)?;
        let place = |path: &Path| {
            let id = path.file_stem().and_then(OsStr::to_str)?;
            queue.get(&id.to_ascii_lowercase()).copied()
        };
        let files = files.into_iter().map(|path| {
            let place = place(&path);
            (path, place)
        });
        let records = Records::Libtorrent(files.collect(), OnceLock::new());
        return Ok(Some(Source {
            program: of_libtorrent(Some(&dir), wanted),
            path: dir,
            records,
        }));
    }
    match sqlite.filter(|_| wanted(Program::Qbittorrent)) {
        Some(path) => Err(ImportError::Sqlite { path }),
        None => Ok(None),
    }
}

/// The places in qBittorrent's queue: a line with an info-hash for each.
fn queue(dir: &Path) -> Result<BTreeMap<String, u32>, ImportError> {
    let path = dir.join("queue");
    let bytes = match read(&path, MOST_QUEUE) {
        Ok((bytes, _)) => bytes,
        Err(error) if error.is_absence() => Vec::new(),
        Err(error) => return Err(error),
    };
    let text = String::from_utf8_lossy(&bytes);
    let ids = text.lines().map(str::trim);
    let ids = ids.filter(|id| id.len() == 40 && id.bytes().all(|c| c.is_ascii_hexdigit()));
    let mut places = BTreeMap::new();
    for (place, id) in (0..).zip(ids) {
        places.entry(id.to_ascii_lowercase()).or_insert(place);
    }
    Ok(places)
}

fn of_deluge(path: &Path) -> Result<Source, ImportError> {
    let (bytes, written) = read(path, MOST_DELUGE)?;
    let entries = deluge::split(&bytes).map_err(|fault| about(path, fault))?;
    Ok(Source {
        program: Program::Deluge,
        path: path.to_path_buf(),
        records: Records::Deluge(bytes, written, entries),
    })
}

fn of_rqbit(path: &Path) -> Result<Source, ImportError> {
    let (bytes, _) = read(path, MOST_BYTES)?;
    let entries = rqbit::session(&bytes).map_err(|fault| about(path, fault))?;
    Ok(Source {
        program: Program::Rqbit,
        path: path.to_path_buf(),
        records: Records::Rqbit(entries),
    })
}

/// Torrents with a record, and those without, of which reading says that it is missing.
fn of_transmission(dir: &Path) -> Result<Source, ImportError> {
    let mut stems = BTreeSet::new();
    for (below, ending) in [
        ("resume", "resume"),
        ("torrents", "torrent"),
        ("torrents", "magnet"),
    ] {
        let files = files_with(&dir.join(below), ending)?;
        stems.extend(
            files
                .iter()
                .filter_map(|path| path.file_stem().map(OsStr::to_owned)),
        );
    }
    let pairs = stems.iter().map(|stem| pair(dir, stem));
    Ok(Source {
        program: Program::Transmission,
        path: dir.to_path_buf(),
        records: Records::Transmission(pairs.collect()),
    })
}

fn pair(dir: &Path, stem: &OsStr) -> Pair {
    let file = |below: &str, ending: &str| -> PathBuf {
        let mut name = stem.to_owned();
        name.push(".");
        name.push(ending);
        dir.join(below).join(name)
    };
    Pair {
        resume: file("resume", "resume"),
        torrent: file("torrents", "torrent"),
        magnet: file("torrents", "magnet"),
    }
}
