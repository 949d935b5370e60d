//! What people see.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use protocol::geometry::BLOCK_LEN;

use crate::ends::Cost;

/// Prints what a block of 16 KiB costs at both ends.
pub(crate) fn costs(size: u64, seeder: &Cost, leecher: &Cost) {
    let blocks = (size / u64::from(BLOCK_LEN)) as f64;
    println!("{blocks} blocks of 16 KiB; for each of them:");
    println!("{:<28} {:>10} {:>10}", "", "seeder", "downloader");
    let row = |what: &str, of: fn(&Cost) -> u64| {
        println!(
            "{what:<28} {:>10.4} {:>10.4}",
            of(seeder) as f64 / blocks,
            of(leecher) as f64 / blocks
        );
    };
    row("allocations", |cost| cost.allocations);
    row("bytes allocated", |cost| cost.allocated_bytes);
    row("voluntary context switches", |cost| cost.switches);
    row("CPU microseconds", |cost| cost.cpu_us);
}

/// Prints how many system calls a block took, from the summaries of strace.
pub(crate) fn system_calls(size: u64, seeder: &Path, leecher: &Path) -> io::Result<()> {
    let blocks = (size / u64::from(BLOCK_LEN)) as f64;
    let (seeder, leecher) = (calls(seeder)?, calls(leecher)?);
    println!(
        "{:<28} {:>10} {:>10}",
        "system calls under strace", "seeder", "downloader"
    );
    let mut names: Vec<&String> = seeder.keys().chain(leecher.keys()).collect();
    names.sort_by_key(|name| std::cmp::Reverse(seeder.get(*name).max(leecher.get(*name)).copied()));
    names.dedup();
    for name in names.into_iter().take(SHOWN) {
        let of =
            |side: &BTreeMap<String, u64>| side.get(name).copied().unwrap_or(0) as f64 / blocks;
        println!("{name:<28} {:>10.4} {:>10.4}", of(&seeder), of(&leecher));
    }
    Ok(())
}

/// Prints how often a byte of payload was copied in user space, and in how large pieces, from what valgrind logged.
pub(crate) fn copies(size: u64, seeder: &Path, leecher: &Path) -> io::Result<()> {
    let (seeder, leecher) = (copied(seeder)?, copied(leecher)?);
    println!(
        "{:<28} {:>10} {:>10}",
        "copies in user space", "seeder", "downloader"
    );
    let row = |what: &str, [seeder, leecher]: [f64; 2]| {
        println!("{what:<28} {seeder:>10.4} {leecher:>10.4}");
    };
    let blocks = (size / u64::from(BLOCK_LEN)) as f64;
    row(
        "bytes per byte of payload",
        [seeder, leecher].map(|(bytes, _)| bytes as f64 / size as f64),
    );
    row(
        "copies per block",
        [seeder, leecher].map(|(_, copies)| copies as f64 / blocks),
    );
    Ok(())
}

/// Bytes and copies; valgrind's summary has the line `==PID== Total:     1,234 bytes in 56 blocks`.
fn copied(log: &Path) -> io::Result<(u64, u64)> {
    let text = std::fs::read_to_string(log)?;
    let total = text.lines().find_map(|line| line.split_once("Total:"));
    let mut numbers = total
        .into_iter()
        .flat_map(|(_, rest)| rest.split_whitespace())
        .filter_map(|word| word.replace(',', "").parse().ok());
    numbers
        .next()
        .zip(numbers.next())
        .ok_or_else(|| io::Error::other("valgrind printed no total"))
}

/// Calls by name; `strace -c` writes: % time, seconds, usecs/call, calls, perhaps errors, name.
fn calls(summary: &Path) -> io::Result<BTreeMap<String, u64>> {
    let text = std::fs::read_to_string(summary)?;
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let count = fields.get(3)?.parse().ok()?;
        Some(((*fields.last()?).to_owned(), count))
    };
    Ok(text
        .lines()
        .filter_map(row)
        .filter(|(name, _)| name != "total")
        .collect())
}

/// Lines of the table.
const SHOWN: usize = 12;
