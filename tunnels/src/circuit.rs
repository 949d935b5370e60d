//! A circuit of our own: hops that have joined, and the one that is asked.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use overlay::key::PublicKey;
use overlay::packet::Prefix;
use overlay::wire::Writer;

use crate::alias::Alias;
use crate::crypto::{Ephemeral, HEAD, OpenError, Session, TAG};
use crate::hidden::Task;
use crate::message::Message;
use crate::node::{Event, Refusal};
use crate::{CircuitId, Dialect, Head};

/// How long datagrams may have nothing in return before it is asked whether the circuit still stands.
const UNHEARD: Duration = Duration::from_millis(900);

/// How long before it is given up a circuit counts no more that owes the answer to what it is for: others answer sooner.
const LATE: Duration = Duration::from_secs(6);

/// Pings of which the answers are still taken.
const MAX_PINGS: usize = 16;

/// What a circuit is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Datagrams that leave at its exit.
    Data,
    /// To see how fast circuits are, and for nothing else.
    Test,
    /// The way to an introduction point of ours, as a seeder.
    Introduction,
    /// The way to where we wait for a downloader, as a seeder.
    RendezvousSeeder,
    /// The way to where a seeder waits for us.
    RendezvousDownloader,
}

impl Purpose {
    /// Whether nobody else can have us build such circuits: any exit that does what it is for is as good as another.
    pub(crate) const fn is_our_wish(self) -> bool {
        matches!(self, Self::Data | Self::Test)
    }
}

/// Where a circuit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Hops are still asked to join.
    Building,
    /// All hops have joined.
    Ready,
}

/// Why a circuit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Closed {
    /// No node could be found that joins.
    NoHops,
    /// It took too long to build.
    Slow,
    /// Nothing was heard for too long.
    Silent,
    /// It has lived as long as it may.
    Old,
    /// It has carried as much as it may.
    Used,
    /// A hop ended it.
    Destroyed,
    /// We had no more use for it.
    Unneeded,
    /// Our node has failed, and begins anew.
    Failed,
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoHops => "no node could be found that joins",
            Self::Slow => "it took too long to build",
            Self::Silent => "nothing was heard for too long",
            Self::Old => "it has lived as long as it may",
            Self::Used => "it has carried as much as it may",
            Self::Destroyed => "a hop ended it",
            Self::Unneeded => "it is not needed any more",
            Self::Failed => "our node has failed, and begins anew",
        })
    }
}

/// A node to build with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hop {
    /// Who it is.
    pub key: PublicKey,
    /// Where it is.
    pub addr: SocketAddr,
}

/// What a caller may know of a circuit.
#[derive(Clone, Debug)]
pub struct CircuitInfo {
    /// Its name on the first link.
    pub id: CircuitId,
    /// What it is for.
    pub purpose: Purpose,
    /// Where it stands.
    pub state: State,
    /// How many hops it is to have.
    pub goal: u8,
    /// The hops that have joined, first to last.
    pub hops: Vec<PublicKey>,
    /// Who is asked to join next.
    pub asked: Option<PublicKey>,
    /// The first hop.
    pub first: SocketAddr,
    /// When it was begun.
    pub born: Instant,
    /// Bytes of cells in both directions.
    pub bytes: u64,
    /// Those of them that went out.
    pub sent: u64,
    /// How long the last ping took.
    pub rtt: Option<Duration>,
    /// Since when it has not answered, while it is asked whether it is there.
    pub unanswered: Option<Instant>,
    /// Whether it ends at a hidden peer.
    pub linked: bool,
    /// What stands for that peer, or for who is to be met.
    pub alias: Option<Alias>,
}

impl CircuitInfo {
    /// How long a circuit may leave the question unanswered whether it is there.
    pub(crate) const SUSPECT: Duration = Duration::from_millis(2500);

    /// Whether it does not answer, and perhaps is not there any more: nothing new goes through it.
    pub fn is_silent(&self, now: Instant) -> bool {
        is_silent(now, self.unanswered)
    }
}

fn is_silent(now: Instant, unanswered: Option<Instant>) -> bool {
    unanswered.is_some_and(|since| now >= since + CircuitInfo::SUSPECT)
}

#[derive(Debug)]
pub(crate) struct Circuit {
    pub(crate) id: CircuitId,
    pub(crate) purpose: Purpose,
    pub(crate) goal: u8,
    pub(crate) first: Hop,
    pub(crate) exit: Option<Hop>,
    pub(crate) hops: Vec<Joined>,
    pub(crate) asked: Option<Asked>,
    pub(crate) born: Instant,
    pub(crate) last: Instant,
    pub(crate) next_ping: Instant,
    /// Pings that may still be answered, and when they were sent.
    pub(crate) pings: VecDeque<(u16, Instant)>,
    /// Datagrams of ours since something was heard last, and since when there are some.
    pub(crate) unheard: u32,
    pub(crate) unheard_since: Option<Instant>,
    pub(crate) rtt: Option<Duration>,
    pub(crate) unanswered: Option<Instant>,
    pub(crate) bytes: u64,
    pub(crate) sent: u64,
    early: u8,
    /// How long the last hop took to join.
    pub(crate) took: Option<Duration>,
    /// How many nodes its last hop was asked to pass on to.
    pub(crate) asked_here: u8,
    /// How many more circuits may be tried in its place.
    pub(crate) ways: u8,
    /// How many more nodes may be asked.
    pub(crate) tries: u8,
    pub(crate) task: Task,
    /// When it is given up, while its last hop owes the answer to what it is for.
    pub(crate) answer_by: Option<Instant>,
    /// When it is asked for that once more, for what was asked, or the answer, can be lost.
    pub(crate) ask_again: Instant,
    /// The layer between the two ends of an end-to-end circuit.
    pub(crate) end_to_end: Option<Session>,
    pub(crate) linked: bool,
    /// Whether it is only kept to take the place of another one.
    pub(crate) spare: bool,
    pub(crate) alias: Option<Alias>,
    /// HTTP requests whose replies are waited for.
    pub(crate) requests: BTreeSet<u32>,
}

/// A hop that has joined.
#[derive(Debug)]
pub(crate) struct Joined {
    pub(crate) key: PublicKey,
    pub(crate) session: Session,
}

/// The hop that is asked to join.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) key: PublicKey,
    pub(crate) ephemeral: Ephemeral,
    pub(crate) id: u16,
    pub(crate) since: Instant,
    pub(crate) deadline: Instant,
    /// Whom to ask else: a key, and where it is if its neighbour does not know.
    pub(crate) others: Vec<(PublicKey, Option<SocketAddr>)>,
}

impl Circuit {
    pub(crate) fn new(
        now: Instant,
        id: CircuitId,
        purpose: Purpose,
        goal: u8,
        first: Hop,
        exit: Option<Hop>,
    ) -> Self {
        Self {
            id,
            purpose,
            goal,
            first,
            exit,
            hops: Vec::new(),
            asked: None,
            born: now,
            last: now,
            next_ping: now,
            pings: VecDeque::new(),
            unheard: 0,
            unheard_since: None,
            rtt: None,
            unanswered: None,
            bytes: 0,
            sent: 0,
            early: 0,
            took: None,
            asked_here: 0,
            ways: 3,
            tries: 6,
            task: Task::Nothing,
            answer_by: None,
            ask_again: now,
            end_to_end: None,
            linked: false,
            spare: false,
            alias: None,
            requests: BTreeSet::new(),
        }
    }

    pub(crate) fn state(&self) -> State {
        if self.hops.len() < usize::from(self.goal) {
            State::Building
        } else {
            State::Ready
        }
    }

    /// Through whom it goes, or is to: its ends, the hops that have joined, and the one that is asked.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &PublicKey> {
        let ends = [Some(&self.first), self.exit.as_ref()]
            .into_iter()
            .flatten();
        let hops = self.hops.iter().map(|hop| &hop.key);
        let asked = self.asked.iter().map(|asked| &asked.key);
        ends.map(|hop| &hop.key).chain(hops).chain(asked)
    }

    /// Whether another one is built in its place where it comes to no end: see [`Circuit::ways`].
    pub(crate) fn goes_another_way(&self) -> bool {
        let fixed = self.purpose.is_our_wish() || self.purpose == Purpose::Introduction;
        self.ways > 0 && !fixed
    }

    /// See [`CircuitInfo::is_silent`].
    pub(crate) fn is_silent(&self, now: Instant) -> bool {
        is_silent(now, self.unanswered)
    }

    /// Whether it leads to a hidden peer, or soon may.
    pub(crate) fn may_link(&self, now: Instant) -> bool {
        let late = self.answer_by.is_some_and(|by| now + LATE >= by);
        !late && !self.is_silent(now)
    }

    /// Whether it is ready and answers.
    pub(crate) fn answers(&self, now: Instant) -> bool {
        self.state() == State::Ready && !self.is_silent(now)
    }

    pub(crate) fn info(&self) -> CircuitInfo {
        CircuitInfo {
            id: self.id,
            purpose: self.purpose,
            state: self.state(),
            goal: self.goal,
            hops: self.hops.iter().map(|hop| hop.key.clone()).collect(),
            asked: self.asked.as_ref().map(|asked| asked.key.clone()),
            first: self.first.addr,
            born: self.born,
            bytes: self.bytes,
            sent: self.sent,
            rtt: self.rtt,
            unanswered: self.unanswered,
            linked: self.linked,
            alias: self.alias,
        }
    }

    /// What is told of it when it is gone.
    pub(crate) const fn closed(&self, why: Closed) -> Event {
        Event::Closed {
            circuit: self.id,
            purpose: self.purpose,
            goal: self.goal,
            why,
            swarm: self.task.swarm(),
            born: self.born,
            bytes: [self.sent, self.bytes.saturating_sub(self.sent)],
        }
    }

    /// Something has come from its far end.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.last = now;
        self.unanswered = None;
        self.unheard = 0;
        self.unheard_since = None;
    }

    /// Whether datagrams of ours have had nothing in return for a while; to be asked at each tick.
    pub(crate) fn is_unheard(&mut self, now: Instant) -> bool {
        if self.unheard == 0 {
            return false;
        }
        now >= *self.unheard_since.get_or_insert(now) + UNHEARD
    }

    /// Notes a ping.
    pub(crate) fn pinged(&mut self, now: Instant, number: u16) {
        if self.pings.len() >= MAX_PINGS {
            self.pings.pop_front();
        }
        self.pings.push_back((number, now));
        self.unanswered.get_or_insert(now);
    }

    /// A ping is answered; false for one that was not sent, or is answered already.
    pub(crate) fn ponged(&mut self, now: Instant, number: u16) -> bool {
        let at = self.pings.iter().position(|(sent, _)| *sent == number);
        let Some((_, since)) = at.and_then(|at| self.pings.drain(..=at).next_back()) else {
            return false;
        };
        self.rtt = Some(now.saturating_duration_since(since));
        true
    }

    /// Whether datagrams may be sent through it.
    pub(crate) fn carries_data(&self) -> bool {
        let end_to_end = match self.purpose {
            Purpose::Data | Purpose::Introduction | Purpose::Test => true,
            Purpose::RendezvousSeeder => self.end_to_end.is_some(),
            Purpose::RendezvousDownloader => self.linked,
        };
        end_to_end && self.state() == State::Ready
    }

    /// Writes a cell into `out`, whose contents are replaced, and gives where it is to be sent.
    pub(crate) fn seal(
        &mut self,
        wire: (Dialect, &Prefix),
        message: &Message<'_>,
        out: &mut Vec<u8>,
    ) -> Result<SocketAddr, Refusal> {
        let (dialect, prefix) = wire;
        let extends = matches!(message, Message::Extend { .. });
        // The hop that joins two circuits is asked to, not who is behind it.
        let far = self.end_to_end.as_mut();
        let mut far = far.filter(|_| !matches!(message, Message::LinkE2e { .. }));
        let layers = self.hops.len() + usize::from(far.is_some());
        let head_len = Head::len(dialect);
        let start = head_len + layers * HEAD;
        out.clear();
        out.resize(start, 0);
        let mut writer = Writer::onto(std::mem::take(out));
        let written = message.write(dialect, &mut writer);
        *out = writer.finish();
        written.ok_or(Refusal::Malformed)?;
        let sessions = far.iter_mut().map(|session| &mut **session);
        let hops = self.hops.iter_mut().rev().map(|hop| &mut hop.session);
        let mut at = start;
        for session in sessions.chain(hops) {
            at -= HEAD;
            out.resize(out.len() + TAG, 0);
            let frame = out.get_mut(at..).ok_or(Refusal::Malformed)?;
            session.seal.seal(frame)?;
        }
        let early = dialect == Dialect::Modern && (extends || self.early < dialect.max_early());
        self.early = self.early.saturating_add(u8::from(early));
        let head = Head {
            circuit: self.id,
            plaintext: false,
            early,
        };
        head.write(dialect, prefix, out);
        self.bytes += out.len() as u64;
        self.sent += out.len() as u64;
        Ok(self.first.addr)
    }

    /// Takes all layers off a cell; gives where its message lies.
    pub(crate) fn open(
        &mut self,
        packet: &mut [u8],
        message: Range<usize>,
    ) -> Result<Range<usize>, OpenError> {
        let mut at = message;
        let hops = self.hops.iter_mut().map(|hop| &mut hop.session);
        let is_open = |at: &Range<usize>| at.len() < HEAD + TAG;
        let joins = matches!(self.task, Task::Link(_)) && !self.linked;
        for (layer, session) in hops.chain(self.end_to_end.iter_mut()).enumerate() {
            if layer == usize::from(self.goal) && joins && is_open(&at) {
                // Too short for a layer: it is said by the hop that joins two circuits.
                break;
            }
            let frame = packet.get_mut(at.clone()).ok_or(OpenError::Short)?;
            session.open.open(frame)?;
            at = at.start + HEAD..at.end - TAG;
        }
        Ok(at)
    }
}
