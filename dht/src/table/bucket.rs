//! A bucket and its replacement cache.

use std::collections::VecDeque;
use std::time::Instant;

use protocol::krpc::NodeId;
use protocol::tracker::compact::CompactNode;

use super::{Contact, K};

/// Nodes that share equally many bits with us.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    /// Those that are used, in the order of their coming.
    pub(crate) contacts: Vec<Contact>,
    /// Those that wait for a place, the newest last; at most [`K`].
    pub(crate) spares: VecDeque<Contact>,
    /// When one of them was heard of last.
    pub(crate) touched: Option<Instant>,
    /// When it was refreshed last.
    pub(crate) refreshed: Option<Instant>,
}

impl Bucket {
    pub(crate) fn find(&mut self, id: &NodeId) -> Option<&mut Contact> {
        self.contacts.iter_mut().find(|contact| contact.id == *id)
    }

    /// Whether a newcomer that answers gets a place, or could soon.
    pub(crate) fn has_room(&self, now: Instant, capacity: usize) -> bool {
        self.contacts.len() < capacity
            || self.spares.len() < K / 2
                && self
                    .contacts
                    .iter()
                    .any(|contact| contact.is_questionable(now))
    }

    /// Puts a newcomer into the replacement cache, and names the most silent questionable node.
    pub(crate) fn wait(&mut self, now: Instant, newcomer: Contact) -> Option<CompactNode> {
        self.spares
            .retain(|spare| spare.addr != newcomer.addr && spare.id != newcomer.id);
        if self.spares.len() >= K {
            self.spares.pop_front();
        }
        self.spares.push_back(newcomer);
        let silent = self.contacts.iter_mut();
        let doubtful = silent
            .filter(|contact| !contact.pinging && contact.is_questionable(now))
            .min_by_key(|contact| contact.answered)?;
        doubtful.pinging = true;
        Some(doubtful.node())
    }
}
