//! Files, sockets and threads of this process, from `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use serde::Serialize;

/// Descriptors that are told of, at most.
const MOST: usize = 65_536;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct OpenFile {
    path: String,
    fd: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct OpenSocket {
    /// 1 local, 2 IPv4, 10 IPv6.
    family: u8,
    status: &'static str,
    laddr: String,
    raddr: String,
    /// 1 of streams, 2 of datagrams.
    #[serde(rename = "type")]
    kind: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Thread {
    #[serde(rename = "thread_id")]
    id: u64,
    #[serde(rename = "thread_name")]
    name: String,
    frames: Vec<String>,
}

/// All descriptors and what they lead to.
fn descriptors() -> io::Result<Vec<(u32, PathBuf)>> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")?.take(MOST) {
        let entry = entry?;
        let fd = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        // It may be closed by now, as the one of this very look is.
        if let (Some(fd), Ok(to)) = (fd, fs::read_link(entry.path())) {
            all.push((fd, to));
        }
    }
    all.sort_unstable();
    Ok(all)
}

/// Files that are open, devices left out.
pub(super) fn open_files() -> io::Result<Vec<OpenFile>> {
    // What is open is looked at, and not what has its name now, if anything has.
    let is_file =
        |fd: u32| fs::metadata(format!("/proc/self/fd/{fd}")).is_ok_and(|it| it.is_file());
    let all = descriptors()?.into_iter();
    let files = all.filter(|(fd, path)| path.is_absolute() && is_file(*fd));
    let files = files.map(|(fd, path)| OpenFile {
        path: path.display().to_string(),
        fd,
    });
    Ok(files.collect())
}

/// Sockets that are open.
pub(super) fn open_sockets() -> io::Result<Vec<OpenSocket>> {
    let mut known = BTreeMap::new();
    for (table, family, kind) in [
        ("tcp", 2, 1),
        ("tcp6", 10, 1),
        ("udp", 2, 2),
        ("udp6", 10, 2),
    ] {
        // A machine need not have both families.
        let text = fs::read_to_string(format!("/proc/self/net/{table}")).unwrap_or_default();
        known.extend(
            text.lines()
                .skip(1)
                .filter_map(|line| row(line, family, kind)),
        );
    }
    let text = fs::read_to_string("/proc/self/net/unix").unwrap_or_default();
    known.extend(text.lines().skip(1).filter_map(local));
    let all = descriptors()?.into_iter().filter_map(|(_, to)| {
        let inode = to.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
        known.get(&inode.parse::<u64>().ok()?).cloned()
    });
    Ok(all.collect())
}

/// A line of a table of TCP or UDP: the socket's number, and the socket.
fn row(line: &str, family: u8, kind: u8) -> Option<(u64, OpenSocket)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, own, other, state, _, _, _, _, _, inode, ..] = words.as_slice() else {
        return None;
    };
    let own = address(own)?;
    let other = address(other)?;
    let status = match (kind, *state) {
        (1, "01") => "ESTABLISHED",
        (1, "02") => "SYN_SENT",
        (1, "03") => "SYN_RECV",
        (1, "04") => "FIN_WAIT1",
        (1, "05") => "FIN_WAIT2",
        (1, "06") => "TIME_WAIT",
        (1, "08") => "CLOSE_WAIT",
        (1, "09") => "LAST_ACK",
        (1, "0A") => "LISTEN",
        (1, "0B") => "CLOSING",
        _ => "NONE",
    };
    let socket = OpenSocket {
        family,
        status,
        laddr: own.to_string(),
        raddr: if other.port() == 0 {
            "-".to_owned()
        } else {
            other.to_string()
        },
        kind,
    };
    Some((inode.parse().ok()?, socket))
}

/// A line of the table of local sockets.
fn local(line: &str) -> Option<(u64, OpenSocket)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, _, _, _, kind, _, inode, path @ ..] = words.as_slice() else {
        return None;
    };
    let socket = OpenSocket {
        family: 1,
        status: "NONE",
        laddr: path
            .first()
            .map_or_else(|| "-".to_owned(), |path| (*path).to_owned()),
        raddr: "-".to_owned(),
        kind: if *kind == "0002" { 2 } else { 1 },
    };
    Some((inode.parse().ok()?, socket))
}

/// An address as these tables have it: words of 32 bits in the order of this machine, and a port.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let digits = ip.get(at * 8..at * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    let ip = match ip.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// Threads, and what each does.
pub(super) fn threads() -> io::Result<Vec<Thread>> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc/self/task")?.take(MOST) {
        let entry = entry?;
        let id = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        let (Some(id), Ok(text)) = (id, fs::read_to_string(entry.path().join("status"))) else {
            continue;
        };
        let field = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(':'));
            let found = lines.find(|(known, _)| *known == name);
            found.map(|(_, value)| value.trim().to_owned())
        };
        all.push(Thread {
            id,
            name: field("Name").unwrap_or_default(),
            // Of machine code there are no frames to show: what the system says it does is all.
            frames: field("State").into_iter().collect(),
        });
    }
    all.sort_unstable_by_key(|thread| thread.id);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_open_though_it_has_no_name_any_more() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_owned();
        let (open, named) = file.into_parts();
        let told = |end: &str| {
            let all = open_files().unwrap().into_iter();
            let due = format!("{}{end}", path.display());
            all.filter(|file| file.path == due).count()
        };
        assert_eq!((told(""), told(" (deleted)")), (1, 0));
        drop(named);
        assert_eq!((told(""), told(" (deleted)")), (0, 1));
        drop(open);
        assert_eq!((told(""), told(" (deleted)")), (0, 0));
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn lines_of_the_system_are_read() {
        let line = "   0: 0100007F:1F95 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1";
        let (inode, socket) = row(line, 2, 1).unwrap();
        assert_eq!(inode, 4711);
        let shown = (socket.status, socket.laddr.as_str(), socket.raddr.as_str());
        assert_eq!(shown, ("LISTEN", "127.0.0.1:8085", "-"));
        let six = "00000000000000000000000001000000:0050";
        assert_eq!(address(six), "[::1]:80".parse().ok());
        for bad in [
            "",
            "x",
            "0100007F",
            "0100007:50",
            "0100007F:fffff",
            "é100007F:50",
        ] {
            assert_eq!(address(bad), None, "{bad}");
        }
        assert!(row("1 2 3", 2, 1).is_none() && local("1 2").is_none());
    }
}
