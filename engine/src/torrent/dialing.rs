//! Whom a torrent connects to, and how.

use std::net::SocketAddr;
use std::time::Instant;

use actix::Context;
use net::ports::Transports;
use protocol::peer::TorrentParams;
use rand::RngExt as _;

use crate::Refusal;
use crate::cover::Cover;
use crate::peer::driver::now;
use crate::peer::opening::{Opening, Way};
use crate::seats::Seat;
use crate::settings::{Peers, Settings};
use crate::torrent::actor::{Phase, Torrent};
use crate::torrent::candidates::{self, Candidates, Patience};

/// Connections by uTP that are sought where nobody can connect to us: as many peers can help us to meet others.
const BY_UTP: usize = 4;

/// An empty list of candidates, by the settings.
pub(super) fn candidates_of(settings: &Peers) -> Candidates {
    Candidates::new(settings.known as usize).with_patience(patience_of(settings))
}

/// How long addresses that fail are put up with, by the settings.
pub(super) const fn patience_of(settings: &Peers) -> Patience {
    Patience {
        first: settings.retry_after,
        most_failures: settings.most_failures,
    }
}

/// Why no peer is dialled at such a port, where none is unless the user names it.
pub(super) fn refuses_port(settings: &Settings, port: u16) -> Option<Refusal> {
    let connections = &settings.connections;
    if port < 1024 && !connections.low_ports {
        return Some(Refusal::LowPort);
    }
    let refused = connections.refused_ports.contains(port);
    refused.then_some(Refusal::Port)
}

impl Torrent {
    /// Connects to candidates while there is room for more peers.
    pub(crate) fn dial(&mut self, now: Instant, ctx: &mut Context<Self>) {
        if !self.is_online() || self.moves.lack_circuits() {
            return;
        }
        let done = matches!(&self.phase, Phase::Active(active) if active.finished);
        if done && !self.setup.settings.get().connections.dial_when_done
            || self.transports().is_none()
        {
            return;
        }
        let half_open = self.setup.settings.get().connections.half_open as usize;
        while self.peers.len() < self.most_peers() && self.peers.half_open() < half_open {
            let Some(addr) = self.candidates.next(now) else {
                return;
            };
            let Some(seat) = self.setup.seats.take() else {
                return;
            };
            self.candidates.dialing(addr);
            self.open_to((addr, seat), self.way_to(addr), ctx);
        }
    }

    /// When somebody can be dialled next, if anybody is to be.
    pub(super) fn dials_next(&self, now: Instant) -> Option<Instant> {
        let done = matches!(&self.phase, Phase::Active(active) if active.finished);
        let dials = !done || self.setup.settings.get().connections.dial_when_done;
        let at = self.candidates.dialled_next(now);
        at.filter(|_| dials && self.transports().is_some())
    }

    /// By what means a peer is dialled.
    ///
    /// Behind a NAT that lets nobody in, a few connections should be of uTP: others learn from them at which of its ports we can
    /// be met. Nobody has connected to us by TCP then; and who is our first peer is taken as it comes.
    fn way_to(&self, addr: SocketAddr) -> Way {
        match self.transports() {
            Some(Transports::Tcp) => return Way::Tcp,
            Some(Transports::Utp) => return Way::Utp,
            Some(Transports::Both) | None => {}
        }
        if self.candidates.is_by_utp(addr) {
            return Way::Utp;
        }
        let hidden = self.meets() && !self.reachable && candidates::is_public(addr.ip());
        if !hidden || !self.candidates.speaks_utp(addr) {
            return Way::Usual;
        }
        let open = || self.peers.iter().filter(|(_, peer)| peer.since.is_some());
        let by_utp = open().filter(|(_, peer)| peer.utp && peer.outgoing).count();
        if by_utp < BY_UTP && open().next().is_some() {
            Way::UtpFirst
        } else {
            Way::Usual
        }
    }

    /// By what peers may be dialled, if by anything. Circuits carry what they carry, whatever the settings say of the direct way.
    fn transports(&self) -> Option<Transports> {
        let reach = &self.setup.reach;
        if reach.is_anonymous() {
            return Some(Transports::Both);
        }
        let settings = self.setup.settings.get();
        match (
            settings.connections.outgoing_tcp,
            settings.connections.outgoing_utp,
        ) {
            (true, true) => Some(Transports::Both),
            (true, false) => Some(Transports::Tcp),
            (false, true) => reach.network.dials_utp().then_some(Transports::Utp),
            (false, false) => None,
        }
    }

    /// Whether peers that others name are dialled at such a port.
    pub(super) fn dials_port(&self, addr: SocketAddr) -> bool {
        refuses_port(&self.setup.settings.get(), addr.port()).is_none()
    }

    /// Connects to a peer that does the same at this moment, if there is room for it and it is not there already.
    pub(super) fn meet(&mut self, addr: SocketAddr, ctx: &mut Context<Self>) {
        let half_open = self.setup.settings.get().connections.half_open as usize;
        let room = self.peers.len() < self.most_peers() && self.peers.half_open() < half_open;
        if room
            && !self.moves.lack_circuits()
            && !self.is_connected_to(addr)
            && self.dials_port(addr)
            && matches!(self.transports(), Some(Transports::Both | Transports::Utp))
            && let Some(seat) = self.setup.seats.take()
            && self.candidates.meet(addr, now())
        {
            self.open_to((addr, seat), Way::Utp, ctx);
        }
    }

    fn open_to(&mut self, (addr, seat): (SocketAddr, Seat), way: Way, ctx: &mut Context<Self>) {
        self.count(|counters| &counters.attempts);
        let opening = Opening::Dial {
            network: self.setup.reach.network.clone(),
            to: addr,
            way,
            cover: self.cover(addr),
            config: self.session_config(),
            torrent: TorrentParams {
                v2_first: self.dials_by_v2(addr),
                ..self.session_torrent()
            },
        };
        self.connect((addr, seat), true, opening, ctx);
    }

    /// Whether there is a connection to the peer at an address, or it is being dialled.
    pub(super) fn is_connected_to(&self, addr: SocketAddr) -> bool {
        let mut peers = self.peers.iter();
        peers.any(|(_, peer)| peer.addr == addr || peer.listens == Some(addr))
    }

    /// Under which cover an address is dialled, if under any.
    fn cover(&mut self, addr: SocketAddr) -> Option<Cover> {
        let encryption = self.setup.settings.get().encryption.peers;
        let covered = encryption.covers_first() != self.candidates.is_other_way(addr);
        let methods = encryption.choice().filter(|_| covered)?.allowed;
        Some(Cover {
            methods,
            seed: self.rng.random(),
        })
    }
}
