//! Peers that are reached inside the network of a torrent's route alone, where it has such swarms. Private torrents have
//! nothing to do with them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use actix::{AsyncContext as _, Context, Handler, Message, Recipient};
use actors::tell_recipient;
use net::Task;
use protocol::id::InfoHash;
use tokio::sync::mpsc;

use crate::peer::driver::now;
use crate::torrent::actor::{Phase, Torrent};
use crate::torrent::candidates::Source;

/// Peers of one message that are noted.
const PEERS_AT_ONCE: usize = 500;

/// How long a swarm is left alone that has ended by itself.
const REST: Duration = Duration::from_secs(10);

/// The hidden swarms of a torrent.
#[derive(Debug, Default)]
pub(crate) struct Hidden {
    joined: BTreeMap<InfoHash, Joined>,
    /// How often one was joined.
    times: u32,
    /// When those are joined again that have ended.
    again: Option<Instant>,
}

/// One that is joined, as long as this is there.
#[derive(Debug)]
struct Joined {
    time: u32,
    seeding: bool,
    _listening: Task<()>,
}

/// Peers of a hidden swarm: the task that listens to it to its Torrent.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct FoundHidden {
    /// Which time it was joined.
    time: u32,
    hash: InfoHash,
    /// None at its end.
    peers: Option<Vec<SocketAddr>>,
}

impl Torrent {
    /// Joins the swarms of its hashes, and again where it has come to have everything.
    pub(super) fn tend_hidden(&mut self, now: Instant, ctx: &mut Context<Self>) {
        let swarms = self.setup.reach.hidden.clone();
        let Some(swarms) = swarms.filter(|_| self.is_online() && !self.is_private()) else {
            self.leave_hidden();
            return;
        };
        let seeding = matches!(&self.phase, Phase::Active(active) if active.finished);
        if seeding && !self.add.hidden_seeding {
            self.leave_hidden();
            return;
        }
        if self.hidden.again.is_some_and(|again| now < again) {
            return;
        }
        self.hidden.again = None;
        for hash in self.hashes.names() {
            let joined = self.hidden.joined.get(&hash);
            if joined.is_some_and(|joined| joined.seeding == seeding) {
                continue;
            }
            // The former is left before.
            self.hidden.joined.remove(&hash);
            self.hidden.times += 1;
            let time = self.hidden.times;
            let torrent = ctx.address().recipient();
            let listening = listen(swarms.join(hash, seeding), (time, hash), torrent);
            let joined = Joined {
                time,
                seeding,
                _listening: self.setup.pool.spawn(listening),
            };
            self.hidden.joined.insert(hash, joined);
        }
    }

    /// Why hidden peers cannot find each other, in a swarm that is joined.
    pub(super) fn reason_of_hidden(&self) -> Option<String> {
        let swarms = self.setup.reach.hidden.as_ref()?;
        let mut joined = self.hidden.joined.keys();
        joined.find_map(|hash| swarms.waits(*hash))
    }

    /// Leaves them.
    pub(super) fn leave_hidden(&mut self) {
        self.hidden.joined.clear();
        self.hidden.again = None;
    }
}

async fn listen(
    mut found: mpsc::Receiver<Vec<SocketAddr>>,
    (time, hash): (u32, InfoHash),
    torrent: Recipient<FoundHidden>,
) {
    loop {
        let peers = found.recv().await;
        let ended = peers.is_none();
        let there = tell_recipient(&torrent, FoundHidden { time, hash, peers });
        if ended || !there {
            return;
        }
    }
}

impl Handler<FoundHidden> for Torrent {
    type Result = ();

    fn handle(&mut self, found: FoundHidden, ctx: &mut Context<Self>) {
        let _in = self.span.clone().entered();
        let joined = self.hidden.joined.get(&found.hash);
        // It may have been on its way when the torrent left.
        if joined.is_none_or(|joined| joined.time != found.time) {
            return;
        }
        let Some(peers) = found.peers else {
            self.hidden.joined.remove(&found.hash);
            self.hidden.again = Some(now() + REST);
            return;
        };
        for addr in peers.into_iter().take(PEERS_AT_ONCE) {
            self.met(addr, found.hash);
            self.add_candidate(addr, Source::Hidden);
        }
        self.drive(ctx);
    }
}
