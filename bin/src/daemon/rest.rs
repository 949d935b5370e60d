//! The REST API before the daemon: its port, its key, and its end.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use api::{Access, Bound, Key, Limits};
use net::{Pool, Task};
use rand::RngExt as _;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use super::desk::Desk;
use crate::cli::DaemonArgs;
use crate::failure::{Failure, reason};

/// The file of the key in the folder of the state.
const KEY_FILE: &str = "api.key";

/// Bytes of a key.
const LONGEST: u64 = 1024;

/// How much longer than the server itself its end is waited for.
const GRACE: Duration = Duration::from_secs(1);

/// A server of the API; it ends with this value.
#[derive(Debug)]
pub(crate) struct Rest {
    /// Where it is.
    pub(crate) at: SocketAddr,
    stopping: watch::Sender<bool>,
    serving: Task<()>,
}

impl Rest {
    /// Serves on the socket that was `inherited`, or opens the port, where one is asked for: by the threads of a pool, but for `long`
    /// answers, which have a pool of their own.
    ///
    /// # Errors
    /// [`Failure`] where it cannot be opened, or there is no key.
    pub(crate) async fn start(
        (args, state): (&DaemonArgs, &Path),
        inherited: Option<TcpListener>,
        desk: &Arc<Desk>,
        (pool, long): (&Pool, &Pool),
    ) -> Result<Option<Self>, Failure> {
        let there = inherited.as_ref().map(TcpListener::local_addr);
        let Some(at) = there.transpose().map_err(Failure::failed)?.or(args.api) else {
            return Ok(None);
        };
        let access = access(args, state, at)?;
        let (stopping, stops) = watch::channel(false);
        let (told, opened) = oneshot::channel();
        let (desk, more) = (Arc::clone(desk), args.api_port_tries);
        let long = long.handle().clone();
        let serving = pool.spawn(async move {
            let bound = match inherited {
                Some(socket) => Bound::of(socket),
                None => api::bind(at, more).await,
            };
            let bound = match bound {
                Ok(bound) => bound,
                Err(error) => return drop(told.send(Err(error))),
            };
            if told.send(Ok(bound.at)).is_ok() {
                api::serve(bound, desk, access, Limits::default(), (long, stops)).await;
            }
        });
        let open = opened.await.map_err(io::Error::other).flatten();
        let at = open.map_err(|error| unopened(at, &error))?;
        Ok(Some(Self {
            at,
            stopping,
            serving,
        }))
    }

    /// Closes the port; requests that are under way are answered, within a few seconds.
    pub(crate) async fn end(self) {
        self.stopping.send_replace(true);
        // Whoever is not done by then is cut off.
        let _ = timeout(Limits::default().farewell + GRACE, self.serving).await;
    }
}

/// Who may ask.
fn access(args: &DaemonArgs, state: &Path, at: SocketAddr) -> Result<Access, Failure> {
    let key = match &args.api_key {
        Some(key) if key.is_empty() && !at.ip().is_loopback() => {
            let why = "without a key the API is for this machine only: use a loopback address with --api, or a key";
            return Err(Failure::Usage(why.to_owned()));
        }
        Some(key) if !is_sendable(key) => {
            let why = "--api-key, CORE_API_KEY: a key has printable letters and no spaces, or no header could have it";
            return Err(Failure::Usage(why.to_owned()));
        }
        Some(key) => Key::new(key),
        None => {
            let default = state.join(KEY_FILE);
            let file = args.api_key_file.as_deref().unwrap_or(&default);
            let key = kept_key(file).map_err(|error| Failure::on_file(file, &error))?;
            Some(key)
        }
    };
    let mut names = args.api_name.clone();
    names.extend(own_name());
    Ok(Access { key, names })
}

/// Whether clients can send such a key in a header.
fn is_sendable(key: &str) -> bool {
    key.len() as u64 <= LONGEST && key.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The key of a file, which is made where it is not there.
fn kept_key(file: &Path) -> io::Result<Key> {
    let mut text = String::new();
    match File::open(file) {
        Ok(open) => {
            if open.metadata()?.permissions().mode() & 0o077 != 0 {
                let why = "others than its user can read the key in it: chmod 600";
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
            }
            open.take(LONGEST + 1).read_to_string(&mut text)?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let bytes: [u8; 16] = rand::rng().random();
            text = crate::text::hex(&bytes);
            let mut new = File::options();
            let mut new = new.write(true).create_new(true).mode(0o600).open(file)?;
            let written = writeln!(new, "{text}").and_then(|()| new.sync_all());
            if let Err(error) = written {
                // Half a key would be taken for one.
                let _ = fs::remove_file(file);
                return Err(error);
            }
        }
        Err(error) => return Err(error),
    }
    let key = text.trim();
    let key = Key::new(key).filter(|_| is_sendable(key));
    key.ok_or_else(|| io::Error::other("there is no key in it: one line of printable letters"))
}

/// What this machine calls itself.
fn own_name() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// What is said where the port cannot be opened.
fn unopened(at: SocketAddr, why: &io::Error) -> Failure {
    let advice = if why.kind() == io::ErrorKind::AddrInUse {
        ": another program has it; name another address, or have the next ports tried with --api-port-tries"
    } else {
        ""
    };
    Failure::Failed(format!("--api {at}: {}{advice}", reason(why)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_user_alone_and_read_the_next_time() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("api.key");
        kept_key(&file).unwrap();
        let made = fs::read_to_string(&file).unwrap();
        assert_eq!(made.trim().len(), 32);
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        kept_key(&file).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), made);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let error = kept_key(&file).unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        for bad in ["", "\n", "two words", &"x".repeat(2000)] {
            fs::write(&file, bad).unwrap();
            assert!(kept_key(&file).is_err(), "{bad}");
        }
    }
}
