//! The bare limit: what a transfer costs on this machine when there is nothing but a socket, the store and the lanes.
//!
//! ```text
//! cargo run --release -p tribler-benches --bin limit -- [--size MIB] [--piece KIB] [--connections N] [--window BLOCKS]
//!                                                       [--rounds N] [--storage pwrite|map] [--dir DIR]
//! ```
//! A seeder and a downloader, each a process of its own, on loopback: real requests, pieces in random order, a new file,
//! every piece verified. No engine, no session, no choking, no other protocol. Prints CPU seconds per GiB of both ends
//! and MiB/s, for each round and as minimum and median: what an engine is measured against.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

mod leecher;
mod options;
mod seeder;

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use options::{Options, Role};

/// What one side of a transfer used.
#[derive(Debug, Clone, Copy)]
struct Usage {
    cpu: Duration,
    wall: Duration,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::from_args()?;
    match options.role {
        Role::Both => race(&options),
        Role::Leecher(address) => leecher::run(&options, address).map(report),
        Role::Seeder => seeder::run(&options).map(report),
    }
}

fn report(usage: Usage) {
    println!("{} {}", usage.cpu.as_secs_f64(), usage.wall.as_secs_f64());
}

/// Lets the two processes race, several times, and prints the table.
fn race(options: &Options) -> Result<(), Box<dyn Error>> {
    let dir = tempfile::Builder::new()
        .prefix("limit-")
        .tempdir_in(&options.dir)?;
    let options = Options {
        dir: dir.path().to_owned(),
        ..options.clone()
    };
    options.content().write()?;
    let gib = options.size as f64 / f64::from(1 << 30);
    println!(
        "{gib} GiB, pieces of {} KiB, {} connections, {} blocks in flight on each, {:?}, {}",
        options.piece_len / 1024,
        options.connections,
        options.window,
        options.storage,
        hash::lanes().backend(),
    );
    println!(
        "{:>6} {:>14} {:>16} {:>14} {:>8}",
        "round", "seeder s/GiB", "downloader s/GiB", "both s/GiB", "MiB/s"
    );
    let (mut costs, mut speeds) = (Vec::new(), Vec::new());
    for round in 0..options.rounds {
        options.content().warm()?;
        let (seeder, leecher) = transfer(&options)?;
        let both = (seeder.cpu + leecher.cpu).as_secs_f64() / gib;
        let speed = gib * 1024.0 / leecher.wall.as_secs_f64();
        println!(
            "{round:>6} {:>14.3} {:>16.3} {both:>14.3} {speed:>8.0}",
            seeder.cpu.as_secs_f64() / gib,
            leecher.cpu.as_secs_f64() / gib,
        );
        costs.push(both);
        speeds.push(speed);
        options.content().remove_copy()?;
    }
    costs.sort_by(f64::total_cmp);
    speeds.sort_by(f64::total_cmp);
    let middle = costs.len() / 2;
    println!(
        "CPU s/GiB: min {:.3}, median {:.3}; MiB/s: best {:.0}, median {:.0}",
        costs[0],
        costs[middle],
        speeds[speeds.len() - 1],
        speeds[middle]
    );
    Ok(())
}

/// One transfer between two processes; returns what the seeder and the downloader used.
fn transfer(options: &Options) -> Result<(Usage, Usage), Box<dyn Error>> {
    let program = std::env::current_exe()?;
    let start = |role: &[String]| {
        Command::new(&program)
            .args(role)
            .args(options.to_args())
            .stdout(Stdio::piped())
            .spawn()
    };
    let mut seeder = start(&["seeder".to_owned()])?;
    let mut from_seeder = BufReader::new(seeder.stdout.take().ok_or("no output")?);
    let mut address = String::new();
    from_seeder.read_line(&mut address)?;
    let leecher = start(&["leecher".to_owned(), address.trim().to_owned()])?;
    let leecher = leecher.wait_with_output()?;
    let mut line = String::new();
    from_seeder.read_line(&mut line)?;
    if !leecher.status.success() || !seeder.wait()?.success() {
        return Err("one side failed".into());
    }
    Ok((usage(&line)?, usage(&String::from_utf8(leecher.stdout)?)?))
}

fn usage(line: &str) -> Result<Usage, Box<dyn Error>> {
    let mut numbers = line.split_whitespace().map(str::parse::<f64>);
    let mut next = || -> Result<Duration, Box<dyn Error>> {
        Ok(Duration::from_secs_f64(
            numbers.next().ok_or("no figures")??,
        ))
    };
    Ok(Usage {
        cpu: next()?,
        wall: next()?,
    })
}
