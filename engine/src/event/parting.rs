//! Why peers come and go, as events tell it, and what may cost speed.

use std::fmt;
use std::sync::Arc;

use crate::peer::messages::Ended;
use crate::torrent::candidates::DialFailure;

/// Why a connection to a peer has ended, or was never there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Parting {
    /// The peer sent bad data.
    Banned,
    /// The torrent stopped, or made room for better peers.
    Dismissed,
    /// There is another connection to the same peer.
    Duplicate,
    /// The peer closed it, or the network did.
    Lost,
    /// The peer broke the protocol, in this way.
    Misbehaved(Arc<str>),
    /// We were connected to ourselves.
    OurOwn,
    /// Both want nothing any more.
    Redundant,
    /// The peer is dialled anew, to be met in the v2 swarm.
    Renewed,
    /// The peer was silent for too long.
    Silent,
    /// It could not be made.
    Unreachable(DialFailure),
}

impl From<&Ended> for Parting {
    fn from(ended: &Ended) -> Self {
        match ended {
            Ended::Banned => Self::Banned,
            Ended::Dismissed => Self::Dismissed,
            Ended::Duplicate => Self::Duplicate,
            Ended::Lost => Self::Lost,
            Ended::Misbehaved(how) => Self::Misbehaved(Arc::clone(how)),
            Ended::OurOwn => Self::OurOwn,
            Ended::Redundant => Self::Redundant,
            Ended::Renewed => Self::Renewed,
            Ended::Silent => Self::Silent,
            Ended::Unreachable(failure) => Self::Unreachable(*failure),
        }
    }
}

impl fmt::Display for Parting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Banned => "it sent bad data",
            Self::Dismissed => "the torrent stopped, or made room",
            Self::Duplicate => "there is another connection to it",
            Self::Lost => "the connection is gone",
            Self::Misbehaved(how) => return write!(f, "it broke the protocol: {how}"),
            Self::OurOwn => "it was ourselves",
            Self::Redundant => "both want nothing any more",
            Self::Renewed => "it is dialled anew",
            Self::Silent => "it was silent for too long",
            Self::Unreachable(failure) => match failure {
                DialFailure::Refused => "nobody listens there",
                DialFailure::Timeout => "no answer",
                DialFailure::Unreachable => "there is no way there",
                DialFailure::Offline => "we have no network",
                DialFailure::Handshake => "no handshake",
                DialFailure::Other => "no connection",
            },
        })
    }
}

/// Why a peer is not spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// It sent bad data before.
    Banned,
    /// Its host has as many connections as it may have.
    Crowding,
    /// The filter of addresses forbids it.
    Filtered,
    /// There are as many connections as there may be.
    Full,
    /// It is at a port below 1024, and the settings say that none is dialled there.
    LowPort,
    /// It is at a port at which the settings say that no peer is dialled.
    Port,
    /// The torrent takes no connections at this moment.
    Resting,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Banned => "it sent bad data before",
            Self::Crowding => "its host has enough connections",
            Self::Filtered => "the filter of addresses forbids it",
            Self::Full => "there are enough connections",
            Self::LowPort => "peers at ports below 1024 are not dialled",
            Self::Port => "peers at that port are not dialled",
            Self::Resting => "the torrent takes no connections now",
        })
    }
}

/// What probably costs speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// All connections that the engine may have are taken.
    NoSeats {
        /// How many there may be.
        most: usize,
    },
    /// The limit of what is sent leaves little more than the acknowledgements of what is received need.
    UploadLimitLow {
        /// The limit, bytes a second.
        limit: u64,
        /// What is received, bytes a second.
        down_rate: u64,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSeats { most } => write!(f, "all {most} connections are taken"),
            Self::UploadLimitLow { limit, down_rate } => write!(
                f,
                "{limit} bytes a second up are hardly enough to acknowledge {down_rate} down"
            ),
        }
    }
}

/// Why what was kept of a torrent's progress does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// Files are not as they were.
    Changed,
    /// It is of other pieces, or of another choice of files.
    Other,
    /// The machine went down before all had reached the disk.
    Restarted,
    /// The torrent was still at work when it was kept, and has not come to rest.
    Unfinished,
    /// It cannot be read.
    Unreadable,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Changed => "files are not as they were",
            Self::Other => "it is of other pieces or another choice of files",
            Self::Restarted => "the machine went down before all had reached the disk",
            Self::Unfinished => "the torrent had not come to rest",
            Self::Unreadable => "it cannot be read",
        })
    }
}
