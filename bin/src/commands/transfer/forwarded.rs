//! Tells of the ports that the router forwards to us.

use std::net::SocketAddr;

use super::Transfer;
use crate::json::Line;
use crate::screen::Style;

impl Transfer {
    /// Whether it is not known yet what becomes of the port.
    pub(super) fn awaits_router(&self) -> bool {
        self.ports.is_some() && !self.told_unmapped
    }

    /// Says which ports the router has given, or once that none gives any.
    pub(super) fn tell_mapped(&mut self) {
        let Some(ports) = &self.ports else { return };
        let now = ports.now();
        if !self.told_unmapped
            && ports.is_refused()
            && let Some(port) = self.listening.map(|at| at.port())
        {
            self.told_unmapped = true;
            // As below.
            let _ = match self.screen.style() {
                Style::Json => self.screen.json(&Line::Unmapped { port }),
                Style::Bars | Style::Lines => {
                    let alone = "peers can connect only where it is reachable without that";
                    self.screen
                        .say(format_args!("no router maps port {port}: {alone}"))
                }
            };
        }
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
                        "port {port} mapped to {at} ({transport}, by {by})"
                    ))
                }
            };
        }
        self.told_unmapped |= !now.is_empty();
        self.told = now;
    }
}
