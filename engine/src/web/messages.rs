//! What a web seed and its torrent say to each other.

use std::sync::Arc;
use std::time::Duration;

use actix::Message;
use protocol::geometry::PieceIndex;

use crate::peer::key::PeerKey;
use crate::peer::messages::{Assignment, Fact};

/// What a web seed shall do: Torrent to WebSeed to driver, one for each stretch or list of addresses.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum WebOrder {
    /// Fetch these blocks, after those already assigned.
    Assign(Vec<Assignment>),
    /// End the work if the network does not talk to the server any more.
    Sift,
    /// End the work.
    Close,
}

/// What a web seed did: driver to WebSeed to Torrent, one for each piece or 50 ms.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct WebReport {
    /// Which web seed.
    pub(crate) key: PeerKey,
    /// What happened, in order.
    pub(crate) facts: Vec<Fact>,
    /// What it could be asked for, where that is news.
    pub(crate) hungry: Option<Hungry>,
    /// Set when the work has ended; nothing comes after it.
    pub(crate) ended: Option<WebEnded>,
}

/// What a web seed could be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hungry {
    /// Blocks.
    pub(crate) want: u32,
    /// The server sends whole files from their start and nothing else.
    pub(crate) whole_files: bool,
    /// The piece that comes next in the file that it is sending.
    pub(crate) next: Option<PieceIndex>,
}

/// Why the work of a web seed ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WebEnded {
    /// The torrent told it to, or is gone.
    Dismissed,
    /// The server is busy or fails; it may have said how long it wants to be left alone.
    Failed {
        /// What went wrong.
        reason: Arc<str>,
        /// What the server said.
        retry_after: Option<Duration>,
    },
    /// Nothing of the torrent can be had from there.
    Useless(Arc<str>),
}

impl WebEnded {
    /// A failure without a word of the server about when to come again.
    pub(crate) fn failed(reason: &(impl ToString + ?Sized)) -> Self {
        Self::Failed {
            reason: reason.to_string().into(),
            retry_after: None,
        }
    }
}
