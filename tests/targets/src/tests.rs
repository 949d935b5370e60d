//! Every target over its seeds, and the places where a target stands.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};

/// Modules of this crate that are no targets.
const SHARED: [&str; 5] = ["imported", "lib", "members", "steps", "tests"];

/// A test for each target, and their names.
macro_rules! targets {
    ($($name:ident)*) => {
        const TARGETS: &[&str] = &[$(stringify!($name)),*];

        $(
            #[test]
            fn $name() {
                run_seeds(stringify!($name), crate::$name::run);
            }
        )*
    };
}

targets! {
    api_request
    api_server
    bencode
    control_request
    feed
    hash_many
    holepunch
    import_deluge
    import_libtorrent
    import_rqbit
    import_transmission
    ip_filter
    krpc
    lsd
    magnet
    merkle
    metainfo
    mse
    overlay_members
    overlay_messages
    overlay_packet
    peer_codec
    peer_session
    pex
    port_mapping
    proxy
    resume_record
    signing
    socks_server
    state_earlier
    state_record
    store_ops
    tracker_api
    tracker_http
    tracker_server
    tracker_settings
    tracker_udp
    tunnel_members
    tunnel_message
    tunnel_node
    upnp
    utp
    web_seed
}

thread_local! {
    /// Panics of a thread that runs tests: what a runtime on it catches ends no test by itself.
    static HERE: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Panics of all other threads.
static ELSEWHERE: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Runs a target over each of its seeds.
fn run_seeds(name: &str, run: fn(&[u8])) {
    note_panics();
    let seeds = entries(&fuzz_dir().join("seeds").join(name));
    assert!(
        !seeds.is_empty(),
        "tests/fuzz/seeds/{name} is empty: commit an input there that the target takes"
    );
    let bad: Vec<String> = seeds.iter().filter_map(|seed| finding(seed, run)).collect();
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

/// What is wrong with a target by one seed.
fn finding(seed: &Path, run: fn(&[u8])) -> Option<String> {
    // One at a time, so that a panic elsewhere is one of this target.
    static TURN: Mutex<()> = Mutex::new(());
    let shown = seed.display();
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let input = fs::read(seed).unwrap_or_else(|error| panic!("{shown}: {error}"));
    HERE.set(Some(Vec::new()));
    let ended = panic::catch_unwind(AssertUnwindSafe(|| run(&input)));
    let here = HERE.take().unwrap_or_default();
    HERE.set(Some(Vec::new()));
    let elsewhere = std::mem::take(&mut *ELSEWHERE.lock().unwrap_or_else(PoisonError::into_inner));
    if ended.is_err() || !here.is_empty() {
        return Some(format!("{shown}: {}", here.join(", ")));
    }
    (!elsewhere.is_empty()).then(|| {
        format!(
            "{shown}: on a thread of the target: {}",
            elsewhere.join(", ")
        )
    })
}

/// Has all panics of this process noted from now on; this thread is one that runs tests.
fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let text = info.to_string();
            HERE.with_borrow_mut(|here| match here {
                Some(noted) => noted.push(text),
                None => ELSEWHERE
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(text),
            });
            before(info);
        }));
    });
    HERE.set(Some(Vec::new()));
}

#[test]
fn programs_modules_seeds_and_tests_are_the_same_targets() {
    note_panics();
    let targets: BTreeSet<String> = TARGETS.iter().map(|&name| name.to_owned()).collect();
    let mut modules = names(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    for shared in SHARED {
        assert!(modules.remove(shared), "{shared}.rs is a module");
    }
    assert_eq!(
        modules, targets,
        "modules, and the list of tests/targets/src/tests.rs"
    );
    let seeds = names(&fuzz_dir().join("seeds"));
    assert_eq!(seeds, targets, "folders of tests/fuzz/seeds, and targets");
    let programs = names(&fuzz_dir().join("src/bin"));
    assert_eq!(
        programs, targets,
        "programs of tests/fuzz/src/bin, and targets"
    );
}

#[test]
fn every_program_runs_the_target_of_its_name() {
    note_panics();
    for program in entries(&fuzz_dir().join("src/bin")) {
        let name = stem(&program);
        let due = format!(
            "//! The target of this name in `tests/targets`, under libFuzzer.\n#![no_main]\n\n\
             libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::{name}::run(data));\n"
        );
        let text = fs::read_to_string(&program).expect("a readable program");
        assert_eq!(text, due, "{}", program.display());
    }
}

/// The workspace of what runs under libFuzzer.
fn fuzz_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

/// What lies in a folder, by name.
fn entries(dir: &Path) -> Vec<PathBuf> {
    let missing = |error| panic!("{}: {error}", dir.display());
    let read = fs::read_dir(dir).unwrap_or_else(missing);
    let mut paths: Vec<PathBuf> = read
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    paths.sort();
    paths
}

/// The names of what lies in a folder, without their endings.
fn names(dir: &Path) -> BTreeSet<String> {
    entries(dir).iter().map(|path| stem(path)).collect()
}

fn stem(path: &Path) -> String {
    let stem = path.file_stem().expect("a name");
    stem.to_string_lossy().into_owned()
}
