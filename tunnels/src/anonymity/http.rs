//! HTTP requests that exits send for us, dressed up as streams: what is written to one is a GET request, and what is read
//! from it the reply, after which it ends.
//!
//! Only the newer dialect has them, and only for trackers: exits pass on nothing but what trackers answer. A stream to a
//! server that wants TLS is refused when the first byte is written, for the exit would have to read along.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use net::{ByteStream, Pool, Task};
use overlay::wire::Address;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::lanes::{Lane, Lanes};
use crate::{CircuitId, Dialect, Flags, Hop, Purpose, State, Tunnels};

/// The longest request: it has to fit into one cell.
const MAX_REQUEST: usize = 1200;

/// The most parts of a reply, of 1400 bytes each.
const MAX_PARTS: u16 = 512;

/// Replies that are waited for at once.
const MAX_WAITING: usize = 64;

/// How long a reply may take before another circuit is tried: an exit gives servers 5 s.
const REPLY: Duration = Duration::from_secs(7);

/// Circuits that are tried.
const TRIES: usize = 3;

/// How long is waited for a circuit to an exit that sends requests.
const CIRCUIT: Duration = Duration::from_secs(10);

/// How often it is looked whether there is one.
const LOOK: Duration = Duration::from_millis(100);

/// Replies that are waited for.
#[derive(Default)]
pub(super) struct Requests {
    waiting: Mutex<BTreeMap<u32, Waiting>>,
}

struct Waiting {
    circuit: CircuitId,
    parts: BTreeMap<u16, Vec<u8>>,
    reply: oneshot::Sender<Vec<u8>>,
}

impl Requests {
    /// Waits for a reply through a circuit; says under which number.
    fn expect(&self, circuit: CircuitId) -> Option<(u32, oneshot::Receiver<Vec<u8>>)> {
        let mut waiting = self.waiting.lock();
        waiting.retain(|_, waiting| !waiting.reply.is_closed());
        if waiting.len() >= MAX_WAITING {
            return None;
        }
        let mut number = rand::random();
        while waiting.contains_key(&number) {
            number = rand::random();
        }
        let (reply, taken) = oneshot::channel();
        let parts = BTreeMap::new();
        let expected = Waiting {
            circuit,
            parts,
            reply,
        };
        waiting.insert(number, expected);
        Some((number, taken))
    }

    /// A part of a reply has come.
    pub(super) fn part(
        &self,
        (circuit, number): (CircuitId, u32),
        (part, parts): (u16, u16),
        bytes: Vec<u8>,
    ) {
        let mut waiting = self.waiting.lock();
        let Some(reply) = waiting.get_mut(&number) else {
            return;
        };
        if reply.circuit != circuit || part >= parts || parts > MAX_PARTS {
            return;
        }
        reply.parts.entry(part).or_insert(bytes);
        if reply.parts.len() == usize::from(parts)
            && let Some(whole) = waiting.remove(&number)
        {
            let bytes: Vec<u8> = whole.parts.into_values().flatten().collect();
            let _ = whole.reply.send(bytes);
        }
    }
}

/// What requests go through.
#[derive(Clone)]
pub(super) struct Requester {
    lanes: Weak<Lanes>,
    requests: Arc<Requests>,
    pool: Pool,
}

impl Requester {
    pub(super) fn new(lanes: &Arc<Lanes>, requests: Arc<Requests>, pool: Pool) -> Self {
        Self {
            lanes: Arc::downgrade(lanes),
            requests,
            pool,
        }
    }

    /// A stream for one request.
    ///
    /// # Errors
    /// `Unsupported` where no exit is known that sends requests.
    pub(super) fn open(&self, lane: &Arc<Lane>, to: Address) -> io::Result<HttpStream> {
        let lanes = self.lanes.upgrade().ok_or(io::ErrorKind::NotConnected)?;
        let node = modern(&lanes).ok_or(NO_EXIT)?;
        exits(node).first().ok_or(NO_EXIT)?;
        Ok(HttpStream {
            requester: self.clone(),
            lane: Arc::clone(lane),
            to,
            stage: Stage::Asking(Vec::new()),
            reader: None,
        })
    }

    /// Has an exit send a request, and another one if no reply comes.
    async fn ask(self, hops: u8, to: Address, request: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut tried = BTreeSet::new();
        for _ in 0..TRIES {
            let circuit = self.circuit(hops, &to, &tried).await?;
            tried.insert(circuit);
            let expected = self.requests.expect(circuit);
            let (number, reply) = expected.ok_or(io::ErrorKind::ResourceBusy)?;
            {
                let lanes = self.lanes.upgrade().ok_or(io::ErrorKind::NotConnected)?;
                let node = modern(&lanes).ok_or(NO_EXIT)?;
                let ask =
                    node.with(|node, _| node.request_http(circuit, number, to.clone(), &request));
                if ask.is_err() {
                    continue;
                }
            }
            if let Ok(Ok(reply)) = timeout(REPLY, reply).await {
                return Ok(reply);
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    /// A circuit whose exit sends requests; one is built where there is none.
    async fn circuit(
        &self,
        hops: u8,
        to: &Address,
        tried: &BTreeSet<CircuitId>,
    ) -> io::Result<CircuitId> {
        let until = Instant::now() + CIRCUIT;
        let mut built = None;
        while Instant::now() < until {
            {
                let lanes = self.lanes.upgrade().ok_or(io::ErrorKind::NotConnected)?;
                let node = modern(&lanes).ok_or(NO_EXIT)?;
                if let Some(ready) = ready_circuit(node, hops, tried) {
                    node.keep(hops, to, ready);
                    return Ok(ready);
                }
                let gone = |id| node.with(|node, _| node.circuit(id).is_none());
                if built.is_none_or(gone) {
                    built = build(node, hops)?;
                }
            }
            sleep(LOOK).await;
        }
        Err(io::ErrorKind::NetworkUnreachable.into())
    }
}

const NO_EXIT: io::ErrorKind = io::ErrorKind::Unsupported;

fn modern(lanes: &Lanes) -> Option<&Tunnels> {
    let mut nodes = lanes.nodes().iter();
    nodes.find(|node| node.dialect() == Dialect::Modern)
}

/// The exits that send requests.
fn exits(node: &Tunnels) -> Vec<Hop> {
    node.with(|node, _| {
        let able = node.candidates().iter();
        let able = able.filter(|(_, known)| known.flags.contain(Flags::EXIT_HTTP));
        let hops = able.map(|(key, known)| Hop {
            key: key.clone(),
            addr: known.addr,
        });
        hops.collect()
    })
}

fn ready_circuit(node: &Tunnels, hops: u8, tried: &BTreeSet<CircuitId>) -> Option<CircuitId> {
    node.with(|node, _| {
        let mut circuits = node.circuits();
        let fits = circuits.find(|circuit| {
            let of_lane = circuit.purpose == Purpose::Data && circuit.goal == hops;
            let stands = circuit.state == State::Ready && circuit.unanswered.is_none();
            let exit = circuit.hops.last();
            let exit = exit.and_then(|key| node.candidates().get(key));
            let sends = exit.is_some_and(|exit| exit.flags.contain(Flags::EXIT_HTTP));
            of_lane && stands && sends && !tried.contains(&circuit.id)
        });
        fits.map(|circuit| circuit.id)
    })
}

/// Begins a circuit to an exit that sends requests.
fn build(node: &Tunnels, hops: u8) -> io::Result<Option<CircuitId>> {
    let mut exits = exits(node);
    if exits.is_empty() {
        return Err(NO_EXIT.into());
    }
    let exit = exits.swap_remove(rand::random_range(0..exits.len()));
    let begun = node.with(|node, now| node.create_circuit(now, Purpose::Data, hops, Some(exit)));
    Ok(begun.ok())
}

/// See the module.
pub(super) struct HttpStream {
    requester: Requester,
    lane: Arc<Lane>,
    to: Address,
    stage: Stage,
    /// Who waits for the reply before it was asked for.
    reader: Option<Waker>,
}

/// A reply to come, and the task that asks for it, which ends with this.
struct Reply {
    taken: oneshot::Receiver<io::Result<Vec<u8>>>,
    _task: Task<()>,
}

enum Stage {
    /// The request is being written.
    Asking(Vec<u8>),
    /// The reply is waited for.
    Waiting(Reply),
    /// So much of the reply has been read.
    Reading(Vec<u8>, usize),
}

impl HttpStream {
    fn send(&mut self, request: Vec<u8>) {
        let (done, taken) = oneshot::channel();
        let asked = self
            .requester
            .clone()
            .ask(self.lane.hops, self.to.clone(), request);
        let task = self.requester.pool.spawn(async move {
            let _ = done.send(asked.await);
        });
        self.stage = Stage::Waiting(Reply { taken, _task: task });
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

/// Whether these bytes may be the beginning of a request, or are one.
fn is_get(bytes: &[u8]) -> bool {
    const GET: &[u8] = b"GET ";
    let len = bytes.len().min(GET.len());
    bytes.get(..len) == GET.get(..len)
}

impl AsyncWrite for HttpStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Stage::Asking(request) = &mut self.stage else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        request.extend_from_slice(bytes);
        if !is_get(request) {
            let why = "circuits carry GET requests to HTTP trackers, and no other streams";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::Unsupported, why)));
        }
        if request.len() > MAX_REQUEST {
            let why = "the request is too long for a circuit";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidInput, why)));
        }
        if request.ends_with(b"\r\n\r\n") {
            let request = std::mem::take(request);
            self.send(request);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for HttpStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Stage::Waiting(reply) = &mut self.stage {
            let reply = ready!(Pin::new(&mut reply.taken).poll(cx));
            // After a failure there is nothing more to be read.
            self.stage = Stage::Reading(Vec::new(), 0);
            let reply = reply.map_err(|_| io::ErrorKind::NotConnected)??;
            self.stage = Stage::Reading(reply, 0);
        }
        match &mut self.stage {
            Stage::Reading(reply, read) => {
                let rest = reply.get(*read..).unwrap_or_default();
                let fits = rest.len().min(buf.remaining());
                buf.put_slice(rest.get(..fits).unwrap_or_default());
                *read += fits;
                Poll::Ready(Ok(()))
            }
            Stage::Asking(_) | Stage::Waiting(_) => {
                self.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl ByteStream for HttpStream {
    fn peer_addr(&self) -> SocketAddr {
        match &self.to {
            Address::Ip(addr) => *addr,
            Address::Host(_, port) => (Ipv4Addr::UNSPECIFIED, *port).into(),
        }
    }

    fn local_addr(&self) -> SocketAddr {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_whole_when_all_its_parts_have_come_by_its_circuit() {
        let requests = Requests::default();
        let (ours, other) = (CircuitId(1), CircuitId(2));
        let (number, mut reply) = requests.expect(ours).unwrap();
        requests.part((other, number), (0, 1), b"forged".to_vec());
        requests.part((ours, number), (2, 2), b"beyond".to_vec());
        requests.part((ours, number), (0, MAX_PARTS + 1), b"too many".to_vec());
        requests.part((ours, number), (1, 2), b"world".to_vec());
        requests.part((ours, number), (1, 2), b"again".to_vec());
        assert!(reply.try_recv().is_err());
        requests.part((ours, number), (0, 2), b"hello ".to_vec());
        assert_eq!(reply.try_recv().unwrap(), b"hello world");
        requests.part((ours, number), (0, 1), b"late".to_vec());
    }

    #[test]
    fn only_so_many_replies_are_waited_for_and_those_given_up_not_at_all() {
        let requests = Requests::default();
        let waiting: Vec<_> = (0..MAX_WAITING)
            .map(|_| requests.expect(CircuitId(1)).unwrap())
            .collect();
        assert!(requests.expect(CircuitId(1)).is_none());
        drop(waiting);
        assert!(requests.expect(CircuitId(1)).is_some());
    }

    #[tokio::test]
    async fn after_a_failure_a_stream_is_at_its_end() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let lanes = Arc::new(Lanes::new(Vec::new(), (1, 0)));
        let requests = Arc::<Requests>::default();
        let mut stream = HttpStream {
            requester: Requester::new(&lanes, requests, Pool::current()),
            lane: lanes.lane(1, false),
            to: Address::Host("tracker.example".to_owned(), 80),
            stage: Stage::Asking(Vec::new()),
            reader: None,
        };
        let request = b"GET / HTTP/1.1\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let failed = stream.read_u8().await.unwrap_err();
        assert_eq!(failed.kind(), NO_EXIT);
        let ended = stream.read_u8().await.unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn what_is_no_request_is_known_by_its_first_bytes() {
        assert!(is_get(b"") && is_get(b"GE") && is_get(b"GET / HTTP/1.1"));
        assert!(!is_get(b"\x16\x03\x01") && !is_get(b"POST /") && !is_get(b"GETS"));
    }
}
