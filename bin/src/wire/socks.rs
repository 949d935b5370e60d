//! SOCKS5 servers, by which other programs of this machine go through circuits.

use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::Path;

use net::socks::{SocksOptions, SocksServer};
use net::{Network, Pool};
use protocol::proxy::Credentials;
use tunnels::Anonymity;

use super::hidden::is_hidden;
use super::identity::must_be_private;
use crate::cli::overlay::OverlayArgs;
use crate::failure::{Failure, reason};
use crate::screen::Screen;

/// The numbers of hops that there is a server for, in the order of their ports.
const HOPS: [u8; 3] = [1, 2, 3];

/// The longest file with a login: a name and a password of 255 bytes each, a colon, and the end of the line.
const MAX_LOGIN: u64 = 513;

/// What flags ask for.
#[derive(Debug)]
pub(crate) struct SocksWish {
    at: SocketAddr,
    login: Option<Credentials>,
}

impl SocksWish {
    /// What `--socks` and `--socks-login` say.
    ///
    /// # Errors
    /// [`Failure::Usage`] where other hosts could come in without a login, or there are too few ports; [`Failure`] where the
    /// login cannot be read, or others can read it.
    pub(super) fn of(args: &OverlayArgs, screen: &Screen) -> Result<Option<Self>, Failure> {
        let Some(at) = args.socks else {
            return Ok(None);
        };
        if at.port() != 0 && at.port() > u16::MAX - 2 {
            let why = format!("--socks {at}: there are no two ports after it");
            return Err(Failure::Usage(why));
        }
        let login = args.socks_login.as_deref().map(login).transpose()?;
        if !at.ip().is_loopback() {
            if login.is_none() {
                let why = format!(
                    "--socks {at}: other hosts could reach it: say --socks-login FILE, with a line USER:PASSWORD in the file, or \
                     take an address of this machine alone, such as 127.0.0.1:{}",
                    at.port()
                );
                return Err(Failure::Usage(why));
            }
            let line = format_args!(
                "--socks {at}: other hosts can use it by its login; nothing is encrypted between them and here, the login neither"
            );
            screen.warn("warning", line);
        }
        Ok(Some(Self { at, login }))
    }
}

/// Reads a login.
fn login(file: &Path) -> Result<Credentials, Failure> {
    let on = |error: io::Error| Failure::on_file(file, &error);
    let open = File::open(file).map_err(on)?;
    must_be_private(&open, file)?;
    let mut text = Vec::new();
    open.take(MAX_LOGIN).read_to_end(&mut text).map_err(on)?;
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let colon = line.iter().position(|byte| *byte == b':');
    let parts = colon.and_then(|at| Some((line.get(..at)?, line.get(at + 1..)?)));
    let login = parts.filter(|(_, password)| !password.is_empty());
    let login = login
        .and_then(|(user, password)| Credentials::new(user.to_owned(), password.to_owned()).ok());
    login.ok_or_else(|| {
        Failure::Failed(format!(
            "{}: this is no login: write a line USER:PASSWORD, each of 1 to 255 bytes",
            file.display()
        ))
    })
}

/// A server for each number of hops; they end with this value.
#[derive(Debug)]
pub(crate) struct Socks {
    servers: Vec<(u8, SocksServer)>,
}

impl Socks {
    /// Opens them, at an address and the two ports after it, or at any ports where it has none.
    ///
    /// # Errors
    /// [`Failure::Failed`] where a port cannot be had.
    pub(super) fn start(
        wish: &SocksWish,
        anonymity: &Anonymity,
        pool: &Pool,
    ) -> Result<Self, Failure> {
        let at = wish.at;
        let mut servers = Vec::new();
        for (next, hops) in (0_u16..).zip(HOPS) {
            let port = match at.port() {
                0 => 0,
                first => first.saturating_add(next),
            };
            let at = SocketAddr::new(at.ip(), port);
            let mut options = SocksOptions::at(at);
            options.credentials.clone_from(&wish.login);
            options.beyond_loopback = wish.login.is_some();
            let (inside, outside) = (super::plain_network(), outside(anonymity, hops));
            let server = SocksServer::launch(inside, outside, options, pool);
            let server = server
                .map_err(|error| Failure::Failed(format!("--socks {at}: {}", reason(&error))))?;
            servers.push((hops, server));
        }
        Ok(Self { servers })
    }

    /// Where the server of each number of hops is.
    pub(crate) fn places(&self) -> impl Iterator<Item = (u8, SocketAddr)> {
        self.servers
            .iter()
            .map(|(hops, server)| (*hops, server.addr()))
    }
}

/// By which programs go. Hidden peers are torrents' alone: who had a program send to an address that stands for one would see
/// that both are ours.
pub(super) fn outside(anonymity: &Anonymity, hops: u8) -> Network {
    anonymity.network_of_programs(hops).with_shunned(is_hidden)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_login_is_a_line_of_a_file_that_nobody_else_can_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("login");
        let read = |text: &str, mode| {
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            login(&file)
        };
        let of = |user: &str, password: &str| {
            Credentials::new(user.as_bytes().to_vec(), password.as_bytes().to_vec()).unwrap()
        };
        assert_eq!(read("me:secret\n", 0o600).unwrap(), of("me", "secret"));
        assert_eq!(read("me:a:b\r\nmore", 0o400).unwrap(), of("me", "a:b"));
        let long = "x".repeat(256);
        for wrong in [
            "",
            "me",
            "me:",
            ":secret",
            "\nme:secret",
            &format!("me:{long}"),
        ] {
            let error = read(wrong, 0o600).unwrap_err().to_string();
            assert!(error.contains("USER:PASSWORD"), "{error}");
        }
        let error = read("me:secret", 0o640).unwrap_err().to_string();
        assert!(
            error.contains("chmod 600") && !error.contains("me:"),
            "{error}"
        );
        assert_eq!(login(&folder.path().join("none")).unwrap_err().code(), 3);
    }
}
