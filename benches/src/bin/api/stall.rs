//! What is read while the disk of the content stands still.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use benches::process::wait;

use crate::http::{Times, get, head};
use crate::lists::ALL;
use crate::swarm::Seeder;
use crate::{Options, serve};

/// Torrents that are fetched, each over a connection of its own: more than there are threads for them.
const TORRENTS: u64 = 8;

/// For how long the disk stands still.
const TIME: Duration = Duration::from_secs(20);

/// Says that this process has mounts of its own.
const INSIDE: &str = "TRIBLER_API_STALL";

pub(crate) fn measure(options: &Options, dir: &Path) -> Result<(), Box<dyn Error>> {
    if std::env::var_os(INSIDE).is_some() {
        return inside(options, dir);
    }
    let mut again = Command::new("unshare");
    again.arg("--mount").arg(std::env::current_exe()?);
    again.arg(&options.program).args(["--only", "stall"]);
    match again.env(INSIDE, "1").status() {
        Ok(status) if status.success() => Ok(()),
        outcome => {
            println!("left out: {outcome:?}");
            Ok(())
        }
    }
}

/// A file system that can be frozen.
struct Frozen {
    at: PathBuf,
    /// Thaws it in time, whatever becomes of this process.
    keeper: Option<Child>,
}

fn run(command: &mut Command) -> Result<(), Box<dyn Error>> {
    let status = command.status()?;
    if !status.success() {
        return Err(format!("{command:?}: {status}").into());
    }
    Ok(())
}

impl Frozen {
    fn mount(dir: &Path) -> Result<Self, Box<dyn Error>> {
        let (image, at) = (dir.join("image"), dir.join("disk"));
        fs::create_dir_all(&at)?;
        fs::File::create(&image)?.set_len(4 << 30)?;
        run(Command::new("mkfs.ext4").arg("-q").arg(&image))?;
        run(Command::new("mount")
            .args(["-o", "loop"])
            .arg(&image)
            .arg(&at))?;
        Ok(Self { at, keeper: None })
    }

    fn freeze(&mut self) -> Result<(), Box<dyn Error>> {
        let thaw = format!("sleep {}; fsfreeze -u \"$0\"", 2 * TIME.as_secs());
        let keeper = Command::new("sh")
            .arg("-c")
            .arg(thaw)
            .arg(&self.at)
            .spawn()?;
        self.keeper = Some(keeper);
        run(Command::new("fsfreeze").arg("-f").arg(&self.at))
    }

    fn thaw(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            // It is thawed here, and in any case where that fails.
            let thawed = Command::new("fsfreeze").arg("-u").arg(&self.at).status();
            if thawed.is_ok_and(|status| status.success()) {
                let _ = keeper.kill();
            }
            let _ = keeper.wait();
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.thaw();
        let _ = Command::new("umount").arg("--lazy").arg(&self.at).status();
    }
}

fn inside(options: &Options, dir: &Path) -> Result<(), Box<dyn Error>> {
    let mut seeders = Vec::new();
    for number in 0..TORRENTS {
        let place = dir.join(format!("seeder {number}"));
        // So that they last longer than the disk stands still.
        let size = (200 << 20) + (number << 18);
        seeders.push(Seeder::start(
            &options.program,
            &place,
            size,
            Some(3_000_000),
        )?);
    }
    wait(Duration::from_secs(2));
    let mut disk = Frozen::mount(dir)?;
    let mut served = serve(&options.program, &dir.join("state"))?;
    for (number, seeder) in seeders.iter().enumerate() {
        seeder.give(&mut served.channel, &disk.at.join(number.to_string()))?;
    }
    wait(Duration::from_secs(5));
    head();
    let one = &seeders[0].hash;
    let mut paths: Vec<String> = [
        "/state",
        "/settings",
        "/downloads",
        "/downloads?since=0",
        "/downloads?get_files=1",
        "/downloads?get_peers=1&get_pieces=1",
        "/statistics/tribler",
        "/statistics/ipv8",
        "/libtorrent/session?hop=0",
        "/libtorrent/settings?hop=0",
        "/debug/open_files",
        "/debug/threads",
        "/metrics",
    ]
    .map(str::to_owned)
    .into();
    for more in ["files", "torrent", "playlist.m3u8"] {
        paths.push(format!("/downloads/{one}/{more}"));
    }
    println!("while the disk works");
    look(served.at, &paths, Duration::from_secs(5))?;
    disk.freeze()?;
    wait(Duration::from_secs(2));
    println!("while it stands still");
    let looked = look(served.at, &paths, TIME);
    disk.thaw();
    looked?;
    served.process.stop()?;
    Ok(())
}

/// Asks for everything, on and on.
fn look(at: std::net::SocketAddr, paths: &[String], time: Duration) -> Result<(), Box<dyn Error>> {
    let mut all: Vec<Times> = paths.iter().map(|_| Times::default()).collect();
    let begin = Instant::now();
    while begin.elapsed() < time {
        for (path, times) in paths.iter().zip(&mut all) {
            times.0.push(get(at, path, ALL)?.last);
        }
        wait(Duration::from_millis(5));
    }
    for (path, times) in paths.iter().zip(&mut all) {
        times.print(
            &format!(
                "GET {}",
                path.replace(char::is_numeric, "")
                    .chars()
                    .take(48)
                    .collect::<String>()
            ),
            "",
        );
    }
    Ok(())
}
