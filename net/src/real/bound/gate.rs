//! Whether the place that everything is bound to is there.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::sync::{Arc, Weak};
use std::task::{Context, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use socket2::Socket;

use super::Bind;
use crate::outlet::{Outage, Outlet};
use crate::real::SocketTuning;
use crate::real::platform::Fit;
use crate::real::platform::{self, Device, Interface};
use crate::real::tcp::Tcp;
use crate::resolve::canonical;
use crate::stream::carried;
use crate::{BoxFuture, BoxStream, ByteStream, Pool, Task};

/// How often it is looked whether the place is there. The kernel keeps sockets on their interface without that: this
/// is how soon what is dead is found dead, and what is back is used again.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What everything is bound to, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The interface; none where the address is one of the loopback interface.
    pub(super) device: Option<Device>,
    /// The addresses, at least one.
    pub(super) ips: Vec<IpAddr>,
    /// Whether sockets stand at the address itself.
    exact: bool,
}

/// Knows the place, whoever waits for it, and the streams that end with it.
pub(super) struct Gate {
    bind: Bind,
    tuning: SocketTuning,
    pool: Pool,
    state: Mutex<State>,
    _watch: Task<()>,
}

#[derive(Default)]
struct State {
    place: Option<Place>,
    /// Whether the place has been an interface. While an address is on its way back to one, the system may let it be bound
    /// before the interface can be seen to have it: a socket of that moment would be kept nowhere.
    tied: bool,
    /// Counts the times that sockets have become useless.
    generation: u64,
    /// Counts the looks.
    looks: u64,
    waiting: Vec<Waker>,
    streams: BTreeMap<u64, (IpAddr, Socket)>,
    next: u64,
}

impl Gate {
    /// Finds the place and watches it.
    #[cfg(test)]
    pub(super) fn open(bind: Bind, pool: &Pool) -> io::Result<Arc<Self>> {
        Self::open_with(bind, SocketTuning::default(), pool)
    }

    /// Finds the place and watches it; sockets there are given this.
    pub(super) fn open_with(
        bind: Bind,
        tuning: SocketTuning,
        pool: &Pool,
    ) -> io::Result<Arc<Self>> {
        let place = find(&bind, false)?.ok_or_else(|| {
            let why = "no such address or network interface";
            io::Error::new(io::ErrorKind::AddrNotAvailable, why)
        })?;
        Ok(Arc::new_cyclic(|gate| Self {
            bind,
            tuning,
            pool: pool.clone(),
            state: Mutex::new(State {
                tied: place.device.is_some(),
                place: Some(place),
                ..State::default()
            }),
            _watch: pool.spawn(watch(Weak::clone(gate))),
        }))
    }

    /// Whether nothing leaves this machine.
    pub(super) fn is_loopback(&self) -> bool {
        let state = self.state.lock();
        let ips = state.place.as_ref().map(|place| place.ips.as_slice());
        ips.is_some_and(|ips| ips.iter().all(IpAddr::is_loopback))
    }

    /// Where sockets are opened again, whoever asks for it.
    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// What sockets are given.
    pub(super) const fn tuning(&self) -> SocketTuning {
        self.tuning
    }

    /// What a socket at the place is given.
    pub(super) const fn fit<'a>(&self, place: &'a Place) -> Fit<'a> {
        Fit {
            device: place.device.as_ref(),
            tuning: self.tuning,
        }
    }

    /// The place.
    pub(super) fn place(&self) -> io::Result<Place> {
        self.now().1
    }

    /// How often sockets have become useless, and the place.
    pub(super) fn now(&self) -> (u64, io::Result<Place>) {
        let state = self.state.lock();
        let place = state.place.clone().ok_or_else(|| {
            let why = "the address or network interface that everything is bound to is gone";
            io::Error::new(io::ErrorKind::NetworkDown, why)
        });
        (state.generation, place)
    }

    /// The count of [`Self::now`].
    pub(super) fn generation(&self) -> u64 {
        self.state.lock().generation
    }

    /// How often it was looked.
    pub(super) fn looks(&self) -> u64 {
        self.state.lock().looks
    }

    /// Wakes a task at the next look at the place; at once, if sockets have become useless since `generation`.
    pub(super) fn wait(&self, generation: u64, cx: &Context<'_>) {
        let mut state = self.state.lock();
        if state.generation != generation {
            cx.waker().wake_by_ref();
        } else if !state
            .waiting
            .iter()
            .any(|waker| waker.will_wake(cx.waker()))
        {
            state.waiting.push(cx.waker().clone());
        }
    }

    /// Gives out a stream that ends with the place.
    pub(super) fn admit(self: &Arc<Self>, stream: Tcp) -> io::Result<BoxStream> {
        let handle = stream.handle()?;
        let mut state = self.state.lock();
        let (id, ip) = (state.next, stream.local_addr().ip());
        if !state
            .place
            .as_ref()
            .is_some_and(|place| place.ips.contains(&ip))
        {
            return Err(io::ErrorKind::NetworkDown.into());
        }
        state.next += 1;
        state.streams.insert(id, (ip, handle));
        drop(state);
        let leave = Leave {
            gate: Arc::downgrade(self),
            id,
        };
        Ok(Box::new(BoundStream {
            stream,
            _leave: leave,
        }))
    }

    /// Looks whether the place is as it was.
    pub(super) fn look(&self) {
        let tied = self.state.lock().tied;
        let found = find(&self.bind, tied).unwrap_or_default();
        let mut state = self.state.lock();
        state.looks += 1;
        state.tied |= found.as_ref().is_some_and(|found| found.device.is_some());
        let device = |place: &Option<Place>| place.as_ref().map(|place| place.device.clone());
        if device(&found) != device(&state.place) {
            state.generation += 1;
            if found.is_some() {
                tracing::info!(bind = %self.bind, "what everything is bound to is there");
            } else {
                tracing::warn!(bind = %self.bind, "what everything is bound to is gone");
            }
            for (_, stream) in state.streams.values() {
                let _ = stream.shutdown(Shutdown::Both);
            }
        } else if found != state.place {
            let ips = found
                .as_ref()
                .map(|place| place.ips.as_slice())
                .unwrap_or_default();
            for (ip, stream) in state.streams.values() {
                if !ips.contains(ip) {
                    let _ = stream.shutdown(Shutdown::Both);
                }
            }
        }
        state.place = found;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gate({})", self.bind)
    }
}

async fn watch(gate: Weak<Gate>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(gate) = gate.upgrade() else { return };
        gate.look();
    }
}

/// The place as it is now; none where it is not there. What is `tied` to an interface never stands without one.
fn find(bind: &Bind, tied: bool) -> io::Result<Option<Place>> {
    // Asked first: an address that comes up between the two questions is found on its interface.
    let local = !tied && matches!(bind, Bind::Address(ip) if platform::is_local(*ip));
    let mut all = platform::interfaces(true)?;
    all.extend(platform::interfaces(false)?);
    Ok(choose(bind, local, &all))
}

/// The place among the interfaces that are up; `local` is whether an address may do without one.
fn choose(bind: &Bind, local: bool, all: &[Interface]) -> Option<Place> {
    let fits = |interface: &&Interface| match bind {
        Bind::Address(ip) => interface.ip == *ip,
        Bind::Interface(name) => interface.name == *name,
    };
    let exact = matches!(bind, Bind::Address(_));
    let Some(first) = all.iter().find(fits) else {
        return match bind {
            Bind::Address(ip) if local => Some(Place::on_loopback(*ip)),
            Bind::Address(_) | Bind::Interface(_) => None,
        };
    };
    let same = |interface: &&Interface| interface.index == first.index;
    if exact && all.iter().filter(same).any(|other| other.ip.is_loopback()) {
        // Its other addresses may be services of this host; the way out is another interface's.
        return Some(Place::on_loopback(first.ip));
    }
    let found = all.iter().filter(fits).filter(same);
    Some(Place {
        device: Some(Device {
            name: first.name.clone(),
            index: first.index,
        }),
        ips: found.map(|interface| interface.ip).collect(),
        exact,
    })
}

impl Place {
    fn on_loopback(ip: IpAddr) -> Self {
        Self {
            device: None,
            ips: vec![ip],
            exact: true,
        }
    }

    /// The source address of a stream; none where the interface decides.
    pub(super) fn source_for(&self, to: SocketAddr) -> io::Result<Option<IpAddr>> {
        let mut own = self.ips.iter().filter(|ip| ip.is_ipv4() == to.is_ipv4());
        match own.next() {
            Some(ip) => Ok(self.exact.then_some(*ip)),
            None => Err(io::ErrorKind::AddrNotAvailable.into()),
        }
    }

    /// Where a socket stands that is asked for at `at`.
    pub(super) fn stand(&self, at: SocketAddr) -> io::Result<SocketAddr> {
        let anywhere = at.ip().is_unspecified();
        if self.ips.contains(&at.ip()) || anywhere && !self.exact {
            return Ok(at);
        }
        match self.ips.first() {
            // At `[::]` both families are asked for, and one of them may be had.
            Some(ip) if anywhere && (at.is_ipv6() || ip.is_ipv4()) => {
                Ok(SocketAddr::new(*ip, at.port()))
            }
            _ => Err(io::ErrorKind::AddrNotAvailable.into()),
        }
    }

    /// Whether the place has this address of an interface.
    pub(super) fn has(&self, interface: &Interface) -> bool {
        let device = self.device.as_ref();
        device.is_none_or(|device| device.index == interface.index)
            && self.ips.contains(&interface.ip)
    }
}

/// Takes a stream out of the gate's list.
struct Leave {
    gate: Weak<Gate>,
    id: u64,
}

impl Drop for Leave {
    fn drop(&mut self) {
        if let Some(gate) = self.gate.upgrade() {
            gate.state.lock().streams.remove(&self.id);
        }
    }
}

/// A TCP stream that the gate can end.
struct BoundStream {
    stream: Tcp,
    _leave: Leave,
}

impl ByteStream for BoundStream {
    fn peer_addr(&self) -> SocketAddr {
        canonical(self.stream.peer_addr())
    }

    fn local_addr(&self) -> SocketAddr {
        self.stream.local_addr()
    }

    fn set_read_low_water(&self, bytes: usize) {
        self.stream.set_read_low_water(bytes);
    }

    fn keep_alive(&self) {
        self.stream.keep_alive();
    }
}

impl Outlet for Gate {
    fn outage(&self) -> Option<Outage> {
        let gone = self.state.lock().place.is_none();
        gone.then(|| Outage::Gone(self.bind.to_string().into()))
    }

    fn look(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn datagrams(&self) -> Option<Result<(), Arc<str>>> {
        Some(Ok(()))
    }
}

carried!(BoundStream);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_once_stood_on_an_interface_never_does_without_one() {
        let ip: IpAddr = "192.0.2.7".parse().unwrap();
        let bind = Bind::Address(ip);
        let eth0 = Interface {
            name: "eth0".to_owned(),
            index: 4,
            ip,
            multicast: true,
        };
        let there = choose(&bind, true, &[eth0]).unwrap();
        assert_eq!(there.device.unwrap().index, 4);
        assert_eq!(choose(&bind, true, &[]), Some(Place::on_loopback(ip)));
        assert_eq!(choose(&bind, false, &[]), None);

        // All of 127.0.0.0/8 may be bound.
        let routed = Bind::Address("127.8.8.8".parse().unwrap());
        assert!(find(&routed, false).unwrap().is_some());
        assert_eq!(find(&routed, true).unwrap(), None);
    }
}
