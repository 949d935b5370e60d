//! What a torrent has to do with trackers.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use actix::{Addr, AsyncContext, Context, Handler};
use net::Task;
use protocol::id::InfoHash;
use tokio::sync::oneshot;

use crate::announce::actor::{Announcer, AnnouncerSetup};
use crate::announce::messages::{Announce, Announced, Heard};
use crate::announce::scrape::scrape;
use crate::announce::settings::AnnounceMode;
use crate::peer::driver::now;
use crate::queue::Voice;
use crate::torrent::actor::Torrent;
use crate::torrent::candidates::Source;
use crate::torrent::messages::Scraped;
use crate::torrent::tracker_list::Said;
use crate::{CommandError, Event, Source as TorrentSource, SwarmCounts};

/// Peers of one announce that are noted; trackers send 50 to 200.
const PEERS_PER_REPLY: usize = 1000;

/// Trackers whose counts are remembered.
const MOST_COUNTS: usize = 64;

/// After which the silence of trackers is told; most answer within a second.
const SLOW_TRACKER: Duration = Duration::from_secs(4);

/// What trackers told a torrent.
#[derive(Debug, Default)]
pub(crate) struct Trackers {
    /// The size of the swarm, by tracker and hash.
    counts: BTreeMap<(Arc<str>, InfoHash), SwarmCounts>,
    /// What each said for people, or why it failed, the last time.
    words: BTreeMap<(Arc<str>, InfoHash), String>,
    /// Which answered last, by hash.
    last: BTreeMap<InfoHash, Arc<str>>,
    /// Whether one failed or refused since the torrent went online.
    failed: bool,
    /// To how many is announced, since the torrent went online.
    mode: AnnounceMode,
}

/// Scrapes that are under way, of the route that the torrent is on; dropping one ends it.
#[derive(Debug, Default)]
pub(crate) struct Scrapes {
    next: u64,
    running: BTreeMap<u64, Scrape>,
}

/// One, and who waits for it.
#[derive(Debug)]
struct Scrape {
    reply: oneshot::Sender<Result<SwarmCounts, CommandError>>,
    _task: Task<()>,
}

impl Scrapes {
    /// Whether nobody waits for one.
    pub(super) fn are_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// Ends all of them: there is nobody to ask any more.
    pub(super) fn end(&mut self) {
        for scrape in std::mem::take(&mut self.running).into_values() {
            // Whoever asked may have gone.
            let _ = scrape.reply.send(Err(CommandError::NoTracker));
        }
    }
}

/// The Announcers of a torrent, one for each of its hashes. Those that it has not said farewell through end with it, even
/// where it panicked: it may go on by another route, and nothing is told by the old one then.
#[derive(Debug, Default)]
pub(crate) struct Announcers {
    at_work: BTreeMap<InfoHash, Addr<Announcer>>,
    /// Those that said farewell, and may be at it still.
    parting: Vec<Addr<Announcer>>,
}

impl Announcers {
    pub(crate) fn is_empty(&self) -> bool {
        self.at_work.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Addr<Announcer>> {
        self.at_work.values()
    }

    /// Each with the hash that it announces.
    pub(crate) fn by_hash(&self) -> impl Iterator<Item = (&InfoHash, &Addr<Announcer>)> {
        self.at_work.iter()
    }

    /// Gives them up to whoever lets them say farewell.
    pub(crate) fn take(&mut self) -> impl ExactSizeIterator<Item = Addr<Announcer>> + use<> {
        let leaving = std::mem::take(&mut self.at_work).into_values();
        let leaving: Vec<Addr<Announcer>> = leaving.collect();
        self.parting.retain(Addr::connected);
        self.parting.extend_from_slice(&leaving);
        leaving.into_iter()
    }

    /// Has those say no more that are saying farewell.
    pub(super) fn hush(&mut self) {
        for announcer in self.parting.drain(..) {
            actors::tell(&announcer, Announce::Abandon);
        }
    }
}

impl Drop for Announcers {
    fn drop(&mut self) {
        for announcer in self.at_work.values() {
            actors::tell(announcer, Announce::Abandon);
        }
    }
}

impl Trackers {
    /// The size of the swarm, as far as trackers know it.
    pub(crate) fn swarm(&self) -> SwarmCounts {
        let all = self.counts.values();
        all.fold(SwarmCounts::default(), |sum, counts| sum.max(*counts))
    }

    /// Whether one has failed and none has answered.
    pub(super) fn are_silent(&self) -> bool {
        self.failed && self.last.is_empty()
    }

    /// What came of asking them, where no peer is known, `after` a time.
    pub(crate) fn reason(&self, after: Duration) -> &'static str {
        match (self.last.is_empty(), self.failed) {
            (false, _) => "the trackers know no other peers",
            (true, true) => "no tracker names peers",
            (true, false) if after >= SLOW_TRACKER => {
                "asking the trackers, none of which has answered yet"
            }
            (true, false) => "asking the trackers",
        }
    }

    /// What each said last.
    pub(super) fn said(&self) -> Said {
        let mut said: Said = BTreeMap::new();
        for (key, counts) in &self.counts {
            said.entry(key.clone()).or_default().0 = *counts;
        }
        for (key, words) in &self.words {
            said.entry(key.clone()).or_default().1 = Some(words.clone());
        }
        said
    }

    /// A tracker said something for people, or failed for this reason, or neither.
    fn note_words(&mut self, tracker: (Arc<str>, InfoHash), words: Option<String>) {
        match words {
            None => drop(self.words.remove(&tracker)),
            Some(words) if self.words.len() < MOST_COUNTS || self.words.contains_key(&tracker) => {
                self.words.insert(tracker, words);
            }
            Some(_) => {}
        }
    }

    fn note(&mut self, tracker: (Arc<str>, InfoHash), counts: SwarmCounts) {
        if self.counts.len() < MOST_COUNTS || self.counts.contains_key(&tracker) {
            let known = self.counts.entry(tracker).or_default();
            known.seeds = counts.seeds.or(known.seeds);
            known.leechers = counts.leechers.or(known.leechers);
            known.downloaded = counts.downloaded.or(known.downloaded);
        }
    }
}

impl Torrent {
    /// Starts to look for peers, once; again where the metadata forbids how that was done before.
    pub(crate) fn go_online(&mut self, ctx: &mut Context<Self>) {
        if !self.may_go_out() {
            return;
        }
        let mode = self.announce_mode();
        if self.announces_otherwise() {
            let patience = self.setup.reach.desk.config().farewell;
            self.farewell(tokio::time::Instant::now() + patience, None);
        }
        self.watch_neighbours(ctx);
        self.seek(ctx);
        self.tend_hidden(now(), ctx);
        let mut new: Vec<InfoHash> = self.hashes.names().collect();
        new.retain(|hash| !self.announcers.at_work.contains_key(hash));
        let may = self.add.use_trackers && self.voices.has(Voice::Trackers);
        if new.is_empty() || !may {
            return;
        }
        let trackers = self.trackers();
        if trackers.is_empty() {
            return;
        }
        self.heard.mode = mode;
        self.update_progress();
        for hash in new {
            let first = self.announcers.is_empty();
            let setup = AnnouncerSetup {
                trackers: trackers.clone(),
                mode,
                hash,
                peer_id: self.peer_id,
                port: self.setup.reach.listen_port,
                desk: self.setup.reach.desk.clone(),
                pool: self.setup.pool.clone(),
                progress: Arc::clone(&self.progress),
                time: self.moves.times,
                seed: self.seed() ^ if first { 1 << 62 } else { 1 << 63 },
                events: (self.setup.events.clone(), self.id),
                parting: self.announcers.parting.clone(),
            };
            let announcer = Announcer::launch(setup, ctx.address().recipient());
            self.announcers.at_work.insert(hash, announcer);
        }
    }

    /// To how many trackers is to be announced. A private torrent switches trackers, it does not gather them (BEP 27).
    fn announce_mode(&self) -> AnnounceMode {
        if self.is_private() {
            AnnounceMode::Strict
        } else {
            self.setup.reach.desk.config().mode
        }
    }

    /// Whether it is announced to more or fewer trackers than it is to be.
    pub(super) fn announces_otherwise(&self) -> bool {
        !self.announcers.is_empty() && self.announce_mode() != self.heard.mode
    }

    /// Says goodbye to the trackers, and begins anew with those of now.
    pub(super) fn announce_anew(&mut self, ctx: &mut Context<Self>) {
        if !self.announcers.is_empty() {
            let patience = self.setup.reach.desk.config().farewell;
            self.farewell(tokio::time::Instant::now() + patience, None);
        }
        if self.is_online() {
            self.go_online(ctx);
        }
    }

    /// The trackers, by tier: those that the user named, else those of the metadata, else of the link.
    pub(super) fn trackers(&self) -> Vec<Vec<String>> {
        if let Some(named) = &self.add.trackers {
            return named.clone();
        }
        match (&self.metainfo, &self.add.source) {
            (Some(metainfo), _) if !metainfo.trackers().is_empty() => metainfo.trackers().to_vec(),
            (_, TorrentSource::Magnet(magnet)) => {
                let urls = magnet.trackers.iter();
                urls.map(|url| vec![url.clone()]).collect()
            }
            (_, TorrentSource::Metainfo(metainfo)) => metainfo.trackers().to_vec(),
        }
    }

    /// Asks the trackers for the size of the swarm.
    pub(crate) fn scrape(
        &mut self,
        reply: oneshot::Sender<Result<SwarmCounts, CommandError>>,
        ctx: &mut Context<Self>,
    ) {
        if !self.may_go_out() {
            let _ = reply.send(Err(CommandError::NoTracker));
            return;
        }
        let (desk, trackers) = (self.setup.reach.desk.clone(), self.trackers());
        let names: Vec<InfoHash> = self.hashes.names().collect();
        let me = ctx.address();
        self.scrapes.next += 1;
        let number = self.scrapes.next;
        let asking = async move {
            let heard = scrape(&desk, &trackers, &names).await;
            actors::tell(&me, Scraped { number, heard });
        };
        let scrape = Scrape {
            reply,
            _task: self.setup.pool.spawn(asking),
        };
        self.scrapes.running.insert(number, scrape);
    }

    /// Takes note of where trackers see us, or else the nodes of the DHT: for the order in which peers are dialled, and so
    /// that we do not take ourselves for one.
    pub(super) fn learn_own_address(&mut self) {
        let port = self.setup.reach.listen_port;
        // Where an anonymous route ends is not where we are.
        let Some(port) = port.filter(|_| !self.setup.reach.is_anonymous()) else {
            return;
        };
        let votes = self.setup.reach.desk.external_ips();
        let [v4, v6] = self.trackerless.external;
        let of_family = |v4: bool, by_dht: Option<IpAddr>| {
            let first = votes.iter().find(|(ip, _)| ip.is_ipv4() == v4);
            let ip = first.map(|(ip, _)| *ip);
            ip.or(by_dht).map(|ip| SocketAddr::new(ip, port))
        };
        self.candidates
            .set_own([of_family(true, v4), of_family(false, v6)]);
    }

    /// Takes what a tracker said.
    fn on_heard(&mut self, url: &Arc<str>, hash: InfoHash, heard: Heard) {
        let last = self.heard.last.insert(hash, Arc::clone(url));
        let switched = last.is_some_and(|last| last != *url);
        if switched && self.is_private() {
            // Peers of the former tracker are none of the new one's (BEP 27).
            self.candidates.forget(Source::Tracker);
            self.dismiss_all();
        }
        self.heard.note((Arc::clone(url), hash), heard.swarm);
        self.heard
            .note_words((Arc::clone(url), hash), heard.warning.clone());
        self.learn_own_address();
        let id = self.id;
        if let Some(tracker_id) = heard.tracker_id {
            self.event(Event::TrackerId {
                id,
                url: url.to_string(),
                tracker_id,
            });
        }
        if let Some(message) = heard.warning {
            let url = url.to_string();
            self.event(Event::TrackerWarning { id, url, message });
        }
        self.event(Event::TrackerReply {
            id,
            url: url.to_string(),
            peers: heard.peers.len(),
        });
        for peer in heard.peers.into_iter().take(PEERS_PER_REPLY) {
            self.met(peer, hash);
            self.add_candidate(peer, Source::Tracker);
        }
    }
}

impl Handler<Announced> for Torrent {
    type Result = ();

    fn handle(&mut self, announced: Announced, ctx: &mut Context<Self>) {
        let _in = self.span.clone().entered();
        // It may have been on its way when the torrent left the route.
        if announced.time != self.moves.times || self.moves.are_under_way() {
            return;
        }
        match announced.outcome {
            Ok(heard) => {
                let silent = self.heard.are_silent();
                self.on_heard(&announced.url, announced.hash, heard);
                if silent {
                    self.seek(ctx);
                }
            }
            Err(reason) => {
                let first = !std::mem::replace(&mut self.heard.failed, true);
                let key = (Arc::clone(&announced.url), announced.hash);
                self.heard.note_words(key, Some(reason.to_string()));
                if first && self.is_online() {
                    self.seek(ctx);
                }
                self.event(Event::TrackerError {
                    id: self.id,
                    url: announced.url.to_string(),
                    reason: reason.to_string(),
                });
            }
        }
        self.drive(ctx);
    }
}

impl Handler<Scraped> for Torrent {
    type Result = ();

    fn handle(&mut self, scraped: Scraped, _: &mut Context<Self>) {
        let _in = self.span.clone().entered();
        // One of a route that the torrent has left is not awaited any more.
        let Some(scrape) = self.scrapes.running.remove(&scraped.number) else {
            return;
        };
        let all = scraped.heard.values().copied().reduce(SwarmCounts::max);
        for (tracker, counts) in scraped.heard {
            self.heard.note(tracker, counts);
        }
        self.publish();
        // Whoever asked may have gone.
        let _ = scrape.reply.send(all.ok_or(CommandError::NoTracker));
    }
}
