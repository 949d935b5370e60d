//! The part that a daemon takes in the overlay, as its API shows it.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::time::Duration;

use crate::daemon::Promise;

/// The part in the overlay, while there is one.
pub trait Part: Send + Sync {
    /// The circuits of others that go on from here.
    fn relayed(&self) -> Vec<Relayed>;

    /// The circuits of others that end here.
    fn endings(&self) -> Vec<Ending>;

    /// The swarms of hidden peers that were joined.
    fn swarms(&self) -> Vec<Swarm>;

    /// Those with whom circuits can be built.
    fn members(&self) -> Promise<'_, Vec<Member>>;

    /// Counts the seeders of a swarm of hidden peers, of which `name` is the name among these, or of a torrent; `None` without
    /// circuits of so many hops.
    fn count_seeders(&self, name: [u8; 20], hops: u8) -> Promise<'_, Option<u64>>;

    /// Tests how fast a circuit is.
    fn test(&self, what: Tested, how: SpeedTest) -> Promise<'_, Result<Speed, Untested>>;

    /// The communities that were joined.
    fn communities(&self) -> Promise<'_, Vec<Community>>;

    /// Counts the datagrams of a community, named by its id, from now on, or no more.
    fn measure(&self, community: [u8; 20], on: bool) -> Promise<'_, ()>;

    /// Everybody who has proven an identity.
    fn peers(&self) -> Promise<'_, Vec<KnownPeer>>;

    /// Asks whoever is at an address to build circuits with us.
    fn walk_to(&self, at: SocketAddrV4) -> Promise<'_, ()>;

    /// Asks a server for introductions where too few are known.
    fn add_bootstrap(&self, at: SocketAddrV4) -> Promise<'_, ()>;

    /// The node of the overlay's own DHT, that of a wire or the one that is preferred.
    fn dht(&self, wire: Option<Wire>) -> Option<Box<dyn Dht>>;
}

/// A node of the overlay's own DHT.
pub trait Dht: Send + Sync {
    /// What it knows; `None` when it has ended.
    fn status(&self) -> Promise<'_, Option<DhtStatus>>;

    /// Values that others keep here, each with its key: so many at most.
    fn stored(&self, most: usize) -> Promise<'_, Vec<([u8; 20], DhtValue)>>;

    /// Finds values.
    fn find(&self, key: [u8; 20]) -> Promise<'_, Result<(Vec<DhtValue>, DhtSearch), Unfound>>;

    /// Stores a value, with our signature or without.
    fn store(&self, key: [u8; 20], value: Vec<u8>, sign: bool) -> Promise<'_, Result<(), Unfound>>;

    /// Finds where the peer with a name is.
    fn connect(&self, mid: [u8; 20]) -> Promise<'_, Result<Vec<DhtPeer>, Unfound>>;

    /// Its buckets.
    fn buckets(&self) -> Promise<'_, Vec<Bucket>>;

    /// Looks into a bucket; false where there is none.
    fn refresh(&self, prefix: String) -> Promise<'_, Result<bool, Unfound>>;
}

/// Which of the two wires of the overlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// That of today.
    Today,
    /// That of Tribler 7.5.
    Tribler,
}

/// A circuit of somebody else's that goes on from here, or two that have met here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relayed {
    /// Its numbers on both links.
    pub ends: [u32; 2],
    /// Whether two circuits have met.
    pub is_rendezvous: bool,
    /// Bytes that went from the first link to the second, and back.
    pub bytes: [u64; 2],
    /// For how long there has been one.
    pub age: Duration,
}

/// A circuit of somebody else's that ends here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Its number on the link.
    pub id: u32,
    /// Whether something has left here.
    pub is_open: bool,
    /// Bytes that came from its originator, and that went back.
    pub bytes: [u64; 2],
    /// For how long there has been one.
    pub age: Duration,
    /// Whether its originator is introduced here, and whether it waits here to be met.
    pub hidden: [bool; 2],
}

/// A swarm of hidden peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swarm {
    /// Its name among them.
    pub name: [u8; 20],
    /// Seeders that are known.
    pub seeders: u64,
    /// Circuits that lead to peers, and those that are to.
    pub links: [u64; 2],
    /// Whether it is joined as a seeder.
    pub seeds: bool,
    /// How long ago seeders were looked for, where they were.
    pub looked: Option<Duration>,
    /// Bytes that went out and came in by circuits to peers.
    pub bytes: [u64; 2],
}

/// Somebody with whom circuits can be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Where.
    pub at: SocketAddrV4,
    /// The SHA-1 of its key.
    pub mid: [u8; 20],
    /// Whether its key can agree on secrets.
    pub is_compatible: bool,
    /// What it does for others, a bit each.
    pub flags: u16,
}

/// What is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tested {
    /// A circuit, by its number.
    Circuit(u32),
    /// A new one of so many hops.
    New(u8),
}

/// What a test sends and asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpeedTest {
    /// Bytes of each request.
    pub request: u16,
    /// Bytes of each answer.
    pub response: u16,
    /// For how long.
    pub time: Duration,
}

/// What a test has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Speed {
    /// Requests that were sent.
    pub sent: u64,
    /// Those of them that were answered.
    pub answered: u64,
    /// From the first request to the last answer.
    pub took: Duration,
    /// How long answers took, on average and in the median.
    pub round_trip: Option<[Duration; 2]>,
}

/// Why there is no test, in words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Untested {
    /// There is no such circuit.
    Unknown(String),
    /// It cannot be tested, or not now.
    Refused(String),
    /// None could be built.
    NotBuilt(String),
}

/// A community.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Community {
    /// What it is.
    pub name: &'static str,
    /// Its id.
    pub id: [u8; 20],
    /// Our public key.
    pub own: Vec<u8>,
    /// The count of its last message.
    pub global_time: u64,
    /// Its members that are known: where each is, and its public key.
    pub peers: Vec<(SocketAddrV4, [u8; 20], Vec<u8>)>,
    /// With more members than this nobody further is noted.
    pub max_peers: Option<u64>,
    /// Whether its members are none of other communities.
    pub is_isolated: bool,
    /// Our address as others see it, and in the local network.
    pub addrs: [SocketAddrV4; 2],
    /// How it looks for members, and how many are enough.
    pub strategies: Vec<(&'static str, i64)>,
    /// What was counted of it, by the numbers of messages, with their names.
    pub measured: BTreeMap<u8, (String, Measured)>,
}

/// The datagrams of one message: those that were sent, and those that were received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// How many.
    pub count: [u64; 2],
    /// Their bytes.
    pub bytes: [u64; 2],
    /// How long ago the first and the last one went.
    pub ago: [Option<(Duration, Duration)>; 2],
}

/// Somebody who has proven an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownPeer {
    /// The SHA-1 of its key.
    pub mid: [u8; 20],
    /// Where.
    pub at: SocketAddrV4,
    /// Its public key.
    pub key: Vec<u8>,
    /// The communities that it is in.
    pub services: Vec<[u8; 20]>,
}

/// What a node of the DHT knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DhtStatus {
    /// Its place.
    pub node_id: [u8; 20],
    /// The SHA-1 of its key.
    pub peer_id: [u8; 20],
    /// Nodes that it knows, and the buckets that they are in.
    pub nodes: u64,
    /// See `nodes`.
    pub buckets: u64,
    /// Keys of which it keeps values.
    pub keys: u64,
    /// Nodes at which it can store.
    pub tokens: u64,
    /// The names of peers of which it keeps where they are.
    pub peers: Vec<[u8; 20]>,
    /// Nodes that keep where it is.
    pub keepers: u64,
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DhtValue {
    /// What it holds.
    pub data: Vec<u8>,
    /// The public key of whose it is, where it is signed.
    pub signer: Option<Vec<u8>>,
}

/// A peer that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DhtPeer {
    /// Its public key.
    pub key: Vec<u8>,
    /// Where it is.
    pub at: SocketAddrV4,
}

/// How values were looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DhtSearch {
    /// Nodes that were asked, and those of them that have answered.
    pub asked: u64,
    /// See `asked`.
    pub answered: u64,
    /// Answers that named nodes, and those that had values.
    pub with_nodes: u64,
    /// See `with_nodes`.
    pub with_values: u64,
}

/// Why the DHT has not done what was asked, in words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfound {
    /// It cannot be.
    Wrong(String),
    /// No node has done it.
    Failed(String),
}

/// A bucket of nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The first bits of the ids of its nodes.
    pub prefix: String,
    /// How long ago it has changed, where it has.
    pub changed: Option<Duration>,
    /// Its nodes.
    pub nodes: Vec<BucketNode>,
}

/// A node of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketNode {
    /// Where.
    pub at: SocketAddrV4,
    /// The SHA-1 of its key.
    pub mid: [u8; 20],
    /// Its place.
    pub id: [u8; 20],
    /// Questions in a row that it has left unanswered.
    pub failed: u32,
    /// How long ago something of it came.
    pub heard: Option<Duration>,
    /// How far its place is from ours.
    pub distance: [u8; 20],
}
