//! The declaration of all keys.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use net::Bind;
use storage::{Preallocate, ReadMode, WriteMode};

use super::addresses::Addresses;
use super::hosts::Hosts;
use super::key::settings;
use super::names::{ClientName, Fingerprint};
use super::places::ProxyUrl;
use super::ports::PortRanges;
use super::value::Setting;
use super::{Group, Key};
use crate::classes::{AddressClasses, ClassList, KindClasses};
use crate::torrent::choker::{SeedMode, SlotsBy};
use crate::units::Size;
use crate::{AnnounceMode, Encryption, Limits, MixedMode, SeedingMode};

const S: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);

settings! {
    /// Connections to peers: how many, and how long they are waited for.
    connections: Connections {
        /// Connections of all torrents together. When it is lowered, those that bring least are closed until it holds.
        max: u32 = 500, 1..=1_000_000, "connections";
        /// Connections of one torrent, unless it has a number of its own.
        per_torrent: u32 = 100, 1..=1_000_000, "connections";
        /// Connections of one torrent with one public address, where several programs may be behind a router.
        per_host: u32 = 8, 1..=1000, "connections";
        /// Dials of one torrent that may be under way at the same time.
        half_open: u32 = 30, 1..=10_000, "dials";
        /// How long a dial may take before it is given up.
        connect_timeout: Duration = S * 15, S..=HOUR, "";
        /// How long handshakes may take, the one of the stream encryption included. Holds for connections that begin from then on.
        handshake_timeout: Duration = S * 15, S..=HOUR, "";
        /// How long a peer may send nothing at all before its connection is closed; others send something every two minutes.
        idle_timeout: Duration = S * 150, S * 5..=HOUR * 24, "";
        /// After how long connections by which neither side wants anything are closed, while others could have their places.
        useless_after: Duration = S * 300, S..=HOUR * 24, "";
        /// Whether connections to peers that want nothing are closed once we want nothing either.
        close_redundant: bool = true, (), "";
        /// Whether peers are dialled by TCP; circuits carry none. Holds for connections that begin from then on.
        outgoing_tcp: bool = true, (), "";
        /// Whether peers may connect by TCP. Holds for connections that begin from then on.
        incoming_tcp: bool = true, (), "";
        /// Whether peers are dialled by uTP; through circuits they always are. Holds for connections that begin from then on.
        outgoing_utp: bool = true, (), "";
        /// Whether peers may connect by uTP; through circuits they always may. Holds for connections that begin from then on.
        incoming_utp: bool = true, (), "";
        /// Whether torrents that have all that is wanted dial peers, or wait for peers to come.
        dial_when_done: bool = true, (), "";
        /// Whether peers at ports below 1024 are dialled, where other services are; those that the user names always are.
        low_ports: bool = true, (), "";
        /// Ports of peers that are never dialled, such as those of mail servers; peers that the user names always are.
        refused_ports: PortRanges = PortRanges::default(), (), "";
        /// How much of the connections of a torrent that is nearly full is given up at a time for others that are known: those that bring least.
        turnover: u32 = 4, 0..=100, "percent";
        /// From which part of its most connections on a torrent is nearly full.
        turnover_from: u32 = 90, 1..=100, "percent";
        /// How often a torrent that is nearly full gives up connections.
        turnover_every: Duration = S * 300, S * 10..=HOUR * 24, "";
    }
    /// Rates of all torrents together.
    limits: LimitSettings {
        /// From peers and web seeds to us.
        down: Option<u64> = None, (), "";
        /// From us to peers.
        up: Option<u64> = None, (), "";
        /// Whether limits, those of single torrents too, hold for peers of the local networks and of this machine as well.
        local: bool = true, (), "";
        /// Whether headers of packets, as they are estimated, count in limits as what they carry does: the line carries them, too.
        overhead: bool = false, (), "";
        /// Whether TCP, where somebody transfers by uTP, which yields to it, is limited to the share of its peers ("proportional") or never for uTP's sake ("prefer-tcp").
        mixed_mode: MixedMode = MixedMode::PeerProportional, (), "";
    }
    /// Peers in classes, with limits, shares and rights of their own: by their addresses, and by how they are connected. There always
    /// are the classes `global`, of those for whom the limits of the session and of torrents hold; `tcp`; and `local`.
    classes: ClassSettings {
        /// The classes: `down` and `up` limit all connections of a class together, beside all other limits; `down_priority` and `up_priority`, 1 to 6, say how many times the usual share its connections get where a limit makes them wait; with `free_slots` its peers are served beside the slots; `connections=200%` lets them in until there are twice as many connections as there may be.
        list: ClassList = ClassList::default(), (), "";
        /// The classes of ranges of addresses, in place of the usual ones, `none` for no class; of ranges that overlap the last one counts.
        addresses: AddressClasses = AddressClasses::default(), (), "";
        /// What classes connections by `tcp`, by `utp` and to web seeds (`web`) leave, which comes first, and come into, whatever their address.
        kinds: KindClasses = KindClasses::default(), (), "";
    }
    /// Whom each torrent serves.
    choking: Choking {
        /// Peers of one torrent that are served at the same time.
        slots: u32 = 8, 0..=100_000, "peers";
        /// Time between two decisions: shorter makes for connections that go on and off, longer is slow to answer.
        round_every: Duration = S * 10, S..=HOUR, "";
        /// How long a peer keeps the slot that goes round at random while we download.
        optimistic_every: Duration = S * 30, S..=HOUR, "";
        /// Who is served while we seed: everyone in turn ("round-robin"), or those to whom we send fastest ("fastest").
        seed_mode: SeedMode = SeedMode::RoundRobin, (), "";
        /// How long a peer is served while we seed and others wait for their turn.
        turn: Duration = S * 60, S..=HOUR, "";
        /// Slots of a torrent that go round at random while we download, so that newcomers get something to trade.
        optimistic: u32 = 1, 0..=1000, "peers";
        /// Whether a torrent has as many slots as `slots` says ("fixed"), or as many as the rates bear at which it sends ("rate"): the fastest peer must take more than `rate_step`, the second more than twice that, and so on, and there is always one more.
        slots_by: SlotsBy = SlotsBy::Number, (), "";
        /// What each further slot asks for more of the peer that it goes to, where `slots_by` is "rate".
        rate_step: Size = Size(1024), Size(1)..=Size(1 << 30), "";
    }
    /// What we say to peers and expect of them.
    peers: Peers {
        /// Whether peers tell each other of peers (BEP 11); private torrents never do. Connections that are there keep what they agreed on, and are told nothing more.
        exchange: bool = true, (), "";
        /// Whether peers behind routers are met with the help of others, and others helped (BEP 55), where there is uTP; never about private torrents.
        hole_punching: bool = true, (), "";
        /// Addresses that a torrent remembers. When it is lowered, no more are taken until there is room.
        known: u32 = 4000, 10..=100_000, "addresses";
        /// How long a peer may owe us blocks before others are asked for them.
        request_timeout: Duration = S * 30, S..=S * 600, "";
        /// How much of a peer's time is asked for in advance: a slow peer holds on to few blocks.
        queue_time: Duration = S * 3, S..=S * 60, "";
        /// Requests to one peer that are kept under way, if it takes so many.
        max_requests: u32 = 2000, 2..=4000, "requests";
        /// Requests that a peer may have waiting at us, as we tell it. Holds for connections that begin from then on.
        accept_requests: u32 = 2000, 16..=10_000, "requests";
        /// How long an address is left alone that refused us; twice as long where nobody answered, and twice as long after each further failure, up to an hour.
        retry_after: Duration = S * 15, S..=HOUR, "";
        /// Failures in a row after which an address is forgotten, unless the user named it; 0 for never.
        most_failures: u32 = 0, 0..=1000, "failures";
        /// Peers that are taken from one message of another peer (BEP 11).
        from_message: u32 = 50, 0..=50, "peers";
        /// Requests that a peer may send while it is not served before its connection is closed; those that crossed our word do not count. Holds for connections that begin from then on.
        choked_requests: u32 = 50, 1..=10_000, "requests";
    }
    /// Which pieces are fetched first, where neither priorities nor readers say so.
    picking: Picking {
        /// Pieces that are fetched at random before the rarest come first: common ones come soon, and give us something to trade.
        random_first: u32 = 4, 0..=1000, "pieces";
        /// Whether begun pieces are finished before others are begun, even if others are at work on them.
        begun_first: bool = false, (), "";
        /// Whether pieces are begun next to others that are under way, within 4 MiB, before rarer ones elsewhere: files grow in larger parts.
        neighbours: bool = false, (), "";
        /// Whether a torrent of which nearly all peers have everything is fetched in order: rarity says nothing then. It takes ten peers that have everything, and ten times as many of them as of others.
        in_order_of_many: bool = false, (), "";
    }
    /// What is taken from peers as the metadata of a magnet link.
    metadata: Metadata {
        /// Its size at most.
        most: Size = Size(30 << 20), Size(1)..=Size(30 << 20), "";
        /// Pieces that it may tell of.
        pieces: u32 = 2_097_152, 1..=2_097_152, "pieces";
        /// Values of its encoding, which take memory while it is read.
        values: u32 = 2_500_000, 1..=100_000_000, "values";
    }
    /// How many torrents run at a time, of those that the queue manages. The others wait, in the order of the queue.
    queue: QueueSettings {
        /// Torrents that download at a time; 0 is no limit.
        downloads: u32 = 0, 0..=1_000_000, "torrents";
        /// Torrents that are seeded at a time; 0 is no limit.
        seeds: u32 = 0, 0..=1_000_000, "torrents";
        /// Torrents that run at a time, whatever they do, slow ones too; 0 is no limit.
        active: u32 = 0, 0..=1_000_000, "torrents";
        /// Torrents whose files are checked at a time; 0 is no limit. Others wait for their turn.
        checking: u32 = 0, 0..=1_000_000, "torrents";
        /// Torrents that run and are announced in the DHT, the first of the queue; 0 is no limit.
        dht: u32 = 0, 0..=1_000_000, "torrents";
        /// Torrents that run and are announced to their trackers, the first of the queue; 0 is no limit.
        trackers: u32 = 0, 0..=1_000_000, "torrents";
        /// Torrents that run and are announced on the local networks, the first of the queue; 0 is no limit.
        local_discovery: u32 = 0, 0..=1_000_000, "torrents";
        /// Time between two looks at which torrents are slow and which seeds are needed. What is asked for is done at once.
        every: Duration = S * 30, S..=HOUR, "";
        /// Whether seeds go before downloads where `active` is not enough for both.
        seeds_first: bool = false, (), "";
        /// Whether torrents by which hardly anything moves take no place, but of `active`.
        slow_are_free: bool = true, (), "";
        /// What is hardly anything, of downloads.
        slow_down: Size = Size(2048), Size(0)..=Size(1 << 40), "a second";
        /// What is hardly anything, of seeds.
        slow_up: Size = Size(2048), Size(0)..=Size(1 << 40), "a second";
        /// How long that has to last, and how long a torrent that was started takes a place in any case.
        slow_after: Duration = S * 60, Duration::ZERO..=HOUR * 24, "";
        /// Whether a torrent that waits runs when a peer connects for it, until the next look.
        peers_start: bool = false, (), "";
        /// Bytes sent for each byte that came, from which on a seed goes behind those that have not given as much.
        goal_ratio: f64 = 2.0, 0.0..=1_000_000.0, "times";
        /// Time of seeding from which on a seed goes behind those that were not seeded for as long.
        goal_time: Duration = HOUR * 24, Duration::ZERO..=HOUR * 240_000, "";
        /// The same, but for each second of downloading.
        goal_time_ratio: f64 = 7.0, 0.0..=1_000_000.0, "times";
        /// Time between two questions to the trackers of a seed that waits, how large its swarm is; 0 for never.
        scrape_every: Duration = S * 1800, Duration::ZERO..=HOUR * 24, "";
        /// The least time between two such questions, about whichever torrent.
        scrape_apart: Duration = S * 300, S..=HOUR * 24, "";
    }
    /// How long torrents are served that have everything, and how much they give.
    seeding: Seeding {
        /// Until when a torrent is seeded of which nothing else is said: as long as it is there ("forever"), not at all ("never"), until so much of it went ("ratio") or for so long ("time"). Then it is paused.
        mode: SeedingMode = SeedingMode::Forever, (), "";
        /// Bytes sent for each byte of content, where that is the mode.
        ratio: f64 = 2.0, 0.0..=1_000_000.0, "times";
        /// How long torrents are seeded, where that is the mode.
        time: Duration = HOUR, Duration::ZERO..=HOUR * 240_000, "";
        /// Whether torrents that go through circuits and have everything are found by hidden peers; of those that are added from then on, and of which nothing else is said (`ctl set`).
        hidden: bool = true, (), "";
        /// How often a piece is to go out for each time that it comes, of torrents that share: only so many come.
        share_target: u32 = 3, 1..=1000, "times";
    }
    /// The direct way into the network, where the program opens it by the settings: the daemon, `download` and `seed` do. When a key is changed, what was open is closed first and nothing leaves by it any more; then the way is opened as is said, torrents and our node of the DHT go on by it, and circuits begin anew from there.
    network: NetworkSettings {
        /// Where peers connect, by TCP and uTP; the unspecified address of IPv6 stands for all addresses of both families; an empty text for where the program was told to listen. Behind a proxy nobody can connect.
        listen: Option<SocketAddr> = None, (), "";
        /// Further addresses of this machine where peers connect, at the same port. At each our node of the DHT is a node of its own, which finds and announces torrents there, too (BEP 45). `listen` names one address then, and not all of them.
        also_at: Addresses = Addresses::default(), (), "";
        /// How many ports after that one are tried where it is taken.
        port_tries: u32 = 9, 0..=1000, "ports";
        /// Whether any port will do where all of them are taken.
        any_port: bool = false, (), "";
        /// The address or the network interface that everything is bound to, or nothing leaves; an empty text for what the program was told.
        bind: Option<Bind> = None, (), "";
        /// Whether the router is asked for a port by UPnP, unless the program was told not to ask it.
        upnp: bool = true, (), "";
        /// Whether it is asked by PCP and NAT-PMP, unless the program was told not to ask it.
        nat_pmp: bool = true, (), "";
        /// For how long ports are asked for; they are asked for again in time.
        port_lease: Duration = HOUR * 2, S * 120..=HOUR * 24, "";
        /// The router to ask, where it is not the one of the default route; it must be in a local network. An empty text for that one.
        router: Option<IpAddr> = None, (), "";
        /// How long a first question by uTP waits for an answer; the next ones twice as long each.
        utp_connect_timeout: Duration = S, Duration::from_millis(100)..=S * 60, "";
        /// How often a question by uTP whether somebody is there is asked again.
        utp_connect_resends: u32 = 3, 0..=10, "times";
        /// How often data is sent again by uTP without a sign of life before a connection is given up.
        utp_data_resends: u32 = 6, 1..=30, "times";
        /// How often the end of a uTP connection is told again.
        utp_end_resends: u32 = 2, 0..=10, "times";
        /// The code point (DSCP, RFC 2474) that packets of the direct way are marked with, but not those of local discovery; 1 is "lower effort" (RFC 8622), 8 the older "background". Most networks ignore it; who looks sees which packets it is on.
        dscp: u32 = 0, 0..=63, "";
        /// What the system keeps for each socket of what has come; 0 has it fit that to the path by itself, which is best nearly everywhere.
        receive_buffer: Size = Size(0), Size(0)..=Size(1 << 30), "";
        /// What it keeps for each socket of what is sent and not acknowledged; 0 as well.
        send_buffer: Size = Size(0), Size(0)..=Size(1 << 30), "";
        /// The proxy that everything goes through, or nothing leaves: socks5:// or http://, with a user and a password where it wants them, which are kept and told as they are; an empty text for what the program was told.
        proxy: Option<ProxyUrl> = None, (), "";
    }
    /// Who we say we are, on the direct way alone.
    identity: Identity {
        /// The name and version that trackers, web servers and peers are told, of printable ASCII; an empty text for those of the program. Peers are told when connections begin.
        client: ClientName = ClientName::default(), (), "";
        /// What our peer ids begin with, at most 20 letters of ASCII; what is missing is drawn at random. An empty text for what is usual here. Holds for torrents that are started from then on.
        fingerprint: Fingerprint = Fingerprint::default(), (), "";
    }
    /// Encryption of connections to peers.
    encryption: Wires {
        /// Plain streams only ("off"), plain first and encrypted where the peer insists ("allow"), encrypted first ("prefer"), or encrypted by RC4 only ("require"). Holds for connections that begin from then on.
        peers: Encryption = Encryption::Allow, (), "";
    }
    /// How trackers are announced to.
    trackers: Trackers {
        /// To how many trackers of a torrent: to the first that works ("first"), to the first of each tier ("tiers"), or to every one ("trackers"). Private torrents always go by "first".
        mode: AnnounceMode = AnnounceMode::Strict, (), "";
        /// How long it is remembered where trackers and web servers are, for the system does not tell how long that is right.
        names_kept: Duration = S * 60, Duration::ZERO..=HOUR * 24, "";
        /// Peers to ask for.
        num_want: u32 = 100, 0..=1000, "peers";
        /// Requests that may be under way at the same time, to all trackers together.
        max_in_flight: u32 = 50, 1..=10_000, "requests";
        /// Requests that may be under way at the same time to one tracker (scheme, host and port).
        max_in_flight_per_host: u32 = 10, 1..=1000, "requests";
        /// The time between the starts of two requests to one tracker, on average; each gap is between half of it and one and a half. Farewells do not wait for it.
        spacing: Duration = Duration::from_millis(20), Duration::ZERO..=S * 60, "";
        /// How long an HTTP tracker may take to answer.
        timeout: Duration = S * 30, S..=S * 600, "";
        /// How long a UDP tracker may take to answer, with all repetitions of the question.
        udp_timeout: Duration = S * 45, S..=S * 600, "";
        /// The longest time that farewells may take when a torrent or the engine stops.
        farewell: Duration = S * 10, Duration::ZERO..=S * 600, "";
        /// Whether of a tracker that a tier names by HTTP and by UDP, at the same host, the latter is asked first. Holds for torrents that begin to announce from then on.
        prefer_udp: bool = true, (), "";
        /// Whether the IP filter holds for trackers, too.
        ip_filter: bool = true, (), "";
        /// Whether the hosts of trackers are asked by DNS which trackers they run, and these are asked in the order that they say (BEP 34): by UDP or HTTP, at which ports, or none. Nobody is asked for what goes through circuits or a proxy.
        dns_preferences: bool = true, (), "";
        /// A tracker that asks for announces more often than this is not heeded.
        least_interval: Duration = S * 60, S * 10..=HOUR, "";
        /// How long a tracker that failed is left alone by a torrent; twice as long after each further failure, up to half an hour.
        retry_after: Duration = S * 5, S..=S * 1800, "";
        /// The largest answer of a tracker that is read, packed or unpacked.
        max_reply: Size = Size(1 << 20), Size(1 << 10)..=Size(64 << 20), "";
        /// The port to tell trackers, where it is not the one that is listened on (a forwarded port).
        announce_port: Option<u16> = None, (), "";
        /// The address to tell trackers, where they would see a wrong one; few heed it.
        announce_ip: Option<IpAddr> = None, (), "";
    }
    /// Servers that have the content of torrents (BEP 17, BEP 19).
    web_seeds: WebSeedSettings {
        /// Those that a torrent works with at a time.
        at_work: u32 = 4, 0..=64, "servers";
        /// Connections to one of them at most.
        lanes: u32 = 4, 1..=4, "connections";
        /// How long one may send nothing in the middle of an answer.
        silence: Duration = S * 20, S..=S * 600, "";
        /// How long one that failed is left alone, unless it says how long itself; twice as long after each further failure, up to half an hour.
        retry_after: Duration = S * 10, S..=S * 1800, "";
        /// Bytes of the longest request.
        max_request: Size = Size(16 << 20), Size(128 << 10)..=Size(1 << 30), "";
    }
    /// What torrents do in the DHT.
    dht: Dht {
        /// Whether peers are sought in the DHT, and torrents announced there, never private ones. The node itself goes on; a route through circuits that is opened meanwhile has none.
        enabled: bool = true, (), "";
        /// Between two look-ups of a torrent that has peers enough; one that is short of them is looked up sooner.
        announce_every: Duration = S * 900, S * 60..=HOUR * 24, "";
        /// Look-ups that run at a time.
        at_once: u32 = 16, 1..=1000, "look-ups";
        /// Whether torrents that have trackers are looked up only when none of these answers.
        fallback_only: bool = false, (), "";
        /// Hosts that are asked when no node is known, each with its port, with commas between; an empty text for those that the program was started with. This and what follows is about our own node, of the direct way alone.
        bootstrap: Hosts = Hosts::default(), (), "";
        /// Whether the node leaves queries of others unanswered and says so (BEP 43).
        read_only: bool = false, (), "";
        /// Whether one node of each address and few of each network are taken into the table and into look-ups, so that nobody fills them alone. Nodes of test networks on one machine, which were started without that, stay without.
        restrict_networks: bool = true, (), "";
        /// Whether nodes whose ids their addresses may not have (BEP 42) are passed over, and told so; they count for less in any case.
        enforce_ids: bool = false, (), "";
        /// What the node may send before it answers no more queries of others.
        up: Option<u64> = None, (), "";
        /// Queries of one address that are answered.
        queries_each: u32 = 20, 1..=10_000, "a second";
        /// Queries that are answered in all.
        queries: u32 = 4000, 1..=1_000_000, "a second";
        /// Peers that are stored for others in all, each torrent at least one of them; when it is full, the torrent that has most gives one up. When it is lowered, those that are there stay until their time is over.
        stored_peers: u32 = 20_000, 1..=10_000_000, "peers";
        /// Peers that are stored of one torrent.
        stored_of_torrent: u32 = 1000, 1..=1_000_000, "peers";
        /// Items that are stored for others (BEP 44), of at most 1,000 bytes each.
        stored_items: u32 = 1000, 1..=1_000_000, "items";
        /// How long an item is stored that nobody stores again.
        item_lifetime: Duration = HOUR * 2, S * 60..=HOUR * 24 * 30, "";
        /// Peers in one answer, of those that fit in a datagram.
        answered_peers: u32 = 64, 1..=100, "peers";
        /// Info-hashes in one answer to who asks for some (BEP 51).
        samples: u32 = 20, 0..=20, "info-hashes";
        /// How long these are the same, and when to come again for others.
        sample_every: Duration = S * 60, S..=HOUR * 6, "";
        /// Queries of one look-up that are under way at once, those that are slow not counted.
        branching: u32 = 4, 1..=8, "queries";
        /// Failures in a row after which a node is forgotten, even if there is none to take its place.
        give_up_after: u32 = 4, 1..=100, "failures";
    }
    /// Peers on the local networks (BEP 14).
    local_discovery: LocalDiscovery {
        /// Whether torrents are named to the local networks and listened for there, never private ones. The groups are joined and left at once.
        enabled: bool = true, (), "";
        /// Between two announces of a torrent.
        announce_every: Duration = S * 300, S * 60..=HOUR * 24, "";
    }
    /// Content files.
    disk: Disk {
        /// How blocks are written: by positioned writes ("pwrite"), or through a map of a file that has its full size ("map"). Holds for torrents that open their files from then on.
        write: WriteMode = WriteMode::Pwrite, (), "";
        /// How content is read: through a map of its file ("map"), or by positioned reads, for network drives whose maps cannot be trusted ("pread"). Holds for torrents that open their files from then on.
        read: ReadMode = ReadMode::Map, (), "";
        /// Threads that hash and check; 0 for as many as the program begins with.
        threads: u32 = 0, 0..=256, "threads";
        /// Whether files grow as blocks come ("sparse"), or get all their room at the start ("full"). Holds for torrents that open their files from then on.
        preallocate: Preallocate = Preallocate::Sparse, (), "";
        /// Files that are open at a time.
        open_files: u32 = 256, 1..=1_000_000, "files";
        /// Bytes of files that are mapped at a time; what is served beyond that is copied. Where it is lowered, maps are let go of as others are made.
        mapped: Size = Size(512 << 20), Size(0)..=Size(1 << 50), "";
        /// How often progress is noted, so that it survives a crash. Verified pieces that are not noted are hashed again.
        save_every: Duration = S * 5, S..=HOUR, "";
        /// How often what a torrent has written is brought to the disk, so that a power cut takes nothing older; 0 to leave it to the system, which takes its time. It is looked once a second.
        sync_every: Duration = S * 2, Duration::ZERO..=HOUR, "";
        /// How long a torrent whose files could not be read or written stands still before it tries again; twice as long each time that comes to nothing, up to sixteen times.
        retry_after: Duration = S * 2, S..=HOUR, "";
        /// Room where torrents keep their content below which it is warned of; 0 for never.
        least_free: Size = Size(1 << 30), Size(0)..=Size(1 << 50), "";
        /// Room where torrents keep their content below which nothing more is fetched there, until there is more again; 0 to fetch until the disk is full. It is looked every five seconds. What is there is served meanwhile.
        keep_free: Size = Size(0), Size(0)..=Size(1 << 50), "";
    }
    /// What the process takes of the machine. The daemon looks after that; of room on disks see `disk`.
    resources: ResourceSettings {
        /// Whether it is looked at, and warned of what is short by the event `resource_short`.
        enabled: bool = true, (), "";
        /// How often.
        every: Duration = S * 5, S..=HOUR, "";
        /// Looks that are remembered.
        history: u32 = 120, 1..=100_000, "looks";
        /// How much of all cores may be used for a minute before it is warned of; 0 for never.
        cpu: u32 = 95, 0..=100, "percent";
        /// Memory that the process may have before it is warned of; 0 for never.
        memory: Size = Size(0), Size(0)..=Size(1 << 50), "";
        /// Memory that is left on the machine, or in the control group of the process, below which it is warned of; 0 for never.
        least_memory: Size = Size(64 << 20), Size(0)..=Size(1 << 50), "";
        /// How much of the files and connections that the system lets the process have may be open before it is warned of; 0 for never.
        open_files: u32 = 90, 0..=100, "percent";
        /// How much the system prefers the process to others: 5 as it was started, and each step less by one step of `nice`. Made greater again, it holds where the system allows that, and from the next start elsewhere.
        priority: u32 = 5, 0..=5, "";
    }
}

/// These rates, and otherwise the defaults.
impl From<Limits> for LimitSettings {
    fn from(rates: Limits) -> Self {
        Self {
            down: rates.down,
            up: rates.up,
            ..Self::default()
        }
    }
}
