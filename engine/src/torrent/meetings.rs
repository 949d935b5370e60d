//! Meetings with peers behind NATs (BEP 55): we ask for them, are asked to come, and bring others together.

use std::net::SocketAddr;
use std::time::Instant;

use actix::Context;
use protocol::peer::HolepunchMessage;
use protocol::peer::holepunch::Refusal;

use crate::peer::driver::now;
use crate::peer::key::PeerKey;
use crate::peer::messages::{Ended, Order};
use crate::torrent::actor::Torrent;
use crate::torrent::pex::may_name;
use crate::torrent::punch::{Answer, Invitation, Party};

impl Torrent {
    /// Whether `ut_holepunch` is spoken: with uTP alone, which goes through NATs, and never about private torrents.
    pub(super) fn meets(&self) -> bool {
        let reach = &self.setup.reach;
        let allowed = self.setup.settings.get().peers.hole_punching && !reach.is_anonymous();
        allowed && self.setup.reach.network.has_utp() && !self.is_private()
    }

    /// Takes a message of `ut_holepunch`.
    pub(super) fn on_holepunch(
        &mut self,
        key: PeerKey,
        message: HolepunchMessage,
        ctx: &mut Context<Self>,
    ) {
        if !self.meets() || !self.is_online() {
            return;
        }
        match message {
            HolepunchMessage::Rendezvous(wanted) => self.on_wish(key, wanted),
            HolepunchMessage::Connect(addr) => self.on_invitation(key, addr, ctx),
            HolepunchMessage::Error(addr, why) => self.on_refusal(key, addr, why),
        }
    }

    /// A peer that was told of cannot be dialled: asks one that is connected to it for a meeting, if there is one.
    pub(super) fn seek_meeting(&mut self, addr: SocketAddr, now: Instant) {
        if !self.meets() || !self.is_online() || self.is_connected_to(addr) {
            return;
        }
        if let Some(relay) = self.punch.unreachable(addr, now) {
            tracing::debug!(peer = %addr, "asks to meet a peer that cannot be dialled");
            self.say(relay, HolepunchMessage::Rendezvous(addr));
        }
    }

    fn on_wish(&mut self, key: PeerKey, wanted: SocketAddr) {
        let party = |key, addr| Party { key, addr };
        // One whose own address is not known cannot be named to anybody.
        let Some(at) = self.peers.get(key).and_then(|peer| peer.listens) else {
            return;
        };
        let mut open = self.peers.iter().filter(|(_, peer)| peer.since.is_some());
        let found = open.find(|(_, peer)| peer.listens == Some(wanted));
        let found = found.map(|(key, _)| party(key, wanted));
        let own = self.candidates.is_own(wanted);
        let asker = party(key, at);
        match self.punch.wished(asker, wanted, found, own, now()) {
            Answer::Connect => {
                self.say(key, HolepunchMessage::Connect(wanted));
                if let Some(found) = found {
                    self.say(found.key, HolepunchMessage::Connect(at));
                }
            }
            Answer::Refuse(why) => self.say(key, HolepunchMessage::Error(wanted, why)),
            Answer::Ignore => {}
            Answer::Flood => self.end_flood(key),
        }
    }

    fn on_invitation(&mut self, key: PeerKey, addr: SocketAddr, ctx: &mut Context<Self>) {
        let Some(from) = self.peers.get(key).map(|peer| peer.addr) else {
            return;
        };
        match self.punch.invited(key, addr, now()) {
            Invitation::Taken if may_name(from, addr) => self.meet(addr, ctx),
            Invitation::Taken | Invitation::Ignored => {}
            Invitation::Flood => self.end_flood(key),
        }
    }

    fn on_refusal(&mut self, key: PeerKey, addr: SocketAddr, why: Refusal) {
        tracing::debug!(peer = %addr, ?why, "no meeting");
        if let Some(relay) = self.punch.refused(key, addr, now()) {
            self.say(relay, HolepunchMessage::Rendezvous(addr));
        }
    }

    fn end_flood(&self, key: PeerKey) {
        if let Some(peer) = self.peers.get(key) {
            let why = "too many ut_holepunch messages".into();
            peer.order(Order::Close(Ended::Misbehaved(why)));
        }
    }

    fn say(&self, key: PeerKey, message: HolepunchMessage) {
        if let Some(peer) = self.peers.get(key) {
            peer.order(Order::Holepunch(message));
        }
    }
}
