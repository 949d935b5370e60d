//! Torrents exchanged over encrypted streams (MSE): every policy of ours against what others can be held to.
//!
//! The others are told to refuse what they shall not use, so that an exchange that completes has used what is named. Where
//! they refuse what our policy tries first, it completes by our second connection, which is of the other kind.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use support::Lab;
use support::clients::aria2::Aria2;
use support::clients::libtorrent::Libtorrent;
use support::clients::transmission::Transmission;
use support::clients::{Client, Job, Running, finish, home};
use support::ours::Ours;
use support::payload::Payload;
use support::torrent::Torrent;

const READY: Duration = Duration::from_secs(30);
const DONE: Duration = Duration::from_secs(60);

/// What another program takes and offers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Theirs {
    /// Encrypted streams under RC4, and nothing else.
    Rc4,
    /// Encrypted handshakes and plain streams behind them, and nothing else.
    Obfuscated,
    /// Both of these.
    Covered,
    /// Everything: what it does by itself.
    Usual,
    /// Plain streams, and nothing else.
    Plain,
}

/// One exchange.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange {
    /// The program on the other side.
    pub(crate) with: Client,
    /// What it is told.
    pub(crate) theirs: Theirs,
    /// Our `--encryption`.
    pub(crate) ours: &'static str,
    /// Whether they meet by uTP alone, or by TCP alone.
    pub(crate) utp: bool,
}

/// All that libtorrent can be held to, against every policy of ours that goes with it.
pub(crate) fn with_libtorrent(version: &'static str) -> Vec<Exchange> {
    let pairs = [
        (Theirs::Rc4, "require"),
        (Theirs::Rc4, "prefer"),
        (Theirs::Rc4, "allow"),
        (Theirs::Obfuscated, "prefer"),
        (Theirs::Obfuscated, "allow"),
        (Theirs::Covered, "require"),
        (Theirs::Covered, "allow"),
        (Theirs::Usual, "require"),
        (Theirs::Usual, "prefer"),
        (Theirs::Plain, "prefer"),
        (Theirs::Plain, "allow"),
        (Theirs::Plain, "off"),
    ];
    let with = Client::Libtorrent(version);
    let tcp = pairs.map(|(theirs, ours)| Exchange {
        with,
        theirs,
        ours,
        utp: false,
    });
    let utp = [
        (Theirs::Rc4, "require"),
        (Theirs::Obfuscated, "allow"),
        (Theirs::Plain, "prefer"),
    ];
    let utp = utp.map(|(theirs, ours)| Exchange {
        with,
        theirs,
        ours,
        utp: true,
    });
    tcp.into_iter().chain(utp).collect()
}

/// What a program does that is not told as much.
pub(crate) fn with_other(with: Client) -> Vec<Exchange> {
    let pairs = [
        (Theirs::Rc4, "require"),
        (Theirs::Rc4, "allow"),
        (Theirs::Usual, "prefer"),
    ];
    pairs
        .map(|(theirs, ours)| Exchange {
            with,
            theirs,
            ours,
            utp: false,
        })
        .into()
}

/// Runs each of them both ways.
pub(crate) fn both_ways(lab: &Lab, exchanges: &[Exchange]) {
    for exchange in exchanges {
        run(lab, *exchange, true);
        run(lab, *exchange, false);
    }
}

/// Lets one side get a file from the other, and compares the bytes. The leecher dials, if it can be told to.
fn run(lab: &Lab, exchange: Exchange, ours_seeds: bool) {
    let name = "covered.bin";
    let payload = Payload::single(name, 3_000_001, 17);
    let (data, at_seeder) = home(lab, "seeds");
    let (dir, at_leecher) = home(lab, "leeches");
    payload.write(&data).expect("the payload");
    let file = data.join("input.torrent");
    Torrent::write(&file, &payload, &data, 64 * 1024, &[]).expect("a torrent");
    let (seeder, leecher) = if ours_seeds {
        (Client::Ours, exchange.with)
    } else {
        (exchange.with, Client::Ours)
    };
    let job = |dir: &Path, listen, peers, seed| Job {
        source: file.display().to_string(),
        dir: dir.to_owned(),
        listen,
        peers,
        seed,
    };
    let dials = |client: Client, at: SocketAddr| if client.dials() { vec![at] } else { Vec::new() };
    // Who cannot be told whom to dial is dialled.
    let others = if leecher.dials() {
        Vec::new()
    } else {
        dials(seeder, at_leecher)
    };
    let mut seed = start(lab, seeder, exchange, &job(&data, at_seeder, others, true));
    finish(&mut *seed, READY, "the seed");
    let begin = Instant::now();
    let peers = dials(leecher, at_seeder);
    let mut leech = start(lab, leecher, exchange, &job(&dir, at_leecher, peers, false));
    finish(
        &mut *leech,
        DONE,
        &format!("{exchange:?}, ours seeds: {ours_seeds}"),
    );
    let took = begin.elapsed();
    let read = |dir: &Path| std::fs::read(dir.join(name)).expect("the content");
    assert!(read(&dir) == read(&data), "the bytes differ");
    lab.report(&format!(
        "| {} | {} {:?} | ours {} | {} to {} | {:.1} s |",
        if exchange.utp { "uTP" } else { "TCP" },
        exchange.with.name(),
        exchange.theirs,
        exchange.ours,
        seeder.name(),
        leecher.name(),
        took.as_secs_f64()
    ));
    for client in [&mut leech, &mut seed] {
        client.process().stop();
    }
}

fn start(lab: &Lab, client: Client, exchange: Exchange, job: &Job) -> Box<dyn Running> {
    let own = lab.folder(&format!("home {}", job.listen.port()));
    match client {
        Client::Libtorrent(version) => {
            let mut args = vec!["--encryption", exchange.theirs.to_libtorrent()];
            args.extend(exchange.utp.then_some("--utp"));
            Box::new(Libtorrent::start_with(version, job, &own, &args))
        }
        Client::Ours => {
            let transport = if exchange.utp { "utp" } else { "tcp" };
            let args = ["--encryption", exchange.ours, "--transport", transport];
            Box::new(Ours::start_with(job, &own, &args))
        }
        Client::Aria2 => {
            let args: &[&str] = match exchange.theirs {
                Theirs::Rc4 => &["--bt-force-encryption=true", "--bt-min-crypto-level=arc4"],
                Theirs::Usual => &[],
                Theirs::Covered | Theirs::Obfuscated | Theirs::Plain => {
                    unreachable!("not asked of it")
                }
            };
            Box::new(Aria2::start_with(job, &own, args))
        }
        Client::Transmission => {
            let encryption = match exchange.theirs {
                Theirs::Rc4 => 2,
                Theirs::Usual => 1,
                Theirs::Covered | Theirs::Obfuscated | Theirs::Plain => {
                    unreachable!("not asked of it")
                }
            };
            Box::new(Transmission::start_with(job, &own, encryption))
        }
    }
}

impl Theirs {
    /// As `lt_peer.py` has it.
    const fn to_libtorrent(self) -> &'static str {
        match self {
            Self::Rc4 => "rc4",
            Self::Obfuscated => "obfuscated",
            Self::Covered => "covered",
            Self::Usual => "usual",
            Self::Plain => "plain",
        }
    }
}
