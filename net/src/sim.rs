//! A simulated network in virtual time.
//!
//! A [`Sim`] is a world of hosts. Each [`Host`] gives out a [`Network`] like the real one, so whatever runs on
//! that runs here: thousands of hosts in one thread, days in seconds, and the same seed gives the same world to the
//! last event, which [`Sim::trace`] proves.
//!
//! # How to run it
//!
//! In a current-thread runtime with a paused clock, with nothing in it that depends on real time, threads or the order
//! of a hash map (`tokio::select!` without `biased` draws lots too). Timers have a granularity of one millisecond, and
//! events become visible on the next one.
//!
//! # The model
//!
//! Every host hangs on a [`Link`] to a core that is infinitely wide: what goes out waits for the sender's uplink, takes
//! both ends' latency and jitter, and waits for the receiver's downlink. Each direction has a bounded queue that
//! drops what does not fit. A [`Path`] replaces latency and losses between two particular hosts.
//!
//! Datagrams are lost, doubled, held back and translated by a NAT. Streams behave as TCP with selective
//! acknowledgements does: connecting takes a round trip, a lost segment comes a round trip (or a timeout) later and
//! holds up what follows, the sender's window starts small, grows with acknowledgements and shrinks on loss,
//! and a reader that does not read stops the writer. Headers count towards bandwidth, acknowledgements do not.
//!
//! Hosts behind one NAT, and hosts without one whose addresses share their first 24 (IPv4) or 64 (IPv6) bits, are on one
//! local network: what one of them sends to a multicast group gets to all of them.
//!
//! Silence costs what it costs in reality: connecting to nobody fails after 127 seconds.

mod conn;
mod datagram;
mod event;
mod link;
mod listen;
mod nat;
mod ports;
mod rng;
mod stream;
mod trace;
mod world;

use std::fmt;
use std::future::pending;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use futures_util::future::select;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

pub use link::{HELD_BACK, Link, Path};
pub use nat::{NatId, NatKind};
pub use trace::{Happening, Lost, Trace};

use crate::resolve::{canonical, ip_literal};
use crate::{
    Binder, BoxFuture, BoxStream, DatagramSocket, Dialer, Listener, Network, Pool, Resolver,
    Subnet, Task,
};
use world::{HostId, World};

/// A simulated world. Clones are the same world; it ends when the last clone, host and socket is gone.
#[derive(Clone)]
pub struct Sim {
    shared: Arc<Shared>,
}

/// One host of a [`Sim`]. Clones are the same host.
#[derive(Clone)]
pub struct Host {
    sim: Sim,
    id: HostId,
}

/// What a host is like.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// Its addresses; the first of a family is the source of what it sends.
    pub ips: Vec<IpAddr>,
    /// How it hangs on the network.
    pub link: Link,
    /// The NAT that it stands behind. Its addresses are private ones then, known only behind the same NAT.
    pub nat: Option<NatId>,
}

impl HostOptions {
    /// A host with one address, the default link, and no NAT.
    pub fn at(ip: IpAddr) -> Self {
        Self {
            ips: vec![ip],
            link: Link::default(),
            nat: None,
        }
    }
}

struct Shared {
    world: Mutex<World>,
    /// Told when an event is to happen earlier than the driver expects.
    earlier: Arc<Notify>,
    /// Lets events happen; ends with the world.
    driver: OnceLock<Task<()>>,
}

impl Shared {
    /// Does something to the world, and wakes whoever it concerns.
    fn with<T>(&self, act: impl FnOnce(&mut World, Instant) -> T) -> T {
        let now = Instant::now();
        let mut world = self.world.lock();
        let outcome = act(&mut world, now);
        let (wakers, earlier) = world.outbox();
        drop(world);
        for waker in wakers {
            waker.wake();
        }
        if earlier {
            self.earlier.notify_one();
        }
        outcome
    }
}

impl Sim {
    /// A world without hosts, in which chance is drawn from `seed`.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn new(seed: u64) -> Self {
        let shared = Arc::new(Shared {
            world: Mutex::new(World::new(seed, Instant::now())),
            earlier: Arc::new(Notify::new()),
            driver: OnceLock::new(),
        });
        let driver = drive(Arc::downgrade(&shared), Arc::clone(&shared.earlier));
        let task = shared.driver.get_or_init(|| Pool::current().spawn(driver));
        debug_assert!(!task.is_finished(), "the world has just begun");
        Self { shared }
    }

    /// Adds a host.
    ///
    /// # Panics
    ///
    /// When an address is taken, or the NAT is of another world.
    pub fn host(&self, options: HostOptions) -> Host {
        let id = self.shared.with(|world, _| world.add_host(options));
        Host {
            sim: self.clone(),
            id,
        }
    }

    /// Adds a NAT with a public address, for hosts to stand behind.
    ///
    /// # Panics
    ///
    /// When the address is taken.
    pub fn nat(&self, kind: NatKind, public: IpAddr) -> NatId {
        self.shared.with(|world, _| world.add_nat(kind, public))
    }

    /// Makes a name known to every host's resolver.
    pub fn name(&self, name: &str, ips: Vec<IpAddr>) {
        self.shared
            .with(|world, _| world.names.insert(name.to_ascii_lowercase(), ips));
    }

    /// Gives a host a text record that every host's resolver finds.
    pub fn text(&self, name: &str, text: &[u8]) {
        let name = name.to_ascii_lowercase();
        self.shared.with(|world, _| {
            world.texts.entry(name).or_default().push(text.to_vec());
        });
    }

    /// Takes all text records of a host away.
    pub fn forget_texts(&self, name: &str) {
        let name = name.to_ascii_lowercase();
        self.shared.with(|world, _| world.texts.remove(&name));
    }

    /// How often any host has asked for text records.
    pub fn text_look_ups(&self) -> usize {
        self.shared.with(|world, _| world.text_look_ups)
    }

    /// Sets the path between two hosts, both ways; `None` makes it follow from their links again.
    pub fn set_path(&self, a: &Host, b: &Host, path: Option<Path>) {
        self.shared
            .with(|world, _| world.set_path(a.id, b.id, path));
    }

    /// Keeps the first `limit` happenings from now on, for [`Trace::log`].
    pub fn record(&self, limit: usize) {
        self.shared.with(|world, _| world.trace.record(limit));
    }

    /// What has happened so far.
    pub fn trace(&self) -> Trace {
        self.shared.with(|world, _| world.trace.snapshot())
    }

    /// The virtual time since the beginning of the world.
    pub fn elapsed(&self) -> Duration {
        self.shared.with(|world, now| now - world.start)
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim").finish_non_exhaustive()
    }
}

impl Host {
    /// This host's way into the network.
    pub fn network(&self) -> Network {
        let door = Arc::new(Door { host: self.clone() });
        Network::new(door.clone(), door.clone(), door)
    }

    /// The first address of this host.
    pub fn ip(&self) -> IpAddr {
        self.with(|world, _, id| world.host(id).ips[0])
    }

    /// Changes how this host hangs on the network, from now on.
    pub fn set_link(&self, link: Link) {
        self.with(|world, _, id| world.set_link(id, link));
    }

    /// Changes the networks that this host says it is in ([`Binder::networks`]): at first, its own addresses alone. Who reaches whom
    /// does not depend on it.
    pub fn set_networks(&self, networks: Vec<Subnet>) {
        self.with(|world, _, id| world.host(id).networks = networks);
    }

    /// Pulls the plug, or puts it back. Meanwhile nothing gets in or out: datagrams are lost, and streams try again
    /// until they give up after some minutes.
    pub fn set_online(&self, online: bool) {
        self.with(|world, now, id| world.set_online(id, online, now));
    }

    /// Ends every socket of this host at once, as when its system goes down: others see their streams reset. New sockets
    /// can be opened afterwards.
    pub fn crash(&self) {
        self.with(|world, now, id| world.crash(id, now));
    }

    fn with<T>(&self, act: impl FnOnce(&mut World, Instant, HostId) -> T) -> T {
        self.sim.shared.with(|world, now| act(world, now, self.id))
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Host({})", self.ip())
    }
}

/// A host as dialer, binder and resolver.
struct Door {
    host: Host,
}

impl Dialer for Door {
    fn dial(&self, to: SocketAddr) -> BoxFuture<'_, io::Result<BoxStream>> {
        let host = self.host.clone();
        Box::pin(stream::dial(host.sim.shared, host.id, canonical(to)))
    }
}

impl Binder for Door {
    fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn Listener>> {
        listen::listen(&self.host.sim.shared, self.host.id, canonical(at))
    }

    fn datagram(&self, at: SocketAddr) -> io::Result<Arc<dyn DatagramSocket>> {
        datagram::bind(&self.host.sim.shared, self.host.id, canonical(at))
    }

    fn networks(&self) -> io::Result<Vec<Subnet>> {
        Ok(self
            .host
            .with(|world, _, id| world.host(id).networks.clone()))
    }

    fn multicast(
        &self,
        group: SocketAddr,
        own: Option<IpAddr>,
    ) -> io::Result<Vec<Arc<dyn DatagramSocket>>> {
        if !group.ip().is_multicast() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let there = self.host.with(|world, _, id| {
            let has = |own: IpAddr| world.host(id).ips.contains(&own);
            own.is_none_or(has) && world.has_family(id, group)
        });
        if !there {
            return Ok(Vec::new());
        }
        Ok(vec![datagram::bind_anywhere(
            &self.host.sim.shared,
            self.host.id,
            group,
        )?])
    }
}

impl Resolver for Door {
    fn lookup<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move {
            let join = |ips: &[IpAddr]| ips.iter().map(|ip| SocketAddr::new(*ip, port)).collect();
            if let Some(ip) = ip_literal(host) {
                return Ok(join(&[ip]));
            }
            let name = host.to_ascii_lowercase();
            let (found, online, round_trip) = self.host.with(|world, _, id| {
                let found = world.names.get(&name).cloned();
                let state = world.host(id);
                (found, state.online, state.link.latency * 2)
            });
            if !online {
                // The resolver's own patience is the caller's deadline.
                return pending().await;
            }
            sleep(round_trip).await;
            match found {
                Some(ips) if !ips.is_empty() => Ok(join(&ips)),
                _ => Err(io::ErrorKind::NotFound.into()),
            }
        })
    }

    fn texts<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<Vec<u8>>>> {
        Box::pin(async move {
            let name = host.to_ascii_lowercase();
            let (found, online, round_trip) = self.host.with(|world, _, id| {
                world.text_look_ups += 1;
                let found = world.texts.get(&name).cloned();
                let state = world.host(id);
                (found, state.online, state.link.latency * 2)
            });
            if !online {
                return pending().await;
            }
            sleep(round_trip).await;
            Ok(found.unwrap_or_default())
        })
    }
}

/// Lets events happen at their times.
async fn drive(shared: Weak<Shared>, earlier: Arc<Notify>) {
    loop {
        let Some(strong) = shared.upgrade() else {
            return;
        };
        let next = strong.with(World::run_due);
        drop(strong);
        let notified = Box::pin(earlier.notified());
        match next {
            Some(at) => {
                select(Box::pin(sleep_until(at)), notified).await;
            }
            None => notified.await,
        }
    }
}

#[cfg(test)]
mod tests;
