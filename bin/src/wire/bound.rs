//! The network of `--bind`, once what it names is there.

use std::io;
use std::time::Duration;

use net::resolve::NameServers;
use net::{Bind, Network, Pool, SocketTuning};

use crate::failure::{Failure, reason};
use crate::json::Line;
use crate::screen::{Screen, Style};
use crate::shutdown::Shutdown;
use crate::wire::NoCircuit;

/// How often it is looked whether it is there.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Waits for the address or the interface, of which a machine that has just begun may have none yet, and binds to it.
///
/// # Errors
/// [`Failure::Failed`] where the system binds nothing to it, or a signal came first; [`Failure::Anonymity`] where there is no time left
/// for `circuits`.
pub(super) async fn network(
    (bind, servers, tuning): (&Bind, NameServers, SocketTuning),
    pool: &Pool,
    circuits: Option<&NoCircuit>,
    (screen, shutdown): (&Screen, &mut Shutdown),
) -> Result<Network, Failure> {
    let mut told = false;
    let too_late = async {
        match circuits {
            Some(circuits) => {
                tokio::time::sleep(circuits.left()).await;
                circuits
            }
            None => std::future::pending().await,
        }
    };
    let mut too_late = std::pin::pin!(too_late);
    loop {
        match Network::bound_with(bind, servers.clone(), tuning, pool) {
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
            tell(false, &waiting(bind), screen)?;
        }
        tokio::select! {
            biased;
            _ = shutdown.asked() => {
                let line = format!("stopped before {bind} was there");
                return Err(Failure::Failed(line));
            }
            circuits = &mut too_late => return Err(circuits.failure(&missing(bind))),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

fn missing(bind: &Bind) -> String {
    let what = match bind {
        Bind::Address(_) => "no interface here has this address",
        Bind::Interface(_) => "there is no such network interface with an address",
    };
    format!("--bind {bind}: {what}")
}

fn waiting(bind: &Bind) -> String {
    let there: Vec<String> = Bind::choices()
        .into_iter()
        .map(|(name, ips)| {
            let ips: Vec<String> = ips.iter().map(ToString::to_string).collect();
            format!("{name} ({})", ips.join(", "))
        })
        .collect();
    let there = there.join(", ");
    format!("{}; waiting for it; there are: {there}", missing(bind))
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
