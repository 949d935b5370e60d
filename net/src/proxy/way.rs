//! A proxy, the network that leads to it, and what is known of it.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use protocol::proxy::socks5::{self, Bound, Command};
use protocol::proxy::{Destination, connect};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::fault::{Blame, of_connect, of_socks5, plain};
use super::{Kind, Proxy};
use crate::outlet::{Outage, Outlet};
use crate::{BoxFuture, BoxStream, Network, Pool, Task};

/// How long the proxy may take to be connected to and to let us in; less than peers are given.
const PATIENCE: Duration = Duration::from_secs(10);

/// A proxy that did what it was asked for so recently is not given up for one failure.
const RECENT: Duration = Duration::from_secs(10);

/// A proxy that did what it was asked for within this time refuses a destination, and not everything.
const TRUSTED: Duration = Duration::from_secs(60);

/// How long to wait before the proxy is looked at again; after each further failure twice as long.
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// The longest of these waits.
const LAST_LOOK: Duration = Duration::from_secs(15);

/// How often a proxy that refuses everything is asked for something.
const ASK_AGAIN: Duration = Duration::from_secs(3);

/// A proxy and the network that leads to it.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) proxy: Proxy,
    pub(super) network: Network,
    me: Weak<Self>,
    standing: Mutex<Standing>,
    /// Tells that an outage is over.
    pub(super) back: Notify,
}

/// What is known of a proxy.
#[derive(Debug, Default)]
struct Standing {
    fault: Option<Fault>,
    /// When it last did what it was asked for.
    good: Option<Instant>,
    /// Looks whether it is back.
    looking: Option<Task<()>>,
    /// Whether it carries datagrams, or why not.
    datagrams: Option<Result<(), Arc<str>>>,
}

/// Why a proxy is of no use.
#[derive(Debug)]
struct Fault {
    why: Arc<str>,
    /// Set where it lets us in and then refuses: when it was last asked.
    refused: Option<Instant>,
}

impl Way {
    pub(super) fn new(proxy: Proxy, network: Network) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            proxy,
            network,
            me: Weak::clone(me),
            standing: Mutex::default(),
            back: Notify::new(),
        })
    }

    /// Opens a stream through the proxy. One that is known to be of no use is left alone, and whatever is the proxy's own
    /// failure is `NetworkDown`.
    pub(super) async fn tunnel(&self, to: &Destination) -> io::Result<BoxStream> {
        self.may_ask()?;
        match self.proxy.kind {
            Kind::Http => {
                let mut stream = self.connect().await?;
                self.answered(self.ask_http(&mut stream, to).await)?;
                Ok(stream)
            }
            Kind::Socks5 => {
                let (mut stream, mut machine) = self.enter(Command::Connect, to).await?;
                self.answered(answer(&mut stream, &mut machine).await)?;
                Ok(stream)
            }
        }
    }

    /// Asks a SOCKS5 proxy to carry datagrams, whatever is known of it.
    pub(super) async fn associate(&self) -> io::Result<(BoxStream, Bound)> {
        let anywhere = Destination::Addr(SocketAddr::from(([0; 4], 0)));
        let (mut stream, mut machine) = self.enter(Command::UdpAssociate, &anywhere).await?;
        self.lets_in();
        let bound = answer(&mut stream, &mut machine)
            .await
            .map_err(Blame::into_inner);
        let outcome = bound.as_ref().map(|_| ());
        self.standing.lock().datagrams = Some(outcome.map_err(|error| plain(error).into()));
        Ok((stream, bound?))
    }

    /// A connection to the proxy.
    async fn connect(&self) -> io::Result<BoxStream> {
        self.entered(timeout(PATIENCE, self.reach()).await)
    }

    /// A connection to a SOCKS5 proxy that has let us in, and what remains to be asked.
    async fn enter(
        &self,
        command: Command,
        to: &Destination,
    ) -> io::Result<(BoxStream, socks5::Negotiation)> {
        let entering = async {
            let mut stream = self.reach().await?;
            let credentials = self.proxy.credentials.as_ref();
            let mut machine = socks5::Negotiation::new(command, to, credentials);
            while !machine.is_let_in() {
                step(&mut stream, &mut machine)
                    .await
                    .map_err(Blame::into_inner)?;
            }
            Ok((stream, machine))
        };
        self.entered(timeout(PATIENCE, entering).await)
    }

    async fn reach(&self) -> io::Result<BoxStream> {
        let addrs = self.network.lookup(&self.proxy.host, self.proxy.port).await;
        let addrs = addrs.map_err(|error| {
            let why = format!("it is not known where it is: {}", plain(&error));
            io::Error::new(error.kind(), why)
        })?;
        self.network.dial_any(&addrs).await
    }

    /// Asks an HTTP proxy for a stream.
    async fn ask_http(&self, stream: &mut BoxStream, to: &Destination) -> Result<(), Blame> {
        let credentials = self.proxy.credentials.as_ref();
        let mut machine = connect::Negotiation::new(to, credentials);
        stream
            .write_all(&machine.output())
            .await
            .map_err(Blame::Doubtful)?;
        let mut bytes = [0; 16];
        while machine.wants() > 0 {
            let len = read(stream, &mut bytes, machine.wants()).await?;
            let read = bytes.get(..len).unwrap_or_default();
            machine.handle(read).map_err(of_connect)?;
        }
        Ok(())
    }

    /// Whether the proxy may be asked for something now.
    fn may_ask(&self) -> io::Result<()> {
        let mut standing = self.standing.lock();
        let Some(fault) = &mut standing.fault else {
            return Ok(());
        };
        match &mut fault.refused {
            Some(asked) if asked.elapsed() >= ASK_AGAIN => {
                *asked = Instant::now();
                Ok(())
            }
            Some(_) => Err(self.down(&fault.why)),
            None => {
                let error = self.down(&fault.why);
                // Whose runtime the task was on may be gone.
                self.look_after(&mut standing);
                Err(error)
            }
        }
    }

    /// Has a task look whether the proxy is back.
    fn look_after(&self, standing: &mut Standing) {
        let looking = standing.looking.as_ref();
        if looking.is_none_or(Task::is_finished) {
            standing.looking = Some(Pool::current().spawn(look_again(Weak::clone(&self.me))));
        }
    }

    /// Notes whether the proxy could be entered.
    fn entered<T>(
        &self,
        outcome: Result<io::Result<T>, tokio::time::error::Elapsed>,
    ) -> io::Result<T> {
        let error = match outcome {
            Ok(Ok(entered)) => return Ok(entered),
            Ok(Err(error)) => error,
            Err(_) => io::ErrorKind::TimedOut.into(),
        };
        let gone = error.kind() == io::ErrorKind::ConnectionRefused;
        Err(self.failed(&error, gone))
    }

    /// Notes what the proxy answered.
    fn answered<T>(&self, outcome: Result<T, Blame>) -> io::Result<T> {
        match outcome {
            Ok(answer) => {
                self.works();
                Ok(answer)
            }
            Err(Blame::Destination(error)) => {
                self.works();
                Err(error)
            }
            Err(Blame::Doubtful(error)) if self.standing.lock().worked_within(TRUSTED) => {
                Err(error)
            }
            Err(Blame::Doubtful(error) | Blame::Proxy(error)) => {
                let why: Arc<str> = plain(&error).into();
                tracing::debug!(proxy = %self.proxy, %why, "the proxy refuses");
                self.standing.lock().fault = Some(Fault {
                    why: Arc::clone(&why),
                    refused: Some(Instant::now()),
                });
                Err(self.down(&why))
            }
        }
    }

    /// Notes that the proxy is of no use, and looks after it from now on; gives what is said to whoever wanted something.
    fn failed(&self, error: &io::Error, surely: bool) -> io::Error {
        let why: Arc<str> = plain(error).into();
        let mut standing = self.standing.lock();
        if surely || !standing.worked_within(RECENT) {
            tracing::debug!(proxy = %self.proxy, %why, "the proxy is of no use");
            standing.fault = Some(Fault {
                why: Arc::clone(&why),
                refused: None,
            });
            self.look_after(&mut standing);
        }
        self.down(&why)
    }

    /// Notes that the proxy does what it is asked for.
    fn works(&self) {
        let mut standing = self.standing.lock();
        standing.good = Some(Instant::now());
        if standing.fault.take().is_some() {
            self.back.notify_waiters();
        }
    }

    /// Notes that the proxy lets us in, whatever it may do then.
    fn lets_in(&self) {
        let mut standing = self.standing.lock();
        if standing
            .fault
            .take_if(|fault| fault.refused.is_none())
            .is_some()
        {
            self.back.notify_waiters();
        }
    }

    fn down(&self, why: &str) -> io::Error {
        let why = format!("proxy {}: {why}", self.at());
        io::Error::new(io::ErrorKind::NetworkDown, why)
    }

    /// Its host and port.
    fn at(&self) -> String {
        let Proxy { host, port, .. } = &self.proxy;
        if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        }
    }

    /// Whether there is an outage that looking again may end.
    fn is_out(&self) -> bool {
        let standing = self.standing.lock();
        let fault = standing.fault.as_ref();
        fault.is_some_and(|fault| fault.refused.is_none())
    }

    async fn try_to_enter(&self) {
        let nowhere = Destination::Addr(SocketAddr::from(([0; 4], 0)));
        let entered = match self.proxy.kind {
            Kind::Http => self.connect().await.is_ok(),
            Kind::Socks5 => self.enter(Command::Connect, &nowhere).await.is_ok(),
        };
        if entered {
            self.lets_in();
        }
    }
}

impl Standing {
    fn worked_within(&self, time: Duration) -> bool {
        self.good.is_some_and(|good| good.elapsed() < time)
    }
}

impl Outlet for Way {
    fn outage(&self) -> Option<Outage> {
        if let Some(nearer) = self.network.outage() {
            return Some(nearer);
        }
        let standing = self.standing.lock();
        let fault = standing.fault.as_ref()?;
        Some(Outage::Proxy {
            at: self.at().into(),
            why: Arc::clone(&fault.why),
        })
    }

    fn look(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.try_to_enter())
    }

    fn is_proxy(&self) -> bool {
        true
    }

    fn datagrams(&self) -> Option<Result<(), Arc<str>>> {
        match self.proxy.kind {
            Kind::Http => Some(Err("an HTTP proxy carries none".into())),
            Kind::Socks5 => self.standing.lock().datagrams.clone(),
        }
    }
}

/// Tries to enter the proxy until that works.
async fn look_again(way: Weak<Way>) {
    let mut pause = FIRST_LOOK;
    loop {
        sleep(pause).await;
        pause = (pause * 2).min(LAST_LOOK);
        let Some(way) = way.upgrade() else { return };
        if way.is_out() {
            way.try_to_enter().await;
        }
        if !way.is_out() {
            return;
        }
    }
}

/// Says what is due and hears a part of what the proxy says.
async fn step(
    stream: &mut BoxStream,
    machine: &mut socks5::Negotiation,
) -> Result<Option<Bound>, Blame> {
    let output = machine.output();
    if !output.is_empty() {
        stream.write_all(&output).await.map_err(Blame::Doubtful)?;
    }
    let mut bytes = [0; 262];
    let len = read(stream, &mut bytes, machine.wants()).await?;
    let read = bytes.get(..len).unwrap_or_default();
    machine.handle(read).map_err(of_socks5)
}

/// The answer of a proxy that has let us in.
async fn answer(stream: &mut BoxStream, machine: &mut socks5::Negotiation) -> Result<Bound, Blame> {
    loop {
        if let Some(bound) = step(stream, machine).await? {
            return Ok(bound);
        }
    }
}

/// Reads at least one byte and at most as many.
async fn read(stream: &mut BoxStream, buffer: &mut [u8], most: usize) -> Result<usize, Blame> {
    let most = most.min(buffer.len());
    let buffer = buffer.get_mut(..most).unwrap_or_default();
    let len = stream.read(buffer).await.map_err(Blame::Doubtful)?;
    if len == 0 {
        let why = "it closes the connection";
        let error = io::Error::new(io::ErrorKind::UnexpectedEof, why);
        return Err(Blame::Doubtful(error));
    }
    Ok(len)
}
