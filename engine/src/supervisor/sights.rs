//! What the Supervisor sees by itself, and tells of: where we are seen, how much room there is, what may cost speed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::{AsyncContext as _, Context, Handler, Message};
use actors::tell;
use dht::DhtHandle;
use net::RateLimiter;
use net::utp::UtpFigures;

use crate::torrent::messages::Control;
use crate::{Category, Event, Metrics, Warning};

use super::{Child, Supervisor};

/// How often it is looked how much room there is, where nothing is fetched any more when there is too little.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Every so many times it is looked where it is only told.
const SELDOM: u32 = 6;

/// Folders that are looked at; who has more of them looks himself.
const MOST_DIRS: usize = 256;

/// What is sent for each byte that is received, at least: an acknowledgement of 40 bytes for two segments of 1,448, and as much
/// again for requests.
const ACKNOWLEDGED: u64 = 35;

/// What was told already, and is told again only after it was otherwise.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Where we are seen, by IPv4 and IPv6.
    external: [Option<IpAddr>; 2],
    /// Folders with too little room.
    scarce: BTreeSet<PathBuf>,
    /// Folders with so little room that nothing is fetched there.
    full: BTreeSet<PathBuf>,
    /// How often it could have been looked.
    turns: u32,
    /// It is being looked.
    looking: bool,
    no_seats: bool,
    upload_limit: bool,
}

/// How much room there is in folders: a job of the Disk to the Supervisor.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Room(BTreeMap<PathBuf, u64>);

impl Supervisor {
    /// Tells where trackers see us, where that is another address than before.
    pub(super) fn tell_external(&mut self, seen: &[(IpAddr, usize)]) {
        for (at, is_v4) in [true, false].into_iter().enumerate() {
            let first = seen.iter().find(|(ip, _)| ip.is_ipv4() == is_v4);
            if let (Some((ip, _)), Some(told)) = (first, self.told.external.get_mut(at))
                && told.replace(*ip) != Some(*ip)
            {
                self.event(&Event::ExternalIp { ip: *ip });
            }
        }
    }

    /// Tells where peers can connect, if anywhere.
    pub(super) fn tell_listening(&self) {
        let Some(addr) = self.listen() else { return };
        self.event(&Event::Listening { addr });
        let more = self.config.network.listening().iter();
        for ip in more.filter(|ip| **ip != addr.ip()) {
            let addr = SocketAddr::new(*ip, addr.port());
            self.event(&Event::Listening { addr });
        }
    }

    /// Looks how much room there is where torrents keep their content.
    pub(super) fn look_for_room(&mut self, ctx: &mut Context<Self>) {
        let settings = self.settings.get();
        let (least, keep) = (settings.disk.least_free.0, settings.disk.keep_free.0);
        drop(settings);
        self.told.turns = self.told.turns.wrapping_add(1);
        let often = keep > 0 || !self.told.full.is_empty();
        let now = often || least > 0 && self.told.turns.is_multiple_of(SELDOM);
        if !now || self.told.looking {
            return;
        }
        let mut dirs: BTreeSet<PathBuf> = BTreeSet::new();
        // Who has no actor writes nothing.
        for awake in self.torrents.values().filter_map(Child::awake) {
            if dirs.len() < MOST_DIRS && !dirs.contains(&awake.add.dir) {
                dirs.insert(awake.add.dir.clone());
            }
        }
        if dirs.is_empty() {
            return;
        }
        self.told.looking = true;
        let me = ctx.address();
        self.disk.long(move || {
            let room = dirs.into_iter().filter_map(|dir| {
                let free = storage::free_space(&dir).ok()?;
                Some((dir, free))
            });
            tell(&me, Room(room.collect()));
        });
    }

    /// Has torrents fetch nothing where there is too little room, and go on where there is enough again.
    fn hold_back(&mut self, room: &BTreeMap<PathBuf, u64>, keep: u64) {
        let full = room.iter().filter(|(_, free)| **free < keep);
        let full: BTreeSet<PathBuf> = full.map(|(dir, _)| dir.clone()).collect();
        let before = std::mem::replace(&mut self.told.full, full);
        if before.is_empty() && self.told.full.is_empty() {
            return;
        }
        for child in self.torrents.values() {
            let Some(awake) = child.awake() else { continue };
            let dir = &awake.add.dir;
            // One that has just begun does not know yet; one that was moved may not know any more.
            child.tell(Control::Room(!self.told.full.contains(dir)));
        }
    }

    /// All figures but those of the DHT.
    pub(super) fn measure(&self) -> Metrics {
        let mut all = Metrics::default();
        all.count(self.events.counters());
        self.board.measure(&mut all);
        let desks = self.routes.iter().map(|route| route.reach.desk.counts());
        let announces = desks.fold([0, 0], |[queued, asked], (more, under_way)| {
            [queued + more as u64, asked + under_way as u64]
        });
        let mut utp = UtpFigures::default();
        for route in self.routes.iter() {
            utp += route.reach.network.utp_figures().unwrap_or_default();
        }
        all.utp(&utp);
        let [mut down, mut up] = [&self.down, &self.up].map(RateLimiter::line);
        for (line, limiter) in [&mut down, &mut up].into_iter().zip(&self.shares.limiters) {
            let (queue, bytes) = limiter.line();
            line.0 += queue;
            line.1 += bytes;
        }
        self.measure_disk(&mut all);
        let [heard, said] = self.events.counters().trackers.bytes();
        let called = all.get("peer.incoming_connections") > Some(0);
        for (name, value) in [
            ("net.has_incoming_connections", called.into()),
            ("net.recv_tracker_bytes", heard),
            ("net.sent_tracker_bytes", said),
            ("ses.num_unfiltered_torrents", self.unfiltered()),
            ("net.limiter_down_queue", down.0 as u64),
            ("net.limiter_down_bytes", down.1),
            ("net.limiter_up_queue", up.0 as u64),
            ("net.limiter_up_bytes", up.1),
            ("peer.num_seats_taken", self.seats.taken() as u64),
            ("tracker.num_queued_tracker_announces", announces[0]),
            ("tracker.num_running_tracker_announces", announces[1]),
        ] {
            all.set(name, value);
        }
        all
    }

    /// What the disk has to do and has done.
    fn measure_disk(&self, all: &mut Metrics) {
        let load = self.disk.load();
        let [waiting, running] = load.get();
        all.spread("disk.job_seconds", &load.took);
        all.spread("disk.job_wait_seconds", &load.waited);
        let budget = &self.config.storage.budget;
        let (usage, work) = (budget.usage(), budget.work());
        let writing = u64::try_from(work.writing.as_micros()).unwrap_or(u64::MAX);
        for (name, value) in [
            ("disk.num_jobs", load.jobs()),
            ("disk.queued_disk_jobs", waiting),
            ("disk.num_running_disk_jobs", running),
            ("disk.file_pool_size", usage.open_files as u64),
            ("disk.mapped_bytes", usage.mapped),
            ("disk.queued_write_bytes", usage.unsynced),
            ("disk.num_unhashed", work.unhashed),
            ("disk.num_blocks_hashed", work.hashed),
            ("disk.num_read_back", work.read_back),
            ("disk.num_write_ops", work.writes),
            ("disk.num_read_ops", work.reads),
            ("disk.file_pool_hits", work.file_hits),
            ("disk.file_pool_misses", work.file_misses),
            ("disk.write_microseconds", writing),
        ] {
            all.set(name, value);
        }
    }

    /// Torrents whose way has no IP filter.
    fn unfiltered(&self) -> u64 {
        let open = self
            .routes
            .iter()
            .filter(|route| !route.reach.network.is_filtered());
        let open: BTreeSet<u8> = open.map(|route| route.reach.hops).collect();
        let torrents = self.torrents.values();
        torrents.filter(|child| open.contains(&child.hops)).count() as u64
    }

    /// Tells all figures to those who want them every second.
    pub(super) fn tell_stats(&self) {
        self.events.tell_of(Category::Stats, || Event::Stats {
            metrics: Arc::new(self.measure()),
        });
    }

    /// Our node of the DHT, where there is one.
    pub(super) fn dht(&self) -> Option<DhtHandle> {
        let dht = self.routes.direct()?.reach.dht.as_ref();
        dht.map(|dht| dht.handle.clone())
    }

    /// Warns of limits that probably cost speed.
    pub(super) fn warn_of_limits(&mut self) {
        if !self.events.wants(Category::Performance) {
            return;
        }
        let settings = self.settings.get();
        let (most, limit) = (settings.connections.max as usize, settings.limits.up);
        drop(settings);
        let no_seats = self.seats.free() == 0;
        if no_seats && !self.told.no_seats {
            self.event(&Event::Performance {
                warning: Warning::NoSeats { most },
            });
        }
        self.told.no_seats = no_seats;
        let down_rate = self.board.down_rate();
        let low = limit.filter(|limit| *limit < down_rate / ACKNOWLEDGED);
        if let (Some(limit), false) = (low, self.told.upload_limit) {
            self.event(&Event::Performance {
                warning: Warning::UploadLimitLow { limit, down_rate },
            });
        }
        self.told.upload_limit = low.is_some();
    }
}

impl Handler<Room> for Supervisor {
    type Result = ();

    fn handle(&mut self, room: Room, _: &mut Context<Self>) {
        self.told.looking = false;
        let settings = self.settings.get();
        let (least, keep) = (settings.disk.least_free.0, settings.disk.keep_free.0);
        drop(settings);
        self.hold_back(&room.0, keep);
        for (dir, free) in room.0 {
            if free < least {
                if self.told.scarce.insert(dir.clone()) {
                    tracing::warn!(dir = %dir.display(), free, "there is little room left");
                    self.event(&Event::LowSpace { dir, free });
                }
            } else if self.told.scarce.remove(&dir) {
                self.event(&Event::SpaceBack { dir, free });
            }
        }
    }
}
