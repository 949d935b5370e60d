//! How much goes through circuits of ours and of pyipv8's, in the same run and with the same roles: each node a process of its
//! own on the loopback, datagrams of 1400 bytes that an originator asks for and the world sends, or a hidden seeder.
//!
//! ```text
//! ./soak circuits [SECONDS] [ROUNDS]
//! cargo run --release -p tribler-tunnels --example circuits -- PYTHON SECONDS ROUNDS
//! ```
//! PYTHON is the interpreter that has pyipv8; `-` leaves it out. CPU time and memory are read from `/proc`: the program is for
//! Linux. Cells per second at a relay count both directions.

#![allow(clippy::print_stdout, reason = "a program for people")]
#![allow(
    clippy::indexing_slicing,
    reason = "a program that may end where it finds nonsense"
)]

mod node;
mod process;
mod traffic;

use std::error::Error;
use std::fmt::Write;
use std::net::Ipv4Addr;
use std::time::Duration;

use net::{Network, RealOptions};
use process::{Kind, Process};
use serde_json::{Value, json};
use tokio::task::LocalSet;
use traffic::LEN;

pub(crate) type Outcome<T> = Result<T, Box<dyn Error>>;

/// Windows that are tried; the best counts, for everyone.
const WINDOWS: [u32; 3] = [32, 128, 512];

/// What may go through one circuit of the older dialect, with room to spare.
const MOST_BYTES: u64 = 180_000_000;

const RELAY: u16 = 1;
const EXIT: u16 = 1 | 2 | 4;

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let arg = |at: usize| args.get(at).map(String::as_str);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let local = LocalSet::new();
    match arg(0) {
        Some("node") => {
            let dialect = arg(1).ok_or("no dialect")?;
            let flags = arg(2).ok_or("no flags")?.parse()?;
            let most = arg(3).ok_or("no bound")?.parse()?;
            local.block_on(&runtime, node::run(dialect, flags, most))
        }
        Some("world") => {
            let sockets = arg(1).unwrap_or("1").parse()?;
            local.block_on(&runtime, world(sockets))
        }
        python => {
            let seconds = arg(1).unwrap_or("3").parse()?;
            let rounds = arg(2).unwrap_or("3").parse()?;
            compare(python.filter(|python| *python != "-"), seconds, rounds)
        }
    }
}

async fn world(sockets: usize) -> Outcome<()> {
    let network = Network::real(RealOptions::default());
    let sockets: Result<Vec<_>, _> = (0..sockets)
        .map(|_| network.datagram((Ipv4Addr::LOCALHOST, 0).into()))
        .collect();
    let sockets = sockets?;
    let ports: Vec<u16> = sockets.iter().map(|one| one.local_addr().port()).collect();
    println!("{}", json!([{"port": ports.first(), "ports": ports}]));
    let serving = sockets.iter().map(|socket| traffic::serve(&**socket));
    futures_util::future::try_join_all(serving).await?;
    Ok(())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(crate) fn from_hex(text: &str) -> Outcome<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    let bytes = digits.map(|pair| {
        let pair = std::str::from_utf8(pair)?;
        Ok(u8::from_str_radix(pair, 16)?)
    });
    bytes.collect()
}

/// What came of one measurement.
#[derive(Clone, Default)]
struct Figures {
    mbit_s: f64,
    /// Microseconds of CPU for each datagram: of the world, the exit, relays from the exit on, and the originator.
    cpu: Vec<(&'static str, f64)>,
}

fn compare(python: Option<&str>, seconds: f64, rounds: usize) -> Outcome<()> {
    let mut kinds = vec![Kind::Ours("classic"), Kind::Ours("modern")];
    kinds.extend(python.map(Kind::Theirs));
    println!("| | | Mbit/s | times pyipv8's | us of CPU for each datagram |");
    println!("|---|---|---|---|---|");
    for hops in 1..=3 {
        let measure =
            |kind: Kind<'_>| best(rounds, |window| circuit(kind, hops, (window, seconds)));
        table(&kinds, &format!("{hops} hops"), measure)?;
    }
    table(&kinds, "hidden, 1 hop", |kind| {
        best(rounds, |window| hidden(kind, (window, seconds)))
    })?;
    for name in ["classic", "modern"] {
        many(name, seconds)?;
    }
    Ok(())
}

fn table(
    kinds: &[Kind<'_>],
    what: &str,
    measure: impl Fn(Kind<'_>) -> Outcome<Figures>,
) -> Outcome<()> {
    let mut rows = Vec::new();
    for kind in kinds {
        rows.push((*kind, measure(*kind)?));
    }
    let theirs = rows
        .iter()
        .find(|(kind, _)| matches!(kind, Kind::Theirs(_)));
    let theirs = theirs.map(|(_, figures)| figures.mbit_s);
    for (kind, figures) in &rows {
        let name = match kind {
            Kind::Ours(name) => name,
            Kind::Theirs(_) => "pyipv8",
        };
        let ratio = theirs.map_or(String::new(), |theirs| {
            format!("{:.1}", figures.mbit_s / theirs)
        });
        let cpu: Vec<String> = figures
            .cpu
            .iter()
            .map(|(who, us)| format!("{who} {us:.2}"))
            .collect();
        let cpu = cpu.join(", ");
        println!(
            "| {what} | {name} | {:.0} | {ratio} | {cpu} |",
            figures.mbit_s
        );
    }
    Ok(())
}

/// The best of some rounds: what else runs on the machine makes all of them slower.
fn best(rounds: usize, round: impl Fn(u32) -> Outcome<Figures>) -> Outcome<Figures> {
    let mut best = Figures::default();
    for window in WINDOWS.repeat(rounds) {
        let figures = round(window)?;
        if figures.mbit_s > best.mbit_s {
            best = figures;
        }
    }
    Ok(best)
}

/// A download from the world.
fn circuit(kind: Kind<'_>, hops: u16, limits: (u32, f64)) -> Outcome<Figures> {
    let world = Process::world(1)?;
    let mut originator = Process::node(kind, 0, 0)?;
    let mut others = vec![("exit", Process::node(kind, EXIT, 0)?)];
    for _ in 1..hops {
        others.push(("relay", Process::node(kind, RELAY, 0)?));
    }
    acquaint(&mut originator, &mut others)?;
    let built = originator.ask(json!({"do": "build", "hops": hops}))?;
    if built["state"] != "READY" {
        return Err(format!("no circuit: {built}").into());
    }
    let mut command = json!({"do": "download", "id": built["id"], "port": world.told["port"]});
    limit(&mut command, kind, limits);
    let mut watched: Vec<(&'static str, &Process)> = vec![("world", &world)];
    watched.extend(others.iter().map(|(name, process)| (*name, process)));
    measure(&mut originator, &watched, command)
}

fn limit(command: &mut Value, kind: Kind<'_>, (window, seconds): (u32, f64)) {
    command["window"] = json!(window);
    command["seconds"] = json!(seconds);
    if kind == Kind::Ours("classic") {
        command["bytes"] = json!(MOST_BYTES);
    }
}

/// Has the originator download, and says what everyone spent on it.
fn measure(
    originator: &mut Process,
    watched: &[(&'static str, &Process)],
    command: Value,
) -> Outcome<Figures> {
    let spent = || {
        let spent: Outcome<Vec<f64>> = watched.iter().map(|(_, one)| one.cpu_us()).collect();
        spent
    };
    let (before, own) = (spent()?, originator.cpu_us()?);
    let got = originator.ask(command)?;
    let (after, own) = (spent()?, originator.cpu_us()? - own);
    let datagrams = got["datagrams"].as_f64().ok_or("nothing came")?.max(1.0);
    let seconds = got["seconds"].as_f64().ok_or("no time")?;
    let names = watched.iter().map(|(name, _)| *name);
    let used = after
        .iter()
        .zip(&before)
        .map(|(after, before)| after - before);
    let mut cpu: Vec<_> = names.zip(used.map(|us| us / datagrams)).collect();
    cpu.push(("originator", own / datagrams));
    Ok(Figures {
        mbit_s: datagrams * LEN as f64 * 8.0 / seconds / 1e6,
        cpu,
    })
}

fn acquaint(originator: &mut Process, others: &mut [(&'static str, Process)]) -> Outcome<()> {
    for at in 0..others.len() {
        let (before, rest) = others.split_at_mut(at);
        let Some(((_, one), after)) = rest.split_first_mut() else {
            break;
        };
        for (_, other) in before.iter().chain(after.iter()) {
            one.know(other)?;
        }
        originator.know(one)?;
    }
    Ok(())
}

fn pause() {
    #[expect(
        clippy::disallowed_methods,
        reason = "the process that watches has no runtime"
    )]
    std::thread::sleep(Duration::from_millis(100));
}

/// A download from a hidden seeder, one hop on either side.
fn hidden(kind: Kind<'_>, limits: (u32, f64)) -> Outcome<Figures> {
    let info_hash = hex(&[0x3c; 20]);
    let mut seeder = Process::node(kind, 0, 0)?;
    let mut leecher = Process::node(kind, 0, 0)?;
    let mut others = Vec::new();
    for flags in [RELAY, RELAY, RELAY, EXIT, EXIT] {
        others.push(("node", Process::node(kind, flags, 0)?));
    }
    acquaint(&mut seeder, &mut others)?;
    for (_, other) in &others {
        leecher.know(other)?;
    }
    let seed = json!({"do": "seed", "hops": 1, "info_hash": info_hash, "alone": true});
    seeder.ask(seed)?;
    let mut point = None;
    for _ in 0..50 {
        for (_, other) in &mut others {
            let told = other.ask(json!({"do": "introduces"}))?;
            if let Some(key) = told["seeders"].get(0) {
                point = Some((other.told.clone(), key.clone()));
            }
        }
        if point.is_some() {
            break;
        }
        pause();
    }
    let (node, key) = point.ok_or("no introduction point")?;
    let linked = leecher.ask(json!({
        "do": "contact", "hops": 1, "info_hash": info_hash, "key": node["key"], "port": node["port"], "seeder": key,
        "data": "",
    }))?;
    if linked["linked"] != true {
        return Err("the two did not meet".into());
    }
    let mut command = json!({"do": "download", "id": null});
    limit(&mut command, kind, limits);
    measure(&mut leecher, &[("seeder", &seeder)], command)
}

/// What many circuits cost, first while nothing goes through them and then while something goes through each, of the two nodes
/// that they go through: a relay that has one core, and an exit.
fn many(name: &str, seconds: f64) -> Outcome<()> {
    const CIRCUITS: usize = 1000;
    const HOPS: u8 = 2;
    let world = Process::world(CIRCUITS)?;
    let mut originator = Process::node(Kind::Ours(name), 0, 0)?;
    let exit = Process::node(Kind::Ours(name), EXIT, 2 * CIRCUITS)?;
    let relay = Process::on_one_core(name, RELAY, 2 * CIRCUITS)?;
    let mut others = vec![("exit", exit), ("relay", relay)];
    acquaint(&mut originator, &mut others)?;
    let before: Outcome<Vec<f64>> = others.iter().map(|(_, one)| one.anonymous_kib()).collect();
    let before = before?;
    let built = originator.ask(json!({"do": "many", "hops": HOPS, "circuits": CIRCUITS}))?;
    let circuits = built["circuits"].as_f64().ok_or("no circuits")?;
    println!(
        "{name}: {circuits} circuits, built in {} s",
        built["seconds"]
    );
    for ((who, one), before) in others.iter().zip(before) {
        let kib = (one.anonymous_kib()? - before) / circuits.max(1.0);
        println!("{name}: {who}, {kib:.2} KiB for each idle circuit");
    }
    let relayed = |one: &mut Process| {
        let counts = one.ask(json!({"do": "counts"}))?;
        let cells = counts["relayed"].as_f64().ok_or("no figure")?;
        Outcome::Ok((cells, one.cpu_us()?))
    };
    let (_, relay) = others.last_mut().ok_or("no relay")?;
    let before = relayed(relay)?;
    let command =
        json!({"do": "crowd", "hops": HOPS, "ports": world.told["ports"], "seconds": seconds});
    let got = originator.ask(command)?;
    let after = relayed(relay)?;
    let (cells, cpu) = (after.0 - before.0, after.1 - before.1);
    let took = got["seconds"].as_f64().ok_or("no time")?;
    println!(
        "{name}: {} circuits at once, {:.0} Mbit/s to the originator; the relay on one core passes {:.0} cells/s, {:.2} us of CPU for each, {:.0} % of it",
        got["used"],
        got["datagrams"].as_f64().unwrap_or(0.0) * LEN as f64 * 8.0 / took / 1e6,
        cells / took,
        cpu / cells.max(1.0),
        cpu / took / 10_000.0
    );
    Ok(())
}
