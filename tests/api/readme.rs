//! The lines by which README shows the API, run as they stand there. The lab's network is its own, so that their ports are free.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use support::clients::listens;
use support::payload::Payload;
use support::process::Process;
use support::{Lab, ours, wait};

/// What the file is called there, and how long it is here: longer than where it is read from.
const FILM: &str = "film.mp4";
const LEN: u64 = 3_000_000;
const READ_FROM: usize = 1_000_000;

/// Ports that are named there.
const API_PORT: u16 = 8085;
const SEED_PORT: u16 = 7000;

/// Runs the block in a shell whose home is the lab, with a player that keeps what it is given.
pub(crate) fn session(lab: &Lab) {
    let block = block("daemon -o ~/Downloads --api &");
    for port in [API_PORT, SEED_PORT] {
        assert!(block.contains(&port.to_string()), "{block}");
    }
    let (home, programs) = (lab.folder("home"), lab.folder("programs"));
    Payload::single(FILM, LEN, 8085)
        .write(&home)
        .expect("a film");
    std::os::unix::fs::symlink(ours::binary(), programs.join("tribler-rs")).expect("a link");
    let player = programs.join("mpv");
    program(&player, "#!/bin/sh\nexec cat > \"$HOME/played\"\n");
    let path = std::env::var("PATH").expect("where programs are");
    let mut shell = Command::new("bash");
    shell
        .args(["-euo", "pipefail", "-c", &block])
        .current_dir(&home)
        .env_clear()
        .env("HOME", &home)
        .env("PATH", format!("{}:{path}", programs.display()));
    let mut shell = Process::start(shell, lab.dir(), "session");
    let status = shell.wait(Duration::from_secs(40));
    let words = || format!("{block}\n{}", shell.last_words());
    assert!(status.success(), "{}", words());
    let ended = wait::until(Duration::from_secs(20), || {
        (!listens(API_PORT)).then_some(())
    });
    assert!(ended.is_some(), "the daemon goes on\n{}", words());
    let film = fs::read(home.join(FILM)).expect("the film");
    let played = fs::read(home.join("played")).expect("what the player was given");
    assert!(
        played == film[READ_FROM..],
        "{} bytes were played\n{}",
        played.len(),
        words()
    );
    let said = shell.output();
    for word in [
        "\"type\":\"events_start\"",
        "\"started\":true",
        "\"name\":\"film.mp4\"",
        "\"shutdown\":true",
        "\"type\":\"tribler_shutdown_state\"",
    ] {
        assert!(
            said.contains(word),
            "{word} is not said:\n{said}\n{}",
            words()
        );
    }
}

/// The block of README's commands that has this in it.
fn block(word: &str) -> String {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let readme = fs::read_to_string(readme).expect("README");
    let blocks = readme.split("```sh\n").skip(1);
    let blocks = blocks.filter_map(|rest| rest.split_once("```"));
    let mut found = blocks.filter(|(block, _)| block.contains(word));
    let (block, _) = found
        .next()
        .unwrap_or_else(|| panic!("README has no `{word}`"));
    block.to_owned()
}

fn program(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, text).expect("a script");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("one that runs");
}
