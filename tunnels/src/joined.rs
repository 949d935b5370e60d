//! A circuit of somebody else's that ends here, so far.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use overlay::key::PublicKey;

use crate::CircuitId;
use crate::crypto::Session;
use crate::node::Refusal;
use crate::relay::End;

/// The most targets that an exit remembers for one circuit.
const MAX_TARGETS: usize = 512;

/// HTTP requests that may come at once besides those of the rate: as many as the original has under way.
const AT_ONCE: u32 = 5;

/// How long a target is remembered that nothing comes from or goes to.
const TARGET_TIME: Duration = Duration::from_secs(120);

#[derive(Debug)]
pub(crate) struct Joined {
    pub(crate) back: End,
    pub(crate) session: Session,
    pub(crate) born: Instant,
    pub(crate) last: Instant,
    pub(crate) bytes: u64,
    /// Those of them that went back to the originator.
    pub(crate) returned: u64,
    /// The neighbours that were named to the originator, to be extended to without an address.
    pub(crate) offered: Vec<(PublicKey, SocketAddr)>,
    pub(crate) extending: Option<Extending>,
    /// How many nodes have been asked to be the next hop.
    pub(crate) asked: u8,
    pub(crate) exit: Exit,
    /// Whether it leads to an introduction point, and may live longer.
    pub(crate) introduces: bool,
}

/// The node that is asked to be the next hop.
#[derive(Debug)]
pub(crate) struct Extending {
    pub(crate) to: End,
    /// What the originator called its request, and we ours.
    pub(crate) ids: (u16, u16),
    pub(crate) deadline: Instant,
}

/// What has gone out for one circuit.
#[derive(Debug, Default)]
pub(crate) struct Exit {
    /// Whether anything has.
    pub(crate) used: bool,
    /// Where its socket is.
    pub(crate) port: Option<u16>,
    targets: BTreeMap<(IpAddr, u16), Target>,
    /// Bytes that may still go out, and when this was counted.
    allowance: Option<(u64, Instant)>,
    /// When so many HTTP requests were sent that the next one would be too early, but for those that may come at once.
    asked: Option<Instant>,
}

#[derive(Debug)]
struct Target {
    unanswered: u32,
    answered: bool,
    last: Instant,
}

impl Exit {
    /// Counts a datagram to a target, if it may go there.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        to: SocketAddr,
        len: usize,
        limits: (u32, u64),
    ) -> Result<(), Refusal> {
        let (max_unanswered, bytes_per_s) = limits;
        self.take(now, len as u64, bytes_per_s)?;
        let key = (to.ip(), to.port());
        if !self.targets.contains_key(&key) && self.targets.len() >= MAX_TARGETS {
            self.targets
                .retain(|_, target| now < target.last + TARGET_TIME);
            if self.targets.len() >= MAX_TARGETS {
                return Err(Refusal::Full);
            }
        }
        let target = self.targets.entry(key).or_insert(Target {
            unanswered: 0,
            answered: false,
            last: now,
        });
        if !target.answered && target.unanswered >= max_unanswered {
            return Err(Refusal::SilentTarget);
        }
        target.unanswered = target.unanswered.saturating_add(1);
        target.last = now;
        self.used = true;
        Ok(())
    }

    /// Counts an HTTP request, if it may be sent: so many a second, and [`AT_ONCE`] besides.
    pub(crate) fn ask(&mut self, now: Instant, per_s: u32) -> Result<(), Refusal> {
        let each = Duration::from_secs(1).checked_div(per_s);
        let each = each.ok_or(Refusal::NotOffered)?;
        let due = self.asked.unwrap_or(now).max(now);
        if due > now + each * AT_ONCE {
            return Err(Refusal::TooFast);
        }
        self.asked = Some(due + each);
        self.used = true;
        Ok(())
    }

    /// Notes a datagram from outside.
    pub(crate) fn answered(&mut self, now: Instant, from: SocketAddr) {
        if let Some(target) = self.targets.get_mut(&(from.ip(), from.port())) {
            target.answered = true;
            target.last = now;
        }
    }

    /// A bucket that holds what may go out in a second.
    pub(crate) fn take(
        &mut self,
        now: Instant,
        bytes: u64,
        bytes_per_s: u64,
    ) -> Result<(), Refusal> {
        if bytes_per_s == 0 {
            return Ok(());
        }
        let (left, since) = self.allowance.unwrap_or((bytes_per_s, now));
        let passed = now.saturating_duration_since(since).as_micros();
        let gained = passed.saturating_mul(bytes_per_s.into()) / 1_000_000;
        let gained = u64::try_from(gained).unwrap_or(u64::MAX);
        let left = left.saturating_add(gained).min(bytes_per_s);
        let Some(after) = left.checked_sub(bytes) else {
            return Err(Refusal::TooFast);
        };
        self.allowance = Some((after, now));
        Ok(())
    }
}

impl Joined {
    pub(crate) fn new(
        now: Instant,
        back: End,
        session: Session,
        offered: Vec<(PublicKey, SocketAddr)>,
    ) -> Self {
        Self {
            back,
            session,
            born: now,
            last: now,
            bytes: 0,
            returned: 0,
            offered,
            extending: None,
            asked: 0,
            exit: Exit::default(),
            introduces: false,
        }
    }

    /// The circuit on the link to the node that is asked.
    pub(crate) fn extending_to(&self) -> Option<CircuitId> {
        Some(self.extending.as_ref()?.to.circuit)
    }
}
