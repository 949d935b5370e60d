//! A tracker just large enough for the demonstration: HTTP announces of any torrent, nothing kept on disk.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use net::{BoxStream, Listener, Network, Pool, Task};
use protocol::id::{InfoHash, PeerId};
use protocol::tracker::http::server::{AnnounceQuery, parse_announce_query};
use protocol::tracker::http::{encode_announce, encode_failure};
use protocol::tracker::{AnnounceEvent, AnnounceReply, TrackerPeer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Largest head of a request; announces are a few hundred bytes.
const MAX_HEAD: usize = 8 * 1024;

/// How long a client may take with its request.
const PATIENCE: Duration = Duration::from_secs(5);

/// What clients are told to wait between announces.
const INTERVAL: Duration = Duration::from_secs(2);

/// A running tracker; ends when dropped.
#[derive(Debug)]
pub(super) struct Tracker {
    addr: SocketAddr,
    _serving: Task<()>,
}

/// The peers of all torrents.
#[derive(Debug, Default)]
struct Swarms(Mutex<BTreeMap<(InfoHash, SocketAddr), Member>>);

/// What is known of a peer.
#[derive(Clone, Copy, Debug)]
struct Member {
    peer_id: PeerId,
    complete: bool,
}

impl Tracker {
    /// Starts on any free port of the loopback address.
    ///
    /// # Errors
    /// Those of [`Network::listen`].
    pub(super) fn start(network: &Network, pool: &Pool) -> io::Result<Self> {
        let listener = {
            let _runtime = pool.handle().enter();
            network.listen(SocketAddr::from(([127, 0, 0, 1], 0)))?
        };
        Ok(Self {
            addr: listener.local_addr(),
            _serving: pool.spawn(serve(listener, pool.clone())),
        })
    }

    /// The announce URL.
    pub(super) fn url(&self) -> String {
        format!("http://{}/announce", self.addr)
    }
}

async fn serve(mut listener: Box<dyn Listener>, pool: Pool) {
    let swarms = Arc::new(Swarms::default());
    while let Ok((stream, from)) = listener.accept().await {
        let answer = answer(stream, from, Arc::clone(&swarms));
        // A client that breaks off is its own affair.
        pool.spawn(async move { drop(tokio::time::timeout(PATIENCE, answer).await) })
            .detach();
    }
}

/// Answers one request and closes.
async fn answer(mut stream: BoxStream, from: SocketAddr, swarms: Arc<Swarms>) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() > MAX_HEAD || stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let (status, body) = match target(&head).and_then(|target| target.strip_prefix("/announce")) {
        Some(rest) => ("200 OK", swarms.announce(rest.strip_prefix('?'), from)),
        None => ("404 Not Found", Vec::new()),
    };
    let length = body.len();
    let mut reply = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )
    .into_bytes();
    reply.extend(body);
    stream.write_all(&reply).await?;
    stream.shutdown().await
}

/// The path and query that a `GET` asks for.
fn target(head: &[u8]) -> Option<&str> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    (words.next() == Some("GET")).then(|| words.next())?
}

impl Swarms {
    /// Takes an announce in and writes the reply's body.
    fn announce(&self, query: Option<&str>, from: SocketAddr) -> Vec<u8> {
        let query = match parse_announce_query(query) {
            Ok(query) => query,
            Err(error) => return encode_failure(&error.to_string(), None),
        };
        let reply = self.take(&query, SocketAddr::new(from.ip(), query.announce.port));
        encode_announce(&reply, query.form())
    }

    fn take(&self, query: &AnnounceQuery, addr: SocketAddr) -> AnnounceReply {
        let announce = &query.announce;
        let torrent = announce.info_hash;
        let mut swarms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if announce.event == AnnounceEvent::Stopped {
            swarms.remove(&(torrent, addr));
        } else if addr.port() != 0 {
            let member = Member {
                peer_id: announce.peer_id,
                complete: announce.left == Some(0),
            };
            swarms.insert((torrent, addr), member);
        }
        let of_torrent = || swarms.iter().filter(|((hash, _), _)| *hash == torrent);
        let complete = of_torrent().filter(|(_, member)| member.complete).count() as u32;
        let others = of_torrent().filter(|((_, other), _)| *other != addr);
        AnnounceReply {
            interval: Some(INTERVAL),
            complete: Some(complete),
            incomplete: Some(of_torrent().count() as u32 - complete),
            peers: others
                .map(|((_, addr), member)| TrackerPeer {
                    addr: *addr,
                    peer_id: Some(member.peer_id),
                })
                .collect(),
            ..AnnounceReply::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use net::RealOptions;
    use net::http::{Client, HeaderValue, Request};
    use protocol::tracker::Announce;
    use protocol::tracker::http::{announce_url, parse_announce};

    async fn announce(
        tracker: &Tracker,
        port: u16,
        left: u64,
        event: AnnounceEvent,
    ) -> AnnounceReply {
        let mut announce = Announce::new(InfoHash([7; 20]), PeerId([port as u8; 20]), port);
        announce.left = Some(left);
        announce.event = event;
        let url = announce_url(&tracker.url(), &announce).unwrap();
        let agent = HeaderValue::from_static("test");
        let client = Client::new(Network::real(RealOptions::default()), agent);
        let reply = client
            .get(&Request::new(url.parse().unwrap()))
            .await
            .unwrap();
        assert_eq!(reply.status, 200);
        parse_announce(&reply.body).unwrap()
    }

    #[tokio::test]
    async fn peers_learn_of_each_other_and_leave() {
        let network = Network::real(RealOptions::default());
        let tracker = Tracker::start(&network, &Pool::current()).unwrap();
        let first = announce(&tracker, 1001, 0, AnnounceEvent::Started).await;
        assert!(first.peers.is_empty());
        let second = announce(&tracker, 1002, 5, AnnounceEvent::Started).await;
        let addrs: Vec<u16> = second.peers.iter().map(|peer| peer.addr.port()).collect();
        assert_eq!(addrs, [1001]);
        assert_eq!((second.complete, second.incomplete), (Some(1), Some(1)));
        announce(&tracker, 1001, 0, AnnounceEvent::Stopped).await;
        let again = announce(&tracker, 1002, 0, AnnounceEvent::Completed).await;
        assert!(again.peers.is_empty());
    }

    #[test]
    fn only_get_requests_have_a_target() {
        assert_eq!(
            target(b"GET /announce?a=b HTTP/1.1\r\n"),
            Some("/announce?a=b")
        );
        assert_eq!(target(b"POST /announce HTTP/1.1\r\n"), None);
        assert_eq!(target(b"GET\r\n"), None);
        assert_eq!(target(b"\xff\r\n"), None);
    }
}
