//! The switches of a torrent, turned while it is at work.

use actix::Context;
use actors::tell_recipient;
use protocol::geometry::PieceIndex;

use crate::modes::{Mode, Modes};
use crate::peer::driver::now;
use crate::peer::key::PeerKey;
use crate::peer::messages::{Ended, Order};
use crate::queue::{Voice, Voices};
use crate::torrent::actor::{Phase, Torrent};
use crate::torrent::messages::News;

/// Whether there is room where the content of a torrent goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// There is enough.
    Enough,
    /// There is so little that nothing more is fetched.
    Little,
}

impl Torrent {
    /// Turns switches on, and then others off.
    pub(super) fn turn(&mut self, on: Modes, off: Modes, ctx: &mut Context<Self>) {
        let before = self.add.modes();
        self.add.set_modes(on, off);
        let now_on = self.add.modes();
        let turned = before.but(now_on).and(now_on.but(before));
        for mode in turned.iter() {
            self.turned(mode, now_on.has(mode), ctx);
        }
    }

    fn turned(&mut self, mode: Mode, on: bool, ctx: &mut Context<Self>) {
        match mode {
            Mode::Sequential => self.set_sequential(on),
            Mode::SuperSeed => self.turn_super_seed(on),
            Mode::UploadOnly => self.turn_upload_only(on),
            Mode::Share => self.turn_share(ctx),
            Mode::StopWhenReady => {
                if on && matches!(self.phase, Phase::Active(_)) {
                    self.stop_as_ready();
                    self.pause();
                }
            }
            Mode::Trackers => self.announce_anew(ctx),
            Mode::IpFilter => self.heed_filter(),
            Mode::Dht if !on => self.leave_dht(),
            Mode::LocalDiscovery if !on => self.leave_neighbours(),
            Mode::Dht | Mode::LocalDiscovery => {
                if self.is_online() {
                    self.go_online(ctx);
                }
            }
            Mode::HiddenSeeding => self.tend_hidden(now(), ctx),
            // The Supervisor's, and what is looked at where it is used.
            Mode::Managed | Mode::PeerExchange | Mode::WebSeeds => {}
        }
    }

    /// Holds what it does to the filter of its network, or does not.
    pub(super) fn heed_filter(&mut self) {
        self.setup.reach.heed_filter(self.add.use_ip_filter);
        if self.add.use_ip_filter {
            self.sift();
        } else if self.is_online() {
            self.seek_peers_again();
        }
    }

    /// Announces there and nowhere else from now on.
    pub(super) fn speak(&mut self, voices: Voices, ctx: &mut Context<Self>) {
        let before = std::mem::replace(&mut self.voices, voices);
        if before.has(Voice::Trackers) != voices.has(Voice::Trackers) {
            self.announce_anew(ctx);
        } else if before != voices && self.is_online() {
            self.go_online(ctx);
        }
    }

    /// Whether it may ask for anything.
    pub(super) const fn may_ask(&self) -> bool {
        !self.add.upload_only && matches!(self.room, Room::Enough)
    }

    /// There is room for what it fetches, or no longer.
    pub(super) fn find_room(&mut self, room: bool) {
        let room_now = if room { Room::Enough } else { Room::Little };
        if self.room != room_now {
            self.room = room_now;
            if !self.add.upload_only {
                self.turn_upload_only(!room);
            }
        }
    }

    fn turn_super_seed(&mut self, on: bool) {
        let veils = self.is_super_seeding();
        let veil = |veiled: bool| on && veils && !veiled;
        let mut open = Vec::new();
        for (key, peer) in self.peers.iter_mut() {
            if veil(peer.veiled) && !peer.is_seed() {
                // It knows what we have: the connection that it makes next does not tell it.
                peer.order(Order::Close(Ended::Dismissed));
            } else if !on && std::mem::take(&mut peer.veiled) {
                peer.order(Order::Unveil);
                open.push(key);
            }
        }
        if !on {
            self.gifts = None;
            let upload_only = self.is_upload_only();
            for key in open {
                if let Some(peer) = self.peers.get(key) {
                    peer.order(Order::UploadOnly(upload_only));
                }
            }
        }
    }

    fn turn_upload_only(&mut self, on: bool) {
        if on {
            self.take_back_all();
            self.web_seeds.dismiss();
        }
        let upload_only = self.is_upload_only();
        for (_, peer) in self.peers.iter() {
            peer.order(Order::UploadOnly(upload_only));
        }
        self.tidy_peers(now());
        if !on {
            self.seek_peers_again();
            self.feed_hungry();
        }
    }

    /// Takes back all that peers were asked for.
    fn take_back_all(&mut self) {
        let Phase::Active(active) = &self.phase else {
            return;
        };
        let all: std::sync::Arc<[PieceIndex]> = active.pieces.keys().copied().collect();
        let holds = |key: &PeerKey| active.picker.held_by(*key) > 0;
        for (_, peer) in self.peers.iter().filter(|(key, _)| holds(key)) {
            peer.order(Order::GiveBack(all.clone()));
        }
    }

    /// Its files were looked at, after which it was to be paused: whoever keeps it is told.
    pub(super) fn stop_as_ready(&mut self) {
        self.add.stop_when_ready = false;
        self.add.paused = true;
        tell_recipient(&self.setup.supervisor, News::Ready(self.id));
    }
}
