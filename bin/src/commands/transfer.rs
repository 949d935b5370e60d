//! What `download` and `seed` share: an engine at work, shown until it is done or told to stop.

pub(crate) mod anonymous;
mod bad_data;
pub(crate) mod display;
mod events;
mod forwarded;
pub(crate) mod goal;
pub(crate) mod kept_hops;
mod local_data;
pub(crate) mod peers;
pub(crate) mod seeking;
pub(crate) mod tracked;
mod way_out;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::{
    Categories, EngineHandle, Event, Events, NoEvent, Snapshot, TorrentId, TorrentStatus,
};
use net::port_map::{Mapped, Ports};

use self::anonymous::Anonymous;
use self::display::Display;
use self::goal::Goal;
use self::seeking::Seeking;
use self::tracked::{Outcome, Tracked};
pub(crate) use self::way_out::WayOut;
use crate::failure::Failure;
use crate::json::Line;
use crate::screen::{Screen, Style, name_columns};
use crate::shutdown::Shutdown;

/// How often goals that depend on time or bytes are looked at.
const WATCH: Duration = Duration::from_millis(200);

/// How long farewells may take after a download that ended by itself: the process is gone within 50 ms, of which a busy
/// machine needs some to take it apart.
const QUICK_FAREWELL: Duration = Duration::from_millis(30);

/// How long resume data and farewells to trackers may take when the user ends the process.
const FAREWELL: Duration = Duration::from_secs(3);

/// The exit code of a process that Ctrl-C ends, by custom.
const INTERRUPTED: i32 = 130;

/// An engine at work.
#[derive(Debug)]
pub(crate) struct Transfer {
    screen: Screen,
    engine: EngineHandle,
    events: Events,
    shutdown: Shutdown,
    torrents: BTreeMap<TorrentId, Tracked>,
    goal: Goal,
    /// Torrents that are not known yet.
    seeking: Seeking,
    listening: Option<SocketAddr>,
    /// Where peers should be listened for.
    pub(crate) asked: Option<SocketAddr>,
    /// Where our node of the DHT is, if there is one.
    pub(crate) dht: Option<SocketAddr>,
    /// The ports that the router has given, if it was asked for any.
    pub(crate) ports: Option<Ports>,
    told: Vec<Mapped>,
    /// The only way out, where there is only one.
    pub(crate) way_out: Option<WayOut>,
    /// The circuits that everything goes through, where it does.
    pub(crate) anonymous: Option<Anonymous>,
    /// It was said that no router gives a port, or that one does.
    told_unmapped: bool,
    /// It was said that progress cannot be saved.
    told_unsaved: bool,
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
            events: engine.events(Categories::USUAL, 1024),
            shutdown,
            torrents: BTreeMap::new(),
            goal,
            seeking: Seeking::default(),
            listening: None,
            asked: None,
            dht: None,
            ports: None,
            told: Vec::new(),
            way_out: None,
            anonymous: None,
            told_unmapped: false,
            told_unsaved: false,
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
        let period = if self.goal.is_watched() || self.awaits_router() {
            period.min(WATCH)
        } else {
            period
        };
        let period = match &self.way_out {
            Some(_) => period.min(way_out::LOOK),
            None => period,
        };
        let period = match &self.anonymous {
            Some(_) => period.min(anonymous::LOOK),
            None => period,
        };
        self.look_for_outage().await?;
        self.tell_anonymity()?;
        let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let signalled = loop {
            self.tell_listening()?;
            if self.is_over() {
                break None;
            }
            if self.screen.is_unread() {
                // Nobody is left to see how it ends; Ctrl-C would say the same.
                break Some(INTERRUPTED);
            }
            tokio::select! {
                event = self.events.recv() => match event {
                    Ok(event) => self.on_event(event).await?,
                    Err(NoEvent::Missed(_)) => self.catch_up()?,
                    Err(_) => return Err(Failure::Failed("the engine stopped".to_owned())),
                },
                Some(told) = self.seeking.next() => self.on_sought(told).await?,
                _ = tick.tick() => {
                    self.tell_way_out()?;
                    self.tell_anonymity()?;
                    self.show();
                }
                code = self.shutdown.asked() => break Some(code),
            }
        };
        self.end(signalled).await
    }

    fn is_over(&self) -> bool {
        if self.seeking.left > 0 {
            return false;
        }
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
        self.tell_mapped();
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

    async fn end(mut self, signalled: Option<i32>) -> Result<(), Failure> {
        for torrent in self.torrents.values_mut() {
            torrent.display.clear();
        }
        if let Some(code) = signalled {
            match self.screen.style() {
                Style::Json => self.screen.json(&Line::Stopping)?,
                Style::Bars | Style::Lines => {
                    let again = if code == INTERRUPTED {
                        "Ctrl-C"
                    } else {
                        "a signal"
                    };
                    let line = format_args!(
                        "stopping: saves how far it is and tells the trackers; {again} again stops at once"
                    );
                    self.screen.say(line)?;
                }
            }
        }
        let patient = signalled.is_some() || self.goal != Goal::default();
        let deadline = if patient { FAREWELL } else { QUICK_FAREWELL };
        let farewells = tokio::select! {
            farewells = self.engine.shutdown(deadline) => farewells,
            code = self.shutdown.asked() => std::process::exit(code),
        };
        // Progress is saved last of all.
        while let Ok(event) = self.events.try_recv() {
            if let Event::Unsaved { id, path, reason } = event {
                self.unsaved(id, &path, &reason)?;
            }
        }
        if patient && farewells.unheard() > 0 {
            let (unheard, due) = (farewells.unheard(), farewells.due);
            let line = format!("{unheard} of {due} trackers did not hear that we leave");
            self.screen.warn("warning", line);
        }
        let mut outcomes = self.torrents.values().map(|torrent| &torrent.outcome);
        if self.seeking.failed > 0 || outcomes.any(|outcome| matches!(outcome, Outcome::Failed)) {
            return Err(Failure::Told);
        }
        let mut torrents = self.torrents.values();
        if self.seeking.left > 0 || torrents.any(|torrent| torrent.outcome == Outcome::Running) {
            let line = "stopped before all was there; the same command goes on from here";
            return Err(Failure::Failed(line.to_owned()));
        }
        Ok(())
    }
}

/// The torrent's state in a snapshot.
fn status(snapshot: &Snapshot, id: TorrentId) -> Option<&TorrentStatus> {
    let found = snapshot.torrents.iter().find(|torrent| torrent.id == id);
    found.map(Arc::as_ref)
}
