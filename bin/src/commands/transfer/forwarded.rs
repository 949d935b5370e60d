//! Tells of the ports that the router forwards to us.

use std::net::SocketAddr;

use super::Transfer;
use crate::json::Line;
use crate::screen::Style;

impl Transfer {
    /// Says which ports the router has given.
    pub(super) fn tell_mapped(&mut self) {
        let Some(ports) = &self.ports else { return };
        let now = ports.now();
        for port in now.iter().filter(|port| !self.told.contains(port)) {
            let (transport, by) = (port.transport.to_string(), port.by.to_string());
            // A reader that went away does not stop a transfer.
            let _ = match self.screen.style() {
                Style::Json => self.screen.json(&Line::Mapped {
                    transport: &transport,
                    port: port.internal,
                    external_port: port.external,
                    external_ip: port.ip.map(|ip| ip.to_string()),
                    by: &by,
                }),
                Style::Bars | Style::Lines => {
                    let at = port.ip.map_or_else(
                        || format!("port {}", port.external),
                        |ip| SocketAddr::new(ip, port.external).to_string(),
                    );
                    let port = port.internal;
                    self.screen.say(format_args!(
                        "the router ({by}) forwards {at} to {transport} port {port}"
                    ))
                }
            };
        }
        self.told = now;
    }
}
