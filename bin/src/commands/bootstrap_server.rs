//! `bootstrap-server`: introduces members of the overlay to each other.

use std::time::Instant;

use net::{Network, OwnedPool, RealOptions};
use overlay::endpoint::{Endpoint, EndpointConfig};
use overlay::host::{Host, HostConfig, HostHandle};
use overlay::server::{BootstrapServer, ServerStatus};
use serde::Serialize;

use crate::cli::BootstrapServerArgs;
use crate::failure::{Failure, reason};
use crate::screen::{Screen, Style};
use crate::shutdown::Shutdown;
use crate::text::hex;
use crate::wire::{self, Identity};

/// One line. Later versions may add fields and events.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line {
    /// The socket is open. The public key is in hex, as packets carry it.
    Listening { addr: String, public_key: String },
    /// Whom the server knows, and what it has done since its start.
    Members {
        communities: usize,
        members: usize,
        answered: u64,
        introduced: u64,
        refused: u64,
    },
}

pub(crate) fn run(args: &BootstrapServerArgs, screen: &Screen) -> Result<(), Failure> {
    wire::run(async {
        let mut shutdown = Shutdown::listen()?;
        let pool = OwnedPool::start("overlay", 1).map_err(|error| {
            Failure::Failed(format!("cannot start threads: {}", reason(&error)))
        })?;
        if args.watch.until_stdin_ends {
            shutdown.also_when_stdin_ends()?;
        }
        let identity = match &args.overlay_key {
            Some(file) => wire::identity_of(file)?,
            None => Identity::generate(),
        };
        let key = identity.key.clone();
        let network = Network::real(RealOptions::from_source((*args.overlay_listen.ip()).into()));
        let endpoint = endpoint(args, &network, &pool)?;
        let addr = endpoint.local_addr();
        let public_key = hex(key.public().as_bytes());
        let own = endpoint.lan_addr(&network);
        let machine = BootstrapServer::new(key, own, Instant::now(), &mut rand::rng());
        let config = HostConfig::new(endpoint.clone(), network, pool.pool().clone());
        let server = Host::launch(machine, config, |()| {});
        let addr = addr.to_string();
        tell(screen, &Line::Listening { addr, public_key })?;
        tokio::select! {
            served = serve(args, screen, &server) => served?,
            _ = shutdown.asked() => {}
        }
        let last = status(&server).await?;
        endpoint.shutdown().await;
        tell(screen, &last.into())
    })
}

fn endpoint(
    args: &BootstrapServerArgs,
    network: &Network,
    pool: &OwnedPool,
) -> Result<Endpoint, Failure> {
    let _runtime = pool.pool().handle().enter();
    let socket = network.datagram(args.overlay_listen.into());
    let socket = socket.map_err(|error| {
        Failure::Failed(format!(
            "--overlay-listen {}: {}",
            args.overlay_listen,
            reason(&error)
        ))
    })?;
    Ok(Endpoint::launch(EndpointConfig::new(
        socket,
        pool.pool().clone(),
    )))
}

/// Tells now and then how many are known; returns only when that cannot be told any more.
async fn serve(
    args: &BootstrapServerArgs,
    screen: &Screen,
    server: &HostHandle<BootstrapServer>,
) -> Result<(), Failure> {
    let mut last = ServerStatus::default();
    loop {
        tokio::time::sleep(args.watch.every.0).await;
        let now = status(server).await?;
        if now != last {
            tell(screen, &now.into())?;
            last = now;
        }
    }
}

async fn status(server: &HostHandle<BootstrapServer>) -> Result<ServerStatus, Failure> {
    let status = server.with(|server, _| server.status()).await;
    status.map_err(Failure::failed)
}

fn tell(screen: &Screen, line: &Line) -> Result<(), Failure> {
    if screen.style() == Style::Json {
        return screen.json(line);
    }
    match line {
        Line::Listening { addr, public_key } => {
            screen.say(format_args!("listening at {addr}, public key {public_key}"))
        }
        Line::Members {
            communities,
            members,
            answered,
            introduced,
            refused,
        } => screen.say(format_args!(
            "{members} members of {communities} communities; {answered} answered, {introduced} introduced, \
             {refused} refused"
        )),
    }
}

impl From<ServerStatus> for Line {
    fn from(status: ServerStatus) -> Self {
        Self::Members {
            communities: status.communities,
            members: status.members,
            answered: status.answered,
            introduced: status.introduced,
            refused: status.refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::json::page;

    #[test]
    fn the_page_for_users_has_a_row_for_each_event_with_each_field_and_no_other() {
        let source = include_str!("bootstrap_server.rs");
        let events = page::agrees("`bootstrap-server`", source, "enum Line");
        assert_eq!(events[0].1, ["addr", "public_key"]);
    }
}
