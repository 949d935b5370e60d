//! The unit files by which systemd runs a node, a tracker or a daemon: those of the package, and those that users print for commands of theirs.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::cli::daemon::USUAL_API;
use crate::failure::Failure;
use crate::screen::Screen;

/// Flags that name a file, and what the service manager calls the copy that it lends the service where the file itself is one that
/// the service cannot read.
const FILES: [(&str, &str); 5] = [
    ("--config", "settings.toml"),
    ("--ip-filter", "ip-filter"),
    ("--overlay-key", "overlay.key"),
    ("--policy", "policy"),
    ("--socks-login", "socks.login"),
];

/// Where services keep their state.
pub(super) const STATES: &str = "/var/lib";

/// Folders of which a service has others of its own.
const PRIVATE: [&str; 2] = ["/tmp", "/var/tmp"];

/// Where the package has the program.
const PROGRAM: &str = "/usr/bin/tribler-rs";

/// Where the package has files of settings.
pub(super) const SETTINGS: &str = "/etc/tribler-rs";

/// The user of the daemon that the package has, who is there for as long as it is: files of other users may be theirs to read.
pub(super) const USER: &str = "tribler-rs";

/// A user of its own, who is there while the service runs.
const OWN_USER: &str = "DynamicUser=yes\nStateDirectoryMode=0700\nUMask=0077\n";

/// What the unit holds besides the command: nothing can be written but the state, nor anything be had that the command does not need.
const SANDBOX: &str = "\
Restart=on-failure
RestartSec=10
RestartPreventExitStatus=2
LimitNOFILE=65536
CapabilityBoundingSet=
DevicePolicy=closed
LockPersonality=yes
MemoryDenyWriteExecute=yes
NoNewPrivileges=yes
PrivateDevices=yes
PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=read-only
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
RemoveIPC=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallFilter=setpriority sched_setaffinity sched_setscheduler setrlimit prlimit64
";

/// Prints the unit of this very command; with the folder that it writes to beside its state, where there is one.
///
/// # Errors
/// [`Failure::Usage`] for a state that a service cannot have; [`Failure::NotFound`] for a file that is not there.
pub(super) fn print(role: &str, output: Option<&Path>, screen: &Screen) -> Result<(), Failure> {
    let program = std::env::current_exe().map_err(Failure::failed)?;
    let here = std::env::current_dir().map_err(Failure::failed)?;
    let words = std::env::args_os().skip(1);
    let words: Option<Vec<String>> = words.map(|word| word.into_string().ok()).collect();
    let words =
        words.ok_or_else(|| Failure::Usage("--print-unit: a flag is no text".to_owned()))?;
    let unit = Unit::new(role, &words, &here, &is_readable)?;
    for (_, file) in &unit.lent {
        fs::metadata(file).map_err(|error| {
            if error.kind() != std::io::ErrorKind::NotFound {
                return Failure::on_file(file, &error);
            }
            Failure::NotFound(format!(
                "{} does not exist, and the service cannot make it there; a key it makes in its state folder, without --overlay-key",
                file.display()
            ))
        })?;
    }
    if !is_for_everyone(&program) {
        let line = format_args!(
            "a user of its own cannot run {path}: `install -m 755 {path} /usr/local/bin/`, and print the unit with that one",
            path = program.display()
        );
        screen.warn("warning", line);
    }
    if role != "relay" && role != "exit" {
        for (_, file) in &unit.lent {
            let line = format_args!(
                "the service is lent a copy of {path}, which others may not read: after a change it is to be restarted, not reloaded",
                path = file.display()
            );
            screen.warn("note", line);
        }
    }
    let user = output.map(|dir| {
        let dir = quoted(&here.join(dir).display().to_string());
        format!("User=tribler-daemon\nReadWritePaths={dir}\n")
    });
    screen.write(&unit.text(role, &program, &(user.unwrap_or_default() + OWN_USER)))
}

/// The units of the package, by the names of their files. Their commands are as users would give them, with settings in [`SETTINGS`].
///
/// # Errors
/// As [`print()`].
pub(super) fn packaged() -> Result<Vec<(String, String)>, Failure> {
    let own = format!("User={USER}\nStateDirectoryMode=0750\nUMask=0027\n");
    let config = |role| format!("--config={SETTINGS}/{role}.toml");
    let mut units = vec![("tribler-rs.socket".to_owned(), socket(None))];
    for (role, name, given) in [
        (
            "daemon",
            "tribler-rs",
            [config("daemon"), format!("--state={STATES}/{USER}")].to_vec(),
        ),
        ("tracker", "tribler-rs-tracker", vec![config("tracker")]),
        ("exit", "tribler-rs-exit", vec![]),
        ("relay", "tribler-rs-relay", vec![]),
    ] {
        let user = match role {
            "daemon" => own.clone(),
            _ => OWN_USER.to_owned(),
        };
        let given: Vec<String> = std::iter::once(role.to_owned()).chain(given).collect();
        let mut unit = Unit::new(role, &given, Path::new("/"), &|_| true)?;
        // Nodes have no file of settings: their flags stand in one of the environment.
        let user = if given.len() > 1 {
            user
        } else {
            unit.words.insert(1, "$OPTIONS".to_owned());
            format!("EnvironmentFile=-/etc/default/{name}\n{user}")
        };
        let text = unit.text(role, Path::new(PROGRAM), &user);
        units.push((format!("{name}.service"), text));
    }
    Ok(units)
}

/// The unit of the socket that the service of the same name is handed, for its API.
pub(super) fn socket(at: Option<SocketAddr>) -> String {
    let at = at.unwrap_or(USUAL_API);
    format!(
        "[Unit]\nDescription=REST API of the BitTorrent daemon\n\n\
         [Socket]\nListenStream={at}\nFileDescriptorName=api\n\n[Install]\nWantedBy=sockets.target\n"
    )
}

/// The states of daemons that run as services: that of the package, and that of a unit which was printed.
pub(crate) fn daemon_states() -> [PathBuf; 2] {
    [USER, "tribler-daemon"].map(|name| Path::new(STATES).join(name))
}

/// Whether a service with a user of its own can read a file where it is.
fn is_readable(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|meta| meta.permissions().mode() & 0o004 != 0)
        && is_reachable(file)
}

/// Whether a program can be run by a service with a user of its own.
fn is_for_everyone(program: &Path) -> bool {
    let may = |path: &Path, bits: u32| {
        let mode = fs::metadata(path).map(|meta| meta.permissions().mode());
        mode.is_ok_and(|mode| mode & bits == bits)
    };
    may(program, 0o005) && is_reachable(program)
}

/// Whether everyone can go where a path leads, a service with folders of its own too.
fn is_reachable(path: &Path) -> bool {
    let open = |above: &Path| {
        let mode = fs::metadata(above).map(|meta| meta.permissions().mode());
        mode.is_ok_and(|mode| mode & 0o001 != 0)
    };
    path.ancestors().skip(1).all(open) && !PRIVATE.iter().any(|folder| path.starts_with(folder))
}

/// Of services that say when they serve and read their settings again when they are told to: by the shell, which every system has, as
/// it has not a program `kill`.
const TOLD: &str = "Type=notify\nExecReload=/bin/sh -c 'kill -HUP $MAINPID'\n";

/// The same, and says all the time that it is alive.
const DAEMON: &str = "Type=notify\nExecReload=/bin/sh -c 'kill -HUP $MAINPID'\nWatchdogSec=2min\nTimeoutStartSec=10min\n";

/// What a unit is made of.
#[derive(Debug)]
struct Unit {
    /// The words of the command behind the program, as the unit has them.
    words: Vec<String>,
    /// The folder of the state, below [`STATES`].
    state: String,
    /// What the service is lent: the name, and the file.
    lent: Vec<(&'static str, PathBuf)>,
}

impl Unit {
    /// The unit of a command that was given with these words, in this folder. Files that are not `readable` are lent.
    fn new(
        role: &str,
        given: &[String],
        here: &Path,
        readable: &dyn Fn(&Path) -> bool,
    ) -> Result<Self, Failure> {
        let mut unit = Self {
            words: Vec::new(),
            state: format!("tribler-{role}"),
            lent: Vec::new(),
        };
        let mut given = given.iter().filter(|word| *word != "--print-unit");
        let mut has_state = false;
        while let Some(word) = given.next() {
            let (flag, joined) = match word.split_once('=') {
                Some((flag, value)) => (flag, Some(value)),
                None => (word.as_str(), None),
            };
            let lent = FILES.iter().find(|(name, _)| *name == flag);
            if lent.is_none() && flag != "--state" {
                unit.words.push(quoted(word));
                continue;
            }
            let Some(value) = joined.or_else(|| given.next().map(String::as_str)) else {
                continue;
            };
            let path = here.join(value);
            unit.words.push(flag.to_owned());
            if lent.is_some() && readable(&path) {
                unit.words.push(quoted(&path.display().to_string()));
            } else if let Some((_, name)) = lent {
                unit.words.push(format!("%d/{name}"));
                unit.lent.push((name, path));
            } else {
                unit.state = state(&path)?;
                unit.words.push(unit.state_word());
                has_state = true;
            }
        }
        if !has_state {
            unit.words.extend(["--state".to_owned(), unit.state_word()]);
        }
        Ok(unit)
    }

    /// The state as the command is given it.
    fn state_word(&self) -> String {
        format!("%S/{}", self.state)
    }

    fn text(&self, role: &str, program: &Path, user: &str) -> String {
        let lend = |(name, file): &(&str, PathBuf)| {
            let file = file.display().to_string().replace('%', "%%");
            format!("LoadCredential={name}:{file}\n")
        };
        let lent: String = self.lent.iter().map(lend).collect();
        let (about, kind) = match role {
            "daemon" => ("BitTorrent daemon".to_owned(), DAEMON),
            "tracker" => ("BitTorrent tracker".to_owned(), TOLD),
            role => (format!("Tribler overlay: {role}"), ""),
        };
        format!(
            "[Unit]\nDescription={about}\nWants=network-online.target\nAfter=network-online.target\n\n\
             [Service]\n{kind}ExecStart={} {}\nStateDirectory={}\n{lent}{user}{SANDBOX}\n[Install]\nWantedBy=multi-user.target\n",
            quoted(&program.display().to_string()),
            self.words.join(" "),
            self.state,
        )
    }
}

/// The folder of a state below [`STATES`], where it is such a one as the service manager makes for a service.
fn state(path: &Path) -> Result<String, Failure> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let below = path.strip_prefix(STATES).ok().and_then(Path::to_str);
    let good = |name: &&str| {
        let mut parts = Path::new(name).components();
        let plainly = name.chars().all(plain) && !name.is_empty();
        plainly && parts.all(|part| matches!(part, std::path::Component::Normal(_)))
    };
    below.filter(good).map(str::to_owned).ok_or_else(|| {
        Failure::Usage(format!(
            "--print-unit: a service with a user of its own keeps its state below {STATES}: say --state {STATES}/NAME, or leave \
             --state {} out",
            path.display()
        ))
    })
}

/// A word as systemd reads it back.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@+[]".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut text = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '%' | '$' => text.extend([c, c]),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(words: &[&str]) -> Result<String, Failure> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let unit = Unit::new("exit", &words, Path::new("/etc/x"), &|_| false)?;
        Ok(unit.text("exit", Path::new(PROGRAM), OWN_USER))
    }

    fn lines<'a>(unit: &'a str, name: &str) -> Vec<&'a str> {
        let named = |line: &&str| line.split('=').next() == Some(name);
        unit.lines().filter(named).collect()
    }

    #[test]
    fn the_unit_runs_the_same_command_with_a_state_of_its_own() {
        let unit = made(&[
            "--log",
            "info",
            "exit",
            "--print-unit",
            "--max-rate",
            "2MiB/s",
        ])
        .unwrap();
        assert_eq!(
            lines(&unit, "ExecStart"),
            [
                "ExecStart=/usr/bin/tribler-rs --log info exit --max-rate 2MiB/s --state %S/tribler-exit"
            ]
        );
        assert_eq!(
            lines(&unit, "StateDirectory"),
            ["StateDirectory=tribler-exit"]
        );
        assert!(lines(&unit, "LoadCredential").is_empty());
    }

    #[test]
    fn a_tracker_says_when_it_serves_and_is_told_to_read_its_settings_again() {
        let words = ["tracker", "--config=t.toml", "--print-unit"].map(str::to_owned);
        let unit = Unit::new("tracker", &words, Path::new("/etc/x"), &|_| true).unwrap();
        let unit = unit.text("tracker", Path::new(PROGRAM), OWN_USER);
        assert_eq!(lines(&unit, "Type"), ["Type=notify"]);
        assert_eq!(
            lines(&unit, "ExecReload"),
            ["ExecReload=/bin/sh -c 'kill -HUP $MAINPID'"]
        );
        assert_eq!(
            lines(&unit, "ExecStart"),
            [
                "ExecStart=/usr/bin/tribler-rs tracker --config /etc/x/t.toml --state %S/tribler-tracker"
            ]
        );
    }

    #[test]
    fn files_are_lent_to_the_service_wherever_they_are() {
        let unit = made(&[
            "exit",
            "--policy",
            "my 5% rules",
            "--overlay-key=/root/x.key",
        ])
        .unwrap();
        assert_eq!(
            lines(&unit, "ExecStart"),
            [
                "ExecStart=/usr/bin/tribler-rs exit --policy %d/policy --overlay-key %d/overlay.key --state %S/tribler-exit"
            ]
        );
        assert_eq!(
            lines(&unit, "LoadCredential"),
            [
                "LoadCredential=policy:/etc/x/my 5%% rules",
                "LoadCredential=overlay.key:/root/x.key"
            ]
        );
    }

    #[test]
    fn a_state_is_one_that_a_service_can_have_or_is_refused() {
        for (given, state) in [("/var/lib/second", "second"), ("../../var/lib/a/b", "")] {
            let made = made(&["exit", "--state", given]);
            if state.is_empty() {
                assert_eq!(made.unwrap_err().code(), 2);
                continue;
            }
            let unit = made.unwrap();
            assert_eq!(
                lines(&unit, "StateDirectory"),
                [format!("StateDirectory={state}")]
            );
            assert!(
                unit.contains(&format!("exit --state %S/{state}\n")),
                "{unit}"
            );
        }
        for wrong in [
            "s",
            "/home/me/s",
            "/var/lib",
            "/var/lib/../x",
            "/var/lib/a b",
        ] {
            let error = made(&["exit", &format!("--state={wrong}")]).unwrap_err();
            assert_eq!(error.code(), 2, "{wrong}");
            assert!(error.to_string().contains("/var/lib/NAME"), "{error}");
        }
    }

    #[test]
    fn programs_that_others_cannot_get_at_are_told_from_those_that_they_can() {
        assert!(is_for_everyone(Path::new("/bin/sh")));
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("x");
        fs::write(&program, "").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        // Its folder is its user's alone.
        assert!(!is_for_everyone(&program));
        assert!(!is_for_everyone(Path::new("/nonexistent/x")));
    }

    #[test]
    fn a_file_that_everyone_can_read_is_read_where_it_is_and_another_is_lent() {
        let words = ["daemon", "--config=d.toml", "--ip-filter", "list"].map(str::to_owned);
        let readable = |file: &Path| file.ends_with("d.toml");
        let unit = Unit::new("daemon", &words, Path::new("/etc/x"), &readable).unwrap();
        let unit = unit.text("daemon", Path::new(PROGRAM), OWN_USER);
        assert_eq!(
            lines(&unit, "ExecStart"),
            [
                "ExecStart=/usr/bin/tribler-rs daemon --config /etc/x/d.toml --ip-filter %d/ip-filter --state %S/tribler-daemon"
            ]
        );
        assert_eq!(
            lines(&unit, "LoadCredential"),
            ["LoadCredential=ip-filter:/etc/x/list"]
        );
        // A folder on the way keeps others out.
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(!is_readable(&file));
        assert!(is_readable(Path::new("/etc/passwd")));
        assert!(!is_readable(Path::new("/etc/shadow")));
    }
}
