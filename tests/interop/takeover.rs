//! What other programs have downloaded is taken over from the state that they leave behind, without a check where nothing has
//! changed since.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use state::{Folder, Store};
use support::clients::transmission::Transmission;
use support::clients::{self, Client, Job, Running};
use support::payload::Payload;
use support::torrent::Torrent;
use support::{Lab, Need, isolated_test, ours, wait};

/// Bytes in a piece.
const PIECE: u64 = 64 * 1024;

isolated_test! {
    fn what_qbittorrent_has_is_taken_over(
        lab, limit = 120, needs = [Need::Ours, Client::Qbittorrent.need(), Client::Libtorrent("2.1.1").need()]
    ) {
        takes_over(lab, Client::Qbittorrent, "qbittorrent");
    }
}

isolated_test! {
    fn what_transmission_has_is_taken_over(
        lab, limit = 120, needs = [Need::Ours, Client::Transmission.need(), Client::Libtorrent("2.1.1").need()]
    ) {
        takes_over(lab, Client::Transmission, "transmission");
    }
}

/// Lets a client download something, ends it, and imports what it leaves behind; then once more after a file was changed.
fn takes_over(lab: &Lab, client: Client, word: &str) {
    let payload = Payload::nested("content to keep", 12, 300_000, 7);
    let origin = lab.folder("origin");
    payload.write(&origin).expect("the payload");
    let torrent = lab.dir().join("it.torrent");
    let torrent = Torrent::write(&torrent, &payload, &origin, PIECE, &[]).expect("a torrent");
    let source = torrent.path.to_str().expect("a path");
    let (content, (home, address)) = (lab.folder("content"), clients::home(lab, client.name()));

    let (seed_home, seed_address) = clients::home(lab, "seed");
    let mut seed = Job::seed(source, &origin, seed_address);
    // One of the two can be told of the other.
    seed.peers.push(address);
    let mut seed = Client::Libtorrent("2.1.1").start(&seed, &seed_home);
    clients::finish(&mut *seed, Duration::from_secs(20), "the seed");
    let peers = if client.dials() {
        vec![seed_address]
    } else {
        Vec::new()
    };
    let job = Job::download(source, &content, address, peers);
    let limit = Duration::from_secs(60);
    let mut leech: Box<dyn Running> = if client == Client::Transmission {
        let mut transmission = Transmission::start(&job, &home);
        clients::finish(&mut transmission, limit, client.name());
        // It writes what it has verified only later, and its clock has whole seconds: what it notes is earlier than the times
        // of its files until it looks at these again.
        transmission.verify();
        let rested = wait::until(limit, || is_at_rest(&content, &payload).then_some(()));
        assert!(rested.is_some(), "it goes on writing");
        transmission.verify();
        Box::new(transmission)
    } else {
        client.start(&job, &home)
    };
    clients::finish(&mut *leech, limit, client.name());
    // What a program knows only when it ends in order is in its state then.
    leech.process().signal("TERM");
    leech.process().wait(Duration::from_secs(20));
    seed.process().stop();

    let state = lab.dir().join("state");
    let lines = import(&home, &state, &[]);
    assert!(!state.exists(), "a dry run writes nothing");
    let (row, end) = (&lines[0], &lines[lines.len() - 1]);
    lab.report(&format!("{}: {row}", client.name()));
    assert_eq!(
        (&row["state"], &row["data"]),
        (&Value::from("new"), &Value::from("believed")),
        "{row}"
    );
    assert_eq!(row["size"].as_u64(), Some(payload.len), "{row}");
    assert_eq!(row["claimed"].as_u64(), Some(payload.len), "{row}");
    assert_eq!(row["dir"].as_str(), content.to_str(), "{row}");
    assert_eq!(row.get("left_out"), None, "{row}");
    assert_eq!(
        (&end["program"], end["new"].as_u64()),
        (&Value::from(word), Some(1)),
        "{end}"
    );

    import(&home, &state, &["--apply"]);
    check_store(&state, &torrent, &payload, &content, true);
    assert_eq!(import(&home, &state, &["--apply"])[0]["state"], "known");

    // A file that somebody has written to is no longer what the record is about.
    let file = content.join(&payload.name).join(longest(&payload));
    let mut opened = OpenOptions::new().append(true).open(&file).expect("a file");
    opened.write_all(b"!").expect("a byte more");
    drop(opened);
    let other = lab.dir().join("other state");
    let row = import(&home, &other, &["--apply"]).remove(0);
    assert_eq!(row["data"], "to_check", "{row}");
    assert_eq!(row["doubts"].as_array().map(Vec::len), Some(1), "{row}");
    check_store(&other, &torrent, &payload, &content, false);
}

/// Whether nobody has written to the files for more than two seconds.
fn is_at_rest(content: &Path, payload: &Payload) -> bool {
    payload.files.iter().all(|(path, _)| {
        let file = fs::metadata(content.join(&payload.name).join(path));
        let written = file.and_then(|file| file.modified()).ok();
        let age = written.and_then(|written| written.elapsed().ok());
        // One without bytes may not be made.
        age.is_none_or(|age| age > Duration::from_secs(2))
    })
}

/// The path of the longest file.
fn longest(payload: &Payload) -> PathBuf {
    let file = payload.files.iter().max_by_key(|(_, len)| *len);
    Path::new(&file.expect("files").0).to_path_buf()
}

/// Runs `import`; the lines of JSON.
fn import(from: &Path, state: &Path, more: &[&str]) -> Vec<Value> {
    let mut command = Command::new(ours::binary());
    command
        .arg("import")
        .arg(from)
        .arg("--state")
        .arg(state)
        .arg("--json")
        .args(more);
    let output = command.output().expect("the command starts");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
    let lines = String::from_utf8(output.stdout).expect("text");
    let lines = lines.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().expect("lines of JSON")
}

/// Looks at what is in the store.
fn check_store(dir: &Path, torrent: &Torrent, payload: &Payload, content: &Path, clean: bool) {
    let medium = Arc::new(Folder::new(dir.to_path_buf()));
    let (store, _) = Store::open(medium, state::OpenOptions::default()).expect("a store");
    let torrents = store.summaries().expect("its torrents").torrents;
    let [(key, record)] = &torrents[..] else {
        panic!("{torrents:?}");
    };
    assert_eq!(record.hashes.wire().0, torrent.info_hash);
    assert_eq!((&*record.name, &*record.dir), (&*payload.name, content));
    assert!(record.added > 1_600_000_000, "{record:?}");
    let progress = store.progress(*key).expect("progress").expect("progress");
    assert!(progress.have.is_full() && progress.have.len() == torrent.pieces);
    assert_eq!(progress.clean, clean);
    for ((path, _), stamp) in payload.files.iter().zip(&progress.files) {
        let len = fs::metadata(content.join(&payload.name).join(path)).map(|file| file.len());
        assert_eq!(stamp.len, len.ok(), "{path}");
    }
    let traffic = store.traffic(*key).expect("traffic");
    assert!(traffic.active_seconds > 0, "{traffic:?}");
    let kept = store.metainfo(*key).expect("metadata").expect("metadata");
    let info = kept
        .windows(torrent.info.len())
        .any(|window| window == torrent.info);
    assert!(info, "the info dictionary is kept as it is");
}
