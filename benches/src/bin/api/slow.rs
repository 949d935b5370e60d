//! Clients that read one byte a second: what they cost, and what others wait for them.

use std::error::Error;
use std::io::Read as _;
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use benches::content::Content;
use benches::process::wait;
use benches::torrents::Torrents;
use control::{Add, Ask, Blob, Origin, Which};

use crate::http::{head, open};
use crate::lists::small;
use crate::{Options, Served, serve};

/// Slow clients of each kind.
const CLIENTS: usize = 100;

/// For how long they read.
const TIME: Duration = Duration::from_secs(20);

pub(crate) fn measure(options: &Options, dir: &Path) -> Result<(), Box<dyn Error>> {
    let torrents = Torrents::write(dir, options.torrents, false)?;
    let mut served = serve(&options.program, &dir.join("state"))?;
    served.channel.add(&torrents, true)?;
    // As one torrent has no more readers than that.
    let mut files = Vec::new();
    for half in 0..2 {
        let content = Content {
            dir: dir.join(format!("half {half}")),
            size: (256 << 20) + half,
            piece_len: 1 << 20,
        };
        content.write()?;
        let metainfo = content.metainfo()?;
        served.channel.ask(Ask::Add(Add {
            torrents: vec![Origin::File(Blob(metainfo.to_bytes()?))],
            dir: content.original().to_str().map(str::to_owned),
            no_check: true,
            ..Add::default()
        }))?;
        files.push(format!("/downloads/{}/stream/0", metainfo.hashes().wire()));
    }
    wait(Duration::from_secs(3));
    head();
    of(&mut served, "nobody", &[])?;
    of(&mut served, "/downloads, nothing changes", &["/downloads"])?;
    of(&mut served, "/events", &["/events"])?;
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    of(&mut served, "files", &files)?;
    // What they hold is of another moment for each.
    let all = served.channel.ask(Ask::Resume(Which {
        all: true,
        ..Which::default()
    }));
    all?;
    of(&mut served, "/downloads, all have begun", &["/downloads"])?;
    served.process.stop().map(drop)
}

/// What slow clients of these cost, who ask one behind the other while others look at little things and at the list.
fn of(served: &mut Served, what: &str, paths: &[&str]) -> Result<(), Box<dyn Error>> {
    let at = served.at;
    wait(Duration::from_secs(15));
    let (before, kernel) = (served.process.memory()?, kernel());
    let mut clients: Vec<TcpStream> = Vec::new();
    for (number, path) in (0..CLIENTS).zip(paths.iter().cycle()) {
        let client = open(at, path, "")?;
        client.set_nonblocking(true)?;
        clients.push(client);
        if number % 10 == 9 {
            wait(Duration::from_millis(100));
        }
    }
    let done = AtomicBool::new(false);
    let paths = ["/state", "/downloads"];
    let (mut smalls, after, used) = thread::scope(|scope| {
        let others = scope.spawn(|| small(at, &paths, &done));
        let begin = Instant::now();
        let mut one = [0];
        while begin.elapsed() < TIME {
            for client in &mut clients {
                // There may be nothing yet.
                let _ = client.read(&mut one);
            }
            wait(Duration::from_secs(1));
        }
        let after = served.process.memory();
        let used = self::kernel();
        done.store(true, Ordering::Relaxed);
        (others.join().unwrap_or_default(), after, used)
    });
    let more = after?.saturating_sub(before) as f64 / CLIENTS as f64 / 1024.0;
    let used = used.saturating_sub(kernel) as f64 / CLIENTS as f64 / 1024.0;
    println!(
        "slow readers of {what}: {more:.1} KiB each in the daemon, {used:.0} KiB each in buffers of the system"
    );
    for (path, times) in paths.iter().zip(&mut smalls) {
        times.print(&format!("  GET {path} meanwhile"), "");
    }
    Ok(())
}

/// Bytes of all TCP buffers of the system, those of both ends.
fn kernel() -> u64 {
    let text = std::fs::read_to_string("/proc/net/sockstat").unwrap_or_default();
    let tcp = text.lines().find_map(|line| line.strip_prefix("TCP:"));
    let mut words = tcp
        .unwrap_or_default()
        .split(' ')
        .skip_while(|word| *word != "mem");
    let pages = words.nth(1).and_then(|word| word.parse::<u64>().ok());
    pages.unwrap_or_default() << 12
}
