//! The introduction messages of others.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::net::SocketAddrV4;
use std::time::Instant;

use super::{Introduced, Introducer};
use crate::directory::{Peer, is_lan, is_usable};
use crate::introduction::{Puncture, PunctureRequest, Request, Response, id};
use crate::key::VerifyError;
use crate::packet::{Packet, PacketError, Proof, Signed, plain, sign};
use crate::wire::NO_ADDRESS;

impl Introducer {
    /// Takes a packet of this community; says whether it was one of the messages that all communities share.
    ///
    /// # Errors
    /// What is wrong with such a message. Nothing has changed then, but that its sender's address was heard of.
    pub fn handle_packet(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        packet: &Packet<'_>,
    ) -> Result<bool, PacketError> {
        self.directory().heard(now, from);
        match packet.message() {
            id::REQUEST => self.on_request(now, from, packet)?,
            id::RESPONSE => self.on_response(now, from, packet)?,
            id::PUNCTURE_REQUEST => self.on_puncture_request(now, packet)?,
            id::PUNCTURE => {
                Puncture::read(packet.open()?.body())?;
            }
            other if id::is_deprecated(other) => {
                tracing::debug!(message = other, %from, "a message of an older protocol");
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Opens a signed packet. Whose signature cannot be checked is believed only at the address of a bootstrap server.
    ///
    /// # Errors
    /// See [`PacketError`].
    pub fn open<'a>(
        &self,
        from: SocketAddrV4,
        packet: &Packet<'a>,
    ) -> Result<Signed<'a>, PacketError> {
        let signed = packet.open()?;
        if let (Proof::Unchecked, Some(curve)) = (signed.proof(), signed.key().curve())
            && !self.settings.bootstrap.contains(&from)
        {
            return Err(VerifyError::Unchecked(curve).into());
        }
        Ok(signed)
    }

    fn on_request(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        packet: &Packet<'_>,
    ) -> Result<(), PacketError> {
        let signed = self.open(from, packet)?;
        let request = Request::read(signed.body())?;
        self.answer(now, from, &signed, &request);
        Ok(())
    }

    /// Takes a request whose body was read; communities with a layout of their own for it end here, too.
    ///
    /// With members enough, py-ipv8 says nothing, so that whoever comes late to a community of members enough finds nobody.
    /// Here the stranger is answered, as far as the allowance goes, and not noted.
    pub(crate) fn answer(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        signed: &Signed<'_>,
        request: &Request<'_>,
    ) {
        if self.has_room() || self.directory().peer(signed.key().mid()).is_some() {
            if !self.take_member(now, from, signed) {
                return;
            }
        } else {
            self.counters.crowded = self.counters.crowded.saturating_add(1);
            if signed.key() == self.settings.key.public() || !self.strangers.take(now) {
                return;
            }
        }
        let introduced = {
            let directory = self.settings.directory.lock();
            let asker = directory.peer_at(from).map(Peer::mid);
            let other = |peer: &Peer| Some(peer.mid()) != asker;
            let community = self.settings.community;
            let peer = directory.random_peer(community, &mut self.rng, other);
            peer.map(Peer::addr)
        };
        let global_time = self.claim_global_time();
        let (introduced_lan, introduced_wan) = match introduced {
            Some(addr) if is_lan(*addr.ip()) => {
                (addr, SocketAddrV4::new(*self.wan.ip(), addr.port()))
            }
            Some(addr) => (NO_ADDRESS, addr),
            None => (NO_ADDRESS, NO_ADDRESS),
        };
        if let Some(to) = introduced {
            let puncture = PunctureRequest {
                global_time: self.claim_global_time(),
                lan_walker: request.destination,
                wan_walker: from,
                identifier: request.identifier,
            };
            let bytes = plain(self.prefix, id::PUNCTURE_REQUEST, |out| puncture.write(out));
            self.send(to, bytes);
        }
        let response = Response {
            global_time,
            destination: from,
            lan: self.settings.lan,
            wan: self.wan,
            introduced_lan,
            introduced_wan,
            flags: 0,
            identifier: request.identifier,
            extra: &self.response_extra,
        };
        let bytes = sign(self.prefix, id::RESPONSE, &self.settings.key, |out| {
            response.write(out);
        });
        self.counters.responses_out = self.counters.responses_out.saturating_add(1);
        self.send(from, bytes);
        self.tell(Introduced::Asked {
            key: signed.key().clone(),
            addr: from,
            extra: request.extra.to_vec(),
        });
    }

    fn on_response(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        packet: &Packet<'_>,
    ) -> Result<(), PacketError> {
        let signed = self.open(from, packet)?;
        let response = Response::read(signed.body())?;
        if !self.was_asked(now, response.identifier, from) {
            self.counters.unasked = self.counters.unasked.saturating_add(1);
            return Ok(());
        }
        self.counters.responses_in = self.counters.responses_in.saturating_add(1);
        let seen = response.destination;
        if is_usable(seen) && !is_lan(*seen.ip()) {
            self.wan = seen;
        }
        let key = signed.key();
        let known = self.directory().peer(key.mid()).is_some();
        if known || self.has_room() {
            self.take_member(now, from, &signed);
        }
        self.learn(&signed, &response);
        self.tell(Introduced::Answered {
            key: key.clone(),
            addr: from,
            extra: response.extra.to_vec(),
        });
        Ok(())
    }

    /// Notes whom a response names.
    fn learn(&self, signed: &Signed<'_>, response: &Response<'_>) {
        let (lan, wan) = (response.introduced_lan, response.introduced_wan);
        let (has_lan, has_wan) = (lan != NO_ADDRESS, wan != NO_ADDRESS);
        let ours = wan.ip() == self.wan.ip();
        let beside = SocketAddrV4::new(*self.settings.lan.ip(), wan.port());
        let named = match (has_lan, has_wan) {
            (true, true) if !ours => [Some(lan), Some(wan)],
            (false, true) if !ours => [Some(wan), None],
            (true, _) if ours => [Some(lan), None],
            (_, true) => [Some(wan), Some(beside)],
            _ => [None, None],
        };
        let mut directory = self.directory();
        for addr in named.into_iter().flatten() {
            directory.discover(signed.key().mid(), addr, self.settings.community);
        }
    }

    fn on_puncture_request(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
    ) -> Result<(), PacketError> {
        let request = PunctureRequest::read(packet.body())?;
        let behind_our_nat = request.wan_walker.ip() == self.wan.ip();
        let to = if behind_our_nat {
            request.lan_walker
        } else {
            request.wan_walker
        };
        if !is_usable(to) || !self.punctures.take(now) {
            self.counters.punctures_refused = self.counters.punctures_refused.saturating_add(1);
            return Ok(());
        }
        let puncture = Puncture {
            global_time: self.claim_global_time(),
            lan: self.settings.lan,
            wan: request.wan_walker,
            identifier: request.identifier,
        };
        let bytes = sign(self.prefix, id::PUNCTURE, &self.settings.key, |out| {
            puncture.write(out);
        });
        self.send(to, bytes);
        Ok(())
    }

    /// Notes a member whose signed message has come.
    fn take_member(&self, now: Instant, from: SocketAddrV4, signed: &Signed<'_>) -> bool {
        let mut directory = self.directory();
        let mid = signed.key().mid();
        let taken = directory.verify(signed.key(), from);
        if taken {
            directory.discover_services(mid, [self.settings.community]);
            directory.heard(now, from);
        }
        taken
    }
}
