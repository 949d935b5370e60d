//! The way into the network that flags ask for.

use std::net::IpAddr;

use net::resolve::NameServers;
use net::{Network, OwnedPool, Pool, Proxy, RealOptions, SocketTuning};
use tunnels::Anonymity;

use super::filter::FilterFile;
use super::{NoCircuit, Overlay, Part, bound, listen_address, pool};
use crate::cli::transfer::Common;
use crate::failure::Failure;
use crate::screen::Screen;
use crate::shutdown::Shutdown;

/// A way into the network, and the threads that carry what goes over it.
#[derive(Debug)]
pub(crate) struct Way {
    /// The way.
    pub(crate) network: Network,
    /// What it stands on: the same, or where the circuits begin.
    pub(super) outward: Network,
    /// The part in the overlay, where it leads through circuits or others want it to.
    pub(super) overlay: Option<Overlay>,
    pub(super) filter: Option<FilterFile>,
    pub(super) pool: OwnedPool,
    /// Until when there has to be a circuit, where all goes through some.
    pub(crate) no_circuit: Option<NoCircuit>,
}

/// The way into the network: everything that goes out does so through `--proxy`, and from what `--bind` names, or, where
/// its family allows, from the address of `--listen`.
///
/// # Errors
/// As [`start`](super::start).
pub(crate) async fn way(
    common: &Common,
    screen: &Screen,
    shutdown: &mut Shutdown,
) -> Result<Way, Failure> {
    let pool = pool()?;
    let proxy = common.proxy()?;
    common.check_hops()?;
    listen_address(common)?;
    let filter = FilterFile::of(common, screen)?;
    let from = match common.hops() {
        0 => common.listen.map(|at| at.ip()),
        _ => common.overlay.overlay_listen.map(|at| (*at.ip()).into()),
    };
    let no_circuit = NoCircuit::of(common);
    let told = (screen, shutdown);
    let begin = (common, from, SocketTuning::default());
    let network = direct_network(begin, pool.pool(), no_circuit.as_ref(), told).await?;
    let network = within(network, proxy, filter.as_ref());
    let hops = common.hops();
    let wanted = hops > 0 || common.overlay.socks.is_some();
    let start = || {
        let part = Part::default();
        Overlay::start(&common.overlay, part, &network, (pool.pool(), screen))
    };
    let overlay = wanted.then(start).transpose()?;
    let anonymous = overlay.as_ref().filter(|_| hops > 0);
    let outward = network.clone();
    let network = match (anonymous, &filter) {
        (Some(overlay), Some(file)) => overlay.anonymity.network(hops).filtered(file.filter()),
        (Some(overlay), None) => overlay.anonymity.network(hops),
        (None, _) => network,
    };
    Ok(Way {
        network,
        outward,
        overlay,
        filter,
        pool,
        no_circuit,
    })
}

impl Way {
    /// The door to circuits, where there is one.
    pub(crate) fn anonymity(&self) -> Option<&Anonymity> {
        self.overlay.as_ref().map(|overlay| &overlay.anonymity)
    }
}

/// A network that goes through a proxy only, if there is one, and to nobody whom the filter forbids.
pub(super) fn within(
    network: Network,
    proxy: Option<&Proxy>,
    filter: Option<&FilterFile>,
) -> Network {
    let network = match proxy {
        Some(proxy) => network.through(proxy),
        None => network,
    };
    match filter {
        Some(file) => network.filtered(file.filter()),
        None => network,
    }
}

/// The network that leads to a proxy, or everywhere where there is none; `from` is where it starts unless something is said
/// of that.
pub(super) async fn direct_network(
    (common, from, tuning): (&Common, Option<IpAddr>, SocketTuning),
    pool: &Pool,
    circuits: Option<&NoCircuit>,
    told: (&Screen, &mut Shutdown),
) -> Result<Network, Failure> {
    if let Some(bind) = &common.bind {
        let servers = common.dns.iter().map(|server| server.0);
        let servers = NameServers::these(servers.collect());
        return bound::network((bind, servers, tuning), pool, circuits, told).await;
    }
    if !common.dns.is_empty() {
        let why =
            "--dns: name servers are asked with --bind only; without it the system looks names up";
        return Err(Failure::Usage(why.to_owned()));
    }
    Ok(match from {
        Some(ip) => Network::real(RealOptions::from_source(ip).tuned(tuning)),
        None => Network::real(RealOptions::default().tuned(tuning)),
    })
}
