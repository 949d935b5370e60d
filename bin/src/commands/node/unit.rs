//! The unit file by which systemd runs a node.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::screen::Screen;

/// Flags that name a file, which a service finds by its whole path only.
const PATHS: [&str; 3] = ["--overlay-key", "--policy", "--state"];

/// What the unit holds besides the command: a user of its own, who can write to its state and to nothing else.
const SANDBOX: &str = "\
DynamicUser=yes
StateDirectory=tribler-rs
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

/// Prints the unit of this very command.
pub(super) fn print(role: &str, screen: &Screen) -> Result<(), Failure> {
    let program = std::env::current_exe().map_err(Failure::failed)?;
    let here = std::env::current_dir().map_err(Failure::failed)?;
    let words: Option<Vec<String>> = std::env::args_os()
        .skip_while(|word| word != role)
        .skip(1)
        .map(|word: OsString| word.into_string().ok())
        .collect();
    let words =
        words.ok_or_else(|| Failure::Usage("--print-unit: a flag is no text".to_owned()))?;
    screen.write(&unit(role, &program, &words, &here))
}

fn unit(role: &str, program: &Path, words: &[String], here: &Path) -> String {
    let mut command = vec![program.display().to_string(), role.to_owned()];
    let mut is_path = false;
    let mut has_state = false;
    for word in words {
        if word == "--print-unit" {
            continue;
        }
        let (flag, value) = match word.split_once('=') {
            Some((flag, value)) if PATHS.contains(&flag) => (flag, Some(value)),
            _ => (word.as_str(), None),
        };
        has_state |= flag == "--state";
        command.push(match value {
            Some(value) => format!("{flag}={}", absolute(value, here).display()),
            None if is_path => absolute(word, here).display().to_string(),
            None => word.clone(),
        });
        is_path = value.is_none() && PATHS.contains(&flag);
    }
    let mut line: Vec<String> = command.iter().map(|word| quoted(word)).collect();
    if !has_state {
        // Where systemd has put the folder that it makes for the service.
        line.extend(["--state".to_owned(), "%S/tribler-rs".to_owned()]);
    }
    format!(
        "[Unit]\nDescription=Tribler overlay: {role}\nDocumentation=man:tribler-rs-{role}(1)\n\
         Wants=network-online.target\nAfter=network-online.target\n\n[Service]\nExecStart={}\n{SANDBOX}\n\
         [Install]\nWantedBy=multi-user.target\n",
        line.join(" ")
    )
}

fn absolute(path: &str, here: &Path) -> PathBuf {
    here.join(path)
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

    fn exec(words: &[&str]) -> String {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let unit = unit(
            "exit",
            Path::new("/usr/bin/tribler-rs"),
            &words,
            Path::new("/etc/x"),
        );
        let line = unit.lines().find(|line| line.starts_with("ExecStart="));
        line.unwrap().to_owned()
    }

    #[test]
    fn the_unit_runs_the_same_command_with_whole_paths_and_a_state_of_its_own() {
        assert_eq!(
            exec(&[
                "--print-unit",
                "--max-rate",
                "2MiB/s",
                "--policy",
                "my rules"
            ]),
            "ExecStart=/usr/bin/tribler-rs exit --max-rate 2MiB/s --policy \"/etc/x/my rules\" --state %S/tribler-rs"
        );
        assert_eq!(
            exec(&["--state=s", "--policy", "/p%"]),
            "ExecStart=/usr/bin/tribler-rs exit --state=/etc/x/s --policy \"/p%%\""
        );
    }
}
