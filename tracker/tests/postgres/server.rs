//! A PostgreSQL of the test's own.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use protocol::id::InfoHash;
use tempfile::TempDir;
use tracker::Settings;
use tracker::settings::{DatabaseKind, Secret};
use tracker::store::{Database, Postgres};

/// Longer than anything that is waited for here takes.
pub(crate) const LONG: Duration = Duration::from_secs(90);

/// A server of its own, reached by a socket in its folder. It ends with this.
pub(crate) struct Server {
    folder: TempDir,
    programs: PathBuf,
    running: Option<Child>,
    port: u16,
}

/// What the socket in the folder is named by, where nothing else is said.
const PORT: u16 = 5432;

impl Server {
    /// An empty database that nobody serves yet; `None` where PostgreSQL is not installed.
    pub(crate) fn new() -> Option<Self> {
        let versions = std::fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten();
        let programs = versions.filter_map(|version| Some(version.ok()?.path().join("bin")));
        let Some(programs) = programs.filter(|path| path.join("postgres").exists()).max() else {
            assert!(std::env::var_os("CI").is_none(), "run tests/setup");
            println!("skipped: no PostgreSQL; tests/setup installs it");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let mut server = Self {
            folder,
            programs,
            running: None,
            port: PORT,
        };
        give(server.folder.path());
        let made = server
            .program("initdb")
            .args(["-A", "trust", "-U", "tracker", "--no-sync", "-D"])
            .arg(server.data())
            .output()
            .unwrap();
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        server.running = None;
        Some(server)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Has it do something in its database, without a password by the socket in its folder.
    pub(crate) fn tell(&self, what: &str) {
        let mut program = self.program("psql");
        let program = program.args(["-X", "-q", "-v", "ON_ERROR_STOP=1"]);
        let told = program
            .args(["-d", &self.url(), "-c", what])
            .output()
            .unwrap();
        let why = String::from_utf8_lossy(&told.stderr);
        assert!(told.status.success(), "{why}");
    }

    /// A program of PostgreSQL, which refuses to be run by root.
    fn program(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args([
                "--reuid=postgres",
                "--regid=postgres",
                "--clear-groups",
                "--",
            ]);
            command.arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(self.folder.path());
        command
    }

    fn url(&self) -> String {
        format!(
            "host={} port={} user=tracker dbname=postgres",
            self.folder.path().display(),
            self.port
        )
    }

    /// Serves, and waits until it answers.
    pub(crate) fn start(&mut self) {
        self.start_at(PORT, &["listen_addresses="]);
    }

    /// The same with these settings, a port among them.
    pub(crate) fn start_at(&mut self, port: u16, settings: &[&str]) {
        self.port = port;
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let child = self
            .program("postgres")
            .arg("-D")
            .arg(self.data())
            .args(["-c", "fsync=off", "-k"])
            .arg(self.folder.path())
            .args(settings.iter().flat_map(|setting| ["-c", setting]))
            .stderr(log)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        self.running = Some(child);
        let end = Instant::now() + LONG;
        let url = self.url();
        while apart(|| Postgres::new(&url).unwrap().lists().is_err()) {
            let ended = self.running.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "it has ended: {}", self.log());
            assert!(Instant::now() < end, "no answer: {}", self.log());
            std::thread::yield_now();
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Ends it: `QUIT` at once as a crash does, `INT` after what is written is on the disk.
    pub(crate) fn stop(&mut self, signal: &str) {
        let Some(mut child) = self.running.take() else {
            return;
        };
        let id = child.id().to_string();
        let killed = Command::new("kill").args(["-s", signal, &id]).status();
        assert!(killed.unwrap().success());
        child.wait().unwrap();
    }

    pub(crate) fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        settings.database.kind = DatabaseKind::PostgreSql;
        settings.database.url = Secret(self.url());
        settings.database.write_seconds = 1;
        settings.database.reload_seconds = 1;
        settings
    }

    /// What is written of all torrents.
    pub(crate) fn completed(&self) -> BTreeMap<InfoHash, u32> {
        let url = self.url();
        apart(|| {
            let mut rows = BTreeMap::new();
            let mut database = Postgres::new(&url).unwrap();
            let read = database.completed(&mut |hash, count| _ = rows.insert(hash, count));
            read.unwrap();
            rows
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop("QUIT");
    }
}

/// Does something where no runtime is: the database has one of its own.
pub(crate) fn apart<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(act).join().unwrap())
}

/// Lets the server have a file, which nobody else can read then, or a folder.
pub(crate) fn give(path: &Path) {
    if path.is_file() {
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    }
    if is_root() {
        let owned = Command::new("chown").arg("postgres").arg(path).status();
        assert!(owned.unwrap().success());
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}
