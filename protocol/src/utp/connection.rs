//! One stream.

mod receive;
mod timers;
mod transmit;

use std::time::{Duration, Instant};

use rand::{Rng, RngExt};

use super::config::Config;
use super::delay::Delays;
use super::incoming::Incoming;
use super::ledbat::Ledbat;
use super::mtu::PathMtu;
use super::outgoing::Outgoing;
use super::packet::{HEADER_LEN, Kind, Packet};
use super::rtt::Rtt;
use super::seq::Seq;
use super::tally::Tally;

pub use timers::Timer;

/// The connection ids of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ids {
    /// What packets to us bear.
    pub receive: u16,
    /// What our packets bear.
    pub send: u16,
}

impl Ids {
    /// Those of the initiator, who chose `id`.
    pub const fn of_initiator(id: u16) -> Self {
        Self {
            receive: id,
            send: id.wrapping_add(1),
        }
    }

    /// Those of the other side, from the id in the initiator's SYN.
    pub const fn of_acceptor(syn: u16) -> Self {
        Self {
            receive: syn.wrapping_add(1),
            send: syn,
        }
    }
}

/// Why a connection is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// Both directions ended in order.
    #[error("both sides closed the connection")]
    Finished,
    /// The other side does not want the connection.
    #[error("refused")]
    Refused,
    /// The other side ended the connection, or does not know it.
    #[error("reset by the other side")]
    Reset,
    /// Nothing came back for too long.
    #[error("timed out")]
    TimedOut,
    /// The other side acknowledged what was never sent.
    #[error("the other side acknowledged what was never sent")]
    NeverSent,
    /// This side ended the connection at once.
    #[error("given up")]
    Aborted,
    /// This side has no network any more.
    #[error("the network is gone")]
    Offline,
}

/// How a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Bytes that congestion control allows on their way.
    pub window: usize,
    /// The smoothed round trip, if one was measured.
    pub rtt: Option<Duration>,
    /// How long packets wait in queues, if that is known.
    pub queueing: Option<Duration>,
    /// Bytes of the largest datagram that passes.
    pub datagram: usize,
    /// Packets sent, those that were sent again included.
    pub sent: u64,
    /// Packets that were sent again.
    pub resent: u64,
    /// Times that nothing came back for so long that everything counted as lost.
    pub timeouts: u64,
}

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A SYN is to be sent, or was.
    Opening,
    /// A SYN came from someone who has not shown to be there.
    Unproven,
    /// Both sides know of each other.
    Open,
    /// Done, but the other side may ask again whether its end came.
    Lingering,
    /// No more.
    Closed(CloseReason),
}

/// Where a connection stands, for those who count them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Asks the other side, which has not answered.
    Opening,
    /// Was asked by someone who has not shown to be there.
    Unproven,
    /// Carries bytes.
    Open,
    /// Has written its last byte, which is not acknowledged, or waits for that of the other side.
    Ending,
    /// Done, but the other side may ask again whether its end came.
    Lingering,
    /// No more.
    Closed,
}

/// Packets without payload that are to be sent.
#[derive(Clone, Copy, Debug, Default)]
struct Due {
    syn: bool,
    ack: bool,
    reset: bool,
}

/// A stream's machine.
#[derive(Debug)]
pub struct Connection {
    config: Config,
    ids: Ids,
    state: State,
    /// Zero of the timestamps, and what they show then.
    epoch: Instant,
    epoch_shows: u32,
    syn: Seq,
    syns: u32,
    outgoing: Outgoing,
    incoming: Incoming,
    peer_window: usize,
    ledbat: Ledbat,
    mtu: PathMtu,
    rtt: Rtt,
    /// Delays of our packets, as the other side sees them.
    ours: Delays,
    /// Delays of theirs.
    theirs: Delays,
    /// What is told of the delay of their last packet.
    reply_delay: u32,
    due: Due,
    /// The congestion window was what held back the last packet.
    limited: bool,
    test_window: bool,
    timeouts: u32,
    all_timeouts: u64,
    /// When the last packet on its way goes out again, to hear what came of it and of those before it.
    tail_at: Option<Instant>,
    /// How often it did without an answer.
    tails: u32,
    /// Bytes of the packet that was given out last; 0 of a probe.
    last_len: usize,
    retransmit_at: Option<Instant>,
    window_at: Option<Instant>,
    state_until: Option<Instant>,
    last_sent: Instant,
    detached: bool,
    mask: Vec<u8>,
    sent: u64,
    resent: u64,
    tally: Tally,
}

impl Connection {
    /// Opens a stream with the ids of an initiator.
    pub fn connect(now: Instant, config: &Config, ids: Ids, rng: &mut impl Rng) -> Self {
        let syn = Seq(rng.random());
        let mut connection = Self::new(now, config, ids, syn.plus(1), rng);
        connection.syn = syn;
        connection.due.syn = true;
        connection
    }

    /// Takes a stream that another opens; `None` if the packet is no SYN.
    pub fn accept(
        now: Instant,
        config: &Config,
        syn: &Packet<'_>,
        rng: &mut impl Rng,
    ) -> Option<Self> {
        if syn.header.kind != Kind::Syn {
            return None;
        }
        let ids = Ids::of_acceptor(syn.header.id);
        let mut connection = Self::new(now, config, ids, Seq(rng.random()), rng);
        connection.state = State::Unproven;
        connection.syn = syn.header.seq;
        connection.incoming =
            Incoming::new(syn.header.seq, config.receive_first, config.receive_most);
        connection.peer_window = syn.header.window as usize;
        connection.state_until = now.checked_add(config.unproven);
        connection.note_delay(now, syn);
        connection.due.ack = true;
        Some(connection)
    }

    fn new(now: Instant, config: &Config, ids: Ids, first: Seq, rng: &mut impl Rng) -> Self {
        let mtu = PathMtu::new(config.datagram_floor, config.datagram_ceiling);
        Self {
            config: *config,
            ids,
            state: State::Opening,
            epoch: now,
            epoch_shows: rng.random(),
            syn: first,
            syns: 0,
            outgoing: Outgoing::new(first),
            incoming: Incoming::new(Seq(0), config.receive_first, config.receive_most),
            peer_window: 0,
            ledbat: Ledbat::new(mtu.size().saturating_sub(HEADER_LEN)),
            mtu,
            rtt: Rtt::default(),
            ours: Delays::default(),
            theirs: Delays::default(),
            reply_delay: 0,
            due: Due::default(),
            limited: false,
            test_window: false,
            timeouts: 0,
            all_timeouts: 0,
            tail_at: None,
            tails: 0,
            last_len: 0,
            retransmit_at: None,
            window_at: None,
            state_until: None,
            last_sent: now,
            detached: false,
            mask: Vec::new(),
            sent: 0,
            resent: 0,
            tally: Tally::default(),
        }
    }

    /// The connection ids.
    pub fn ids(&self) -> Ids {
        self.ids
    }

    /// Whether the stream is open: the other side answered, and was not given up.
    pub fn is_connected(&self) -> bool {
        matches!(self.state, State::Open | State::Lingering)
    }

    /// Whether another opens the stream who has not shown yet that it is where it says.
    pub fn is_unproven(&self) -> bool {
        self.state == State::Unproven
    }

    /// Why the connection is no more, if so. What came in order can still be read. It may have one last packet to send.
    pub fn closed(&self) -> Option<CloseReason> {
        match self.state {
            State::Closed(reason) => Some(reason),
            State::Opening | State::Unproven | State::Open | State::Lingering => None,
        }
    }

    /// Bytes that can be read.
    pub fn readable(&self) -> usize {
        self.incoming.readable()
    }

    /// Whether all was read that the other side will ever send.
    pub fn is_at_end(&self) -> bool {
        self.incoming.readable() == 0 && self.incoming.is_whole()
    }

    /// Bytes that can be written.
    pub fn writable(&self) -> usize {
        let open = matches!(self.state, State::Open) && !self.outgoing.is_ending();
        if open {
            self.outgoing.room(self.send_capacity())
        } else {
            0
        }
    }

    /// Whether everything that was written has come through, and the end of the stream where it was asked for.
    pub fn is_flushed(&self) -> bool {
        !self.outgoing.is_waiting() && !self.outgoing.has_more()
    }

    /// Takes bytes to send; as many as [`Self::writable`] says at most.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        if self.writable() == 0 {
            return 0;
        }
        let most = self.send_capacity();
        self.outgoing.write(bytes, most)
    }

    /// Reads what came; 0 when there is nothing.
    pub fn read(&mut self, now: Instant, out: &mut [u8]) -> usize {
        let len = self.incoming.read(now, self.rtt.smoothed(), out);
        if self.state == State::Open && self.incoming.window_has_opened() {
            self.due.ack = true;
        }
        len
    }

    /// Bytes that the window of what comes in has when nothing waits. It grows when the reader is fast.
    pub fn receive_capacity(&self) -> usize {
        self.incoming.capacity()
    }

    /// From now on the window of what comes in grows by reading to `most` bytes at most, and to [`Config::receive_most`].
    pub fn bound_receive(&mut self, most: usize) {
        self.incoming.bound(most.min(self.config.receive_most));
    }

    /// Ends the stream after what was written. Reading goes on.
    pub fn close(&mut self) {
        self.outgoing.end();
    }

    /// The owner is gone: ends the stream after what was written, and drops what comes in.
    ///
    /// An unopened stream, and one whose bytes do not get through within [`Config::linger`], is given up.
    pub fn detach(&mut self, now: Instant) {
        if self.detached {
            return;
        }
        self.detached = true;
        self.incoming.discard();
        self.outgoing.end();
        match self.state {
            State::Opening | State::Unproven => self.abort(),
            State::Open => self.state_until = now.checked_add(self.config.linger),
            State::Lingering | State::Closed(_) => {}
        }
        self.settle(now);
    }

    /// Ends the connection at once, with a RESET.
    pub fn abort(&mut self) {
        self.give_up(CloseReason::Aborted);
    }

    /// Ends the connection, for the network is gone that it went by. The RESET that is due can be kept for when there is one
    /// again: the other side waits for minutes otherwise.
    pub fn lose_network(&mut self) {
        self.give_up(CloseReason::Offline);
    }

    fn give_up(&mut self, reason: CloseReason) {
        if self.closed().is_none() {
            // Who has not shown to be where it says is sent nothing.
            self.due.reset = matches!(self.state, State::Open | State::Lingering);
            self.end(reason);
        }
    }

    /// Whether the end of our direction was asked for.
    pub fn is_closing(&self) -> bool {
        self.outgoing.is_ending()
    }

    /// Whether the other side is to be told something soon, if only that there is room again.
    pub fn has_news(&self) -> bool {
        self.due.ack || self.due.reset
    }

    /// Whether the packet that [`Self::poll_transmit`] gave out last may travel in fragments: it is larger than what the path
    /// takes now, and cannot be made smaller. All others shall not, or the search for what passes would find nothing.
    pub fn may_be_fragmented(&self) -> bool {
        self.last_len > self.mtu.size()
    }

    /// Bytes of memory that are held for what was written, what is on its way and what came in.
    pub fn memory(&self) -> usize {
        self.incoming
            .memory()
            .saturating_add(self.outgoing.memory())
    }

    /// How the connection does.
    pub fn stats(&self) -> Stats {
        Stats {
            window: self.ledbat.window(),
            rtt: self.rtt.smoothed(),
            queueing: self.ours.queueing(),
            datagram: self.mtu.size(),
            sent: self.sent,
            resent: self.resent,
            timeouts: self.all_timeouts,
        }
    }

    /// What happened since this was asked last.
    pub fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Opening => Phase::Opening,
            State::Unproven => Phase::Unproven,
            State::Open if self.outgoing.is_ending() => Phase::Ending,
            State::Open => Phase::Open,
            State::Lingering => Phase::Lingering,
            State::Closed(_) => Phase::Closed,
        }
    }

    /// Bytes that may wait to be sent or acknowledged.
    fn send_capacity(&self) -> usize {
        let useful = self.ledbat.window().saturating_mul(2);
        useful.clamp(
            self.config.send_least,
            self.config.send_most.max(self.config.send_least),
        )
    }

    /// The time as packets show it.
    fn stamp(&self, now: Instant) -> u32 {
        let elapsed = now.saturating_duration_since(self.epoch).as_micros();
        // Zero means "none" to some.
        self.epoch_shows.wrapping_add(elapsed as u32).max(1)
    }

    /// The end of everything; a first reason stays.
    fn end(&mut self, reason: CloseReason) {
        if self.closed().is_none() {
            self.state = State::Closed(reason);
        }
        self.retransmit_at = None;
        self.tail_at = None;
        self.window_at = None;
        self.state_until = None;
        self.due.syn = false;
        self.due.ack = false;
    }

    /// Goes on to lingering when there is nothing left to do.
    fn settle(&mut self, now: Instant) {
        let theirs = self.incoming.is_whole() || self.detached;
        if self.state == State::Open && self.outgoing.is_whole() && theirs {
            self.state = State::Lingering;
            self.retransmit_at = None;
            self.tail_at = None;
            self.state_until = now.checked_add(self.rtt.timeout(0).saturating_mul(2));
        }
    }
}
