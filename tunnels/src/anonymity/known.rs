//! The file of nodes that are known, so that the next run finds circuits at once.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, SocketAddrV4};
use std::path::Path;

use overlay::directory::is_usable;
use overlay::wire::{Reader, Writer};

use crate::{Flags, Tunnels};

/// Nodes that are kept.
const MOST: usize = 128;

/// Bytes of an address.
const ADDR: usize = 6;

/// Reads the addresses of a file; none where there is none, and what is broken is passed over.
///
/// # Format
/// 4 bytes IPv4 address and `u16` port each, as Tribler keeps exits.
pub(super) fn load(file: &Path) -> Vec<SocketAddrV4> {
    let mut bytes = Vec::new();
    let read = fs::File::open(file)
        .and_then(|open| open.take((MOST * ADDR) as u64).read_to_end(&mut bytes));
    if let Err(error) = read
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, file = %file.display(), "known nodes cannot be read");
    }
    let mut reader = Reader::new(&bytes);
    let mut seen = BTreeSet::new();
    let mut addrs = Vec::new();
    while let Ok(addr) = reader.ipv4("address") {
        if is_usable(addr) && seen.insert(addr) {
            addrs.push(addr);
        }
    }
    addrs
}

/// Writes the nodes that are known, exits first; a file that is there stays as it is when nobody is known.
pub(super) fn save(file: &Path, nodes: &[Tunnels]) {
    let addrs = known(nodes);
    if addrs.is_empty() {
        return;
    }
    if let Err(error) = write(file, &addrs) {
        tracing::warn!(%error, file = %file.display(), "known nodes cannot be kept");
    }
}

fn known(nodes: &[Tunnels]) -> Vec<SocketAddrV4> {
    let mut known: Vec<(bool, SocketAddrV4)> = Vec::new();
    for tunnels in nodes {
        tunnels.with(|node, _| {
            for candidate in node.candidates().values() {
                if let SocketAddr::V4(addr) = candidate.addr
                    && candidate.flags != Flags::default()
                {
                    known.push((!candidate.flags.contain(Flags::EXIT), addr));
                }
            }
        });
    }
    known.sort_unstable();
    let mut seen = BTreeSet::new();
    let addrs = known.into_iter().map(|(_, addr)| addr);
    addrs.filter(|addr| seen.insert(*addr)).take(MOST).collect()
}

/// Replaces the file as a whole, or not at all.
fn write(file: &Path, addrs: &[SocketAddrV4]) -> io::Result<()> {
    let mut out = Writer::new();
    for addr in addrs {
        out.ipv4(*addr);
    }
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = file.with_file_name(name);
    let mut open = fs::File::create(&fresh)?;
    open.write_all(&out.finish())?;
    open.sync_all()?;
    drop(open);
    fs::rename(&fresh, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(last: u8) -> SocketAddrV4 {
        SocketAddrV4::new([20, 0, 0, last].into(), 7759)
    }

    #[test]
    fn what_is_written_is_read_and_what_is_broken_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("known");
        assert!(load(&file).is_empty());
        write(&file, &[addr(1), addr(2), addr(1)]).unwrap();
        assert_eq!(load(&file), [addr(1), addr(2)]);
        write(&file, &[addr(3)]).unwrap();
        assert_eq!(load(&file), [addr(3)], "it is replaced as a whole");
        let names = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(names, 1, "nothing is left beside it");
        fs::write(&file, [20, 0, 0, 9, 30, 79, 0, 0, 0, 0, 0, 0, 1, 2]).unwrap();
        assert_eq!(load(&file), [addr(9)]);
    }

    #[test]
    fn a_file_of_any_length_is_read_as_far_as_it_is_of_use() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("known");
        let all = (0..20_000_u16).flat_map(|at| {
            let [high, low] = at.to_be_bytes();
            [20, 0, high, low, 30, 79]
        });
        fs::write(&file, all.collect::<Vec<u8>>()).unwrap();
        assert_eq!(load(&file).len(), MOST);
    }
}
