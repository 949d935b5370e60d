//! Datagrams of a program (RFC 1928, "UDP ASSOCIATE").

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use protocol::proxy::Destination;
use protocol::proxy::datagram::{requested, wrap};
use protocol::proxy::server::reply;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use super::{Shared, count, fail, idle, is_same};
use crate::datagram::{Batch, Run};
use crate::{BoxFuture, BoxStream, DatagramSocket};

/// Names that are looked up at once for one program, each for one datagram that waits for it.
const LOOKUPS: usize = 16;

/// The longest datagram that waits for a name, in bytes: more than any message to a tracker or to a node of the DHT has.
const WAITING: usize = 2048;

/// How long the first datagrams of a program wait for a way out that is not there yet, and how often it is looked for one.
const COMING_UP: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_millis(50);

/// Failures to receive, one after the other, after which a socket is taken to be of no use any more.
const FAILURES: u32 = 64;

/// Reads of what a program says on its stream before its datagrams get their turn.
const NOISE: usize = 16;

/// Carries datagrams of a program until it closes its stream, or nothing moves any more.
pub(super) async fn associate(
    shared: &Shared,
    mut control: BoxStream,
    client: IpAddr,
    stated: &Destination,
) -> io::Result<()> {
    let opened = shared.outside.datagram((Ipv4Addr::UNSPECIFIED, 0).into());
    // Where the program has reached us, only it is to reach us by datagrams, too.
    let at = SocketAddr::new(control.local_addr().ip(), 0);
    let opened = opened.and_then(|far| Ok((shared.inside.datagram(at)?, far)));
    let (near, far) = match opened {
        Ok(sockets) => sockets,
        Err(error) => return fail(&mut control, error).await,
    };
    control.write_all(&reply(Ok(near.local_addr()))).await?;
    // What is sent while there is no way out is lost, and many programs wait long before they try again: what has come until there is one
    // waits in the socket.
    let up = async {
        while !far.is_up() {
            sleep(LOOK).await;
        }
    };
    tokio::select! {
        biased;
        () = closed(&mut control) => return Ok(()),
        _ = timeout(COMING_UP, up) => {}
    }
    let moved = AtomicU64::new(0);
    let association = Association {
        shared,
        client: Client::new(client, stated),
        near,
        far,
        lookups: FuturesUnordered::new(),
        failures: 0,
        moved: &moved,
    };
    tokio::select! {
        biased;
        () = association.carry(control) => {}
        () = idle(&moved, shared.options.idle) => {}
    }
    Ok(())
}

/// Whose datagrams are taken.
#[derive(Clone, Copy, Debug)]
struct Client {
    ip: IpAddr,
    /// Unknown until it has been stated, or the first datagram has come.
    port: Option<u16>,
}

impl Client {
    fn new(ip: IpAddr, stated: &Destination) -> Self {
        let port = match stated {
            Destination::Addr(at) if at.ip().is_unspecified() || is_same(at.ip(), ip) => at.port(),
            Destination::Addr(_) | Destination::Name(..) => 0,
        };
        Self {
            ip,
            port: Some(port).filter(|port| *port != 0),
        }
    }

    fn is(&self, from: SocketAddr) -> bool {
        is_same(self.ip, from.ip()) && self.port.is_none_or(|port| port == from.port())
    }

    fn addr(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.ip, self.port?))
    }
}

/// Addresses that were found for a datagram's name, and the datagram.
type Found = (Vec<SocketAddr>, Vec<u8>);

struct Association<'a> {
    shared: &'a Shared,
    client: Client,
    /// The program's side.
    near: Arc<dyn DatagramSocket>,
    far: Arc<dyn DatagramSocket>,
    lookups: FuturesUnordered<BoxFuture<'a, Found>>,
    failures: u32,
    moved: &'a AtomicU64,
}

impl Association<'_> {
    /// Runs until the program closes `control`.
    async fn carry(mut self, mut control: BoxStream) {
        let mut run = Run::default();
        while self.failures < FAILURES {
            if !poll_fn(|cx| self.poll(cx, &mut control, &mut run)).await {
                return;
            }
            // Whoever is flooded leaves the others their turn.
            yield_now().await;
        }
    }

    /// Waits for datagrams from either side, and passes them on; false when the program is gone.
    fn poll(&mut self, cx: &mut Context<'_>, control: &mut BoxStream, run: &mut Run) -> Poll<bool> {
        if is_closed(cx, control) {
            return Poll::Ready(false);
        }
        let shared = self.shared;
        let ready = shared.batches.lend(|batch| {
            let out = self.receive(cx, &Arc::clone(&self.near), batch);
            self.send_out(cx, batch, run);
            let back = self.receive(cx, &Arc::clone(&self.far), batch);
            self.give_back(batch, run);
            out || back
        });
        while let Poll::Ready(Some((found, datagram))) = self.lookups.poll_next_unpin(cx) {
            // The socket outside has one family.
            let v4 = found.into_iter().find(SocketAddr::is_ipv4);
            let sent = v4.is_some_and(|to| self.far.try_send_to(&datagram, to).is_ok());
            self.count_out(1, usize::from(sent));
        }
        if ready {
            Poll::Ready(true)
        } else {
            Poll::Pending
        }
    }

    /// Receives what there is; says whether there may be more.
    fn receive(
        &mut self,
        cx: &mut Context<'_>,
        socket: &Arc<dyn DatagramSocket>,
        batch: &mut Batch,
    ) -> bool {
        batch.clear();
        match socket.poll_recv_batch(cx, batch) {
            Poll::Ready(Ok(())) => {
                self.failures = 0;
                true
            }
            // Mostly about one remote host.
            Poll::Ready(Err(error)) => {
                tracing::trace!(%error, "a datagram of a program was not received");
                self.failures = self.failures.saturating_add(1);
                batch.clear();
                true
            }
            Poll::Pending => false,
        }
    }

    /// Sends on what the program has sent.
    fn send_out(&mut self, cx: &mut Context<'_>, batch: &Batch, run: &mut Run) {
        let (mut tried, mut sent) = (0, 0);
        for (datagram, from) in batch.iter() {
            tried += 1;
            let wanted = requested(datagram).filter(|_| self.client.is(from));
            let Some((to, payload)) = wanted else {
                continue;
            };
            self.client.port = Some(from.port());
            match to {
                Destination::Addr(to) => {
                    if !run.push(to, &[], payload) {
                        sent += run.send(&*self.far).unwrap_or(0);
                        run.push(to, &[], payload);
                    }
                }
                Destination::Name(name, port) => {
                    let (known, waits) = self.send_to_name(cx, (name.as_str(), port), payload);
                    sent += usize::from(known);
                    tried -= usize::from(waits);
                }
            }
        }
        sent += run.send(&*self.far).unwrap_or(0);
        self.count_out(tried, sent);
    }

    /// Sends a datagram to a name; says whether it went out, or waits.
    fn send_to_name(
        &self,
        cx: &mut Context<'_>,
        (host, port): (&str, u16),
        payload: &[u8],
    ) -> (bool, bool) {
        let outcome = self.far.poll_send_to_name(cx, payload, (host, port));
        let unsupported = |error: &io::Error| error.kind() == io::ErrorKind::Unsupported;
        match outcome {
            Poll::Ready(Ok(())) => (true, false),
            Poll::Ready(Err(error))
                if unsupported(&error)
                    && self.lookups.len() < LOOKUPS
                    && payload.len() <= WAITING =>
            {
                let (outside, host) = (self.shared.outside.clone(), host.to_owned());
                let datagram = payload.to_vec();
                self.lookups.push(Box::pin(async move {
                    let found = outside.lookup(&host, port).await;
                    (found.unwrap_or_default(), datagram)
                }));
                (false, true)
            }
            // What cannot be sent now is lost: datagrams are not kept for later.
            Poll::Ready(Err(_)) | Poll::Pending => (false, false),
        }
    }

    /// Gives the program what has come for it.
    fn give_back(&self, batch: &Batch, run: &mut Run) {
        let Some(client) = self.client.addr() else {
            return;
        };
        let (mut head, mut last, mut given) = (Vec::new(), None, 0);
        for (datagram, from) in batch.iter() {
            if last != Some(from) {
                head.clear();
                wrap(&Destination::Addr(from), &[], &mut head);
                last = Some(from);
            }
            if !run.push(client, &head, datagram) {
                given += run.send(&*self.near).unwrap_or(0);
                run.push(client, &head, datagram);
            }
        }
        given += run.send(&*self.near).unwrap_or(0);
        count(&self.shared.received, given);
        count(self.moved, given);
    }

    fn count_out(&self, tried: usize, sent: usize) {
        count(&self.shared.sent, sent);
        count(&self.shared.dropped, tried.saturating_sub(sent));
        count(self.moved, sent);
    }
}

/// Waits until the program has closed its stream.
async fn closed(control: &mut BoxStream) {
    poll_fn(|cx| {
        if is_closed(cx, control) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

/// Whether the program has closed its stream; what it says there means nothing.
fn is_closed(cx: &mut Context<'_>, control: &mut BoxStream) -> bool {
    let mut bytes = [0; 256];
    for _ in 0..NOISE {
        let mut buf = ReadBuf::new(&mut bytes);
        match Pin::new(&mut *control).poll_read(cx, &mut buf) {
            Poll::Ready(Ok(())) if !buf.filled().is_empty() => {}
            Poll::Ready(_) => return true,
            Poll::Pending => return false,
        }
    }
    cx.waker().wake_by_ref();
    false
}
