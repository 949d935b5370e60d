//! Tells how it stands with the circuits that everything goes through, and gives up where there never is one.

use std::net::SocketAddr;
use std::time::Duration;

use tunnels::Anonymity;

use super::Transfer;
use crate::cli::transfer::Common;
use crate::failure::Failure;
use crate::json::Line;
use crate::report::{self, Lane};
use crate::screen::{Screen, Style};
use crate::shutdown::Shutdown;
use crate::wire::{NoCircuit, Way};

/// How often it is looked.
pub(super) const LOOK: Duration = Duration::from_millis(250);

/// The circuits of a transfer, and what was told of them.
#[derive(Debug)]
pub(crate) struct Anonymous {
    anonymity: Anonymity,
    hops: u8,
    limit: NoCircuit,
    /// The bootstrap servers that were named.
    servers: Vec<String>,
    /// There was a circuit at some time.
    had_any: bool,
    told: Option<Lane>,
}

impl Anonymous {
    /// The circuits that flags ask for; none where they ask for none.
    pub(crate) fn of(common: &Common, way: &Way) -> Option<Self> {
        let limit = way.no_circuit?;
        let anonymity = way.anonymity()?.clone();
        let servers = common.overlay.overlay_bootstrap.iter();
        Some(Self {
            anonymity,
            hops: common.hops(),
            limit,
            servers: servers
                .map(|at| format!("{}:{}", at.host, at.port))
                .collect(),
            had_any: false,
            told: None,
        })
    }

    /// Waits for a circuit, and tells of it meanwhile.
    ///
    /// # Errors
    /// [`Failure::Anonymity`] where there is none in time, [`Failure::Failed`] where a signal comes first.
    pub(crate) async fn wait(
        &mut self,
        screen: &Screen,
        shutdown: &mut Shutdown,
    ) -> Result<(), Failure> {
        loop {
            self.tell(screen)?;
            if self.had_any {
                return Ok(());
            }
            tokio::select! {
                biased;
                _ = shutdown.asked() => {
                    let line = "stopped before there was a circuit; nothing was sent";
                    return Err(Failure::Failed(line.to_owned()));
                }
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Whether it is told how it stands with circuits of so many hops.
    pub(super) const fn tells_of(&self, hops: u8) -> bool {
        self.hops == hops
    }

    /// Tells what has changed.
    ///
    /// # Errors
    /// [`Failure::Anonymity`] where there was never a circuit, and will not be in time.
    pub(super) fn tell(&mut self, screen: &Screen) -> Result<(), Failure> {
        let now = report::lane(&self.anonymity, self.hops);
        self.had_any |= now.ready > 0;
        if self.told.as_ref() != Some(&now) {
            match screen.style() {
                Style::Json => screen.json(&Line::Anonymity {
                    hops: now.hops,
                    state: &now.state,
                    reason: now.reason.as_deref(),
                    ready: now.ready,
                    building: now.building,
                    exits: now.exits,
                })?,
                Style::Bars | Style::Lines => self.tell_people(&now, screen)?,
            }
            self.told = Some(now.clone());
        }
        if !self.had_any && self.limit.left().is_zero() {
            let why = now.reason.as_deref().unwrap_or("there is none");
            let known: usize = self
                .anonymity
                .counters()
                .nodes
                .iter()
                .map(|node| node.known)
                .sum();
            let known = match (known, now.exits) {
                (0, _) => self.no_members(),
                (known, 0) => format!("{known} members of the overlay are known"),
                (_, known) => format!("{} known", exits(known)),
            };
            return Err(self.limit.failure(&format!("{why}; {known}")));
        }
        Ok(())
    }

    /// Nobody at all is known in the overlay: what to look at.
    fn no_members(&self) -> String {
        if self.servers.is_empty() {
            return "no server of the public overlay has answered: see whether UDP gets out, or name others by --overlay-bootstrap"
                .to_owned();
        }
        format!(
            "--overlay-bootstrap {}: no answer; see whether a server runs there, and whether UDP gets there",
            self.servers.join(", ")
        )
    }

    /// Tells people when traffic begins to go out, and when it cannot any more.
    fn tell_people(&self, now: &Lane, screen: &Screen) -> Result<(), Failure> {
        let was = self.told.as_ref();
        let blocked = now.ready == 0;
        let (hops, exits) = (hops(now.hops), exits(now.exits));
        let why = now.reason.as_deref();
        let why = why.map_or_else(String::new, |why| format!(" ({why})"));
        match (was, blocked) {
            (None, true) if now.exits == 0 => screen.say(format_args!(
                "building circuits of {hops}: looking for relays and exits"
            )),
            (None, true) => screen.say(format_args!(
                "building circuits of {hops}: {exits} known so far"
            )),
            (Some(was), true) if was.ready > 0 => {
                let line = format_args!(
                    "no circuit of {hops} is left{why}: nothing goes out until there is one; {exits} known"
                );
                screen.warn("warning", line);
                Ok(())
            }
            (None, false) => screen.say(through(now, &hops, &exits)),
            (Some(was), false) if was.ready == 0 => screen.say(through(now, &hops, &exits)),
            _ => Ok(()),
        }
    }
}

impl Transfer {
    /// Tells how it stands with circuits, where there are any.
    ///
    /// # Errors
    /// See [`Anonymous::tell`].
    pub(super) fn tell_anonymity(&mut self) -> Result<(), Failure> {
        match &mut self.anonymous {
            Some(anonymous) => anonymous.tell(&self.screen),
            None => Ok(()),
        }
    }
}

/// Tells where other programs can go through circuits.
pub(crate) fn tell_socks(
    places: impl Iterator<Item = (u8, SocketAddr)>,
    screen: &Screen,
) -> Result<(), Failure> {
    for (number, addr) in places {
        match screen.style() {
            Style::Json => screen.json(&Line::Socks {
                hops: number,
                addr: addr.to_string(),
            })?,
            Style::Bars | Style::Lines => screen.say(format_args!(
                "SOCKS5 through circuits of {} at {addr}",
                hops(number)
            ))?,
        }
    }
    Ok(())
}

fn through(now: &Lane, hops: &str, exits: &str) -> String {
    let plural = if now.ready == 1 { "" } else { "s" };
    let ready = now.ready;
    format!(
        "everything goes through circuits of {hops}: {ready} circuit{plural} ready, {exits} known"
    )
}

fn hops(hops: u8) -> String {
    counted(hops.into(), "hop")
}

fn exits(exits: usize) -> String {
    counted(exits, "exit")
}

fn counted(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
