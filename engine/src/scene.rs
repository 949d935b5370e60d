//! A stage for unit tests of whole engines: engines and played peers on a simulated network, in virtual time.

#[allow(dead_code, reason = "other tests use what is not used here")]
#[path = "../tests/common/payload.rs"]
mod payload;

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use net::sim::{Host, HostOptions, Sim};
use net::{BoxStream, Pool};
use protocol::id::PeerId;
use protocol::lsd::{Announcement, GROUP_V4};
use protocol::metainfo::Metainfo;
use protocol::peer::Extension;
use protocol::peer::handshake::{HANDSHAKE_LEN, Handshake, Reserved};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::LocalSet;
use tokio::time::timeout;

use self::payload::Payload;
use crate::peer::messages::Fact;
use crate::{
    AddTorrent, EngineConfig, EngineHandle, Source, State, Supervisor, TorrentId, TorrentStatus,
};

const PORT: u16 = 6881;

/// Virtual time that anything may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// A simulated world around one torrent.
pub(crate) struct Scene {
    pub(crate) sim: Sim,
    pub(crate) metainfo: Arc<Metainfo>,
    pub(crate) payload: Vec<u8>,
    seed: u64,
}

/// An engine of the scene.
pub(crate) struct Actor {
    pub(crate) supervisor: Addr<Supervisor>,
    pub(crate) handle: EngineHandle,
    pub(crate) id: TorrentId,
    pub(crate) dir: TempDir,
}

thread_local! {
    static TRIP: Cell<Option<u32>> = const { Cell::new(None) };
    static MOST_OUTPUT: Cell<usize> = const { Cell::new(0) };
    static TIMERS: Cell<usize> = const { Cell::new(0) };
}

/// A timer of a torrent has run out.
pub(crate) fn note_timer() {
    TIMERS.set(TIMERS.get() + 1);
}

/// How many timers of torrents have run out on this thread.
pub(crate) fn timers() -> usize {
    TIMERS.get()
}

/// Has the driver on this thread panic that next completes the piece with this index, before it tells of it.
pub(crate) fn trip_at(piece: u32) {
    TRIP.set(Some(piece));
}

/// Whether a driver is still to panic.
pub(crate) fn trip_is_set() -> bool {
    TRIP.get().is_some()
}

/// Called by drivers with what they are about to tell.
pub(crate) fn trip(facts: &[Fact]) {
    let full =
        |fact: &Fact| matches!(fact, Fact::PieceFull(piece) if Some(piece.get()) == TRIP.get());
    if facts.iter().any(full) {
        TRIP.set(None);
        panic!("as it was told to");
    }
}

/// Called by drivers with the bytes of control frames that wait to be sent.
pub(crate) fn note_output(bytes: usize) {
    MOST_OUTPUT.set(MOST_OUTPUT.get().max(bytes));
}

/// The most bytes of control frames that waited with a driver on this thread.
pub(crate) fn most_output() -> usize {
    MOST_OUTPUT.get()
}

/// Runs a test in virtual time.
pub(crate) fn play(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    LocalSet::new().block_on(&runtime, test);
}

pub(crate) fn addr(number: u32) -> SocketAddr {
    let ip: IpAddr = Ipv4Addr::from(0x0a01_0000 + number).into();
    (ip, PORT).into()
}

impl Scene {
    /// A world whose torrent has `len` bytes in pieces of `piece_len`.
    pub(crate) fn new(seed: u64, len: usize, piece_len: usize) -> Self {
        Self::of(seed, &Payload::new(seed, len, piece_len))
    }

    /// A world whose torrent is private (BEP 27).
    pub(crate) fn private(seed: u64, len: usize, piece_len: usize) -> Self {
        Self::of(seed, &Payload::private(seed, len, piece_len))
    }

    fn of(seed: u64, payload: &Payload) -> Self {
        Self {
            sim: Sim::new(seed),
            metainfo: payload.metainfo(),
            payload: payload.bytes().to_vec(),
            seed,
        }
    }

    /// A host without an engine, at [`addr`]`(number)`.
    pub(crate) fn host(&self, number: u32) -> Host {
        self.sim.host(HostOptions::at(addr(number).ip()))
    }

    /// An engine at [`addr`]`(number)`; with `whole` it has everything.
    pub(crate) async fn engine(&self, number: u32, whole: bool, peers: &[SocketAddr]) -> Actor {
        self.engine_with(number, whole, peers, |_| {}).await
    }

    /// An engine with other settings than the usual ones.
    pub(crate) async fn engine_with(
        &self,
        number: u32,
        whole: bool,
        peers: &[SocketAddr],
        change: impl FnOnce(&mut EngineConfig),
    ) -> Actor {
        let dir = TempDir::new().expect("a folder");
        let (supervisor, handle) = self.launch(number, change);
        let source = Source::Metainfo(Arc::clone(&self.metainfo));
        let mut add = AddTorrent::new(source, dir.path().into());
        add.peers = peers.to_vec();
        add.trust_data = whole;
        if whole {
            std::fs::write(dir.path().join("payload"), &self.payload).expect("written");
        }
        let id = handle.add(add).await.expect("added");
        Actor {
            supervisor,
            handle,
            id,
            dir,
        }
    }

    /// An engine without a torrent at [`addr`]`(number)`.
    pub(crate) fn launch(
        &self,
        number: u32,
        change: impl FnOnce(&mut EngineConfig),
    ) -> (Addr<Supervisor>, EngineHandle) {
        let network = self.host(number).network();
        let mut config = EngineConfig::new(network, Pool::current());
        config.listen = Some(SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)));
        config.disk_threads = 0;
        config.torrent_threads = 0;
        config.seed = Some(self.seed ^ u64::from(number) << 32);
        change(&mut config);
        Supervisor::launch(config).expect("an engine")
    }

    /// How often the torrent is named on the local network (BEP 14) within `span`, as a host hears it.
    pub(crate) async fn announcements(&self, host: &Host, span: Duration) -> usize {
        let sockets = host.network().multicast(GROUP_V4, None).expect("a group");
        let mut heard = 0;
        let listen = async {
            let mut buffer = [0; 2048];
            loop {
                let (len, _) = sockets[0].recv_from(&mut buffer).await.expect("open");
                let said = Announcement::parse(&buffer[..len]).expect("an announcement");
                heard += usize::from(said.hashes.contains(&self.metainfo.hashes().wire()));
            }
        };
        let ended: Result<(), _> = timeout(span, listen).await;
        assert!(ended.is_err());
        heard
    }

    /// Connects from a host to an engine and gives it the metadata, which must be one piece of BEP 9.
    pub(crate) async fn give_metadata(&self, from: &Host, to: SocketAddr) -> BoxStream {
        let mut stream = from.network().dial(to).await.expect("connected");
        let id = PeerId(*b"-XX0001-giveitaway00");
        self.greet_with(&mut stream, id, Reserved::EXTENSIONS).await;
        let info = self.metainfo.info_bytes();
        let hello = format!("d1:md11:ut_metadatai9ee13:metadata_sizei{}ee", info.len());
        say(&mut stream, &[&[20, 0], hello.as_bytes()].concat()).await;
        loop {
            let body = message(&mut stream).await.expect("open");
            if let [20, 9, ..] = body.as_slice() {
                break;
            }
        }
        let head = format!("d8:msg_typei1e5:piecei0e10:total_sizei{}ee", info.len());
        let number = Extension::Metadata.local_id();
        let answer = [&[20, number], head.as_bytes(), &info[..]].concat();
        say(&mut stream, &answer).await;
        stream
    }

    /// Connects from a host to an engine and shakes hands as `peer_id`, without any extension.
    pub(crate) async fn connect(&self, from: &Host, to: SocketAddr, peer_id: PeerId) -> BoxStream {
        let mut stream = from.network().dial(to).await.expect("connected");
        self.greet(&mut stream, peer_id).await;
        stream
    }

    /// Sends our handshake and takes the other's.
    pub(crate) async fn greet(&self, stream: &mut BoxStream, peer_id: PeerId) -> Handshake {
        self.greet_with(stream, peer_id, Reserved::default()).await
    }

    /// Sends our handshake.
    pub(crate) async fn say_hello(&self, stream: &mut BoxStream, peer_id: PeerId) {
        self.say_hello_with(stream, peer_id, Reserved::default())
            .await;
    }

    async fn say_hello_with(&self, stream: &mut BoxStream, peer_id: PeerId, reserved: Reserved) {
        let ours = Handshake {
            reserved,
            info_hash: self.metainfo.hashes().wire(),
            peer_id,
        };
        stream.write_all(&ours.encode()).await.expect("sent");
    }

    /// Sends our handshake, with what we can do, and takes the other's.
    pub(crate) async fn greet_with(
        &self,
        stream: &mut BoxStream,
        peer_id: PeerId,
        reserved: Reserved,
    ) -> Handshake {
        self.say_hello_with(stream, peer_id, reserved).await;
        let mut theirs = [0; HANDSHAKE_LEN];
        stream.read_exact(&mut theirs).await.expect("answered");
        Handshake::parse(&theirs).expect("a handshake")
    }
}

impl Actor {
    pub(crate) fn status(&self) -> Arc<TorrentStatus> {
        let snapshot = self.handle.snapshot();
        let status = snapshot.torrents.iter().find(|status| status.id == self.id);
        Arc::clone(status.expect("the torrent is there"))
    }

    /// Waits until the torrent's state is such.
    pub(crate) async fn until(&self, done: impl Fn(&TorrentStatus) -> bool) {
        let mut snapshots = self.handle.snapshots();
        let wait = snapshots.wait_for(|snapshot| {
            let mut torrents = snapshot.torrents.iter();
            torrents.any(|status| status.id == self.id && done(status))
        });
        let waited = timeout(PATIENCE, wait).await.is_ok();
        assert!(waited, "it is still at {:?}", self.status());
    }

    /// Waits until everything is there, and compares it.
    pub(crate) async fn completes(&self, scene: &Scene) {
        self.until(|status| status.state == State::Seeding).await;
        let got = std::fs::read(self.dir.path().join("payload")).expect("the content");
        assert!(got == scene.payload, "the content differs");
    }
}

/// Reads until the other side closes the connection.
pub(crate) async fn closed(stream: &mut BoxStream) {
    let mut buffer = [0; 4096];
    let end = async { while !matches!(stream.read(&mut buffer).await, Ok(0) | Err(_)) {} };
    let ended = timeout(PATIENCE, end).await.is_ok();
    assert!(ended, "the connection lives on");
}

/// Whether a connection is open and stays so for a minute.
pub(crate) async fn is_open(stream: &mut BoxStream) -> bool {
    let mut buffer = [0; 4096];
    let end = async { while !matches!(stream.read(&mut buffer).await, Ok(0) | Err(_)) {} };
    timeout(Duration::from_secs(60), end).await.is_err()
}

/// The next message, without its length: empty for a keep-alive, none at the end of the connection.
pub(crate) async fn message(stream: &mut BoxStream) -> Option<Vec<u8>> {
    let mut len = [0; 4];
    stream.read_exact(&mut len).await.ok()?;
    let mut body = vec![0; u32::from_be_bytes(len) as usize];
    stream.read_exact(&mut body).await.ok()?;
    Some(body)
}

/// Sends a message.
pub(crate) async fn say(stream: &mut BoxStream, body: &[u8]) {
    let mut frame = (body.len() as u32).to_be_bytes().to_vec();
    frame.extend_from_slice(body);
    stream.write_all(&frame).await.expect("sent");
}
