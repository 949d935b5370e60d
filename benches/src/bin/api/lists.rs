//! Lists: alone, crowded, what has changed, and streams of events in which nothing happens.

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use benches::process::{Process, wait};
use benches::torrents::{Torrents, name};
use control::{Ask, Query, Which};

use crate::http::{Times, get, head, open};
use crate::{Options, Served, serve};

/// Clients that ask at once, and how often in a row.
const CLIENTS: usize = 50;
const CROWDS: usize = 10;

/// For how long little things are asked for while nobody else asks for anything.
const QUIET: Duration = Duration::from_secs(2);

/// Streams of events in which nothing happens.
const STREAMS: usize = 200;

/// All of an answer.
pub(crate) const ALL: (&str, u64) = ("", u64::MAX);

pub(crate) fn measure(options: &Options, dir: &Path) -> Result<(), Box<dyn Error>> {
    let torrents = Torrents::write(dir, options.torrents, false)?;
    let mut served = serve(&options.program, &dir.join("state"))?;
    served.channel.add(&torrents, true)?;
    let Served { process, at, .. } = &served;
    let at = *at;
    wait(Duration::from_secs(2));
    head();
    alone(at, process, "GET /downloads, the first of all", 1)?;
    for _ in 0..options.rounds {
        quiet(at);
        alone(at, process, "GET /downloads", 50)?;
        crowd(at, process, "nothing changes")?;
    }
    since(&mut served, options.torrents)?;
    changing(&mut served, options)?;
    idle_streams(at, &served.process)?;
    served.process.stop().map(drop)
}

/// What has changed, and a list of the command channel.
fn since(served: &mut Served, torrents: usize) -> Result<(), Box<dyn Error>> {
    let at = served.at;
    let revision = revision(at)?;
    let mut times = Times::default();
    for _ in 0..100 {
        times
            .0
            .push(get(at, &format!("/downloads?since={revision}"), ALL)?.last);
    }
    times.print("GET /downloads?since=, nothing has changed", "");
    let some = (0..100)
        .map(|number| name(number * torrents / 100))
        .collect();
    served.channel.ask(Ask::Resume(Which {
        torrents: some,
        ..Which::default()
    }))?;
    let mut times = Times::default();
    let mut len = 0;
    for _ in 0..100 {
        let reply = get(at, &format!("/downloads?since={revision}"), ALL)?;
        times.0.push(reply.last);
        len = reply.len;
    }
    times.print(
        "GET /downloads?since=, 100 have changed",
        &format!("{len} bytes"),
    );
    let mut times = Times::default();
    for _ in 0..20 {
        let begin = Instant::now();
        served.channel.ask(Ask::List(Query::default()))?;
        times.0.push(begin.elapsed());
    }
    times.print("ctl list of as many as one answer has", "");
    Ok(())
}

/// Lists while one torrent after the other begins or pauses, as fast as they can.
fn changing(served: &mut Served, options: &Options) -> Result<(), Box<dyn Error>> {
    let changing = AtomicBool::new(true);
    let Served {
        process,
        channel,
        at,
    } = served;
    thread::scope(|scope| {
        let flag = &changing;
        let changes = scope.spawn(move || {
            let mut number = 0;
            while flag.load(Ordering::Relaxed) {
                number += 37;
                let torrents = vec![name(number % options.torrents)];
                let which = Which {
                    torrents,
                    ..Which::default()
                };
                let ask = if number % 2 == 0 {
                    Ask::Resume(which)
                } else {
                    Ask::Pause(which)
                };
                if channel.ask(ask).is_err() {
                    return;
                }
            }
        });
        let mut measured = Ok(());
        for _ in 0..options.rounds {
            measured =
                measured.and_then(|()| alone(*at, process, "GET /downloads while they change", 50));
            measured = measured.and_then(|()| crowd(*at, process, "while they change"));
        }
        changing.store(false, Ordering::Relaxed);
        let _ = changes.join();
        measured
    })
}

fn alone(
    at: SocketAddr,
    process: &Process,
    what: &str,
    count: usize,
) -> Result<(), Box<dyn Error>> {
    let (mut times, mut len, cpu) = (Times::default(), 0, process.cpu()?);
    for _ in 0..count {
        let reply = get(at, "/downloads", ALL)?;
        times.0.push(reply.last);
        len = reply.len;
    }
    let cpu = process.cpu()?.saturating_sub(cpu).as_secs_f64() * 1e3 / count as f64;
    times.print(what, &format!("{len} bytes, CPU {cpu:.1} ms each"));
    Ok(())
}

/// Asks for small things on and on; how long each took.
pub(crate) fn small(at: SocketAddr, paths: &[&str], done: &AtomicBool) -> Vec<Times> {
    let mut times: Vec<Times> = paths.iter().map(|_| Times::default()).collect();
    while !done.load(Ordering::Relaxed) {
        for (path, times) in paths.iter().zip(&mut times) {
            if let Ok(reply) = get(at, path, ALL) {
                times.0.push(reply.last);
            }
        }
        wait(Duration::from_millis(2));
    }
    times
}

/// Lists that so many ask for at once, a few times in a row, and little things beside them.
fn crowd(at: SocketAddr, process: &Process, what: &str) -> Result<(), Box<dyn Error>> {
    let (cpu, paths) = (process.cpu()?, ["/state", "/settings"]);
    let done = AtomicBool::new(false);
    let (lasts, mut smalls) = thread::scope(|scope| {
        let others = scope.spawn(|| small(at, &paths, &done));
        let mut lasts = Ok(Times::default());
        for _ in 0..CROWDS {
            lasts = lasts.and_then(|mut all: Times| {
                all.0.extend(at_once(at)?);
                Ok::<_, String>(all)
            });
        }
        done.store(true, Ordering::Relaxed);
        (lasts, others.join().unwrap_or_default())
    });
    let cpu = process.cpu()?.saturating_sub(cpu).as_secs_f64() * 1e3 / CROWDS as f64;
    lasts?.print(
        &format!("{CLIENTS} at once, {what}"),
        &format!("CPU {cpu:.0} ms"),
    );
    for (path, times) in paths.iter().zip(&mut smalls) {
        times.print(&format!("  GET {path} meanwhile"), "");
    }
    Ok(())
}

/// One list for each of so many clients; how long each took.
fn at_once(at: SocketAddr) -> Result<Vec<Duration>, String> {
    let barrier = Arc::new(Barrier::new(CLIENTS));
    let clients = (0..CLIENTS).map(|_| {
        let barrier = Arc::clone(&barrier);
        thread::spawn(move || {
            barrier.wait();
            get(at, "/downloads", ALL)
                .map(|reply| reply.last)
                .map_err(|it| it.to_string())
        })
    });
    let clients: Vec<_> = clients.collect();
    let lasts = clients.into_iter().map(|client| {
        client
            .join()
            .map_err(|_| "a client has failed".to_owned())
            .flatten()
    });
    lasts.collect()
}

/// Little things while nobody else asks for anything: what the machine makes of them at this hour.
fn quiet(at: SocketAddr) {
    let (done, paths) = (AtomicBool::new(false), ["/state", "/settings"]);
    let mut all = thread::scope(|scope| {
        let asking = scope.spawn(|| small(at, &paths, &done));
        wait(QUIET);
        done.store(true, Ordering::Relaxed);
        asking.join().unwrap_or_default()
    });
    for (path, times) in paths.iter().zip(&mut all) {
        times.print(&format!("GET {path}, and nobody asks for more"), "");
    }
}

fn revision(at: SocketAddr) -> Result<u64, Box<dyn Error>> {
    use std::io::Read as _;
    let mut all = String::new();
    open(at, "/downloads?since=0", "")?.read_to_string(&mut all)?;
    let (_, said) = all.rsplit_once("\"revision\":").ok_or("no revision")?;
    let digits: String = said.chars().take_while(char::is_ascii_digit).collect();
    Ok(digits.parse()?)
}

/// Memory and wake-ups of streams in which nothing happens.
fn idle_streams(at: SocketAddr, process: &Process) -> Result<(), Box<dyn Error>> {
    const TIME: Duration = Duration::from_secs(10);
    wait(Duration::from_secs(15));
    let looked = || -> Result<(u64, f64, f64), Box<dyn Error>> {
        let (waits, begin) = (process.waits()?, Instant::now());
        let busy = process.busy(TIME)?;
        let waits = (process.waits()? - waits) as f64 / begin.elapsed().as_secs_f64();
        Ok((process.memory()?, waits, busy))
    };
    let (none, waits, busy) = looked()?;
    println!("no stream of events: {waits:.1} wake-ups a second, {busy:.2} % of a core");
    let streams: std::io::Result<Vec<_>> = (0..STREAMS).map(|_| open(at, "/events", "")).collect();
    let streams = streams?;
    wait(Duration::from_secs(1));
    let (some, waits, busy) = looked()?;
    let each = some.saturating_sub(none) as f64 / STREAMS as f64;
    println!(
        "{STREAMS} streams of events: {waits:.1} wake-ups a second, {busy:.2} % of a core, {each:.0} bytes each"
    );
    drop(streams);
    Ok(())
}
