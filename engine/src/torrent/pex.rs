//! Whom to tell of whom (BEP 11), as a pure machine: one message a minute to each peer, of what has changed since the last,
//! and no more than that is taken from any.

mod news;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use net::Scope;
use protocol::peer::pex::MAX_PEX;
use protocol::peer::{PexFlags, PexMessage, PexPeer};

use self::news::{Cursor, News};
use crate::peer::key::PeerKey;

/// The least time between two messages (BEP 11).
const EVERY: Duration = Duration::from_mins(1);

/// Messages that may come without the time between: clients send one at the start and do not count it.
const BURST: u32 = 2;

/// Messages that come too early before the peer is taken for hostile.
const MOST_EARLY: u32 = 20;

/// Changes that are remembered for those who may not be told of them yet: more than come in a minute at most times.
const MOST_NEWS: usize = 1024;

/// What to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Take it.
    Taken,
    /// Leave it: it comes too early.
    Early,
    /// End the connection: too many came too early.
    Flood,
}

/// See the module's documentation. What it does grows with the news, and with whom they are for: where nobody comes or goes,
/// nobody is looked at.
#[derive(Debug)]
pub struct Pex {
    links: BTreeMap<PeerKey, Link>,
    news: News,
    /// For whom there may be news, by when they may be told.
    waiting: BTreeSet<(Instant, PeerKey)>,
    /// For whom there were none when so many changes had been made.
    content: (BTreeSet<PeerKey>, u64),
}

#[derive(Debug)]
struct Link {
    addr: SocketAddr,
    told: BTreeSet<SocketAddr>,
    cursor: Cursor,
    next: Instant,
    /// Messages that may come now, and since when that is so.
    allowance: (u32, Instant),
    early: u32,
    #[cfg(test)]
    looks: u64,
}

impl Default for Pex {
    fn default() -> Self {
        Self::remembering(MOST_NEWS)
    }
}

impl Pex {
    fn remembering(changes: usize) -> Self {
        Self {
            links: BTreeMap::new(),
            news: News::new(changes),
            waiting: BTreeSet::new(),
            content: (BTreeSet::new(), 0),
        }
    }

    /// A peer at this address takes messages.
    pub fn joined(&mut self, key: PeerKey, addr: SocketAddr, now: Instant) {
        let cursor = Cursor::start(&self.news);
        self.links.entry(key).or_insert_with(|| {
            self.waiting.insert((now, key));
            Link {
                addr,
                told: BTreeSet::new(),
                cursor,
                next: now,
                allowance: (BURST, now),
                early: 0,
                #[cfg(test)]
                looks: 0,
            }
        });
    }

    /// Others can connect to a peer at this address, or, without one, cannot.
    pub fn lives(&mut self, key: PeerKey, at: Option<SocketAddr>) {
        self.news.set_home(key, at);
    }

    /// The connection to a peer has ended.
    pub fn left(&mut self, key: PeerKey) {
        self.news.set_home(key, None);
        if let Some(link) = self.links.remove(&key) {
            self.waiting.remove(&(link.next, key));
            self.content.0.remove(&key);
        }
    }

    /// Whether anybody might be told something now.
    pub fn is_due(&self, now: Instant) -> bool {
        let (content, at) = &self.content;
        let news = !content.is_empty() && *at != self.news.count();
        news || self.waiting.first().is_some_and(|(next, _)| *next <= now)
    }

    /// The messages that are due. `flags` is what others may know of the peer of a connection.
    pub fn messages(
        &mut self,
        now: Instant,
        flags: impl Fn(PeerKey) -> PexFlags,
    ) -> Vec<(PeerKey, PexMessage)> {
        let mut messages = Vec::new();
        let (content, at) = &mut self.content;
        if *at != self.news.count() {
            *at = self.news.count();
            for key in std::mem::take(content) {
                if let Some(link) = self.links.get(&key) {
                    self.waiting.insert((link.next, key));
                }
            }
        }
        while let Some((next, key)) = self.waiting.first().copied()
            && next <= now
        {
            self.waiting.pop_first();
            let Some(link) = self.links.get_mut(&key) else {
                continue;
            };
            let (message, more) = link.message(key, &self.news, &flags);
            if !message.is_empty() {
                link.next = now + EVERY;
                messages.push((key, message));
            }
            if more {
                self.waiting.insert((link.next, key));
            } else {
                content.insert(key);
            }
        }
        messages
    }

    /// A message has come from a peer.
    pub fn heard(&mut self, key: PeerKey, now: Instant) -> Verdict {
        let Some(link) = self.links.get_mut(&key) else {
            return Verdict::Early;
        };
        let (left, since) = link.allowance;
        let earned = now.saturating_duration_since(since).as_secs() / EVERY.as_secs();
        let left = left.saturating_add(earned as u32).min(BURST);
        let since = since + EVERY * earned as u32;
        let Some(rest) = left.checked_sub(1) else {
            link.early += 1;
            return if link.early > MOST_EARLY {
                Verdict::Flood
            } else {
                Verdict::Early
            };
        };
        link.allowance = (rest, since);
        Verdict::Taken
    }
}

impl Link {
    /// What is new to it, as far as one message holds it, and whether there is more.
    fn message(
        &mut self,
        key: PeerKey,
        news: &News,
        flags: impl Fn(PeerKey) -> PexFlags,
    ) -> (PexMessage, bool) {
        let own = news.home(key);
        let mut message = PexMessage::default();
        while let Some(addr) = news.next(&mut self.cursor, &self.told) {
            #[cfg(test)]
            {
                self.looks += 1;
            }
            let told = self.told.contains(&addr);
            match news.contact(addr) {
                Some(contact) if !told && Some(addr) != own && may_name(self.addr, addr) => {
                    if message.added.len() == MAX_PEX {
                        return (message, true);
                    }
                    self.told.insert(addr);
                    let flags = flags(contact);
                    message.added.push(PexPeer { addr, flags });
                }
                None if told => {
                    if message.dropped.len() == MAX_PEX {
                        return (message, true);
                    }
                    self.told.remove(&addr);
                    message.dropped.push(addr);
                }
                Some(_) | None => {}
            }
            self.cursor.advance(addr);
        }
        (message, false)
    }
}

/// Whether an address can be of use between us and a peer: nobody far away is told of our home, or believed about it.
pub fn may_name(peer: SocketAddr, addr: SocketAddr) -> bool {
    let mut addrs = vec![addr];
    Scope::admit(&mut addrs, Some(peer));
    !addrs.is_empty()
}

#[cfg(test)]
mod tests;
