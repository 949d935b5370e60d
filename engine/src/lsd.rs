//! The Lsd actor: finds peers on the local networks (BEP 14), and lets them find us.
//!
//! One for all torrents of an engine. [`Rounds`] decides which torrents are announced when; each socket has a task that
//! reads it, in which [`Gate`] bounds what strangers can make us do. Torrents come and go by [`Watch`] and [`Unwatch`]
//! and hear of peers by [`Neighbour`].

mod gate;
mod rounds;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{
    Actor, ActorContext as _, Addr, AsyncContext as _, Context, Handler, Message, Recipient,
    StreamHandler,
};
use actors::{OneTimer, tell_recipient};
use net::{DatagramSocket, Network, Pool, Task};
use protocol::id::InfoHash;
use protocol::lsd::{self, Announcement, GROUP_V4, GROUP_V6};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use smallvec::SmallVec;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::event::hub::Hub;
use crate::peer::driver::now;
use crate::settings::Live;
use crate::{Category, Event};
use gate::Gate;
use rounds::Rounds;

/// Announcements of others that may wait for the actor; more are dropped.
const HEARD: usize = 64;

/// How often the networks are joined anew: a laptop moves, cables come and go.
const REJOIN_EVERY: Duration = Duration::from_secs(300);

/// How long a socket that reports errors is left alone.
const AFTER_ERROR: Duration = Duration::from_millis(50);

/// Bytes that are read of a datagram; an announcement is shorter.
const LONGEST: usize = 2048;

/// Look for the peers of a torrent: Torrent to Lsd. Never sent for a private torrent (BEP 27).
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Watch {
    /// The torrent.
    pub(crate) hash: InfoHash,
    /// Who is told.
    pub(crate) torrent: Recipient<Neighbour>,
}

/// A torrent looks for peers no more: Torrent to Lsd.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Unwatch(pub(crate) InfoHash);

/// Leave all networks and end: Supervisor to Lsd, once.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Leave;

/// Announce a torrent as soon as it may be again: Torrent to Lsd, as the user wishes.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Hurry(pub(crate) InfoHash);

/// The settings have changed: Supervisor to Lsd.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Retune;

/// A peer is on the local network: Lsd to Torrent.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Neighbour {
    /// Where it is.
    pub(crate) addr: SocketAddr,
    /// By which hash it named the torrent.
    pub(crate) hash: InfoHash,
}

/// What a socket heard: its task to the Lsd.
#[derive(Debug)]
struct Heard {
    peer: SocketAddr,
    hashes: SmallVec<[InfoHash; 2]>,
}

/// The actor; see the module.
pub(crate) struct Lsd {
    network: Network,
    pool: Pool,
    listen: Option<SocketAddr>,
    settings: Live,
    cookie: Arc<str>,
    rounds: Rounds,
    torrents: BTreeMap<InfoHash, Recipient<Neighbour>>,
    events: Hub,
    /// No group could be joined the last time, and that was told.
    failed: bool,
    heard: mpsc::Sender<Heard>,
    sockets: Vec<Member>,
    joined: Option<Instant>,
    timer: OneTimer,
    rng: StdRng,
}

/// One group on one network.
struct Member {
    group: SocketAddr,
    socket: Arc<dyn DatagramSocket>,
    _reader: Task<()>,
}

impl Lsd {
    /// Starts the actor on the current arbiter. `listen` is where we listen for peers; without that, we only hear. An
    /// address of one network keeps everything on that network.
    pub(crate) fn launch(
        network: Network,
        pool: Pool,
        listen: Option<SocketAddr>,
        (settings, events): (Live, Hub),
        seed: u64,
    ) -> Addr<Self> {
        let mut rng = StdRng::seed_from_u64(seed);
        let cookie = format!("{:016x}", rng.next_u64());
        Self::create(|ctx| {
            let (heard, mut queue) = mpsc::channel(HEARD);
            ctx.add_stream(futures_util::stream::poll_fn(move |cx| queue.poll_recv(cx)));
            Self {
                network,
                pool,
                listen,
                cookie: cookie.into(),
                rounds: Rounds::new(&settings.get().local_discovery),
                settings,
                torrents: BTreeMap::new(),
                events,
                failed: false,
                heard,
                sockets: Vec::new(),
                joined: None,
                timer: OneTimer::new(),
                rng,
            }
        })
    }

    /// Joins the groups on all networks there are.
    fn join(&mut self, now: Instant) {
        self.joined = Some(now);
        let own = self.listen.map(|listen| listen.ip());
        let own = own.filter(|ip| !ip.is_unspecified());
        let (mut sockets, mut failure) = (Vec::new(), None);
        let _runtime = self.pool.handle().enter();
        for group in [GROUP_V4, GROUP_V6] {
            match self.network.multicast(group, own) {
                Ok(opened) => {
                    for socket in opened {
                        let reader = read(
                            Arc::clone(&socket),
                            Arc::clone(&self.cookie),
                            self.heard.clone(),
                        );
                        sockets.push(Member {
                            group,
                            socket,
                            _reader: self.pool.spawn(reader),
                        });
                    }
                }
                Err(error) => {
                    tracing::debug!(%group, %error, "no local service discovery");
                    failure = Some(error);
                }
            }
        }
        // One family is enough.
        let failure = failure.filter(|_| sockets.is_empty());
        if let Some(error) = &failure
            && !self.failed
        {
            let about = Category::Connections.and_errors();
            let reason = || error.to_string().into();
            let event = || Event::LocalFailed { reason: reason() };
            self.events.tell_of(about, event);
        }
        self.failed = failure.is_some();
        self.sockets = sockets;
    }

    fn drive(&mut self, ctx: &mut Context<Self>) {
        let now = now();
        if self.torrents.is_empty() || !self.settings.get().local_discovery.enabled {
            self.sockets.clear();
            self.joined = None;
            return;
        }
        let rejoin = |joined: Instant| joined + REJOIN_EVERY;
        if self.joined.is_none_or(|joined| now >= rejoin(joined)) {
            self.join(now);
        }
        while let Some(hashes) = self.rounds.next(now) {
            self.announce(&hashes);
        }
        let due = [self.rounds.poll_timeout(), self.joined.map(rejoin)];
        if let Some(at) = due.into_iter().flatten().min() {
            let at = tokio::time::Instant::from_std(at);
            self.timer.arm::<Self>(ctx, at, |lsd, ctx| {
                lsd.timer.fired();
                lsd.drive(ctx);
            });
        }
    }

    /// Tells every network of some torrents.
    fn announce(&self, hashes: &[InfoHash]) {
        let Some(port) = self.listen.map(|listen| listen.port()) else {
            return;
        };
        let mut datagram = Vec::with_capacity(lsd::MOST_BYTES);
        for member in &self.sockets {
            let mut rest = hashes;
            while !rest.is_empty() {
                datagram.clear();
                let written = lsd::write(&mut datagram, member.group, port, rest, &self.cookie);
                // Another announce follows in minutes: what finds no room now is not worth a wait.
                if let Err(error) = member.socket.try_send_to(&datagram, member.group) {
                    tracing::debug!(group = %member.group, %error, "could not announce");
                }
                rest = rest.get(written.max(1)..).unwrap_or_default();
            }
        }
    }
}

/// Reads a socket until its guard is dropped.
async fn read(socket: Arc<dyn DatagramSocket>, cookie: Arc<str>, heard: mpsc::Sender<Heard>) {
    let mut gate = Gate::default();
    let mut buffer = [0; LONGEST];
    loop {
        let (len, from) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                // About one datagram, or the network is away; the groups are joined anew in any case.
                tracing::debug!(%error, "local service discovery");
                sleep(AFTER_ERROR).await;
                continue;
            }
        };
        let Some(Ok(announcement)) = buffer.get(..len).map(Announcement::parse) else {
            continue;
        };
        if announcement.cookie == Some(&cookie) || !gate.admits(from.ip(), now()) {
            continue;
        }
        let peer = at_port(from, announcement.port);
        let hashes = announcement.hashes;
        // The peer announces itself again; a flood must not fill memory.
        let _ = heard.try_send(Heard { peer, hashes });
    }
}

/// Where a host can be dialled whose datagram came from `from`: a link-local address is one only with its interface.
fn at_port(from: SocketAddr, port: u16) -> SocketAddr {
    match from {
        SocketAddr::V4(v4) => (*v4.ip(), port).into(),
        SocketAddr::V6(v6) => SocketAddrV6::new(*v6.ip(), port, 0, v6.scope_id()).into(),
    }
}

impl Actor for Lsd {
    type Context = Context<Self>;
}

impl StreamHandler<Heard> for Lsd {
    fn handle(&mut self, heard: Heard, _: &mut Context<Self>) {
        for hash in &heard.hashes {
            if let Some(torrent) = self.torrents.get(hash) {
                let (addr, hash) = (heard.peer, *hash);
                tell_recipient(torrent, Neighbour { addr, hash });
            }
        }
    }

    fn finished(&mut self, _: &mut Context<Self>) {}
}

impl Handler<Watch> for Lsd {
    type Result = ();

    fn handle(&mut self, watch: Watch, ctx: &mut Context<Self>) {
        self.torrents.insert(watch.hash, watch.torrent);
        let now = now();
        self.rounds.add(watch.hash, now, &mut self.rng);
        self.drive(ctx);
    }
}

impl Handler<Unwatch> for Lsd {
    type Result = ();

    fn handle(&mut self, Unwatch(hash): Unwatch, ctx: &mut Context<Self>) {
        if self.torrents.remove(&hash).is_some() {
            self.rounds.remove(hash, now());
            self.drive(ctx);
        }
    }
}

impl Handler<Hurry> for Lsd {
    type Result = ();

    fn handle(&mut self, Hurry(hash): Hurry, ctx: &mut Context<Self>) {
        self.rounds.hurry(hash, now());
        self.drive(ctx);
    }
}

impl Handler<Retune> for Lsd {
    type Result = ();

    fn handle(&mut self, _: Retune, ctx: &mut Context<Self>) {
        self.rounds.retune(&self.settings.get().local_discovery);
        self.drive(ctx);
    }
}

impl Handler<Leave> for Lsd {
    type Result = ();

    fn handle(&mut self, _: Leave, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

impl fmt::Debug for Lsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lsd")
            .field("torrents", &self.torrents.len())
            .field("networks", &self.sockets.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::task::{self, Poll};

    use parking_lot::Mutex;
    use tokio::io::ReadBuf;

    use super::*;

    /// A socket that reports an error before each datagram.
    struct Faulty(Mutex<(bool, Vec<u8>)>);

    impl DatagramSocket for Faulty {
        fn poll_recv_from(
            &self,
            _: &mut task::Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<SocketAddr>> {
            let mut state = self.0.lock();
            state.0 = !state.0;
            if state.0 {
                return Poll::Ready(Err(io::ErrorKind::NetworkUnreachable.into()));
            }
            buf.put_slice(&state.1);
            Poll::Ready(Ok("192.168.1.2:6771".parse().unwrap()))
        }

        fn poll_send_to(
            &self,
            _: &mut task::Context<'_>,
            _: &[u8],
            _: SocketAddr,
        ) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn try_send_to(&self, _: &[u8], _: SocketAddr) -> io::Result<()> {
            Err(io::ErrorKind::WouldBlock.into())
        }

        fn local_addr(&self) -> SocketAddr {
            GROUP_V4
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_does_not_make_a_network_silent() {
        let hash = InfoHash([7; 20]);
        let mut datagram = Vec::new();
        lsd::write(&mut datagram, GROUP_V4, 6881, &[hash], "theirs");
        let socket = Arc::new(Faulty(Mutex::new((false, datagram))));
        let (heard, mut hears) = mpsc::channel(HEARD);
        let reader = Pool::current().spawn(read(socket, "ours".into(), heard));
        let first = tokio::time::timeout(Duration::from_secs(1), hears.recv()).await;
        assert_eq!(
            first.unwrap().unwrap().peer,
            "192.168.1.2:6881".parse().unwrap()
        );
        assert!(!reader.is_finished());
    }

    #[test]
    fn a_link_local_neighbour_is_dialled_by_the_interface_that_it_was_heard_on() {
        let from = SocketAddrV6::new("fe80::1".parse().unwrap(), 6771, 9, 3);
        let peer = at_port(from.into(), 6881);
        assert_eq!(peer, "[fe80::1%3]:6881".parse().unwrap());
        let from = "192.168.1.2:6771".parse().unwrap();
        assert_eq!(at_port(from, 1), "192.168.1.2:1".parse().unwrap());
    }
}
