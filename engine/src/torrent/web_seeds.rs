//! What a torrent has to do with web seeds.

mod facts;
pub(crate) mod list;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use actix::{Addr, AsyncContext, Context};
use actors::tell;
use net::http::Guard;
use protocol::bitfield::Bitfield;

use crate::content::Traffic;
use crate::mixed::Flow;
use crate::peer::driver::now;
use crate::peer::key::PeerKey;
use crate::torrent::actor::{Active, Phase, Torrent};
use crate::torrent::peers::Rate;
use crate::torrent::picker::{Hurry, PeerPieces, Start};
use crate::torrent::report::counted;
use crate::torrent::web_seeds::list::{Manners, Standing, WebList};
use crate::web::actor::WebSeed;
use crate::web::messages::{Hungry, WebOrder};
use crate::web::shared::Wiring;
use crate::{Event, Source, WebSeedState, WebSeedStatus};

/// Bytes at the start of a file that are fetched for nothing, to come to the first that is missing, while peers could
/// bring that too.
const NEAR_START: u64 = 4 << 20;

/// The web seeds of a torrent; those at work end with it, even where it panicked.
#[derive(Debug, Default)]
pub(crate) struct WebSeeds {
    /// None until the metadata is known.
    list: Option<WebList>,
    at_work: BTreeMap<PeerKey, AtWork>,
    /// The numbers in the list of those that were at work, so that a block can be traced to its sender.
    past: BTreeMap<PeerKey, usize>,
}

/// Times at work that are remembered.
const REMEMBERED: usize = 256;

/// A web seed at work.
#[derive(Debug)]
struct AtWork {
    actor: Addr<WebSeed>,
    /// Its number in the list.
    number: usize,
    /// The run of the content that it works for, and in whose picker it is counted.
    run: u64,
    /// What can be had from it; `None` for everything.
    has: Option<Bitfield>,
    hungry: Option<Hungry>,
    traffic: Arc<Traffic>,
    down: Rate,
}

impl WebSeeds {
    /// Whether none is at work.
    pub(crate) fn are_idle(&self) -> bool {
        self.at_work.is_empty()
    }

    /// Ends the work of all.
    pub(crate) fn dismiss(&self) {
        for seed in self.at_work.values() {
            tell(&seed.actor, WebOrder::Close);
        }
    }

    /// Asks again those that were left alone for a while.
    pub(crate) fn begin_anew(&mut self) {
        if let Some(list) = &mut self.list {
            list.begin_anew();
        }
    }

    /// Ends the work of those whose servers the network does not talk to any more.
    pub(crate) fn sift(&self) {
        for seed in self.at_work.values() {
            tell(&seed.actor, WebOrder::Sift);
        }
    }

    /// Takes the counters of the last second.
    pub(crate) fn sample(&mut self, seconds: f64) {
        for seed in self.at_work.values_mut() {
            seed.down.sample(Traffic::get(&seed.traffic.down), seconds);
        }
    }

    /// What each brings, in bytes per second.
    pub(crate) fn rates(&self) -> impl Iterator<Item = (PeerKey, u64)> + '_ {
        let all = self.at_work.iter();
        all.map(|(key, seed)| (*key, seed.down.bytes_per_s))
    }

    /// Counts those that send something.
    pub(crate) fn count_into(&self, flow: &mut Flow) {
        for seed in self.at_work.values().filter(|seed| seed.down.is_moving()) {
            flow.count(false, seed.down.bytes_per_s);
        }
    }

    /// What they are waiting for, for a person to read, where there are any.
    pub(crate) fn reason(&self) -> Option<String> {
        if !self.at_work.is_empty() {
            let several = counted(self.at_work.len(), "web seed");
            return Some(format!("asking {several}"));
        }
        let mut known = self.list.iter().flat_map(WebList::iter);
        known.find_map(|(_, known)| match &known.standing {
            Standing::Resting(_, reason) => {
                Some(format!("web seed {}: {reason}", known.seed.shown()))
            }
            Standing::AtWork | Standing::Banned | Standing::Ready => None,
        })
    }

    /// How each of them stands, where the route has what they send `carried`.
    pub(crate) fn status(&self, now: Instant, carried: bool) -> Vec<WebSeedStatus> {
        let known = self.list.iter().flat_map(WebList::iter);
        known
            .map(|(number, known)| {
                let at_work = self.at_work.values().find(|seed| seed.number == number);
                let now_down = at_work.map_or(0, |seed| Traffic::get(&seed.traffic.down));
                WebSeedStatus {
                    url: known.seed.shown(),
                    state: match &known.standing {
                        Standing::AtWork => WebSeedState::AtWork,
                        Standing::Banned => WebSeedState::Banned,
                        Standing::Ready | Standing::Resting(..) if !carried => {
                            WebSeedState::NotCarried
                        }
                        Standing::Ready => WebSeedState::Idle,
                        Standing::Resting(until, reason) => WebSeedState::Resting {
                            left: until.saturating_duration_since(now),
                            reason: reason.to_string(),
                        },
                    },
                    downloaded: known.downloaded + now_down,
                    down_rate: at_work.map_or(0, |seed| seed.down.bytes_per_s),
                }
            })
            .collect()
    }
}

impl Drop for WebSeeds {
    fn drop(&mut self) {
        self.dismiss();
    }
}

impl AtWork {
    fn pieces(&self) -> PeerPieces<'_> {
        match &self.has {
            None => PeerPieces::All,
            Some(pieces) => PeerPieces::Some(pieces),
        }
    }

    /// Counts it in the picker, or no longer.
    fn count(&self, active: &mut Active, here: bool) {
        if active.run != self.run {
            return;
        }
        match (&self.has, here) {
            (None, true) => active.picker.web_seed_joined_full(),
            (None, false) => active.picker.web_seed_left_full(),
            (Some(pieces), true) => active.picker.peer_bitfield_added(pieces),
            (Some(pieces), false) => active.picker.peer_bitfield_removed(pieces),
        }
    }
}

impl Torrent {
    /// Puts web seeds to work that could be, and none where nothing is missing.
    pub(crate) fn tend_web_seeds(&mut self, now: Instant, ctx: &mut Context<Self>) {
        let out = self.may_go_out() && self.may_ask();
        let bounds = self.bounds();
        let (Phase::Active(active), Some(metainfo)) = (&mut self.phase, &self.metainfo) else {
            return;
        };
        if active.finished || self.settling.is_some() || !out || !self.add.use_web_seeds {
            self.web_seeds.dismiss();
            return;
        }
        let magnet = match &self.add.source {
            Source::Magnet(magnet) => Some(magnet.as_ref()),
            Source::Metainfo(_) => None,
        };
        let named = (self.add.web_seeds.as_slice(), self.add.use_named_web_seeds);
        let list = self.web_seeds.list.get_or_insert_with(|| {
            let mut list = WebList::default();
            list.replace(named, metainfo, magnet);
            list
        });
        if !self.setup.reach.web_seeds {
            return;
        }
        list.set_manners(Manners::of(&self.setup.settings.get().web_seeds));
        for seed in self.web_seeds.at_work.values() {
            // It has done what it can do, and begins anew with all that is missing.
            let idle = seed
                .hungry
                .is_some_and(|hungry| hungry.next.is_none() || !hungry.whole_files);
            if idle
                && list
                    .get_mut(seed.number)
                    .is_some_and(|known| known.may_have_more(now))
            {
                tell(&seed.actor, WebOrder::Close);
            }
        }
        while let Some(number) = list.next(now) {
            let Some(known) = list.get_mut(number) else {
                return;
            };
            let key = self.peers.number();
            let traffic = Arc::<Traffic>::default();
            let has = known.has(now);
            let wiring = Wiring {
                key,
                seed: known.seed.clone(),
                has: has.clone(),
                policy: if known.by_user {
                    Guard::USER
                } else {
                    Guard::WEB_SEED
                },
                whole_files: known.whole_files,
                metainfo: Arc::clone(metainfo),
                content: Arc::clone(&active.content),
                client: self.setup.reach.web_client(&self.setup.settings),
                bounds: bounds.clone(),
                settings: self.setup.settings.clone(),
                traffic: Arc::clone(&traffic),
                torrent_traffic: Arc::clone(&self.traffic),
            };
            let pool = self.setup.pool.clone();
            let at_work = AtWork {
                actor: WebSeed::launch(wiring, pool, ctx.address().recipient()),
                number,
                run: active.run,
                has,
                hungry: None,
                traffic,
                down: Rate::default(),
            };
            at_work.count(active, true);
            self.web_seeds.at_work.insert(key, at_work);
            self.web_seeds.past.insert(key, number);
            if self.web_seeds.past.len() > REMEMBERED {
                self.web_seeds.past.pop_first();
            }
        }
    }

    /// The web seeds of BEP 19, as they are named.
    pub(super) fn web_seed_urls(&self) -> Vec<String> {
        let mut urls = self.add.web_seeds.clone();
        if self.add.use_named_web_seeds {
            let named = self.metainfo.as_ref().map(|it| it.web_seeds().to_vec());
            let linked = match &self.add.source {
                Source::Magnet(magnet) => magnet.web_seeds.clone(),
                Source::Metainfo(_) => Vec::new(),
            };
            for url in named.into_iter().flatten().chain(linked) {
                if !urls.contains(&url) {
                    urls.push(url);
                }
            }
        }
        urls
    }

    /// Fetches from these web seeds from now on, and from no others.
    pub(super) fn set_web_seeds(&mut self, urls: Vec<String>) {
        self.add.web_seeds = urls;
        self.add.use_named_web_seeds = false;
        let (Some(metainfo), Some(list)) = (&self.metainfo, &mut self.web_seeds.list) else {
            return;
        };
        let magnet = match &self.add.source {
            Source::Magnet(magnet) => Some(magnet.as_ref()),
            Source::Metainfo(_) => None,
        };
        let gone = list.replace((&self.add.web_seeds, false), metainfo, magnet);
        let at_work = self.web_seeds.at_work.values();
        for seed in at_work.filter(|seed| gone.contains(&seed.number)) {
            tell(&seed.actor, WebOrder::Close);
        }
    }

    /// Gives blocks to the web seeds that could be asked for more.
    pub(crate) fn feed_web_seeds(&mut self) {
        let keys: Vec<PeerKey> = self.web_seeds.at_work.keys().copied().collect();
        for key in keys {
            self.assign_stretch(key);
        }
    }

    fn assign_stretch(&mut self, key: PeerKey) {
        let (Some(seed), Phase::Active(active)) =
            (self.web_seeds.at_work.get_mut(&key), &mut self.phase)
        else {
            return;
        };
        let Some(hungry) = seed
            .hungry
            .filter(|_| !active.finished && active.run == seed.run)
        else {
            return;
        };
        let geometry = active.content.geometry;
        let start = match (
            hungry.whole_files,
            hungry.next.or_else(|| geometry.piece(0)),
        ) {
            (true, Some(piece)) => Start::From(piece),
            (true, None) | (false, _) => Start::Anywhere,
        };
        if hungry.whole_files && hungry.next.is_none() {
            let served = self.peers.iter().any(|(_, peer)| peer.unchoked_us);
            let skipped = self.metainfo.as_ref().and_then(|metainfo| {
                let at = geometry.offset_of(active.picker.first_free(seed.pieces())?);
                let after = metainfo.files().partition_point(|file| file.offset <= at);
                let file = metainfo.files().get(..after)?.last()?;
                Some(at - file.offset)
            });
            if served && skipped.is_some_and(|skipped| skipped > NEAR_START) {
                return;
            }
        }
        let mut runs = Vec::new();
        let want = hungry.want;
        let hurry = match start {
            Start::Anywhere => Hurry::InTime,
            Start::From(piece) => Hurry::From(piece),
        };
        let given = active
            .picker
            .pick_due(now(), (key, seed.pieces()), want, hurry, &mut runs);
        if runs.is_empty() || start == Start::Anywhere {
            let left = want - given;
            active
                .picker
                .pick_stretch(key, seed.pieces(), left, start, &mut runs);
        }
        if runs.is_empty() && start == Start::Anywhere {
            let from = (key, seed.pieces());
            let picker = &mut active.picker;
            picker.pick_due(now(), from, want, Hurry::Anyhow, &mut runs);
        }
        if runs.is_empty() && hungry.whole_files && hungry.next.is_none() {
            active.picker.pick(key, seed.pieces(), want, &mut runs);
        }
        if runs.is_empty() {
            return;
        }
        seed.hungry = None;
        let (assignments, full) = active.take_on(key, runs);
        tell(&seed.actor, WebOrder::Assign(assignments));
        for piece in full {
            self.on_piece_full(piece);
        }
    }

    /// Bans a web seed for bad data; says whether this is one.
    pub(crate) fn ban_web_seed(&mut self, key: PeerKey) -> bool {
        let Some(number) = self.web_seeds.past.get(&key).copied() else {
            return false;
        };
        for seed in self
            .web_seeds
            .at_work
            .values()
            .filter(|seed| seed.number == number)
        {
            tell(&seed.actor, WebOrder::Close);
        }
        if let Some(list) = &mut self.web_seeds.list {
            let news = list.ban(number);
            if let Some(known) = list.get_mut(number).filter(|_| news) {
                let url = known.seed.shown();
                tracing::info!(url, "web seed banned for bad data");
                self.event(Event::WebSeedBanned { id: self.id, url });
            }
        }
        true
    }
}
