//! The project's own command, built when needed and driven by its command line.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

use crate::clients::{Encryption, Job, Running, Stage};
use crate::host::Host;
use crate::process::Process;
use crate::wait;

/// The environment variable that names the command: inside a sandbox, where nothing can be built, and for people who want
/// to test a command that they have.
pub const BINARY: &str = "TRIBLER_TESTS_BINARY";

/// Path of the command, inside a sandbox.
///
/// # Panics
/// When the test does not list `Need::Ours`.
pub fn binary() -> PathBuf {
    PathBuf::from(std::env::var_os(BINARY).expect("the test lists Need::Ours"))
}

/// The command that [`BINARY`] names, or else built in the profile of the running tests, once per process.
///
/// The targets are chosen so that cargo resolves the same features as for `cargo test --workspace`: after that command
/// there is nothing left to build.
///
/// # Panics
/// When the build fails.
pub fn build() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            if let Some(path) = std::env::var_os(BINARY) {
                return path.into();
            }
            let test = std::env::current_exe().expect("the test binary");
            // target/PROFILE/deps/NAME-HASH
            let folder = test
                .ancestors()
                .nth(2)
                .expect("a folder of its profile")
                .to_owned();
            let mut cargo =
                Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
            cargo
                .args([
                    "build",
                    "--workspace",
                    "--locked",
                    "--quiet",
                    "--bin",
                    "tribler-rs",
                    "--test",
                    "arch",
                ])
                .arg("--target-dir")
                .arg(folder.parent().expect("the target folder"))
                .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
            // Build scripts would take what `cargo test` sets for this test as a change of their own surroundings.
            for (name, _) in std::env::vars_os() {
                let told = ["CARGO_BIN_", "CARGO_MANIFEST_", "CARGO_PKG_"];
                if told
                    .iter()
                    .any(|start| name.to_string_lossy().starts_with(start))
                {
                    cargo.env_remove(name);
                }
            }
            if folder.ends_with("release") {
                cargo.arg("--release");
            }
            let output = cargo.output().expect("cargo runs");
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            folder.join("tribler-rs")
        })
        .clone()
}

/// How the bytes of each connection went over the wire, by the log of a job that is about encryption: `plain`, `obfuscated`
/// or `rc4`.
pub fn wires(log: &str) -> Vec<String> {
    let lines = log.lines().filter(|line| line.contains("connected peer="));
    let wire = |line: &str| Some(line.split("wire=\"").nth(1)?.split('"').next()?.to_owned());
    lines.filter_map(wire).collect()
}

/// What our `--encryption` calls it.
fn policy(encryption: Encryption) -> &'static str {
    match encryption {
        Encryption::Plain => "off",
        Encryption::Preferred => "prefer",
        Encryption::Rc4 => "require",
        Encryption::Usual => "allow",
        Encryption::Covered | Encryption::Obfuscated => unreachable!("it has no policy for that"),
    }
}

/// A running `tribler-rs download` or `tribler-rs seed`.
#[derive(Debug)]
pub struct Ours {
    process: Process,
    seed: bool,
}

impl Ours {
    /// Does the job, with its state in `home`.
    pub fn start(job: &Job, home: &Path) -> Self {
        Self::start_with(job, home, &[])
    }

    /// Does the job with further arguments.
    pub fn start_with(job: &Job, home: &Path, more: &[&str]) -> Self {
        Self::start_by(Command::new(binary()), job, home, more)
    }

    /// Does the job on another host, with further arguments.
    pub fn start_on(host: &Host, job: &Job, home: &Path, more: &[&str]) -> Self {
        Self::start_by(host.command(&binary()), job, home, more)
    }

    fn start_by(mut command: Command, job: &Job, home: &Path, more: &[&str]) -> Self {
        if job.seed {
            command.args(["seed", &job.source, "--data"]).arg(&job.dir);
        } else {
            command
                .args(["download", &job.source, "--output"])
                .arg(&job.dir);
        }
        command
            .args(["--json", "--no-lsd"])
            .args(["--listen", &job.listen.to_string(), "--state"])
            .arg(home.join("state"));
        for peer in &job.peers {
            command.args(["--peer", &peer.to_string()]);
        }
        let orders = &job.orders;
        if let Some(transport) = orders.transport {
            command.args(["--transport", transport.word()]);
        }
        if let Some(encryption) = orders.encryption {
            // How each connection turned out to be is said at that level.
            command.args(["--encryption", policy(encryption), "--log", "engine=debug"]);
        }
        command.args(orders.super_seed.then_some("--super-seed"));
        command.args((orders.stays && !job.seed).then_some("--keep-seeding"));
        if let Some(proxy) = orders.proxy {
            command.args(["--proxy", &format!("socks5://{proxy}")]);
        }
        match orders.dht {
            Some(node) => _ = command.args(["--dht-bootstrap", &node.to_string()]),
            None if more.contains(&"--dht-bootstrap") => {}
            None => _ = command.arg("--no-dht"),
        }
        command
            .args(more)
            .env("HOME", home)
            .env("RUST_BACKTRACE", "full")
            .env_remove("XDG_STATE_HOME");
        Self {
            process: Process::start(command, home, "ours"),
            seed: job.seed,
        }
    }

    /// All events so far.
    pub fn events(&self) -> Vec<Value> {
        self.process
            .output()
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// The last event of this name.
    pub fn event(&self, name: &str) -> Option<Value> {
        self.events()
            .into_iter()
            .rev()
            .find(|event| event["event"] == name)
    }

    /// Waits for an event that `wanted` accepts.
    ///
    /// # Panics
    /// When none comes within `limit` and the [`patience`](wait::patience) for that.
    pub fn expect(
        &mut self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let found = wait::until(limit, || {
            self.events().into_iter().find(|event| wanted(event))
        });
        found.unwrap_or_else(|| {
            panic!(
                "no {what}, not even long after {limit:?}\n{}",
                self.process.last_words()
            )
        })
    }
}

impl Running for Ours {
    fn stage(&mut self) -> Stage {
        if self.seed {
            assert!(
                self.process.ended().is_none(),
                "seed ended\n{}",
                self.process.last_words()
            );
            return if self.event("seeding").is_some() {
                Stage::Done
            } else {
                Stage::Busy
            };
        }
        match self.process.ended() {
            Some(status) if status.success() => Stage::Done,
            Some(status) => panic!(
                "download ended with {status}\n{}",
                self.process.last_words()
            ),
            None => Stage::Busy,
        }
    }

    fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}
