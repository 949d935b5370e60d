//! Address translation.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::time::Instant;

use super::world::HostId;

/// A NAT of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NatId(pub(super) usize);

/// Whom a NAT lets in (RFC 4787, "Mapping" and "Filtering Behavior"; the names are older). Streams come in through none
/// of them: whoever dials is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatKind {
    /// One outside port for each inner one, open to everyone.
    FullCone,
    /// One outside port for each inner one, open to the hosts that were sent to.
    Restricted,
    /// One outside port for each inner one, open to the very ports that were sent to.
    PortRestricted,
    /// Another outside port for each target, open to that target only.
    Symmetric,
}

/// How long a mapping outlives the last datagram sent through it: RFC 4787 asks for at least two minutes.
const LIFETIME: Duration = Duration::from_mins(2);

/// The first outside port.
const FIRST_PORT: u16 = 1024;

#[derive(Debug)]
pub(super) struct Nat {
    kind: NatKind,
    pub(super) public: IpAddr,
    /// The hosts behind it by their private addresses.
    pub(super) inner: BTreeMap<IpAddr, HostId>,
    /// The outside port of an inner address, and for symmetric ones of its target.
    ports: BTreeMap<(SocketAddr, Option<SocketAddr>), u16>,
    mappings: BTreeMap<u16, Mapping>,
    next_port: u16,
}

#[derive(Debug)]
struct Mapping {
    inner: SocketAddr,
    key: (SocketAddr, Option<SocketAddr>),
    /// Who was sent to, and when last.
    sent: BTreeMap<SocketAddr, Instant>,
    used: Instant,
}

impl Nat {
    pub(super) fn new(kind: NatKind, public: IpAddr) -> Self {
        Self {
            kind,
            public,
            inner: BTreeMap::new(),
            ports: BTreeMap::new(),
            mappings: BTreeMap::new(),
            next_port: FIRST_PORT,
        }
    }

    /// The outside address for a datagram from `inner` to `target`.
    pub(super) fn outgoing(
        &mut self,
        inner: SocketAddr,
        target: SocketAddr,
        now: Instant,
    ) -> SocketAddr {
        let key = (inner, (self.kind == NatKind::Symmetric).then_some(target));
        let known = self.ports.get(&key).copied();
        let port = known
            .filter(|port| self.mappings.get(port).is_some_and(|m| m.is_alive(now)))
            .unwrap_or_else(|| self.free_port(now));
        self.ports.insert(key, port);
        let mapping = self.mappings.entry(port).or_insert_with(|| Mapping {
            inner,
            key,
            sent: BTreeMap::new(),
            used: now,
        });
        mapping.used = now;
        mapping.sent.insert(target, now);
        SocketAddr::new(self.public, port)
    }

    /// The outside address of a stream; streams are not looked up again.
    pub(super) fn outgoing_stream(&mut self) -> SocketAddr {
        SocketAddr::new(self.public, self.step())
    }

    /// The host whose datagrams use an outside port, let in or not.
    pub(super) fn owner(&self, port: u16) -> Option<HostId> {
        let mapping = self.mappings.get(&port)?;
        self.inner.get(&mapping.inner.ip()).copied()
    }

    /// The inner address for a datagram from `source` to an outside port, if it is let in.
    pub(super) fn incoming(
        &self,
        port: u16,
        source: SocketAddr,
        now: Instant,
    ) -> Option<SocketAddr> {
        let mapping = self.mappings.get(&port).filter(|m| m.is_alive(now))?;
        let fresh = |sent: &Instant| now.saturating_duration_since(*sent) <= LIFETIME;
        let mut sent = mapping.sent.iter().filter(|(_, at)| fresh(at));
        let open = match self.kind {
            NatKind::FullCone => true,
            NatKind::Restricted => sent.any(|(target, _)| target.ip() == source.ip()),
            NatKind::PortRestricted | NatKind::Symmetric => {
                sent.any(|(target, _)| *target == source)
            }
        };
        open.then_some(mapping.inner)
    }

    /// A port that no living mapping uses; dead mappings on the way are forgotten.
    fn free_port(&mut self, now: Instant) -> u16 {
        for _ in FIRST_PORT..=u16::MAX {
            let port = self.step();
            match self.mappings.get(&port) {
                Some(mapping) if mapping.is_alive(now) => {}
                Some(mapping) => {
                    self.ports.remove(&mapping.key);
                    self.mappings.remove(&port);
                    return port;
                }
                None => return port,
            }
        }
        // Every port is in use: one of them changes hands.
        let port = self.step();
        if let Some(mapping) = self.mappings.remove(&port) {
            self.ports.remove(&mapping.key);
        }
        port
    }

    fn step(&mut self) -> u16 {
        let port = self.next_port;
        self.next_port = port.checked_add(1).unwrap_or(FIRST_PORT);
        port
    }
}

impl Mapping {
    fn is_alive(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.used) <= LIFETIME
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn lets_in(kind: NatKind) -> [bool; 3] {
        let now = Instant::now();
        let mut nat = Nat::new(kind, "5.5.5.5".parse().unwrap());
        let outside = nat.outgoing(addr("10.0.0.1:6881"), addr("1.1.1.1:1"), now);
        assert_eq!(outside.ip(), nat.public);
        ["1.1.1.1:1", "1.1.1.1:2", "2.2.2.2:1"].map(|source| {
            let inner = nat.incoming(outside.port(), addr(source), now);
            assert!(inner.is_none_or(|inner| inner == addr("10.0.0.1:6881")));
            inner.is_some()
        })
    }

    #[tokio::test]
    async fn each_kind_lets_in_whom_it_should() {
        assert_eq!(lets_in(NatKind::FullCone), [true, true, true]);
        assert_eq!(lets_in(NatKind::Restricted), [true, true, false]);
        assert_eq!(lets_in(NatKind::PortRestricted), [true, false, false]);
        assert_eq!(lets_in(NatKind::Symmetric), [true, false, false]);
    }

    #[tokio::test]
    async fn only_a_symmetric_one_shows_another_port_to_each_target() {
        for kind in [
            NatKind::FullCone,
            NatKind::PortRestricted,
            NatKind::Symmetric,
        ] {
            let now = Instant::now();
            let mut nat = Nat::new(kind, "5.5.5.5".parse().unwrap());
            let inner = addr("10.0.0.1:6881");
            let first = nat.outgoing(inner, addr("1.1.1.1:1"), now);
            let second = nat.outgoing(inner, addr("2.2.2.2:2"), now);
            let again = nat.outgoing(inner, addr("1.1.1.1:1"), now);
            assert_eq!(first, again);
            assert_eq!(first != second, kind == NatKind::Symmetric);
        }
    }

    #[tokio::test]
    async fn a_mapping_dies_two_minutes_after_the_last_datagram_out() {
        let now = Instant::now();
        let mut nat = Nat::new(NatKind::FullCone, "5.5.5.5".parse().unwrap());
        let (inner, target) = (addr("10.0.0.1:6881"), addr("1.1.1.1:1"));
        let port = nat.outgoing(inner, target, now).port();
        let later = now + LIFETIME;
        assert!(nat.incoming(port, target, later).is_some());
        let too_late = later + Duration::from_millis(1);
        assert!(nat.incoming(port, target, too_late).is_none());
        assert_ne!(nat.outgoing(inner, target, too_late).port(), port);
    }
}
