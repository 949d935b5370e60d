//! Who is served: tit-for-tat while we download, turns while we seed, and a chance for newcomers.
//!
//! While we download, the interested peers that send us the most are served, and one more at random so that a peer
//! which has nothing to give yet gets a first piece (BEP 3, "choking"). A peer that snubs us is served only at random.
//! While we seed, peers take turns ([`SeedMode::RoundRobin`]) or the fastest are served. Slots that are free are given
//! at once, not at the next round.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rand::{Rng, RngExt};

use crate::peer::key::PeerKey;
use crate::settings::Choking;

/// A connection this young counts as new for the random slot.
const NEW: Duration = Duration::from_mins(1);

/// How much more often the random slot goes to a new peer: the newest have nothing yet (BEP 3).
const NEW_WEIGHT: u32 = 3;

/// A slot that becomes free between two rounds is given away this long after the last one.
const HURRY: Duration = Duration::from_secs(1);

/// How peers are chosen while we seed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SeedMode {
    /// The peers to which we send fastest.
    FastestUpload,
    /// Everyone in turn.
    #[default]
    RoundRobin,
}

/// What says how many peers are served at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SlotsBy {
    /// A number.
    #[default]
    Number,
    /// The rates at which peers take: as many are served as take more than a step for each that is faster, and one more.
    Rate,
}

/// The figures that a choker goes by.
#[derive(Clone, Copy, Debug)]
pub struct ChokerConfig {
    /// Peers served at a time.
    pub slots: usize,
    /// Time between two decisions (10 s in BEP 3: shorter makes for fibrillation, longer is slow to answer).
    pub round_every: Duration,
    /// Time that a peer keeps the random slot.
    pub optimistic_every: Duration,
    /// How peers are chosen while we seed.
    pub seed_mode: SeedMode,
    /// The turn of a peer while we seed and others wait.
    pub turn: Duration,
    /// Slots that go round at random.
    pub optimistic: usize,
    /// What says how many slots there are.
    pub slots_by: SlotsBy,
    /// Bytes a second that each further slot asks for more, where rates say how many there are.
    pub rate_step: u64,
}

/// One connection, as the choker sees it.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, each with a name"
)]
pub struct Contender {
    /// Its name.
    pub key: PeerKey,
    /// It wants pieces of ours.
    pub interested: bool,
    /// We do not serve it at the moment.
    pub choked: bool,
    /// What it sends us, in bytes per second.
    pub down_rate: u64,
    /// What we send it, in bytes per second.
    pub up_rate: u64,
    /// Since when it is connected.
    pub connected_at: Instant,
    /// It promised blocks and sends none.
    pub snubbed: bool,
    /// It has everything, or wants nothing more.
    pub is_seed: bool,
    /// Since when we serve it.
    pub unchoked_since: Option<Instant>,
}

/// What a round changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Serve these from now on.
    pub unchoke: Vec<PeerKey>,
    /// Serve these no longer.
    pub choke: Vec<PeerKey>,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Choker {
    config: ChokerConfig,
    served: BTreeSet<PeerKey>,
    /// Slots that there are until the next round.
    slots: usize,
    /// The peers in the random slots, and since when.
    optimistic: Vec<(PeerKey, Instant)>,
    /// When each peer was last served, for turns.
    last_served: BTreeMap<PeerKey, Instant>,
    last_round: Option<Instant>,
    next_round: Option<Instant>,
}

impl Default for ChokerConfig {
    fn default() -> Self {
        Self {
            slots: 8,
            round_every: Duration::from_secs(10),
            optimistic_every: Duration::from_secs(30),
            seed_mode: SeedMode::default(),
            turn: Duration::from_mins(1),
            optimistic: 1,
            slots_by: SlotsBy::default(),
            rate_step: 1024,
        }
    }
}

impl ChokerConfig {
    /// With so many slots, if a number is given.
    #[must_use]
    pub(crate) fn with_slots(self, slots: Option<u32>) -> Self {
        Self {
            slots: slots.map_or(self.slots, |slots| slots as usize),
            slots_by: slots.map_or(self.slots_by, |_| SlotsBy::Number),
            ..self
        }
    }

    /// As the settings say.
    pub const fn of(settings: &Choking) -> Self {
        Self {
            slots: settings.slots as usize,
            round_every: settings.round_every,
            optimistic_every: settings.optimistic_every,
            seed_mode: settings.seed_mode,
            turn: settings.turn,
            optimistic: settings.optimistic as usize,
            slots_by: settings.slots_by,
            rate_step: settings.rate_step.0,
        }
    }

    /// How many slots there are, with these connections.
    fn slots(&self, contenders: &[Contender]) -> usize {
        match self.slots_by {
            SlotsBy::Number => self.slots,
            SlotsBy::Rate => {
                let served = contenders.iter().filter(|contender| !contender.choked);
                let mut rates: Vec<u64> = served.map(|contender| contender.up_rate).collect();
                rates.sort_unstable_by_key(|rate| Reverse(*rate));
                let steps = (1..).map(|number: u64| number.saturating_mul(self.rate_step));
                let earned = rates.iter().zip(steps);
                let earned = earned.take_while(|(rate, step)| *rate > step).count();
                earned.saturating_add(1 + self.optimistic)
            }
        }
    }
}

impl Choker {
    /// A choker that serves nobody yet; its first round is due at once.
    pub fn new(config: ChokerConfig) -> Self {
        Self {
            slots: config.slots(&[]),
            config,
            served: BTreeSet::new(),
            optimistic: Vec::new(),
            last_served: BTreeMap::new(),
            last_round: None,
            next_round: None,
        }
    }

    /// Whether a peer is served by chance.
    pub fn is_optimistic(&self, key: PeerKey) -> bool {
        self.optimistic.iter().any(|(peer, _)| *peer == key)
    }

    /// Peers that may be served at a time.
    pub const fn slots(&self) -> usize {
        self.slots
    }

    /// Goes by other figures; the next round is due at once.
    pub fn retune(&mut self, config: ChokerConfig) {
        self.config = config;
        if config.slots_by == SlotsBy::Number {
            self.slots = config.slots;
        }
        self.next_round = None;
    }

    /// Decides who is served until the next round. `contenders` are all connections; `seeding` says that we need
    /// nothing more.
    pub fn round(
        &mut self,
        now: Instant,
        seeding: bool,
        contenders: &[Contender],
        rng: &mut impl Rng,
    ) -> Decision {
        self.last_round = Some(now);
        self.next_round = Some(now + self.config.round_every);
        self.slots = self.config.slots(contenders);
        let mut waiting: Vec<Contender> = contenders
            .iter()
            .filter(|contender| contender.interested && !contender.is_seed)
            .copied()
            .collect();
        waiting.sort_unstable_by_key(|contender| contender.key);
        let chosen = match (seeding, self.config.seed_mode) {
            _ if waiting.len() <= self.slots => {
                self.optimistic.clear();
                waiting.iter().map(|contender| contender.key).collect()
            }
            (true, SeedMode::RoundRobin) => self.turns(now, waiting),
            (true, SeedMode::FastestUpload) => {
                self.fastest(now, waiting, |contender| contender.up_rate, rng)
            }
            (false, _) => self.fastest(now, waiting, |contender| contender.down_rate, rng),
        };
        self.decide(now, contenders, chosen)
    }

    /// The peer wants pieces of ours now. Says whether it is served: a free slot is its own at once. If it is not, the
    /// next round decides.
    pub fn interested(&mut self, now: Instant, key: PeerKey) -> bool {
        if self.served.len() < self.slots && self.served.insert(key) {
            self.last_served.insert(key, now);
        }
        self.served.contains(&key)
    }

    /// The peer wants nothing any more. It is choked at the next round, which comes sooner if it held a slot.
    pub fn not_interested(&mut self, key: PeerKey) {
        if self.served.contains(&key) {
            self.hurry();
        }
    }

    /// The connection ended. Its slot is given away soon.
    pub fn gone(&mut self, key: PeerKey) {
        self.last_served.remove(&key);
        self.optimistic.retain(|(peer, _)| *peer != key);
        if self.served.remove(&key) {
            self.hurry();
        }
    }

    /// When [`round`](Self::round) is due; `None` stands for at once, before the first.
    pub fn next_round(&self) -> Option<Instant> {
        self.next_round
    }

    fn hurry(&mut self) {
        if let (Some(last), Some(next)) = (self.last_round, &mut self.next_round) {
            *next = (*next).min(last + HURRY);
        }
    }

    /// The fastest in all slots but those that go round at random. `waiting` are more than the slots.
    fn fastest(
        &mut self,
        now: Instant,
        mut waiting: Vec<Contender>,
        rate: impl Fn(&Contender) -> u64,
        rng: &mut impl Rng,
    ) -> BTreeSet<PeerKey> {
        // The fastest always has one, and newcomers get it while nobody sends anything.
        let regular = self.slots.saturating_sub(self.config.optimistic).max(1);
        waiting.sort_by_key(|contender| (Reverse(rate(contender)), contender.choked));
        let mut chosen: BTreeSet<PeerKey> = waiting
            .iter()
            .filter(|contender| !contender.snubbed && rate(contender) > 0)
            .take(regular.min(self.slots))
            .map(|contender| contender.key)
            .collect();
        waiting.retain(|contender| !chosen.contains(&contender.key));
        let mut kept = std::mem::take(&mut self.optimistic).into_iter();
        let patience = self.config.optimistic_every;
        while chosen.len() < self.slots && self.optimistic.len() < self.config.optimistic {
            let stays = kept.find(|(key, since)| {
                now.saturating_duration_since(*since) < patience
                    && waiting.iter().any(|contender| contender.key == *key)
            });
            let turn = stays.or_else(|| {
                // The one whose time is over had its chance.
                let others: Vec<Contender> = waiting
                    .iter()
                    .filter(|contender| contender.choked)
                    .copied()
                    .collect();
                lot(now, &others, rng)
                    .or_else(|| lot(now, &waiting, rng))
                    .map(|key| (key, now))
            });
            let Some(turn) = turn else { break };
            self.optimistic.push(turn);
            chosen.insert(turn.0);
            waiting.retain(|contender| !chosen.contains(&contender.key));
        }
        // Slots that no fast peer fills: those who have one keep it, at most as long as a random one.
        let (stay, mut rest): (Vec<Contender>, Vec<Contender>) =
            waiting.into_iter().partition(|contender| {
                contender.unchoked_since.is_some_and(|since| {
                    now.saturating_duration_since(since) < self.config.optimistic_every
                })
            });
        for contender in stay {
            if chosen.len() < self.slots {
                chosen.insert(contender.key);
            }
        }
        while chosen.len() < self.slots
            && let Some(key) = lot(now, &rest, rng)
        {
            rest.retain(|contender| contender.key != key);
            chosen.insert(key);
        }
        chosen
    }

    /// Everyone in turn: who has been served for less than a turn goes on, then those who waited longest.
    fn turns(&mut self, now: Instant, mut waiting: Vec<Contender>) -> BTreeSet<PeerKey> {
        self.optimistic.clear();
        let turn = self.config.turn;
        waiting.sort_by_key(|contender| {
            let turn_over = contender
                .unchoked_since
                .is_none_or(|since| now.saturating_duration_since(since) >= turn);
            // Who is served now was served last of all.
            let last = if contender.choked {
                self.last_served.get(&contender.key).copied()
            } else {
                Some(now)
            };
            (turn_over, last, contender.connected_at)
        });
        let turns = waiting.iter().take(self.slots);
        turns.map(|contender| contender.key).collect()
    }

    fn decide(
        &mut self,
        now: Instant,
        contenders: &[Contender],
        chosen: BTreeSet<PeerKey>,
    ) -> Decision {
        let mut decision = Decision::default();
        for contender in contenders {
            match (contender.choked, chosen.contains(&contender.key)) {
                (true, true) => decision.unchoke.push(contender.key),
                (false, false) => decision.choke.push(contender.key),
                (true, false) | (false, true) => {}
            }
        }
        for key in chosen.iter().chain(&decision.choke) {
            self.last_served.insert(*key, now);
        }
        self.served = chosen;
        decision
    }
}

/// Draws one at random; new peers have more lots.
fn lot(now: Instant, waiting: &[Contender], rng: &mut impl Rng) -> Option<PeerKey> {
    let weight = |contender: &Contender| {
        if now.saturating_duration_since(contender.connected_at) < NEW {
            NEW_WEIGHT
        } else {
            1
        }
    };
    let total: u32 = waiting.iter().map(weight).sum();
    if total == 0 {
        return None;
    }
    let mut drawn = rng.random_range(0..total);
    for contender in waiting {
        let weight = weight(contender);
        if drawn < weight {
            return Some(contender.key);
        }
        drawn -= weight;
    }
    None
}

#[cfg(test)]
mod tests;
