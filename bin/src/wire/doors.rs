//! The port for peers, and how they are reached.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use engine::Settings;
use net::ports::{Datagrams, Transports};
use net::utp::{Patience, UtpOptions};
use net::{Network, Pool};

use crate::cli::transfer::{self, Common};
use crate::failure::{Failure, reason};

/// Where sockets behind a proxy are asked for: of both families, and with no port of their own.
pub(super) const BEHIND_PROXY: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);

/// What is tried where the port for peers is taken, and how long peers are waited for there.
#[derive(Clone, Debug)]
pub(super) struct PortTries {
    /// So many ports after it.
    pub(super) more: u16,
    /// Any at all.
    pub(super) any: bool,
    /// How long uTP waits there.
    pub(super) patience: Patience,
    /// Further addresses that the port is opened at.
    pub(super) also: Vec<IpAddr>,
}

impl PortTries {
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            more: u16::try_from(settings.network.port_tries).unwrap_or(u16::MAX),
            any: settings.network.any_port,
            patience: Patience {
                syn_timeout: settings.network.utp_connect_timeout,
                syn_resends: settings.network.utp_connect_resends,
                data_resends: settings.network.utp_data_resends,
                fin_resends: settings.network.utp_end_resends,
            },
            also: settings.network.also_at.0.clone(),
        }
    }
}

/// Where peers come in, and how they are reached.
pub(super) struct Doors {
    /// The network, with streams to peers as was asked for.
    pub(super) network: Network,
    /// The port for peers; none where nobody can come in.
    pub(super) listen: Option<SocketAddr>,
    /// The sockets for the DHT and for trackers, where uTP has one.
    pub(super) datagrams: Option<Datagrams>,
    /// The port at further addresses, and the sockets there.
    pub(super) more: Vec<(SocketAddr, Option<Datagrams>)>,
}

/// Opens the port for peers, by the transports that are wanted; behind a proxy, only what leads out.
pub(super) fn doors(
    common: &Common,
    (listen, ports): (SocketAddr, PortTries),
    network: &Network,
    pool: &Pool,
) -> Result<Doors, Failure> {
    let transports = match common.transport {
        transfer::Transport::Both => Transports::Both,
        transfer::Transport::Tcp => Transports::Tcp,
        transfer::Transport::Utp => Transports::Utp,
    };
    let mut options = UtpOptions::default();
    options.patience = Some(ports.patience);
    let Some(proxy) = common.proxy()? else {
        if listen.ip().is_unspecified() && !ports.also.is_empty() {
            let why = format!(
                "the setting network.also_at names further addresses, and {listen} is all of them: name one address, by network.listen or --listen"
            );
            return Err(Failure::Usage(why));
        }
        let at = (listen, ports.more, ports.also.as_slice());
        let mut open = net::ports::open_also(network, at, transports, pool, &options);
        if ports.any && matches!(&open, Err(error) if error.kind() == std::io::ErrorKind::AddrInUse)
        {
            let anywhere = (SocketAddr::new(listen.ip(), 0), 0, ports.also.as_slice());
            open = net::ports::open_also(network, anywhere, transports, pool, &options);
        }
        let open = open.map_err(|error| {
            Failure::Failed(format!("cannot listen on {listen}: {}", reason(&error)))
        })?;
        return Ok(Doors {
            network: open.network,
            listen: Some(open.addr),
            datagrams: open.datagrams,
            more: open.more,
        });
    };
    let transports = if proxy.has_datagrams() {
        transports
    } else {
        Transports::Tcp
    };
    let open = net::ports::outgoing(network, BEHIND_PROXY, transports, pool, &options);
    let (network, datagrams) =
        open.map_err(|error| Failure::Failed(format!("--proxy: {}", reason(&error))))?;
    Ok(Doors {
        network,
        listen: None,
        datagrams,
        more: Vec::new(),
    })
}
