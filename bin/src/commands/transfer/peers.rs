//! `--peer`: peers that the user knows.

use std::net::SocketAddr;

use net::Network;

use crate::failure::{Failure, reason};
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
        let parsed = value.rsplit_once(':').and_then(|(host, port)| {
            let port: u16 = port.parse().ok()?;
            (!host.is_empty() && port > 0).then_some((host, port))
        });
        let Some((host, port)) = parsed else {
            return Err(Failure::Usage(format!(
                "--peer {value}: write it as HOST:PORT"
            )));
        };
        match network.lookup(host, port).await {
            Ok(found) => peers.extend(found),
            Err(error) => screen.warn(
                "warning",
                format_args!("--peer {value}: {}", reason(&error)),
            ),
        }
    }
    Ok(peers)
}
