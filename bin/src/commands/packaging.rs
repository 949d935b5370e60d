//! `packaging`: what a package of a distribution has beside the program, in the folders where it has it.

use std::fs;
use std::path::Path;

use clap_complete::Shell;

use super::{completions, man, unit};
use crate::cli::{PackagingArgs, in_file};
use crate::failure::Failure;
use crate::screen::Screen;

/// Makes the user of the daemon (`sysusers.d(5)`).
const SYSUSERS: &str = "usr/lib/sysusers.d/tribler-rs.conf";

/// Where shells look for completions of a program.
const COMPLETIONS: [(Shell, &str); 3] = [
    (
        Shell::Bash,
        "usr/share/bash-completion/completions/tribler-rs",
    ),
    (
        Shell::Fish,
        "usr/share/fish/vendor_completions.d/tribler-rs.fish",
    ),
    (Shell::Zsh, "usr/share/zsh/vendor-completions/_tribler-rs"),
];

/// Where manual pages of commands are.
const PAGES: &str = "usr/share/man/man1";

/// Where units of packages are.
const UNITS: &str = "usr/lib/systemd/system";

pub(crate) fn run(args: &PackagingArgs, screen: &Screen) -> Result<(), Failure> {
    let folder = &args.folder;
    let pages = folder.join(PAGES);
    man::write_all(&pages)?;
    for (shell, path) in COMPLETIONS {
        write(&folder.join(path), &completions::of(shell))?;
    }
    for (name, text) in unit::packaged()? {
        write(&folder.join(UNITS).join(name), text.as_bytes())?;
    }
    write(&folder.join(SYSUSERS), sysusers().as_bytes())?;
    let settings = folder.join(unit::SETTINGS.trim_start_matches('/'));
    write(&settings.join("daemon.toml"), daemon().as_bytes())?;
    write(&settings.join("tracker.toml"), tracker().as_bytes())?;
    screen.say(format_args!(
        "the files of a package are in {}",
        folder.display()
    ))
}

fn sysusers() -> String {
    let (user, home) = (unit::USER, unit::STATES);
    format!("u {user} - \"BitTorrent daemon\" {home}/{user}\n")
}

/// The settings of the daemon: all of them are there to be uncommented.
fn daemon() -> String {
    engine::Settings::default().commented() + &in_file::commented()
}

/// The settings of a tracker that everybody can ask.
fn tracker() -> String {
    let mut text = tracker::settings::commented();
    for (server, port) in [("udp", 6969), ("http", 7070)] {
        let open = format!("[[{server}]]\nbind = \"[::]:{port}\"\n");
        text = text.replace(&format!("#[[{server}]]\n"), &open);
    }
    text
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, bytes))
        .map_err(|error| Failure::on_file(path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_of_the_package_can_be_read_by_who_reads_them() {
        let layers = engine::settings::Layers::parse_with(&daemon(), &[in_file::TABLE]).unwrap();
        assert!(layers.patch.is_empty() && layers.own.is_empty());
        let settings = tracker::settings::Settings::from_toml(&tracker()).unwrap();
        assert_eq!((settings.udp.len(), settings.http.len()), (1, 1));
    }
}
