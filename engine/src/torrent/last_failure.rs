//! Why the last peer that was dialled could not be made use of, for people.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::Encryption;
use crate::peer::messages::Ended;
use crate::torrent::candidates::DialFailure;

/// A peer, and what became of the connection to it before its handshake was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LastFailure {
    addr: SocketAddr,
    why: Why,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Why {
    /// What we ask of the stream may be why.
    Closed(Encryption),
    Dial(DialFailure),
    Misbehaved(Arc<str>),
    Silent,
}

impl LastFailure {
    /// What the end of a connection tells, where that is about the peer; `encryption` is our own rule.
    pub(crate) fn of(addr: SocketAddr, ended: &Ended, encryption: Encryption) -> Option<Self> {
        let why = match ended {
            Ended::Lost => Why::Closed(encryption),
            Ended::Misbehaved(why) => Why::Misbehaved(Arc::clone(why)),
            Ended::Silent => Why::Silent,
            Ended::Unreachable(failure) => Why::Dial(*failure),
            Ended::Banned
            | Ended::Dismissed
            | Ended::Duplicate
            | Ended::OurOwn
            | Ended::Redundant
            | Ended::Renewed => return None,
        };
        Some(Self { addr, why })
    }

    /// Whether it was not the peer but us who had no network.
    pub(crate) fn is_for_want_of_network(&self) -> bool {
        self.why == Why::Dial(DialFailure::Offline)
    }
}

impl fmt::Display for LastFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match &self.why {
            // Who is asked for a torrent that it does not have hangs up.
            Why::Closed(Encryption::Off) => {
                "closed the connection: it does not have this torrent, or takes encrypted streams only"
            }
            Why::Closed(Encryption::Require) => {
                "closed the connection: it does not have this torrent, or takes no encrypted streams"
            }
            Why::Closed(Encryption::Allow | Encryption::Prefer) => {
                "closed the connection, perhaps for want of this torrent"
            }
            Why::Dial(DialFailure::Refused) => "refuses connections",
            Why::Dial(DialFailure::Timeout) => "does not answer",
            Why::Dial(DialFailure::Unreachable) => "cannot be reached from this network",
            Why::Dial(DialFailure::Offline) => "cannot be reached without a network",
            Why::Dial(DialFailure::Handshake | DialFailure::Other) => "cannot be connected to",
            Why::Misbehaved(why) => return write!(f, "{} broke the protocol: {why}", self.addr),
            Why::Silent => "takes the connection and says nothing",
        };
        write!(f, "{} {words}", self.addr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_the_peer_is_told_with_its_address() {
        let addr = "127.0.0.1:7".parse().unwrap();
        let by = |ended, rule| LastFailure::of(addr, &ended, rule).map(|last| last.to_string());
        let of = |ended| by(ended, Encryption::Allow);
        assert_eq!(
            of(Ended::Unreachable(DialFailure::Refused)).unwrap(),
            "127.0.0.1:7 refuses connections"
        );
        assert_eq!(
            of(Ended::Misbehaved("another info-hash".into())).unwrap(),
            "127.0.0.1:7 broke the protocol: another info-hash"
        );
        assert!(of(Ended::Lost).unwrap().contains("closed the connection"));
        let plain = by(Ended::Lost, Encryption::Off).unwrap();
        assert!(plain.contains("takes encrypted streams only"), "{plain}");
        let covered = by(Ended::Lost, Encryption::Require).unwrap();
        assert!(covered.contains("takes no encrypted streams"), "{covered}");
        assert_eq!(of(Ended::Duplicate), None);
        assert_eq!(of(Ended::Dismissed), None);
    }
}
