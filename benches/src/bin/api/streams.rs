//! Files that are read while they are fetched.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use benches::process::wait;
use control::Query;

use crate::http::{Times, get, head};
use crate::lists::ALL;
use crate::swarm::Seeder;
use crate::{Options, serve};

/// Bytes a second of seeders, where they are limited, and of the file.
const SEEDERS: [(Option<u64>, u64); 3] = [
    (Some(10_000_000), 100 << 20),
    (Some(100_000_000), 1 << 30),
    (None, 1 << 30),
];

/// Places that are jumped to.
const SEEKS: u64 = 20;

pub(crate) fn measure(options: &Options, dir: &Path) -> Result<(), Box<dyn Error>> {
    for (rate, size) in SEEDERS {
        let shown = rate.map_or_else(
            || "as fast as can be".to_owned(),
            |rate| format!("{} MB/s", rate / 1_000_000),
        );
        println!("a seeder that gives {shown}, {} MiB", size >> 20);
        let place = dir.join(format!("{} a second", rate.unwrap_or_default()));
        let seeder = Seeder::start(&options.program, &place, size, rate)?;
        wait(Duration::from_secs(2));
        for round in 0..options.rounds {
            let place = place.join(round.to_string());
            whole(options, (&seeder, size), &place)?;
            head();
            seeks(options, (&seeder, size), &place.join("seeks"))?;
        }
    }
    Ok(())
}

/// A file whole, without and with a reader.
fn whole(
    options: &Options,
    (seeder, size): (&Seeder, u64),
    dir: &Path,
) -> Result<(), Box<dyn Error>> {
    let mb = |took: Duration| size as f64 / took.as_secs_f64() / 1e6;
    let mut alone = serve(&options.program, &dir.join("alone"))?;
    let (begin, cpu) = (Instant::now(), alone.process.cpu()?);
    seeder.give(&mut alone.channel, &dir.join("alone/content"))?;
    let complete = Query {
        complete: Some(true),
        ..Query::default()
    };
    alone.channel.until(complete, 1)?;
    let fetched = mb(begin.elapsed());
    let cpu_alone = alone.process.cpu()?.saturating_sub(cpu).as_secs_f64();
    alone.process.stop()?;
    let mut read = serve(&options.program, &dir.join("read"))?;
    let (begin, cpu) = (Instant::now(), read.process.cpu()?);
    seeder.give(&mut read.channel, &dir.join("read/content"))?;
    let reply = get(
        read.at,
        &format!("/downloads/{}/stream/0", seeder.hash),
        ALL,
    )?;
    let streamed = mb(begin.elapsed());
    let cpu_read = read.process.cpu()?.saturating_sub(cpu).as_secs_f64();
    if reply.len != size {
        return Err(format!("{} bytes of {size} were read", reply.len).into());
    }
    println!(
        "fetched {fetched:.2} MB/s, CPU {cpu_alone:.2} s; read {streamed:.2} MB/s, CPU {cpu_read:.2} s: {:.1} %",
        100.0 * streamed / fetched
    );
    read.process.stop().map(drop)
}

/// The first byte after each jump to where nothing is yet.
fn seeks(
    options: &Options,
    (seeder, size): (&Seeder, u64),
    dir: &Path,
) -> Result<(), Box<dyn Error>> {
    let mut served = serve(&options.program, dir)?;
    seeder.give(&mut served.channel, &dir.join("content"))?;
    let path = format!("/downloads/{}/stream/0", seeder.hash);
    // While it is connected, and for the first time.
    let begun = get(served.at, &path, ("", 64 << 10))?.first;
    println!("the first byte of all: {:.0} ms", begun.as_secs_f64() * 1e3);
    let mut times = Times::default();
    let mut rest = size;
    for number in 0..SEEKS {
        // Well stirred, and never near to each other.
        let to = (number * 7 % SEEKS) * size / SEEKS + size / SEEKS / 2;
        let range = format!("Range: bytes={to}-\r\n");
        times
            .0
            .push(get(served.at, &path, (&range, 64 << 10))?.first);
        rest -= 64 << 10;
    }
    times.print(
        "the first byte after a seek",
        &format!("{} MiB never asked for", rest >> 20),
    );
    served.process.stop().map(drop)
}
