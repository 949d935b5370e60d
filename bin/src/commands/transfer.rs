//! What `download` and `seed` share: an engine at work, shown until it is done or told to stop.

pub(crate) mod display;
pub(crate) mod goal;
pub(crate) mod peers;
pub(crate) mod tracked;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::{EngineHandle, Event, Snapshot, Source, TorrentError, TorrentId, TorrentStatus};
use protocol::metainfo::Metainfo;
use storage::ErrorKind;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use self::display::Display;
use self::goal::Goal;
use self::tracked::{Outcome, Tracked, tell_error};
use crate::failure::{Failure, plain};
use crate::json::Line;
use crate::screen::{Screen, Style, name_columns};
use crate::shutdown::Shutdown;
use crate::text::printable;

/// How often goals that depend on time or bytes are looked at.
const WATCH: Duration = Duration::from_millis(200);

/// How long farewells may take after a download that ended by itself: the process is gone within 50 ms, of which a busy
/// machine needs some to take it apart.
const QUICK_FAREWELL: Duration = Duration::from_millis(30);

/// How long resume data and farewells to trackers may take when the user ends the process.
const FAREWELL: Duration = Duration::from_secs(3);

/// An engine at work.
#[derive(Debug)]
pub(crate) struct Transfer {
    screen: Screen,
    engine: EngineHandle,
    events: broadcast::Receiver<Event>,
    shutdown: Shutdown,
    torrents: BTreeMap<TorrentId, Tracked>,
    goal: Goal,
    listening: Option<SocketAddr>,
    /// Where peers should be listened for.
    pub(crate) asked: Option<SocketAddr>,
    /// Where our node of the DHT is, if there is one.
    pub(crate) dht: Option<SocketAddr>,
    next_show: Instant,
}

impl Transfer {
    /// Listens to a running engine; torrents are told by [`Self::track`].
    pub(crate) fn new(
        engine: &EngineHandle,
        shutdown: Shutdown,
        screen: &Screen,
        goal: Goal,
    ) -> Self {
        Self {
            screen: screen.clone(),
            engine: engine.clone(),
            events: engine.events(),
            shutdown,
            torrents: BTreeMap::new(),
            goal,
            listening: None,
            asked: None,
            dht: None,
            next_show: Instant::now(),
        }
    }

    /// Shows this torrent from now on, and waits for it.
    pub(crate) fn track(&mut self, id: TorrentId, torrent: Tracked) {
        self.torrents.insert(id, torrent);
    }

    /// Runs until every torrent has failed or is complete and served enough, or until a signal.
    ///
    /// # Errors
    /// [`Failure`] where a torrent failed, or was not complete when the signal came.
    pub(crate) async fn run(mut self) -> Result<(), Failure> {
        let period = Display::period(self.screen.style());
        let period = if self.goal.is_watched() {
            period.min(WATCH)
        } else {
            period
        };
        let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let signalled = loop {
            self.tell_listening()?;
            if self.is_over() {
                break false;
            }
            tokio::select! {
                event = self.events.recv() => match event {
                    Ok(event) => self.on_event(event).await?,
                    Err(RecvError::Lagged(_)) => self.catch_up()?,
                    Err(RecvError::Closed) => return Err(Failure::Failed("the engine stopped".to_owned())),
                },
                _ = tick.tick() => self.show(),
                _ = self.shutdown.asked() => break true,
            }
        };
        self.end(signalled).await
    }

    fn is_over(&self) -> bool {
        let snapshot = self.engine.snapshot();
        self.torrents
            .iter()
            .all(|(id, torrent)| match torrent.outcome {
                Outcome::Running => false,
                Outcome::Failed => true,
                Outcome::Complete(since) => {
                    let (uploaded, size) =
                        status(&snapshot, *id).map_or((0, 0), |t| (t.uploaded, t.size));
                    self.goal.is_met(uploaded, size, since.elapsed())
                }
            })
    }

    async fn on_event(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::CheckFinished { id, good } => self.checked(id, good),
            Event::Error { id, error } => self.failed(id, &error)?,
            Event::Finished { id, after } => self.finished(id, after)?,
            Event::MetadataReceived { id, metainfo } => self.metadata(id, metainfo).await?,
            Event::PeerBanned { ip, .. } => {
                tracing::warn!(%ip, "banned a peer that sent bad data");
            }
            Event::Recovered { id } => self.recovered(id)?,
            Event::Removed { id } => self.removed(id).await?,
            Event::TrackerError { id, url, reason } => self.tracker(id, &url, Err(&reason))?,
            Event::TrackerReply { id, url, peers } => self.tracker(id, &url, Ok(peers))?,
            Event::TrackerWarning { id, url, message } => self.warning(id, &url, &message)?,
            Event::WebSeedBanned { id, url } => {
                self.web_seed(id, &url, "it sends bad data and is not asked any more")?;
            }
            Event::WebSeedError { id, url, reason } => self.web_seed(id, &url, &reason)?,
            Event::Added { .. } | Event::Listening { .. } | _ => {}
        }
        Ok(())
    }

    /// Says once where peers can connect.
    fn tell_listening(&mut self) -> Result<(), Failure> {
        if self.listening.is_some() || self.torrents.is_empty() {
            return Ok(());
        }
        let Some(addr) = self.engine.snapshot().listen else {
            return Ok(());
        };
        self.listening = Some(addr);
        let asked = self.asked.map_or(0, |asked| asked.port());
        if asked != 0 && asked != addr.port() {
            let taken = format_args!("port {asked} is taken: using {} instead", addr.port());
            self.screen.warn("warning", taken);
        }
        match self.screen.style() {
            Style::Json => self.screen.json(&Line::Listening {
                addr: addr.to_string(),
                dht: self.dht.map(|at| at.to_string()),
            }),
            Style::Bars | Style::Lines => self.screen.say(format_args!("listening on {addr}")),
        }
    }

    fn checked(&mut self, id: TorrentId, good: u32) {
        if let Some(torrent) = self.torrents.get_mut(&id) {
            torrent.had = good;
        }
    }

    fn failed(&mut self, id: TorrentId, error: &TorrentError) -> Result<(), Failure> {
        let Some(torrent) = self.torrents.get_mut(&id) else {
            return Ok(());
        };
        let name = printable(&torrent.name);
        let advice = if let TorrentError::Incomplete { .. } = error {
            "; `tribler-rs check` lists them"
        } else if let TorrentError::Foreign(_) = error {
            "; move it away, or say --overwrite"
        } else {
            ""
        };
        let message = format!("{name}: {}{advice}", plain(&error.to_string()));
        // What is to be served must be there from the start.
        let never_whole = torrent.served && torrent.outcome == Outcome::Running;
        if passes(error) && !never_whole {
            let message = format!("{message}; goes on by itself once that is mended");
            tell_error(&self.screen, &message)
        } else {
            torrent.fail(&message, &self.screen)
        }
    }

    /// Tells programs what is wrong with a web seed, and people once for each server.
    fn web_seed(&mut self, id: TorrentId, url: &str, why: &str) -> Result<(), Failure> {
        tracing::debug!(url, why, "web seed");
        let Some(torrent) = self.torrents.get_mut(&id) else {
            return Ok(());
        };
        if self.screen.style() == Style::Json {
            return self.screen.json(&Line::WebSeed {
                info_hash: &torrent.info_hash,
                url,
                error: why,
            });
        }
        torrent.tell_web_seed_failed(url, why, &self.screen);
        Ok(())
    }

    /// Tells programs what a tracker said. People see peers, and hear of a failure while there are none; the rest they
    /// find in the log.
    fn tracker(
        &mut self,
        id: TorrentId,
        url: &str,
        said: Result<usize, &str>,
    ) -> Result<(), Failure> {
        // The address may hold a passkey.
        tracing::debug!(url, ?said, "tracker");
        let Some(torrent) = self.torrents.get_mut(&id) else {
            return Ok(());
        };
        if self.screen.style() == Style::Json {
            return self.screen.json(&Line::Tracker {
                info_hash: &torrent.info_hash,
                url,
                peers: said.ok(),
                error: said.err(),
            });
        }
        let snapshot = self.engine.snapshot();
        let alone = status(&snapshot, id).is_none_or(|status| status.peers == 0);
        if let Some(why) = said.err().filter(|_| alone) {
            torrent.tell_tracker_failed(url, why, &self.screen);
        }
        Ok(())
    }

    /// Passes on what a tracker wants people to know.
    fn warning(&self, id: TorrentId, url: &str, message: &str) -> Result<(), Failure> {
        let Some(torrent) = self.torrents.get(&id) else {
            return Ok(());
        };
        if self.screen.style() == Style::Json {
            let info_hash = torrent.info_hash.as_str();
            return self.screen.json(&Line::TrackerWarning {
                info_hash,
                url,
                message,
            });
        }
        let (name, message) = (printable(&torrent.name), printable(message));
        let line = format_args!("{name}: a tracker says: {message}");
        self.screen.warn("warning", line);
        Ok(())
    }

    fn recovered(&mut self, id: TorrentId) -> Result<(), Failure> {
        let Some(torrent) = self.torrents.get(&id) else {
            return Ok(());
        };
        let info_hash = torrent.info_hash.as_str();
        match self.screen.style() {
            Style::Json => self.screen.json(&Line::Recovered { info_hash }),
            Style::Bars | Style::Lines => self
                .screen
                .say(format_args!("{} goes on", printable(&torrent.name))),
        }
    }

    fn finished(&mut self, id: TorrentId, after: Duration) -> Result<(), Failure> {
        let snapshot = self.engine.snapshot();
        let goal = self.goal;
        let Some(torrent) = self.torrents.get_mut(&id) else {
            return Ok(());
        };
        if torrent.outcome != Outcome::Running || torrent.choose.is_some() {
            return Ok(());
        }
        torrent.outcome = Outcome::Complete(Instant::now());
        let status = status(&snapshot, id);
        let size = status.map_or(0, |status| status.wanted);
        let served = torrent.served;
        if !served {
            torrent.tell_finished(status, after, &self.screen)?;
        }
        if served || !goal.is_met(0, size, Duration::ZERO) {
            torrent.tell_seeding(&self.screen)?;
        }
        Ok(())
    }

    /// Events were lost: takes from the snapshot what they would have said.
    fn catch_up(&mut self) -> Result<(), Failure> {
        let snapshot = self.engine.snapshot();
        let complete = |status: &&Arc<TorrentStatus>| status.state == engine::State::Seeding;
        for status in snapshot.torrents.iter().filter(complete) {
            self.finished(status.id, status.age)?;
        }
        Ok(())
    }

    /// Shows progress, as often as the style of showing it wants.
    fn show(&mut self) {
        let now = Instant::now();
        if now < self.next_show {
            return;
        }
        let period = Display::period(self.screen.style());
        self.next_show = now + period.mul_f32(0.9);
        let snapshot = self.engine.snapshot();
        let most = name_columns();
        let width = |torrent: &Tracked| torrent.name.chars().count().min(most);
        let width = self.torrents.values().map(width).max().unwrap_or(0);
        let ends = self.goal == Goal::default();
        for (id, torrent) in &mut self.torrents {
            let over = ends && torrent.outcome != Outcome::Running;
            if let Some(status) = status(&snapshot, *id).filter(|_| !over) {
                torrent.show(status, width);
            }
        }
    }

    /// Metadata of a magnet link came. Where files are to be chosen, the torrent is taken out, to be added again with
    /// the choice.
    async fn metadata(&mut self, id: TorrentId, metainfo: Arc<Metainfo>) -> Result<(), Failure> {
        let Some(torrent) = self.torrents.get_mut(&id) else {
            return Ok(());
        };
        torrent.tell_metadata(&metainfo, &self.screen)?;
        let Some((selection, add)) = &mut torrent.choose else {
            return Ok(());
        };
        add.files = Some(selection.of(&metainfo)?);
        add.source = Source::Metainfo(with_links(metainfo, &add.source));
        self.engine.remove(id, false).await.map_err(Failure::failed)
    }

    /// A torrent was taken out, which only happens to choose its files.
    async fn removed(&mut self, id: TorrentId) -> Result<(), Failure> {
        let Some(mut torrent) = self.torrents.remove(&id) else {
            return Ok(());
        };
        if let Some((_, add)) = torrent.choose.take() {
            let id = self.engine.add(add).await.map_err(Failure::failed)?;
            self.torrents.insert(id, torrent);
        }
        Ok(())
    }

    async fn end(mut self, signalled: bool) -> Result<(), Failure> {
        for torrent in self.torrents.values_mut() {
            torrent.display.clear();
        }
        if signalled {
            match self.screen.style() {
                Style::Json => self.screen.json(&Line::Stopping)?,
                Style::Bars | Style::Lines => {
                    self.screen.say("stopping; Ctrl-C again stops at once")?;
                }
            }
        }
        let patient = signalled || self.goal != Goal::default();
        let deadline = if patient { FAREWELL } else { QUICK_FAREWELL };
        let farewells = tokio::select! {
            farewells = self.engine.shutdown(deadline) => farewells,
            code = self.shutdown.asked() => std::process::exit(code),
        };
        if patient && farewells.unheard() > 0 {
            let (unheard, due) = (farewells.unheard(), farewells.due);
            let line = format!("{unheard} of {due} trackers did not hear that we leave");
            self.screen.warn("warning", line);
        }
        let mut outcomes = self.torrents.values().map(|torrent| &torrent.outcome);
        if outcomes.any(|outcome| matches!(outcome, Outcome::Failed)) {
            return Err(Failure::Told);
        }
        if self
            .torrents
            .values()
            .any(|torrent| torrent.outcome == Outcome::Running)
        {
            let line = "stopped before all was there; the same command goes on from here";
            return Err(Failure::Failed(line.to_owned()));
        }
        Ok(())
    }
}

/// Metadata with what the magnet link that led to it names: trackers and web seeds.
fn with_links(metainfo: Arc<Metainfo>, source: &Source) -> Arc<Metainfo> {
    let Source::Magnet(magnet) = source else {
        return metainfo;
    };
    let mut metainfo = Arc::unwrap_or_clone(metainfo);
    let tiers = magnet.trackers.iter().map(|url| vec![url.clone()]);
    metainfo.set_trackers(tiers.collect());
    metainfo.set_web_seeds(magnet.web_seeds.clone());
    Arc::new(metainfo)
}

/// The torrent's state in a snapshot.
fn status(snapshot: &Snapshot, id: TorrentId) -> Option<&TorrentStatus> {
    let found = snapshot.torrents.iter().find(|torrent| torrent.id == id);
    found.map(Arc::as_ref)
}

/// Whether the engine tries again by itself after this error, and may well succeed.
fn passes(error: &TorrentError) -> bool {
    let TorrentError::Storage { kind, .. } = error else {
        return false;
    };
    [
        ErrorKind::Full,
        ErrorKind::Other,
        ErrorKind::TooShort,
        ErrorKind::Vanished,
    ]
    .contains(kind)
}
