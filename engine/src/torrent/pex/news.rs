//! Who can be connected to, and a log of what has changed of that.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::ops::Bound;

use crate::peer::key::PeerKey;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct News {
    /// The connections to the peer behind each address: one, but for the moments in which there are two to the same.
    contacts: BTreeMap<SocketAddr, BTreeSet<PeerKey>>,
    homes: BTreeMap<PeerKey, SocketAddr>,
    /// Addresses that came or went, the oldest first.
    log: VecDeque<SocketAddr>,
    /// Changes that were made before the first in the log.
    forgotten: u64,
    most: usize,
}

/// How far a reader is: it goes through all addresses once, and then along the log. One that is so far behind that the
/// log has forgotten what comes next goes through all addresses again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    /// While it goes through all addresses: from where on.
    sweep: Option<Bound<SocketAddr>>,
    /// Changes that it has seen, or need not see.
    seen: u64,
}

impl News {
    /// A log that remembers so many changes.
    pub(super) fn new(most: usize) -> Self {
        Self {
            contacts: BTreeMap::new(),
            homes: BTreeMap::new(),
            log: VecDeque::new(),
            forgotten: 0,
            most: most.max(1),
        }
    }

    /// All changes that were made so far.
    pub(super) fn count(&self) -> u64 {
        self.forgotten + self.log.len() as u64
    }

    /// The peer of a connection can be connected to at this address; at none, without one.
    pub(super) fn set_home(&mut self, key: PeerKey, home: Option<SocketAddr>) {
        let was = match home {
            Some(home) => self.homes.insert(key, home),
            None => self.homes.remove(&key),
        };
        if was == home {
            return;
        }
        if let Some(was) = was
            && let Some(keys) = self.contacts.get_mut(&was)
        {
            keys.remove(&key);
            if keys.is_empty() {
                self.contacts.remove(&was);
            }
            self.note(was);
        }
        if let Some(home) = home {
            let keys = self.contacts.entry(home).or_default();
            keys.insert(key);
            if keys.len() == 1 {
                self.note(home);
            }
        }
    }

    /// Where the peer of a connection can be connected to.
    pub(super) fn home(&self, key: PeerKey) -> Option<SocketAddr> {
        self.homes.get(&key).copied()
    }

    /// Our connection to the peer at an address.
    pub(super) fn contact(&self, addr: SocketAddr) -> Option<PeerKey> {
        self.contacts.get(&addr)?.first().copied()
    }

    /// The next address that a reader looks at, which was `told` these; none where there is no news for it.
    pub(super) fn next(
        &self,
        cursor: &mut Cursor,
        told: &BTreeSet<SocketAddr>,
    ) -> Option<SocketAddr> {
        if cursor.sweep.is_none() && cursor.seen < self.forgotten {
            *cursor = Cursor::start(self);
        }
        if let Some(from) = cursor.sweep {
            let contacts = self.contacts.range((from, Bound::Unbounded));
            let contact = contacts.map(|(addr, _)| *addr).next();
            let known = told.range((from, Bound::Unbounded)).next().copied();
            if let Some(next) = contact.into_iter().chain(known).min() {
                return Some(next);
            }
            cursor.sweep = None;
            return self.next(cursor, told);
        }
        let at = usize::try_from(cursor.seen - self.forgotten).ok()?;
        self.log.get(at).copied()
    }

    fn note(&mut self, addr: SocketAddr) {
        self.log.push_back(addr);
        if self.log.len() > self.most {
            self.log.pop_front();
            self.forgotten += 1;
        }
    }
}

impl Cursor {
    /// Before everything.
    pub(super) fn start(news: &News) -> Self {
        Self {
            sweep: Some(Bound::Unbounded),
            seen: news.count(),
        }
    }

    /// The address that [`News::next`] gave is dealt with.
    pub(super) fn advance(&mut self, past: SocketAddr) {
        match &mut self.sweep {
            Some(from) => *from = Bound::Excluded(past),
            None => self.seen += 1,
        }
    }
}
