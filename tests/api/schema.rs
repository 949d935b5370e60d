//! A program that asks whatever the description of the API allows, and what it does not: every answer has to be as described, and
//! none of them a fault of the server.

use std::fs;
use std::process::Command;
use std::time::Duration;

use support::Lab;
use support::clients::schemathesis;
use support::payload::Payload;
use support::process::Process;
use support::torrent::Torrent;

use crate::daemon::{DOWNLOADS, Daemon};

/// How many cases there are at least, and where they begin; `./soak schemathesis` sets both.
const CASES: &str = "TRIBLER_API_CASES";
const SEED: &str = "TRIBLER_TESTS_SEED";

/// Cases where nothing is said, and the seed.
const FEW: u64 = 480;
const USUAL: u64 = 8;

/// Routes that are not asked at random: one never ends, and the other ends the daemon. Tests of their own ask them.
const NOT_ASKED: [&str; 2] = ["/events", "/shutdown"];

/// What is not looked at: a text that fits its shape need not name a file, a folder or a torrent that is there; and what is asked twice,
/// or beside what is known, is let be, as Tribler does.
const NOT_LOOKED_AT: &str = "positive_data_acceptance,negative_data_rejection";

/// Asks a daemon with a torrent, and looks at what is complained of.
pub(crate) fn whatever_it_says(lab: &Lab) {
    let number = |name: &str| std::env::var(name).ok()?.parse().ok();
    let (cases, seed): (u64, u64) = (number(CASES).unwrap_or(FEW), number(SEED).unwrap_or(USUAL));
    // Where the daemon puts what it is not told a place for: whatever becomes of the download, its content is there.
    let dir = lab.folder(DOWNLOADS);
    fs::create_dir_all(dir.join("other")).expect("a folder");
    let payload = Payload::single("film.mp4", 300_000, seed);
    payload.write(&dir).expect("a film");
    let torrent = Torrent::write(&dir.join("film.torrent"), &payload, &dir, 16 << 10, &[]);
    let hash = torrent.expect("a torrent").hex();
    let words = include_str!("schema.toml")
        .replace("HASH", &hash)
        .replace("DIR", &dir.display().to_string());
    let config = lab.dir().join("schemathesis.toml");
    fs::write(&config, words).expect("a file of settings");
    let mut daemon = Daemon::start(lab, &[]);
    let mut program = Command::new(schemathesis::program());
    program
        .arg("--config-file")
        .arg(&config)
        .args(["run", &format!("http://{}/docs/swagger.json", daemon.api)])
        .args(["--header", &format!("X-Api-Key: {}", daemon.key)])
        .args(NOT_ASKED.iter().flat_map(|path| ["--exclude-path", path]))
        .args(["--checks", "all", "--continue-on-failure", "--no-color"])
        .args(["--exclude-checks", NOT_LOOKED_AT])
        .args(["--request-timeout", "100", "--generation-database", "none"])
        // One at a time, so that no file is read while its download is taken away; one that was stopped just now may be.
        .args(["--workers", "1", "--request-retries", "3"])
        .args(["--suppress-health-check", "all"])
        // Each of the routes has its share, and there are more than these.
        .args(["--max-examples", &(cases / 24).max(1).to_string()])
        .args(["--seed", &seed.to_string()])
        .current_dir(lab.dir())
        .env("HOME", lab.dir());
    let mut program = Process::start(program, lab.dir(), "schemathesis");
    let status = program.wait(Duration::from_secs(60 + cases / 10));
    let said = program.output();
    assert!(
        daemon.runs(),
        "the daemon has ended\n{}\n{said}",
        daemon.last_words()
    );
    assert!(
        status.success(),
        "seed {seed}: {status}\n{said}\n{}",
        program.errors()
    );
    let made = said.lines().find_map(|line| {
        let (count, rest) = line.trim().split_once(" generated")?;
        rest.contains("passed").then(|| count.parse::<u64>().ok())?
    });
    let made = made.unwrap_or_else(|| panic!("it does not say how many cases there were\n{said}"));
    lab.report(&format!(
        "| schemathesis {} | seed {seed} | {made} cases |",
        schemathesis::VERSION
    ));
    assert!(made >= cases, "only {made} cases of {cases}\n{said}");
}
