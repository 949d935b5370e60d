//! The unit file by which systemd runs a node or a daemon.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::screen::Screen;

/// Flags that name a file, and what the service manager calls the copy that it lends the service: the file itself may be where the
/// service cannot read.
const FILES: [(&str, &str); 5] = [
    ("--config", "settings.toml"),
    ("--ip-filter", "ip-filter"),
    ("--overlay-key", "overlay.key"),
    ("--policy", "policy"),
    ("--socks-login", "socks.login"),
];

/// Where services keep their state.
const STATES: &str = "/var/lib";

/// Folders of which a service has others of its own.
const PRIVATE: [&str; 2] = ["/tmp", "/var/tmp"];

/// What the unit holds besides the command: a user of its own, who can write to its state and to nothing else.
const SANDBOX: &str = "\
DynamicUser=yes
StateDirectoryMode=0700
Restart=on-failure
RestartSec=10
LimitNOFILE=65536
CapabilityBoundingSet=
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
ProtectSystem=strict
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
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
    let unit = Unit::new(role, &words, &here)?;
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
    let output = output.map(|dir| here.join(dir));
    screen.write(&unit.text(role, &program, output.as_deref()))
}

/// Whether a program can be run by a service with a user of its own.
fn is_for_everyone(program: &Path) -> bool {
    let may = |path: &Path, bits: u32| {
        let mode = fs::metadata(path).map(|meta| meta.permissions().mode());
        mode.is_ok_and(|mode| mode & bits == bits)
    };
    may(program, 0o005)
        && program.ancestors().skip(1).all(|above| may(above, 0o001))
        && !PRIVATE.iter().any(|folder| program.starts_with(folder))
}

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
    /// The unit of a command that was given with these words, in this folder.
    fn new(role: &str, given: &[String], here: &Path) -> Result<Self, Failure> {
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
            if let Some((_, name)) = lent {
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

    fn text(&self, role: &str, program: &Path, output: Option<&Path>) -> String {
        let lend = |(name, file): &(&str, PathBuf)| {
            let file = file.display().to_string().replace('%', "%%");
            format!("LoadCredential={name}:{file}\n")
        };
        let lent: String = self.lent.iter().map(lend).collect();
        let (about, kind) = match role {
            "daemon" => ("BitTorrent daemon".to_owned(), "Type=notify\n"),
            "tracker" => (
                "BitTorrent tracker".to_owned(),
                "Type=notify\nExecReload=/bin/kill -HUP $MAINPID\n",
            ),
            role => (format!("Tribler overlay: {role}"), ""),
        };
        let writes = output.map_or_else(String::new, |dir| {
            let dir = quoted(&dir.display().to_string());
            format!("User=tribler-daemon\nReadWritePaths={dir}\n")
        });
        format!(
            "[Unit]\nDescription={about}\nWants=network-online.target\nAfter=network-online.target\n\n\
             [Service]\n{kind}ExecStart={} {}\nStateDirectory={}\n{lent}{writes}{SANDBOX}\n[Install]\nWantedBy=multi-user.target\n",
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
        let unit = Unit::new("exit", &words, Path::new("/etc/x"))?;
        Ok(unit.text("exit", Path::new("/usr/bin/tribler-rs"), None))
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
        let unit = Unit::new("tracker", &words, Path::new("/etc/x")).unwrap();
        let unit = unit.text("tracker", Path::new("/usr/bin/tribler-rs"), None);
        assert_eq!(lines(&unit, "Type"), ["Type=notify"]);
        assert_eq!(
            lines(&unit, "ExecReload"),
            ["ExecReload=/bin/kill -HUP $MAINPID"]
        );
        assert_eq!(
            lines(&unit, "ExecStart"),
            [
                "ExecStart=/usr/bin/tribler-rs tracker --config %d/settings.toml --state %S/tribler-tracker"
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
}
