//! The classes that hold at the moment, and where each connection belongs.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use net::{RateLimiter, Scope, Throttle};

use super::{ALWAYS, ClassKind, PeerClass};
use crate::settings::Settings;

/// The classes of an engine. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Classes(Arc<ArcSwap<Table>>);

/// The classes as they are between two changes.
pub(crate) struct Table {
    /// Which table it is.
    number: u64,
    classes: Vec<Class>,
    /// Ranges of IPv4 and of IPv6, in order and without overlap.
    ranges: [Vec<Range>; 2],
    /// By kind: what its connections leave, and what they come into.
    kinds: [(Membership, Membership); ClassKind::EACH.len()],
    /// Peers of the local networks are of the global class, too.
    limit_local: bool,
}

struct Class {
    name: String,
    said: PeerClass,
    /// Its limits, down first; kept from one table to the next.
    limits: [RateLimiter; 2],
}

#[derive(Clone, Copy, Debug)]
struct Range {
    first: u128,
    last: u128,
    classes: Membership,
}

/// The classes that a connection belongs to: a bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Membership(u32);

const GLOBAL_BIT: Membership = Membership(1);
const TCP_BIT: Membership = Membership(1 << 1);
const LOCAL_BIT: Membership = Membership(1 << 2);

impl Membership {
    const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether limits of the session and of torrents hold.
    pub(crate) const fn is_global(self) -> bool {
        self.meets(GLOBAL_BIT)
    }
}

impl Classes {
    /// As the settings say.
    pub(crate) fn new(settings: &Settings) -> Self {
        let none = Table {
            number: 0,
            classes: Vec::new(),
            ranges: [Vec::new(), Vec::new()],
            kinds: Default::default(),
            limit_local: true,
        };
        Self(Arc::new(ArcSwap::from_pointee(none.after(settings))))
    }

    /// The classes of the moment: one load.
    pub(crate) fn get(&self) -> Guard<Arc<Table>> {
        self.0.load()
    }

    /// Goes by other settings from now on. Connections look where they belong when they hear of it.
    pub(crate) fn tune(&self, before: &Settings, now: &Settings) {
        if before.classes != now.classes || before.limits.local != now.limits.local {
            self.0.store(Arc::new(self.get().after(now)));
        }
    }
}

impl Table {
    /// The table that takes this one's place.
    fn after(&self, settings: &Settings) -> Self {
        let mut said = settings.peer_classes();
        let mut names: Vec<String> = ALWAYS.map(str::to_owned).into();
        names.extend(
            said.keys()
                .filter(|name| !ALWAYS.contains(&&***name))
                .cloned(),
        );
        let classes: Vec<Class> = names
            .into_iter()
            .map(|name| self.class(&name, said.remove(&name).unwrap_or_default()))
            .collect();
        let bits = |named: &std::collections::BTreeSet<String>| {
            let bits = named.iter().filter_map(|name| {
                let at = classes.iter().position(|class| class.name == *name)?;
                1_u32.checked_shl(u32::try_from(at).ok()?)
            });
            Membership(bits.fold(0, |all, bit| all | bit))
        };
        let mut ranges = [Vec::new(), Vec::new()];
        for (range, named) in &settings.classes.addresses.0 {
            let (first, last) = range.numbers();
            let family = usize::from(range.first.is_ipv6());
            let classes = bits(named);
            lay(
                &mut ranges[family],
                Range {
                    first,
                    last,
                    classes,
                },
            );
        }
        let kinds = ClassKind::EACH.map(|kind| {
            let rule = settings.classes.kinds.0.get(&kind);
            rule.map(|rule| (bits(&rule.leave), bits(&rule.join)))
                .unwrap_or_default()
        });
        Self {
            number: self.number + 1,
            classes,
            ranges,
            kinds,
            limit_local: settings.limits.local,
        }
    }

    /// A class of the next table, with the limits that its connections know already.
    fn class(&self, name: &str, said: PeerClass) -> Class {
        let known = self.classes.iter().find(|class| class.name == name);
        let limits = known.map_or_else(
            || [RateLimiter::new(None), RateLimiter::new(None)],
            |known| known.limits.clone(),
        );
        // Those of the global class are others' to set.
        if name != ALWAYS[0] {
            for (limit, rate) in limits.iter().zip([said.limits.down, said.limits.up]) {
                limit.set_rate(rate);
            }
        }
        Class {
            name: name.to_owned(),
            said,
            limits,
        }
    }

    /// Where a connection belongs that leads there.
    pub(crate) fn of(&self, ip: IpAddr, kind: ClassKind) -> Membership {
        let ip = ip.to_canonical();
        let (number, family) = match ip {
            IpAddr::V4(ip) => (u128::from(u32::from(ip)), 0),
            IpAddr::V6(ip) => (u128::from(ip), 1),
        };
        let ranges = &self.ranges[family];
        let behind = ranges.partition_point(|range| range.first <= number);
        let range = behind.checked_sub(1).and_then(|at| ranges.get(at));
        let said = range.filter(|range| number <= range.last);
        let by_address = said.map_or_else(|| self.usual(ip), |range| range.classes);
        let by_kind = match kind {
            ClassKind::Tcp | ClassKind::Web => TCP_BIT,
            ClassKind::Utp => Membership(0),
        };
        let (leave, join) = self.kinds[kind as usize];
        by_address.and(by_kind).without(leave).and(join)
    }

    /// Where an address belongs of which nothing is said.
    fn usual(&self, ip: IpAddr) -> Membership {
        if !is_local(ip) {
            GLOBAL_BIT
        } else if self.limit_local {
            LOCAL_BIT.and(GLOBAL_BIT)
        } else {
            LOCAL_BIT
        }
    }

    fn classes_of(&self, membership: Membership) -> impl Iterator<Item = &Class> {
        let bits = (0..).map(|at: u32| Membership(1_u32.checked_shl(at).unwrap_or(0)));
        let all = self.classes.iter().zip(bits);
        all.filter(move |(_, bit)| membership.meets(*bit))
            .map(|(class, _)| class)
    }

    /// Whether a peer is served beside the slots.
    pub(crate) fn has_free_slot(&self, membership: Membership) -> bool {
        self.classes_of(membership)
            .any(|class| class.said.free_slots)
    }

    /// How many connections there may be where a peer of these classes is let in, if there may be `most` otherwise. Of classes
    /// that say something else than the usual, the one that allows most counts.
    pub(crate) fn most_connections(&self, membership: Membership, most: usize) -> usize {
        let said = self.classes_of(membership);
        let said = said.map(|class| class.said.connections);
        let part = said.filter(|part| *part != 100).max().unwrap_or(100);
        most.saturating_mul(part as usize) / 100
    }

    /// What a connection has to take its bytes from, down first: of its torrent and those above it, and of TCP, where it is of
    /// the global class, and of each class with limits.
    fn throttles(
        &self,
        membership: Membership,
        kind: ClassKind,
        (torrent, tcp): (&[RateLimiter; 2], &[RateLimiter; 2]),
    ) -> [Throttle; 2] {
        std::array::from_fn(|way| {
            let mut throttle = None;
            let mut add = |next: &RateLimiter| {
                let next = next.throttle();
                throttle = Some(match throttle.take() {
                    None => next,
                    Some(before) => Throttle::and(before, next),
                });
            };
            if membership.is_global() {
                add(&torrent[way]);
                if kind != ClassKind::Utp {
                    add(&tcp[way]);
                }
            }
            let mut weight = 1;
            for class in self.classes_of(membership) {
                let said = &class.said;
                weight = weight.max([said.down_priority, said.up_priority][way]);
                let limit = [said.limits.down, said.limits.up][way];
                if limit.is_some() && class.name != ALWAYS[0] {
                    add(&class.limits[way]);
                }
            }
            let throttle = throttle.unwrap_or_else(|| RateLimiter::new(None).throttle());
            throttle.weighing(weight)
        })
    }
}

/// Where a connection finds its limits.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    pub(crate) classes: Classes,
    /// Those of the torrent, down first.
    pub(crate) torrent: [RateLimiter; 2],
    /// Those that all connections of TCP share, down first.
    pub(crate) tcp: [RateLimiter; 2],
}

impl Bounds {
    /// What a connection to this address takes its bytes from, down first, until the table has another number.
    pub(crate) fn throttles(&self, ip: IpAddr, kind: ClassKind) -> (u64, [Throttle; 2]) {
        let table = self.classes.get();
        let membership = table.of(ip, kind);
        let limits = (&self.torrent, &self.tcp);
        (table.number, table.throttles(membership, kind, limits))
    }

    /// The number of the table that holds.
    pub(crate) fn number(&self) -> u64 {
        self.classes.get().number
    }
}

/// Whether a host is of the local networks. The addresses that a carrier shares out (RFC 6598) are not: the way to a neighbour
/// there is the line that a limit is for.
pub(super) fn is_local(ip: IpAddr) -> bool {
    let by_carrier = match ip.to_canonical() {
        IpAddr::V4(ip) => matches!(ip.octets(), [100, 64..=127, ..]),
        IpAddr::V6(_) => false,
    };
    !by_carrier && Scope::of(ip).is_some_and(|scope| scope != Scope::Global)
}

/// Lays a range over those that are there.
fn lay(ranges: &mut Vec<Range>, new: Range) {
    let old = std::mem::take(ranges);
    for old in old {
        if old.last < new.first || old.first > new.last {
            ranges.push(old);
            continue;
        }
        if old.first < new.first {
            let last = new.first - 1;
            ranges.push(Range { last, ..old });
        }
        if old.last > new.last {
            let first = new.last + 1;
            ranges.push(Range { first, ..old });
        }
    }
    ranges.push(new);
    ranges.sort_unstable_by_key(|range| range.first);
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.classes.iter().map(|class| &class.name);
        f.debug_struct("Table")
            .field("classes", &names.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
