//! Asks the gateway of the local network for ports, by PCP or NAT-PMP, and gives them back at the end.
//!
//! Only the gateway of a default route is asked, and only if it is no address of the Internet. Its socket is opened by the
//! network that is given: a bound one reaches the gateways of its interface only, and one behind a proxy none.
//!
//! `docs/adr/0007-ports-from-the-gateway.md` has the reasons.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
pub use protocol::port_mapping::Transport;
use protocol::port_mapping::{
    self, Answer, Grant, MOST_BYTES, NAT_PMP_ADDRESS, Wish, read_nat_pmp, read_pcp,
};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::{DatagramSocket, Network, Pool, Scope, Task};

/// For how long ports are asked for: two hours are customary (RFC 6886, section 3.3). Half of what is given later they are asked for again.
const LIFETIME: u32 = 7200;

/// The waits for an answer: together 7.5 s.
const WAITS: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_millis(1000),
    Duration::from_millis(2000),
    Duration::from_millis(4000),
];

/// After which a gateway that gave nothing is asked again.
const PAUSE: Duration = Duration::from_secs(600);

/// The shortest time between two requests for the same port, whatever the gateway says.
const SHORTEST: Duration = Duration::from_secs(30);

/// How often it is looked whether there is another gateway.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// A gateway of a default route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gateway {
    /// Its address.
    pub at: IpAddr,
    /// Our address on its network.
    pub own: IpAddr,
}

/// By which protocol a port was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// RFC 6886.
    NatPmp,
    /// RFC 6887.
    Pcp,
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NatPmp => "NAT-PMP",
            Self::Pcp => "PCP",
        })
    }
}

/// A port that a gateway has given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// What travels to it.
    pub transport: Transport,
    /// Our port.
    pub internal: u16,
    /// The port that the world sees.
    pub external: u16,
    /// The address that the world sees, if the gateway tells.
    pub ip: Option<IpAddr>,
    /// By which protocol.
    pub by: By,
}

/// The ports that are asked for. They are given back by [`release`](Self::release), or run out by themselves.
#[derive(Debug)]
pub struct PortMap {
    mapped: Arc<Mutex<Vec<Mapped>>>,
    stop: Option<oneshot::Sender<()>>,
    task: Task<()>,
}

impl PortMap {
    /// Asks for these ports, as long as it lives.
    pub fn start(network: Network, ports: Vec<(Transport, u16)>, pool: &Pool) -> Self {
        let mapped = Arc::<Mutex<Vec<Mapped>>>::default();
        let (stop, stopped) = oneshot::channel();
        let keeper = Keeper {
            network,
            ports,
            mapped: Arc::clone(&mapped),
        };
        Self {
            mapped,
            stop: Some(stop),
            task: pool.spawn(keeper.run(stopped)),
        }
    }

    /// A view of the ports that are given.
    pub fn ports(&self) -> Ports {
        Ports(Arc::clone(&self.mapped))
    }

    /// Gives all ports back, and ends; waits for the gateway until `deadline` has passed.
    pub async fn release(mut self, deadline: Duration) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = timeout(deadline, &mut self.task).await;
    }
}

/// The ports that a gateway has given. Clones are the same view.
#[derive(Clone, Debug)]
pub struct Ports(Arc<Mutex<Vec<Mapped>>>);

impl Ports {
    /// Those that are given now.
    pub fn now(&self) -> Vec<Mapped> {
        self.0.lock().clone()
    }
}

/// Keeps the ports.
struct Keeper {
    network: Network,
    ports: Vec<(Transport, u16)>,
    mapped: Arc<Mutex<Vec<Mapped>>>,
}

/// The gateway that is asked, and how.
struct Talk {
    gateway: Gateway,
    socket: Arc<dyn DatagramSocket>,
    /// The same for every request for a port: who knows it may change the mapping.
    nonce: [u8; 12],
    by: By,
}

impl Keeper {
    async fn run(self, mut stopped: oneshot::Receiver<()>) {
        loop {
            let Some(gateway) = self.gateway() else {
                if wait(LOOK_EVERY, &mut stopped).await {
                    return;
                }
                continue;
            };
            let kept = self.keep(gateway, &mut stopped).await;
            self.mapped.lock().clear();
            if kept || wait(LOOK_EVERY, &mut stopped).await {
                return;
            }
        }
    }

    /// The first gateway of the local network.
    fn gateway(&self) -> Option<Gateway> {
        let gateways = self.network.gateways().unwrap_or_default();
        let near =
            |gateway: &Gateway| Scope::of(gateway.at).is_some_and(|scope| scope < Scope::Global);
        gateways.into_iter().find(near)
    }

    /// Keeps the ports at one gateway until there is another, or the end: true.
    async fn keep(&self, gateway: Gateway, stopped: &mut oneshot::Receiver<()>) -> bool {
        let Ok(socket) = self.network.datagram(SocketAddr::new(gateway.own, 0)) else {
            return false;
        };
        let mut talk = Talk {
            gateway,
            socket,
            nonce: rand::random(),
            by: By::Pcp,
        };
        loop {
            let asking = async {
                let pause = self.ask_for_all(&mut talk).await;
                let until = Instant::now() + pause;
                while Instant::now() < until && self.gateway() == Some(gateway) {
                    sleep(LOOK_EVERY.min(until - Instant::now())).await;
                }
            };
            tokio::select! {
                biased;
                _ = &mut *stopped => {
                    self.give_back(&talk).await;
                    return true;
                }
                () = asking => {}
            }
            if self.gateway() != Some(gateway) {
                return false;
            }
        }
    }

    /// Asks for all ports; says when to come again.
    async fn ask_for_all(&self, talk: &mut Talk) -> Duration {
        let mut given = Vec::new();
        let mut pause = PAUSE;
        for (transport, port) in &self.ports {
            let wish = Wish {
                transport: *transport,
                internal: *port,
                external: *port,
                lifetime: LIFETIME,
            };
            let Some(grant) = talk.ask(&wish).await else {
                continue;
            };
            let half = Duration::from_secs(u64::from(grant.lifetime) / 2).max(SHORTEST);
            pause = if given.is_empty() {
                half
            } else {
                pause.min(half)
            };
            given.push(Mapped {
                transport: grant.transport,
                internal: grant.internal,
                external: grant.external,
                ip: grant.ip,
                by: talk.by,
            });
        }
        if given.is_empty() {
            tracing::debug!(gateway = %talk.gateway.at, "the gateway gives no ports");
        }
        let mut mapped = self.mapped.lock();
        if *mapped != given {
            for port in &given {
                tracing::info!(?port, "the gateway gives a port");
            }
            *mapped = given;
        }
        pause
    }

    async fn give_back(&self, talk: &Talk) {
        let given = std::mem::take(&mut *self.mapped.lock());
        for port in given {
            let wish = Wish {
                transport: port.transport,
                internal: port.internal,
                external: 0,
                lifetime: 0,
            };
            let _ = talk.exchange(&talk.request(&wish), |_| Some(())).await;
        }
    }
}

impl Talk {
    fn request(&self, wish: &Wish) -> Vec<u8> {
        match self.by {
            By::NatPmp => port_mapping::nat_pmp(wish),
            By::Pcp => port_mapping::pcp(wish, self.gateway.own, self.nonce),
        }
    }

    /// Asks for a port by PCP, and by NAT-PMP where that is not known.
    async fn ask(&mut self, wish: &Wish) -> Option<Grant> {
        for _ in 0..2 {
            let (by, nonce) = (self.by, self.nonce);
            let read = |datagram: &[u8]| {
                let answer = match by {
                    By::NatPmp => read_nat_pmp(datagram),
                    By::Pcp => read_pcp(datagram, nonce),
                }?;
                match answer {
                    Answer::Granted(grant) => {
                        let ours =
                            grant.transport == wish.transport && grant.internal == wish.internal;
                        ours.then_some(answer)
                    }
                    Answer::Address(_) => None,
                    Answer::Refused(_) | Answer::WrongVersion => Some(answer),
                }
            };
            match self.exchange(&self.request(wish), read).await {
                Some(Answer::Granted(mut grant)) if grant.external != 0 && grant.lifetime > 0 => {
                    if by == By::NatPmp {
                        grant.ip = self.address().await;
                    }
                    return Some(grant);
                }
                Some(Answer::Refused(code)) => {
                    tracing::info!(gateway = %self.gateway.at, code, ?wish, "the gateway refuses a port");
                    return None;
                }
                // Who is silent to the one may know the other.
                _ => {
                    self.by = match by {
                        By::NatPmp => By::Pcp,
                        By::Pcp => By::NatPmp,
                    };
                }
            }
        }
        None
    }

    /// By NAT-PMP: the address that the world sees.
    async fn address(&self) -> Option<IpAddr> {
        let read = |datagram: &[u8]| match read_nat_pmp(datagram)? {
            Answer::Address(ip) => Some(Some(IpAddr::V4(ip)).filter(|ip| !ip.is_unspecified())),
            Answer::Refused(_) | Answer::WrongVersion => Some(None),
            Answer::Granted(_) => None,
        };
        self.exchange(&NAT_PMP_ADDRESS, read).await.flatten()
    }

    /// Sends a request until `read` makes something of an answer.
    async fn exchange<T>(&self, request: &[u8], read: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        let gateway = port_mapping::at(self.gateway.at);
        let mut buffer = [0; MOST_BYTES];
        for pause in WAITS {
            let until = Instant::now() + pause;
            let sent = timeout_at(until, self.socket.send_to(request, gateway)).await;
            if !matches!(sent, Ok(Ok(()))) {
                tokio::time::sleep_until(until).await;
                continue;
            }
            while let Ok(received) = timeout_at(until, self.socket.recv_from(&mut buffer)).await {
                match received {
                    Ok((len, from)) if from == gateway => {
                        if let Some(read) = read(buffer.get(..len).unwrap_or_default()) {
                            return Some(read);
                        }
                    }
                    Ok(_) => {}
                    // Nobody listens there; the system may say so at once.
                    Err(_) => tokio::time::sleep_until(until).await,
                }
            }
        }
        None
    }
}

/// Waits; true if it is the end.
async fn wait(span: Duration, stopped: &mut oneshot::Receiver<()>) -> bool {
    timeout(span, stopped).await.is_ok()
}

impl Network {
    /// The gateways of this network, by its default routes; none behind a proxy.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn gateways(&self) -> io::Result<Vec<Gateway>> {
        self.binder().gateways()
    }
}

#[cfg(test)]
mod tests;
