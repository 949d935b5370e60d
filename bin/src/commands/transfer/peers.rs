//! `--peer`: peers that the user knows.

use std::net::SocketAddr;

use net::Network;

use crate::failure::{Failure, reason};
use crate::host_port::HostPort;
use crate::screen::Screen;

/// The addresses that `--peer` names. A name that cannot be found is told of and left out.
///
/// # Errors
/// [`Failure::Usage`] where a value is not a host and a port.
pub(crate) async fn peers(
    values: &[String],
    network: &Network,
    screen: &Screen,
) -> Result<Vec<SocketAddr>, Failure> {
    let mut peers = Vec::new();
    for value in values {
        let at: HostPort = value
            .parse()
            .map_err(|error| Failure::Usage(format!("--peer {value}: {error}")))?;
        match network.lookup(&at.host, at.port).await {
            Ok(found) => {
                let blocked = found.iter().filter(|at| network.blocks(at.ip()));
                if blocked.count() > 0 {
                    let line = format_args!(
                        "--peer {value}: is on the list of --ip-filter, and not talked to"
                    );
                    screen.warn("warning", line);
                }
                peers.extend(found);
            }
            Err(error) => screen.warn(
                "warning",
                format_args!("--peer {value}: {}", reason(&error)),
            ),
        }
    }
    Ok(peers)
}
