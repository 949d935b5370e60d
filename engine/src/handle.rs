//! The door for everyone who is not an actix actor.

mod files;
mod labels;
mod modes;
mod pieces;
mod queue;
mod session;
mod storage;
mod web_seeds;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::storage::OpenFileStatus;
use protocol::bitfield::Bitfield;
use protocol::id::InfoHashes;
use protocol::krpc::item::mutable_target;
use protocol::magnet::MutableItem;
use protocol::metainfo::Metainfo;
use tokio::sync::{mpsc, oneshot, watch};

use crate::board::{Board, Changes, Outline, Page, Query, Stretch, StretchOf};
use crate::command::Command;
use crate::event::hub::Hub;
use crate::plugins::Plugins;
use crate::settings::{Live, Patch, Settings};
use crate::torrent::messages::{Control, Question};
use crate::{
    AddTorrent, Categories, CommandError, Events, Farewells, Limits, Metrics, PeerInfo, Published,
    ResolveError, Reuse, Snapshot, Source, SwarmCounts, TorrentId, TorrentStatus,
};

/// A running engine: commands in, snapshots and events out.
///
/// Cheap to clone, usable from any thread. The engine stops by [`EngineHandle::shutdown`]; dropping handles does
/// nothing. Every method is cancel safe: a command that was handed over is carried out whether or not the answer
/// is awaited.
#[derive(Clone, Debug)]
pub struct EngineHandle {
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) snapshots: watch::Receiver<Arc<Snapshot>>,
    pub(crate) events: Hub,
    pub(crate) board: Board,
    pub(crate) settings: Live,
    pub(crate) plugins: Plugins,
}

/// Commands that may wait for the Supervisor; more callers than this wait in line.
pub(crate) const COMMAND_QUEUE: usize = 64;

/// How long a node of the DHT may take to say how it stands.
const DHT_ANSWERS_IN: Duration = Duration::from_secs(1);

impl EngineHandle {
    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, CommandError>>) -> Command,
    ) -> Result<T, CommandError> {
        let (reply, answer) = oneshot::channel();
        self.commands
            .send(command(reply))
            .await
            .map_err(|_| CommandError::Stopped)?;
        answer.await.map_err(|_| CommandError::Stopped)?
    }

    /// Adds a torrent; it starts at once unless it is added paused. A magnet link that has only its publisher's key is
    /// [resolved](Self::resolve) first. One that is being removed is added when it is gone.
    ///
    /// # Errors
    /// [`CommandError::Duplicate`], [`CommandError::NoRoom`], [`CommandError::NoSuchFile`], [`CommandError::NotKept`],
    /// [`CommandError::Route`], [`CommandError::SslTorrent`],
    /// [`CommandError::UnknownHops`], [`CommandError::Unresolved`] or [`CommandError::Stopped`].
    pub async fn add(&self, mut torrent: AddTorrent) -> Result<TorrentId, CommandError> {
        if let Source::Magnet(magnet) = &mut torrent.source
            && let (None, Some(named)) = (magnet.hashes, &magnet.mutable)
        {
            let name = mutable_target(&named.public_key, &named.salt).0;
            let said = torrent.hops;
            let hops = self.ask(|reply| Command::Look(name, said, reply)).await?;
            let published = self.resolve(named, hops).await;
            let published = published.map_err(CommandError::Unresolved)?;
            magnet.hashes = Some(InfoHashes::v1(published.info_hash));
        }
        self.ask(|reply| Command::Add(Box::new(torrent), reply))
            .await
    }

    /// Looks up which torrent a publisher's key names now (BEP 46), by the route with so many hops; which takes as long as a look-up in the DHT does, and
    /// up to 30 seconds more where no node of it is known yet. The newest version that was ever seen counts, where the
    /// engine has a state directory.
    ///
    /// # Errors
    /// [`ResolveError`].
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn resolve(&self, named: &MutableItem, hops: u8) -> Result<Published, ResolveError> {
        let reach = self.ask(|reply| Command::Reach(hops, reply)).await;
        let reach = reach.ok().filter(|reach| reach.closed.is_none());
        let reach = reach.ok_or(ResolveError::NoRoute)?;
        let updates = reach.updates.as_ref().ok_or(ResolveError::NoDht)?;
        updates.resolve(named).await
    }

    /// Connects a torrent to a peer, and again whenever the connection is lost.
    ///
    /// # Errors
    /// [`CommandError::NoSuchTorrent`] or [`CommandError::Stopped`].
    pub async fn add_peer(&self, id: TorrentId, peer: SocketAddr) -> Result<(), CommandError> {
        self.ask(|reply| Command::AddPeer(id, peer, reply)).await
    }

    /// Moves a torrent to another route, the one with so many hops; 0 is the direct way. Nothing that is there is read or
    /// fetched again. Its trackers are told by the old route that it leaves, and everything that was learned there is
    /// forgotten: addresses of peers, those that the user named included. Where it goes is kept first, for the next time that
    /// it is added.
    ///
    /// # Errors
    /// [`CommandError::Route`], [`CommandError::NoSuchTorrent`], [`CommandError::GivenUp`] or [`CommandError::Stopped`].
    pub async fn set_hops(&self, id: TorrentId, hops: u8) -> Result<(), CommandError> {
        self.ask(|reply| Command::SetHops(id, hops, reply)).await
    }

    /// Sets the rates of one torrent, or of all together with `None`.
    ///
    /// # Errors
    /// [`CommandError::NoSuchTorrent`] or [`CommandError::Stopped`].
    pub async fn set_limits(
        &self,
        id: Option<TorrentId>,
        limits: Limits,
    ) -> Result<(), CommandError> {
        self.ask(|reply| Command::Limit(id, limits, reply)).await
    }

    /// The settings of the moment.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.full()
    }

    /// Changes settings: all that the patch names, or nothing where one of them cannot be. Says what they are now, which holds
    /// at once.
    ///
    /// # Errors
    /// [`CommandError::Settings`] or [`CommandError::Stopped`].
    pub async fn set_settings(&self, patch: Patch) -> Result<Arc<Settings>, CommandError> {
        self.ask(|reply| Command::SetSettings(patch, reply)).await
    }

    /// Bounds the connections of one torrent, or lets the settings do so with `None`. What is too much is closed at once.
    ///
    /// # Errors
    /// [`CommandError::NoSuchTorrent`], [`CommandError::GivenUp`] or [`CommandError::Stopped`].
    pub async fn set_max_peers(
        &self,
        id: TorrentId,
        most: Option<u32>,
    ) -> Result<(), CommandError> {
        self.control(id, Control::MaxPeers(most)).await
    }

    /// Sets how many peers a torrent serves at a time, or lets the settings do so with `None`.
    ///
    /// # Errors
    /// As [`Self::set_max_peers`].
    pub async fn set_upload_slots(
        &self,
        id: TorrentId,
        slots: Option<u32>,
    ) -> Result<(), CommandError> {
        self.control(id, Control::UploadSlots(slots)).await
    }

    /// Has a torrent fetched in order, the first and last piece of each file first, or rarest pieces first again.
    ///
    /// # Errors
    /// As [`Self::set_max_peers`].
    pub async fn set_sequential(&self, id: TorrentId, on: bool) -> Result<(), CommandError> {
        self.control(id, Control::Sequential(on)).await
    }

    /// Announces a torrent to its trackers, in the DHT and on the local networks: now to those that failed before, and to others
    /// as soon as they allow.
    ///
    /// # Errors
    /// As [`Self::set_max_peers`].
    pub async fn reannounce(&self, id: TorrentId) -> Result<(), CommandError> {
        self.control(id, Control::Reannounce).await
    }

    /// The rates that bound a torrent.
    ///
    /// # Errors
    /// As [`Self::set_max_peers`].
    pub async fn limits(&self, id: TorrentId) -> Result<Limits, CommandError> {
        self.question(id, Question::Limits).await
    }

    /// The metadata of a torrent; `None` while it is not there.
    ///
    /// # Errors
    /// As [`Self::set_max_peers`].
    pub async fn metainfo(&self, id: TorrentId) -> Result<Option<Arc<Metainfo>>, CommandError> {
        self.question(id, Question::Metainfo).await
    }

    /// The addresses of a torrent's trackers, by tier. They may hold keys of its user.
    ///
    /// # Errors
    /// As [`Self::set_max_peers`].
    pub async fn trackers(&self, id: TorrentId) -> Result<Vec<Vec<String>>, CommandError> {
        self.question(id, Question::Trackers).await
    }

    /// Has a torrent announce to these trackers, by tier, and no longer to those before, which hear that it leaves.
    ///
    /// # Errors
    /// As [`Self::set_max_peers`].
    pub async fn replace_trackers(
        &self,
        id: TorrentId,
        trackers: Vec<Vec<String>>,
    ) -> Result<(), CommandError> {
        self.control(id, Control::Trackers(trackers)).await
    }

    /// Adds a tracker to a tier, from 0, or to a new last one; one that is there already is left where it is.
    ///
    /// # Errors
    /// As [`Self::set_max_peers`].
    ///
    /// # Cancel safety
    /// It is added or not. Who replaces the list at the same moment may undo it.
    pub async fn add_tracker(
        &self,
        id: TorrentId,
        url: &str,
        tier: usize,
    ) -> Result<(), CommandError> {
        let mut trackers = self.trackers(id).await?;
        if trackers.iter().flatten().any(|known| known == url) {
            return Ok(());
        }
        match trackers.get_mut(tier) {
            Some(tier) => tier.push(url.to_owned()),
            None => trackers.push(vec![url.to_owned()]),
        }
        self.replace_trackers(id, trackers).await
    }

    /// The peers that a torrent is connected to, in the order in which they came.
    ///
    /// # Errors
    /// As [`Self::set_max_peers`].
    pub async fn peers(&self, id: TorrentId) -> Result<Vec<PeerInfo>, CommandError> {
        self.question(id, Question::Peers).await
    }

    /// How many of the connected peers have each piece; nothing of a torrent that is not at work.
    ///
    /// # Errors
    /// As [`Self::set_max_peers`].
    pub async fn availability(&self, id: TorrentId) -> Result<Vec<u32>, CommandError> {
        self.question(id, Question::Availability).await
    }

    /// Bytes of each file, pads included, that are there and verified; of a torrent that is not at work, that were when it last was.
    /// Nothing where the metadata is not known.
    ///
    /// # Errors
    /// As [`Self::set_max_peers`].
    pub async fn file_progress(&self, id: TorrentId) -> Result<Vec<u64>, CommandError> {
        self.question(id, Question::FileProgress).await
    }

    /// The files of a torrent that are open at this moment; nothing of a torrent that is not at work.
    ///
    /// # Errors
    /// As [`Self::set_max_peers`].
    pub async fn open_files(&self, id: TorrentId) -> Result<Vec<OpenFileStatus>, CommandError> {
        self.question(id, Question::OpenFiles).await
    }

    /// Which pieces are there and verified; an empty field of a torrent that is not at work.
    ///
    /// # Errors
    /// As [`Self::set_max_peers`].
    pub async fn pieces(&self, id: TorrentId) -> Result<Bitfield, CommandError> {
        self.question(id, Question::Pieces).await
    }

    async fn control(&self, id: TorrentId, control: Control) -> Result<(), CommandError> {
        self.ask(|reply| Command::Control(id, Box::new(control), reply))
            .await
    }

    /// Asks a torrent itself.
    async fn question<T>(
        &self,
        id: TorrentId,
        question: impl FnOnce(oneshot::Sender<T>) -> Question,
    ) -> Result<T, CommandError> {
        let (reply, answer) = oneshot::channel();
        self.control(id, Control::Ask(question(reply))).await?;
        // It may have gone with the question.
        answer.await.map_err(|_| CommandError::NoSuchTorrent)
    }

    /// Stops a torrent until it is resumed.
    ///
    /// # Errors
    /// [`CommandError::NoSuchTorrent`] or [`CommandError::Stopped`].
    pub async fn pause(&self, id: TorrentId) -> Result<(), CommandError> {
        self.ask(|reply| Command::Pause(id, reply)).await
    }

    /// Lets a paused torrent go on; also one that stopped with an error.
    ///
    /// # Errors
    /// [`CommandError::NoSuchTorrent`] or [`CommandError::Stopped`].
    pub async fn resume(&self, id: TorrentId) -> Result<(), CommandError> {
        self.ask(|reply| Command::Resume(id, reply)).await
    }

    /// Hashes all that is on disk again. A torrent that is paused, or waits for its turn, does so all the same, and stays so.
    ///
    /// # Errors
    /// [`CommandError::NoSuchTorrent`] or [`CommandError::Stopped`].
    pub async fn recheck(&self, id: TorrentId) -> Result<(), CommandError> {
        self.ask(|reply| Command::Recheck(id, reply)).await
    }

    /// Lets a torrent take content over that lies on this machine: what other torrents have, as
    /// [`Event::LocalData`](crate::Event::LocalData) offers it, and what lies in folders. One that is paused does so when it is resumed.
    ///
    /// # Errors
    /// [`CommandError::NoSuchTorrent`] or [`CommandError::Stopped`].
    pub async fn reuse(&self, id: TorrentId, reuse: Reuse) -> Result<(), CommandError> {
        self.ask(|reply| Command::Reuse(id, reuse, reply)).await
    }

    /// Asks the trackers of a torrent how large its swarm is (BEP 48), whether or not it runs; takes up to 15 seconds.
    ///
    /// # Errors
    /// [`CommandError::NoSuchTorrent`], [`CommandError::NoTracker`] or [`CommandError::Stopped`].
    pub async fn scrape(&self, id: TorrentId) -> Result<SwarmCounts, CommandError> {
        self.ask(|reply| Command::Scrape(id, reply)).await
    }

    /// Removes a torrent, and its content with `delete_data`.
    ///
    /// # Errors
    /// [`CommandError::NoSuchTorrent`] or [`CommandError::Stopped`].
    pub async fn remove(&self, id: TorrentId, delete_data: bool) -> Result<(), CommandError> {
        self.ask(|reply| Command::Remove(id, delete_data, reply))
            .await
    }

    /// Lets go of all peers that the [filter](net::Filter) of the engine's network forbids: to be called when that has been
    /// replaced. New ones are not connected anyway.
    ///
    /// # Errors
    /// [`CommandError::Stopped`].
    pub async fn sift(&self) -> Result<(), CommandError> {
        self.ask(Command::Sift).await
    }

    /// The state as last published. Where there are more than 1,000 torrents it may be half a second old: who waits for one of
    /// them asks for [its status](Self::status), which is as new as its events.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshots.borrow().clone()
    }

    /// A receiver that is told of each new snapshot.
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    /// The torrents that were added, have changed or are gone since a revision: that of the last [`Changes`] or [`Page`], or
    /// any number the first time. It costs as much as there are changes, or little more.
    pub fn changes(&self, since: u64) -> Changes {
        self.board.changes(since)
    }

    /// What [`Self::changes`] tells, but for the torrents themselves: whoever reads these at a pace of its own asks for one
    /// [stretch](Self::stretch) after the other, through the last one that there is now. Each torrent is told of as it stands
    /// when its stretch is asked for; changes that come in between are told the next time as well.
    pub fn outline(&self, since: u64) -> Outline {
        self.board.outline(since)
    }

    /// A stretch of the list of torrents, in the order in which they were added.
    pub fn stretch(&self, of: &StretchOf) -> Stretch {
        self.board.stretch(of)
    }

    /// A part of a sorted and filtered list of torrents, which is as new as [`Self::changes`] and newer than the snapshot.
    pub fn page(&self, query: &Query) -> Page {
        self.board.page(query)
    }

    /// How one torrent stands.
    pub fn status(&self, id: TorrentId) -> Option<Arc<TorrentStatus>> {
        self.board.get(id)
    }

    /// All counters and gauges, those of the DHT node as well where it answers within a second.
    ///
    /// # Errors
    /// [`CommandError::Stopped`].
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn metrics(&self) -> Result<Metrics, CommandError> {
        let (mut metrics, dht) = self.ask(Command::Metrics).await?;
        if let Some(dht) = dht
            && let Ok(Ok(status)) = tokio::time::timeout(DHT_ANSWERS_IN, dht.status()).await
        {
            metrics.dht(&status);
        }
        Ok(metrics)
    }

    /// Tells from now on, as [`Event::Mapped`](crate::Event::Mapped) and [`Event::MapFailed`](crate::Event::MapFailed), which ports
    /// the gateway gives; whoever asks it for them hands in the view. Another one takes the place of one that was handed in before.
    ///
    /// # Errors
    /// [`CommandError::Stopped`].
    pub async fn watch_ports(&self, ports: net::port_map::Ports) -> Result<(), CommandError> {
        self.ask(|reply| Command::WatchPorts(ports, reply)).await
    }

    /// Events of these categories from now on. A listener that is `capacity` of them behind, at least 1, loses the oldest and
    /// is told how many; nobody waits for it. Where a lot happens, as with blocks, whoever must not miss the rest listens
    /// to that by itself.
    ///
    /// What happens to one torrent is told in its order within a category. [Its status](Self::status) is as new as the events of
    /// [`Category::Status`](crate::Category::Status), or newer.
    pub fn events(&self, categories: Categories, capacity: usize) -> Events {
        self.events.listen(categories, capacity)
    }

    /// Stops the engine: resume data is saved, trackers are told, and whatever is not done at the deadline is left. Says
    /// which trackers heard that we leave.
    pub async fn shutdown(&self, deadline: Duration) -> Farewells {
        let (reply, answer) = oneshot::channel();
        let command = Command::Shutdown(deadline, reply);
        if self.commands.send(command).await.is_err() {
            return Farewells::default();
        }
        answer.await.unwrap_or_default()
    }
}
