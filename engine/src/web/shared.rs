//! What the connections to one web seed share.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use net::http::{Client, Guard, Url};
use parking_lot::Mutex;
use protocol::bitfield::Bitfield;
use protocol::geometry::{BLOCK_LEN, Geometry, PieceIndex};
use protocol::metainfo::Metainfo;
use protocol::web_seed::{Kind, Part, WebSeed};

use crate::classes::Bounds;
use crate::content::{Content, Traffic};
use crate::peer::key::PeerKey;
use crate::peer::messages::Fact;
use crate::settings::Live;
use crate::web::messages::{Hungry, WebEnded};
use crate::web::pace::{MOST_LANES, Pace};
use crate::web::queue::{Job, Queue};

/// Files or pieces in a row that are not there before a server counts as one that has nothing: each costs the torrent a
/// search for what else to ask for.
const MOST_MISSED: u32 = 256;

/// Why the work with a server ends that came onto the list of addresses.
const BLOCKED: &str = "its address is on the list of those that are not talked to";

/// What a web seed gets from its torrent.
pub(crate) struct Wiring {
    /// The number of the source in its torrent; marks the blocks that it brings.
    pub(crate) key: PeerKey,
    /// Where it is, and how it is asked.
    pub(crate) seed: WebSeed,
    /// The pieces that can be had from it, where it is known that those are not all.
    pub(crate) has: Option<Bitfield>,
    /// Whom we may be sent to.
    pub(crate) policy: Guard,
    /// The server is known to send whole files and nothing else.
    pub(crate) whole_files: bool,
    /// The files.
    pub(crate) metainfo: Arc<Metainfo>,
    /// The content.
    pub(crate) content: Arc<Content>,
    /// Makes requests; it keeps connections.
    pub(crate) client: Client,
    /// Where the limits are of what is received.
    pub(crate) bounds: Bounds,
    /// How much is asked for and how long is waited.
    pub(crate) settings: Live,
    /// Counters of this source.
    pub(crate) traffic: Arc<Traffic>,
    /// Counters of the torrent.
    pub(crate) torrent_traffic: Arc<Traffic>,
}

/// See the module's documentation. All connections run in one task, so that the lock is never waited for.
pub(super) struct Shared {
    pub(super) wiring: Wiring,
    pub(super) state: Mutex<State>,
}

/// What changes.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) queue: Queue,
    pub(super) facts: Vec<Fact>,
    /// Some fact should be heard of at once.
    pub(super) urgent: bool,
    pub(super) pace: Pace,
    /// The server sends whole files and nothing else.
    pub(super) whole_files: bool,
    /// Connections that fetch at the moment.
    pub(super) busy: usize,
    /// The piece after the last assigned one.
    pub(super) next: Option<PieceIndex>,
    /// A whole file is being sent.
    pub(super) sending: bool,
    /// The server that each connection was used with last.
    servers: [Option<IpAddr>; MOST_LANES],
    /// Files or pieces, by number, that cannot be had.
    missing: BTreeSet<u32>,
    /// How many in a row.
    missed: u32,
    /// The pieces that can be had, where those are not all.
    has: Option<Bitfield>,
    /// Where a server sent us for this file or piece.
    redirect: Option<(u32, Url, Option<SocketAddr>)>,
}

impl Shared {
    pub(super) fn new(wiring: Wiring) -> Self {
        let state = State {
            whole_files: wiring.whole_files,
            has: wiring.has.clone(),
            ..State::default()
        };
        Self {
            wiring,
            state: Mutex::new(state),
        }
    }

    pub(super) fn geometry(&self) -> &Geometry {
        &self.wiring.content.geometry
    }

    /// The next blocks to fetch for a connection by its number, if it is of use and there are any.
    pub(super) fn take_job(&self, lane: usize) -> Option<Job> {
        let mut state = self.state.lock();
        let state = &mut *state;
        let settings = self.wiring.settings.get();
        state.pace.set_bounds(
            settings.web_seeds.lanes as usize,
            settings.web_seeds.max_request.0,
        );
        drop(settings);
        let lanes = if state.whole_files {
            1
        } else {
            state.pace.lanes()
        };
        if lane >= lanes {
            return None;
        }
        let before = state.facts.len();
        let most = state.pace.request();
        let job = state.queue.take(self.geometry(), most, &mut state.facts);
        state.urgent |= state.facts.len() > before;
        state.busy += usize::from(job.is_some());
        job
    }

    /// A connection has done with a job, and gives back what `facts` name.
    pub(super) fn done(&self, facts: Vec<Fact>) {
        self.tell(facts);
        let mut state = self.state.lock();
        state.busy = state.busy.saturating_sub(1);
    }

    /// Notes what the torrent shall hear of.
    pub(super) fn tell(&self, facts: Vec<Fact>) {
        let mut state = self.state.lock();
        state.urgent |= facts.iter().any(|fact| {
            matches!(
                fact,
                Fact::PieceFull(_) | Fact::Returned { .. } | Fact::Storage(_)
            )
        });
        state.facts.extend(facts);
    }

    /// A reply has come.
    pub(super) fn replied(&self, wait: Duration, body: Duration, bytes: u64) {
        let mut state = self.state.lock();
        if bytes > 0 {
            state.missed = 0;
        }
        let lanes = state.busy;
        state.pace.replied(wait, body, bytes, lanes);
    }

    /// What the web seed could be asked for now, if the queue runs out.
    pub(super) fn hungry(&self) -> Option<Hungry> {
        let state = self.state.lock();
        let room = (state.pace.stretch() / u64::from(BLOCK_LEN)) as u32;
        let queued = state.queue.blocks();
        (queued < room.div_ceil(2)).then(|| Hungry {
            want: room.max(1) - queued,
            whole_files: state.whole_files,
            next: state.next.filter(|_| state.whole_files && state.sending),
        })
    }

    /// The URL of a part, and who sent us there, if anybody did.
    pub(super) fn target(&self, part: &Part) -> Option<(Url, Option<SocketAddr>)> {
        if let Some((item, url, sent_by)) = &self.state.lock().redirect
            && *item == part.item
        {
            return Some((url.clone(), *sent_by));
        }
        let Wiring { seed, metainfo, .. } = &self.wiring;
        let url = Url::parse(&seed.url_of(metainfo, part)).ok()?;
        Some((url, None))
    }

    /// Takes note of where a request for a part led; says whether it was led anywhere else before.
    pub(super) fn led_to(&self, part: &Part, to: Option<(Url, Option<SocketAddr>)>) -> bool {
        // The URLs of BEP 17 name the range.
        let to = to.filter(|_| self.wiring.seed.kind == Kind::GetRight);
        let to = to.map(|(url, sent_by)| (part.item, url, sent_by));
        let before = std::mem::replace(&mut self.state.lock().redirect, to);
        before.is_some_and(|(item, ..)| item == part.item)
    }

    /// The server that a connection is used with from now on.
    ///
    /// # Errors
    /// What ends the work, where the network does not talk to it.
    pub(super) fn met(&self, lane: usize, ip: IpAddr) -> Result<(), WebEnded> {
        if let Some(server) = self.state.lock().servers.get_mut(lane) {
            *server = Some(ip);
        }
        if self.wiring.client.blocks(ip) {
            return Err(WebEnded::failed(BLOCKED));
        }
        Ok(())
    }

    /// Closes connections that are idle with servers that the network does not talk to any more; what ends the work, if
    /// another may have come from one of them.
    pub(super) fn sift(&self) -> Option<WebEnded> {
        let client = &self.wiring.client;
        client.sift();
        let state = self.state.lock();
        let blocked = state.servers.iter().flatten().any(|ip| client.blocks(*ip));
        blocked.then(|| WebEnded::failed(BLOCKED))
    }

    /// A file or piece cannot be had: gives back what is queued of it, and says so. Returns whether it is worth asking on.
    pub(super) fn lacks(&self, part: &Part) -> bool {
        let Wiring { seed, metainfo, .. } = &self.wiring;
        let geometry = self.geometry();
        let begin = part.at - part.from;
        let first = geometry.piece_at(begin);
        let last = geometry.piece_at(begin + part.whole - 1);
        let mut state = self.state.lock();
        let state = &mut *state;
        if !state.missing.insert(part.item) {
            return state.has.as_ref().is_none_or(|has| has.count() > 0);
        }
        state.missed += 1;
        let asked_enough = state.missed >= MOST_MISSED;
        tracing::debug!(
            url = seed.shown(),
            torrent = metainfo.name(),
            item = part.item,
            "not there"
        );
        let has = state
            .has
            .get_or_insert_with(|| Bitfield::full(geometry.pieces()));
        let (Some(first), Some(last)) = (first, last) else {
            return has.count() > 0;
        };
        let pieces = (first.get()..=last.get()).filter_map(|index| geometry.piece(index));
        let gone: Vec<PieceIndex> = pieces.filter(|piece| has.remove(*piece)).collect();
        let lost = |piece: PieceIndex| (first..=last).contains(&piece);
        state.queue.give_back(lost, &mut state.facts);
        state.facts.push(Fact::Gone(gone));
        state.urgent = true;
        has.count() > 0 && !asked_enough
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("url", &self.wiring.seed.shown())
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
