//! The folder of a daemon's state: one process has it at a time, and there is its socket, by which others find it.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::commands::unit::daemon_states;
use crate::failure::{Failure, reason};

/// Whose lock says that a process has the folder; the number of the process is in it.
const LOCK: &str = "daemon.lock";

/// The longest path that an address of a Unix socket holds, its end included.
const LONGEST: usize = 108;

/// Bytes of a file that names a socket, at most.
const LONGEST_NOTE: u64 = 4096;

/// A folder that is this daemon's; the lock and the note of where it is go with this value.
#[derive(Debug)]
pub(crate) struct Place {
    dir: PathBuf,
    note: Option<PathBuf>,
    bound: bool,
    /// Locked.
    _lock: File,
}

impl Place {
    /// Takes a folder, which is made where it is not there.
    ///
    /// # Errors
    /// [`Failure::Failed`] where another daemon has it, which is named, or the system refuses.
    pub(crate) fn take(dir: &Path) -> Result<Self, Failure> {
        let on = |error: io::Error| Failure::on_file(dir, &error);
        let mut builder = fs::DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|error| {
                Failure::Failed(format!(
                    "{}: the folder of the state cannot be made ({}): name another by --state",
                    dir.display(),
                    reason(&error)
                ))
            })?;
        let dir = fs::canonicalize(dir).map_err(on)?;
        let path = dir.join(LOCK);
        let on = |error: io::Error| Failure::on_file(&path, &error);
        let mut lock = File::options();
        let lock = lock.read(true).write(true).create(true).truncate(false);
        let mut lock = lock.open(&path).map_err(on)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let who = holder(&mut lock);
                let who = who.map_or_else(String::new, |pid| format!(" with id {pid}"));
                return Err(Failure::Failed(format!(
                    "{}: the process{who} is a daemon with this state already; `tribler-rs ctl` talks to it, and another one needs a --state of its own",
                    dir.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(on(error)),
        }
        lock.set_len(0).map_err(on)?;
        writeln!(lock, "{}", std::process::id()).map_err(on)?;
        Ok(Self {
            dir,
            note: None,
            bound: false,
            _lock: lock,
        })
    }

    /// The folder, from the root.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the command channel is.
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.join(control::SOCKET)
    }

    /// Opens the socket of the command channel, for its user alone, and leaves word of where it is for `ctl`.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn listen(&mut self) -> Result<UnixListener, Failure> {
        let path = self.socket();
        let on = |error: io::Error| Failure::on_file(&path, &error);
        // Of a process that did not end well: whoever has the lock has the socket.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(on(error)),
            _ => {}
        }
        let listener = near(&path, |path| UnixListener::bind(path)).map_err(on)?;
        self.bound = true;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(on)?;
        listener.set_nonblocking(true).map_err(on)?;
        self.note = leave_note(&path).ok();
        Ok(listener)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What stays is found to be dead by whoever asks.
        if self.bound {
            let _ = fs::remove_file(self.socket());
        }
        if let Some(note) = &self.note {
            let _ = fs::remove_file(note);
        }
    }
}

/// The number of the process that has locked a file, as it has written it there.
fn holder(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.rewind().ok()?;
    lock.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Does something with a path that may be longer than addresses of sockets hold: it is named by way of its open folder then.
fn near<T>(path: &Path, open: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    if path.as_os_str().len() < LONGEST {
        return open(path);
    }
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return open(path);
    };
    let dir = File::open(dir)?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd()));
    open(&short.join(name))
}

/// Connects to the daemon behind a socket.
///
/// # Errors
/// What the system says; [`io::ErrorKind::PermissionDenied`] where it is another user's who is not asked for.
pub(crate) fn connect(socket: &Path) -> io::Result<UnixStream> {
    let stream = near(socket, |path| UnixStream::connect(path))?;
    let peer = rustix::net::sockopt::socket_peercred(&stream)?;
    let us = rustix::process::geteuid();
    // The super-user may ask whom it wants.
    if peer.uid == us || us.is_root() {
        Ok(stream)
    } else {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

/// The folder in which daemons of this user leave word of where they are: it is this user's alone, or there is none.
fn notes() -> io::Result<PathBuf> {
    let session = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let session = session.filter(|dir| dir.is_absolute() && dir.is_dir());
    let us = rustix::process::geteuid().as_raw();
    let folder = session.map_or_else(
        || std::env::temp_dir().join(format!("tribler-rs-{us}")),
        |dir| dir.join("tribler-rs"),
    );
    let mut builder = fs::DirBuilder::new();
    match builder.mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let meta = fs::symlink_metadata(&folder)?;
    if meta.is_dir() && meta.uid() == us && meta.mode() & 0o022 == 0 {
        Ok(folder)
    } else {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

/// Leaves word of where a socket is; returns the note.
fn leave_note(socket: &Path) -> io::Result<PathBuf> {
    let note = notes()?.join(format!("{}.daemon", std::process::id()));
    let beside = note.with_extension("new");
    fs::write(&beside, socket.as_os_str().as_encoded_bytes())?;
    fs::rename(&beside, &note)?;
    Ok(note)
}

/// Connects to the one daemon of this user that runs, wherever its state is; the super-user has those that are services, too.
///
/// # Errors
/// [`Failure::Unreachable`] where none answers, [`Failure::Usage`] where several do.
pub(crate) fn connect_to_any() -> Result<UnixStream, Failure> {
    let usual = crate::wire::default_state_dir();
    let services = rustix::process::geteuid().is_root().then(daemon_states);
    let states = usual.into_iter().chain(services.into_iter().flatten());
    let sockets = states.map(|dir| dir.join(control::SOCKET));
    connect_to_one_of(sockets.chain(noted()))
}

/// Connects to the one daemon behind these sockets.
///
/// # Errors
/// As [`connect_to_any`].
fn connect_to_one_of(sockets: impl Iterator<Item = PathBuf>) -> Result<UnixStream, Failure> {
    let mut found: Vec<(PathBuf, UnixStream)> = Vec::new();
    for socket in sockets {
        let known = found.iter().any(|(path, _)| *path == socket);
        if known {
            continue;
        }
        if let Ok(stream) = connect(&socket) {
            found.push((socket, stream));
        }
    }
    if found.len() > 1 {
        let states = found.iter().filter_map(|(socket, _)| socket.parent());
        let states: Vec<String> = states.map(|dir| dir.display().to_string()).collect();
        return Err(Failure::Usage(format!(
            "several daemons run: say --state with one of {}",
            states.join(", ")
        )));
    }
    let stream = found.pop().map(|(_, stream)| stream);
    stream.ok_or_else(|| {
        Failure::Unreachable(
            "no daemon of this user runs here; `tribler-rs daemon` starts one, and --state names that of another user"
                .to_owned(),
        )
    })
}

/// Connects to the daemon with this state.
///
/// # Errors
/// [`Failure::Unreachable`] where none answers.
pub(crate) fn connect_to(state: &Path) -> Result<UnixStream, Failure> {
    let socket = fs::canonicalize(state).unwrap_or_else(|_| state.to_owned());
    let socket = socket.join(control::SOCKET);
    connect(&socket).map_err(|error| {
        let nobody = [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused];
        let why = if nobody.contains(&error.kind()) {
            "none runs".to_owned()
        } else {
            reason(&error)
        };
        Failure::Unreachable(format!(
            "no daemon with the state {}: {why}",
            state.display()
        ))
    })
}

/// The sockets of which daemons have left word. Notes of those that are gone are taken away.
fn noted() -> Vec<PathBuf> {
    let Ok(entries) = notes().and_then(fs::read_dir) else {
        return Vec::new();
    };
    let mut sockets = Vec::new();
    for note in entries.flatten().map(|entry| entry.path()) {
        if note
            .extension()
            .is_none_or(|extension| extension != "daemon")
        {
            continue;
        }
        let mut text = String::new();
        let read = File::open(&note).map(|file| file.take(LONGEST_NOTE).read_to_string(&mut text));
        if !matches!(read, Ok(Ok(_))) {
            continue;
        }
        let socket = PathBuf::from(text);
        match near(&socket, |path| UnixStream::connect(path)) {
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                ) =>
            {
                let _ = fs::remove_file(&note);
            }
            _ => sockets.push(socket),
        }
    }
    sockets.sort();
    sockets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_of_one_daemon_at_a_time_which_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let first = Place::take(dir.path()).unwrap();
        let refused = Place::take(dir.path()).unwrap_err();
        let pid = format!("the process with id {} is", std::process::id());
        assert!(refused.to_string().contains(&pid), "{refused}");
        drop(first);
        drop(Place::take(dir.path()).unwrap());
    }

    #[test]
    fn one_daemon_is_found_among_the_states_that_are_known_and_of_several_none_is_chosen() {
        let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let ask = |which: &[usize]| {
            let sockets = which
                .iter()
                .map(|at| dirs[*at].path().join(control::SOCKET));
            connect_to_one_of(sockets.collect::<Vec<_>>().into_iter())
        };
        assert_eq!(ask(&[0, 1, 2]).unwrap_err().code(), 4);
        let mut first = Place::take(dirs[1].path()).unwrap();
        let _first = first.listen().unwrap();
        ask(&[0, 1, 2, 1]).unwrap();
        let mut second = Place::take(dirs[2].path()).unwrap();
        let _second = second.listen().unwrap();
        let several = ask(&[0, 1, 2]).unwrap_err();
        assert_eq!(several.code(), 2);
        let named = |at: usize| {
            several
                .to_string()
                .contains(dirs[at].path().to_str().unwrap())
        };
        assert_eq!([0, 1, 2].map(named), [false, true, true]);
    }

    #[test]
    fn the_socket_is_its_users_alone_however_long_its_path_is_and_goes_with_the_place() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a".repeat(100)).join("b".repeat(100));
        for dir in [dir.path(), &deep] {
            let mut place = Place::take(dir).unwrap();
            let socket = place.socket();
            assert!(connect_to(dir).is_err());
            let listener = place.listen().unwrap();
            let mode = fs::metadata(&socket).unwrap().mode();
            assert_eq!(mode & 0o777, 0o600);
            connect_to(dir).unwrap();
            assert!(noted().contains(&socket));
            // As after a process that was killed: what stays keeps nobody out.
            drop(listener);
            assert_eq!(connect_to(dir).unwrap_err().code(), 4);
            drop(place.listen().unwrap());
            drop(place);
            assert!(!socket.exists() && !noted().contains(&socket));
        }
    }
}
