//! The network of `--bind`, once what it names is there.

use std::io;
use std::time::Duration;

use net::resolve::NameServers;
use net::{Bind, Network, Pool};

use crate::failure::{Failure, reason};
use crate::json::Line;
use crate::screen::{Screen, Style};
use crate::shutdown::Shutdown;

/// How often it is looked whether it is there.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Waits for the address or the interface, of which a machine that has just begun may have none yet, and binds to it.
///
/// # Errors
/// [`Failure::Failed`] where the system binds nothing to it, or a signal came first.
pub(super) async fn network(
    bind: &Bind,
    servers: NameServers,
    pool: &Pool,
    (screen, shutdown): (&Screen, &mut Shutdown),
) -> Result<Network, Failure> {
    let mut told = false;
    loop {
        match Network::bound(bind, servers.clone(), pool) {
            Ok(network) => {
                if told {
                    tell(true, &format!("{bind} is there"), screen)?;
                }
                return Ok(network);
            }
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {}
            Err(error) => {
                let line = format!("--bind {bind}: {}", reason(&error));
                return Err(Failure::Failed(line));
            }
        }
        if !std::mem::replace(&mut told, true) {
            tell(false, &missing(bind), screen)?;
        }
        tokio::select! {
            biased;
            _ = shutdown.asked() => {
                let line = format!("stopped before {bind} was there");
                return Err(Failure::Failed(line));
            }
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

fn missing(bind: &Bind) -> String {
    let what = match bind {
        Bind::Address(_) => "no interface here has this address",
        Bind::Interface(_) => "there is no such network interface with an address",
    };
    let there: Vec<String> = Bind::choices()
        .into_iter()
        .map(|(name, ips)| {
            let ips: Vec<String> = ips.iter().map(ToString::to_string).collect();
            format!("{name} ({})", ips.join(", "))
        })
        .collect();
    let there = there.join(", ");
    format!("--bind {bind}: {what}; waiting for it; there are: {there}")
}

fn tell(up: bool, reason: &str, screen: &Screen) -> Result<(), Failure> {
    if screen.style() == Style::Json {
        screen.json(&Line::Network { up, reason })?;
    }
    if up {
        return screen.say(reason);
    }
    screen.warn("warning", reason);
    Ok(())
}
