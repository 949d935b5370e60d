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
