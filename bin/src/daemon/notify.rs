//! Words to the service manager, as systemd hears them (`sd_notify(3)`): a datagram to the socket that `NOTIFY_SOCKET` names.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Says that the daemon serves.
pub(crate) fn ready() {
    say("READY=1\nSTATUS=Serves\n");
}

/// Says what it is at before it serves.
pub(crate) fn status(does: &str) {
    say(&format!("STATUS={does}\n"));
}

/// Says that it reads its settings again; [`ready`] says that it has.
pub(crate) fn reloading() {
    let now = clock_gettime(ClockId::Monotonic);
    let now = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
    say(&format!(
        "RELOADING=1\nMONOTONIC_USEC={now}\nSTATUS=Reads its settings again\n"
    ));
}

/// Says that it ends, and what it does then.
pub(crate) fn stopping(does: &str) {
    say(&format!("STOPPING=1\nSTATUS={does}\n"));
}

/// Says that it is alive.
pub(super) fn alive() {
    say("WATCHDOG=1\n");
}

/// Whether somebody is told.
pub(super) fn is_heard() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// Within what time the service manager expects to hear that it is alive, if it does.
pub(super) fn patience() -> Option<Duration> {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let of_another = |pid| pid != u64::from(std::process::id());
    if number("WATCHDOG_PID").is_some_and(of_another) {
        return None;
    }
    let within = number("WATCHDOG_USEC").filter(|within| *within > 0)?;
    Some(Duration::from_micros(within))
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
    // A manager that does not read must not hold up the daemon: what it misses it hears the next time.
    from.set_nonblocking(true)?;
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
