//! A process of its own for each test, in namespaces of its own.
//!
//! The test binary starts itself again through `unshare` with new network, mount and process namespaces. Inside, only
//! `lo` exists, with 10.99.0.0/16 routed to it: some clients refuse to dial 127.0.0.0/8, and every program gets an
//! address of its own. The inner process is the first of its process namespace: when it ends, for whatever reason, the
//! kernel ends everything that it started.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use crate::{clients, ours, overlay, wait};

/// Declares a test whose body runs alone in its own namespaces and gets a [`Lab`].
///
/// ```text
/// isolated_test! {
///     /// What must hold.
///     fn a_claim_in_plain_words(lab, limit = 60, needs = [Need::Ours]) { ... }
/// }
/// ```
/// `limit` is in seconds; when it has passed, and the [`patience`](crate::wait::patience) for it, the test fails. Without
/// one of its needs a test is skipped with a line that says so; with `CI` set it fails.
#[macro_export]
macro_rules! isolated_test {
    ($(#[$meta:meta])* fn $name:ident($lab:ident, limit = $limit:expr, needs = $needs:expr) $body:block) => {
        $(#[$meta])*
        #[test]
        fn $name() {
            fn body($lab: &$crate::Lab) $body
            let path = concat!(module_path!(), "::", stringify!($name));
            $crate::sandbox::run(path, std::time::Duration::from_secs($limit), &$needs, body);
        }
    };
}

/// What a test cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// libtorrent of this version, in its virtual environment.
    Libtorrent(&'static str),
    /// The built `tribler-rs` command.
    Ours,
    /// A program on the search path.
    Program(&'static str),
    /// pyipv8 of this version, in its virtual environment.
    Pyipv8(&'static str),
    /// Real root: loop devices and other users are out of reach in a user namespace.
    Root,
    /// Schemathesis, in its virtual environment.
    Schemathesis,
    /// opentracker, and the rights to start it.
    Tracker,
}

/// A test's private corner: a folder, addresses, and a place for what people should see.
#[derive(Debug)]
pub struct Lab {
    dir: PathBuf,
    next: AtomicU16,
}

impl Lab {
    /// The test's own folder; removed when the test succeeds, kept when it fails.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes and returns the folder `name` below the test's own.
    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.dir.join(name);
        fs::create_dir_all(&path).expect("a folder in the lab");
        path
    }

    /// An address that nobody has had before in this test, neither its IP nor its port.
    pub fn address(&self) -> SocketAddr {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let [high, low] = n.to_be_bytes();
        SocketAddr::from((Ipv4Addr::new(10, 99, high + 1, low), 20_000 + n))
    }

    /// Shows a line to the person who runs the tests, also when the test succeeds.
    pub fn report(&self, line: &str) {
        let mut file = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.dir.join(REPORT))
            .expect("the report of the lab");
        // At once, whoever else reports.
        let line = format!("{line}\n");
        file.write_all(line.as_bytes())
            .expect("a line in the report");
    }
}

/// Runs `body` in its own namespaces; [`isolated_test!`] calls this.
pub fn run(path: &str, limit: Duration, needs: &[Need], body: fn(&Lab)) {
    // libtest names tests without the name of the crate.
    let name = path.split_once("::").map_or(path, |(_, rest)| rest);
    if std::env::var(INSIDE).is_ok_and(|inside| inside == name) {
        let dir = PathBuf::from(std::env::var_os(FOLDER).expect("the folder comes with the name"));
        watch(wait::patience(limit));
        raise_loopback();
        body(&Lab {
            dir,
            next: AtomicU16::new(10),
        });
        return;
    }
    if let Some(lack) = lack(needs) {
        assert!(
            std::env::var_os("CI").is_none(),
            "{name}: {lack}, and CI must not skip; tests/setup installs it"
        );
        show(&format!(
            "{name}: skipped, {lack} (tests/setup installs it)\n"
        ));
        return;
    }
    start_inside(name, needs);
}

/// Starts this test again inside, and passes on its report and its failure.
fn start_inside(name: &str, needs: &[Need]) {
    let dir = tempfile::Builder::new()
        .prefix("tribler-rs-")
        .tempdir()
        .expect("a temporary folder");
    let output = fs::File::create(dir.path().join(OUTPUT)).expect("a file for the output");
    let mut command = Command::new("unshare");
    command
        .args(unshare_flags())
        .arg(std::env::current_exe().expect("the test binary"))
        .args([
            "--exact",
            name,
            "--nocapture",
            "--include-ignored",
            "--test-threads=1",
        ])
        .env(INSIDE, name)
        .env(FOLDER, dir.path())
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::piped())
        .stdout(output.try_clone().expect("one more handle"))
        .stderr(output);
    if needs.contains(&Need::Ours) {
        command.env(ours::BINARY, ours::build());
    }
    let mut child = command.spawn().expect("unshare starts");
    // The inner process watches the other end: it ends when this process does.
    let lifeline = child.stdin.take();
    let status = child.wait().expect("unshare ends");
    drop(lifeline);
    show(&fs::read_to_string(dir.path().join(REPORT)).unwrap_or_default());
    if status.success() && std::env::var_os(KEEP).is_some() {
        show(&format!(
            "{name}: logs and files are in {}\n",
            dir.keep().display()
        ));
        return;
    }
    if !status.success() {
        let output = fs::read(dir.path().join(OUTPUT)).unwrap_or_default();
        let dir = dir.keep();
        panic!(
            "{name} failed; logs and files are in {}\n{}",
            dir.display(),
            String::from_utf8_lossy(&output)
        );
    }
}

/// The first need that is not met, in words.
fn lack(needs: &[Need]) -> Option<String> {
    let probe = Command::new("unshare")
        .args(unshare_flags())
        .arg("true")
        .output();
    if !probe.is_ok_and(|output| output.status.success()) {
        return Some("no permission to make network namespaces with `unshare`".to_owned());
    }
    if !on_path("ip") {
        return Some("no `ip` program".to_owned());
    }
    needs.iter().find_map(|need| match need {
        Need::Libtorrent(version) => (!clients::libtorrent::python(version).is_file())
            .then(|| format!("no libtorrent {version}")),
        Need::Ours => None,
        Need::Program(name) => (!on_path(name)).then(|| format!("no `{name}` program")),
        Need::Pyipv8(version) => {
            (!overlay::pyipv8(version).is_file()).then(|| format!("no pyipv8 {version}"))
        }
        Need::Schemathesis => (!clients::schemathesis::program().is_file())
            .then(|| format!("no schemathesis {}", clients::schemathesis::VERSION)),
        Need::Tracker if !is_root() => {
            Some("opentracker changes its user, for which it needs root".to_owned())
        }
        Need::Tracker => (!on_path("opentracker")).then(|| "no `opentracker` program".to_owned()),
        Need::Root => (!is_root()).then(|| "not root".to_owned()),
    })
}

fn unshare_flags() -> Vec<&'static str> {
    let mut flags = vec![
        "--net",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ];
    if !is_root() {
        flags.push("--map-root-user");
    }
    flags
}

fn is_root() -> bool {
    fs::read_to_string("/proc/self/status")
        .is_ok_and(|status| status.lines().any(|line| line.starts_with("Uid:\t0\t0")))
}

/// Whether a program of this name lies in one of the folders of `PATH`, or where Debian keeps those of root.
pub fn on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .any(|dir| dir.join(name).is_file())
}

/// Ends this process, and with it its whole namespace, when `limit` has passed or the outer test is gone.
fn watch(limit: Duration) {
    std::thread::spawn(move || {
        wait::pause(limit);
        show_error(&format!(
            "the time limit of {} s has passed",
            limit.as_secs()
        ));
        std::process::exit(124);
    });
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(125);
    });
}

fn raise_loopback() {
    let ip = |line: &str| succeeds(&line.split(' ').collect::<Vec<_>>());
    assert!(ip("ip link set lo up"), "lo comes up");
    assert!(ip("ip addr add 10.99.0.1/32 dev lo"), "an address on lo");
    let route = "ip route add local 10.99.0.0/16 dev lo src 10.99.0.1";
    // Cubic is what Linux machines run; kernels that cannot set it by route keep their default.
    assert!(
        ip(&format!("{route} congctl cubic")) || ip(route),
        "a route to lo"
    );
}

/// Runs a program to its end and panics with its words when it fails. For set-up such as mounts.
pub fn must(command: &[&str]) {
    let output = Command::new(command[0]).args(&command[1..]).output();
    let output = output.unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Runs a program to its end, and tells whether it succeeds.
///
/// # Panics
/// When there is no such program.
pub fn succeeds(command: &[&str]) -> bool {
    let output = Command::new(command[0]).args(&command[1..]).output();
    let output = output.unwrap_or_else(|e| panic!("{command:?}: {e}"));
    output.status.success()
}

/// Has the kernel turn away every packet to this test's own addresses that `rule` fits, as `nft` has it.
///
/// # Panics
/// When it does not take the rule.
pub fn refuse(rule: &str) {
    must(&["nft", "add", "table", "inet", "lab"]);
    let chain = "nft add chain inet lab in { type filter hook input priority 0 ; }";
    must(&chain.split(' ').collect::<Vec<_>>());
    let rule = format!("nft add rule inet lab in {rule} reject");
    must(&rule.split(' ').collect::<Vec<_>>());
}

/// Writes past the capture of libtest.
fn show(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn show_error(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Set by people who want to see the files of tests that succeed.
const KEEP: &str = "TRIBLER_TESTS_KEEP";
const INSIDE: &str = "TRIBLER_TESTS_INSIDE";
const FOLDER: &str = "TRIBLER_TESTS_FOLDER";
const OUTPUT: &str = "output.txt";
const REPORT: &str = "report.txt";
