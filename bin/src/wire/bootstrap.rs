//! Hosts of the DHT that the user has named.

use net::Network;

use crate::cli::transfer::Common;
use crate::failure::reason;
use crate::screen::Screen;

/// [`tell_unknown`] for `--dht-bootstrap`, where there is a DHT.
pub(crate) fn tell_unknown_nodes(common: &Common, network: &Network, screen: &Screen) {
    if !common.no_dht {
        let nodes = common.dht_bootstrap.iter();
        let hosts: Vec<_> = nodes.map(|at| (at.host.clone(), at.port)).collect();
        tell_unknown("--dht-bootstrap", &hosts, network, screen);
    }
}

/// Tells which of the hosts cannot be found, as soon as that is known and without waiting for it. Must be called inside
/// [`run`](super::run).
pub(crate) fn tell_unknown(
    flag: &'static str,
    hosts: &[(String, u16)],
    network: &Network,
    screen: &Screen,
) {
    for (host, port) in hosts.iter().cloned() {
        let (network, screen) = (network.clone(), screen.clone());
        let look_up = async move {
            if let Err(error) = network.locate(&host, port).await {
                let line = format_args!("{flag} {host}:{port}: {}", reason(&error));
                screen.warn("warning", line);
            }
        };
        drop(actix_rt::spawn(look_up));
    }
}
