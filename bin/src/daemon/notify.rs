//! Words to the service manager, as systemd hears them (`sd_notify(3)`): a datagram to the socket that `NOTIFY_SOCKET` names.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Says that the daemon serves.
pub(crate) fn ready() {
    say("READY=1\nSTATUS=Serves\n");
}

/// Says that it ends, and what it does then.
pub(crate) fn stopping(does: &str) {
    say(&format!("STOPPING=1\nSTATUS={does}\n"));
}

fn say(words: &str) {
    if let Some(socket) = std::env::var_os("NOTIFY_SOCKET")
        && let Err(error) = send(&socket, words)
    {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}

/// A path, or an abstract name behind `@`.
fn send(socket: &OsStr, words: &str) -> io::Result<()> {
    let addr = match socket.as_bytes().split_first() {
        Some((b'@', name)) => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    let from = UnixDatagram::unbound()?;
    from.send_to_addr(words.as_bytes(), &addr)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_at_a_path_and_at_an_abstract_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let name = format!("tribler-rs-test-{}", std::process::id());
        let by_name = SocketAddr::from_abstract_name(&name).unwrap();
        for (manager, socket) in [
            (UnixDatagram::bind(&path).unwrap(), path.into_os_string()),
            (
                UnixDatagram::bind_addr(&by_name).unwrap(),
                format!("@{name}").into(),
            ),
        ] {
            send(&socket, "READY=1\n").unwrap();
            let mut heard = [0; 100];
            let len = manager.recv(&mut heard).unwrap();
            assert_eq!(heard.get(..len), Some(&b"READY=1\n"[..]));
        }
    }
}
