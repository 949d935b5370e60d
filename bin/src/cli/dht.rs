//! The flags of `dht`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

use crate::units::Span;

#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  tribler-rs dht get-peers 0123456789abcdef0123456789abcdef01234567\n  \
                  tribler-rs dht put 'hello' --key my.key --salt greeting\n  tribler-rs dht crawl --count 1000 --json"
)]
pub(crate) struct DhtArgs {
    /// Whom to ask first, instead of the public hosts; repeatable [default on the loopback address: nobody]
    #[arg(
        long,
        visible_alias = "dht-bootstrap",
        value_name = "HOST:PORT",
        global = true,
        help_heading = "Network"
    )]
    pub(crate) bootstrap: Vec<String>,
    /// The address of the UDP socket; port 0 takes any [default: any port of all addresses]
    #[arg(
        long,
        value_name = "ADDR:PORT",
        value_parser = super::listen_address,
        global = true,
        help_heading = "Network"
    )]
    pub(crate) listen: Option<SocketAddr>,
    /// Where the routing table is kept from one run to the next [default: nowhere]
    #[arg(long, value_name = "DIR", global = true, help_heading = "Network")]
    pub(crate) state: Option<PathBuf>,
    /// How long to wait for the first nodes
    #[arg(
        long,
        value_name = "TIME",
        global = true,
        default_value = "20s",
        help_heading = "Network"
    )]
    pub(crate) patience: Span,
    /// Print JSON lines instead of text
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) what: DhtCommand,
}

/// What to do on the DHT.
#[derive(Debug, Subcommand)]
pub(crate) enum DhtCommand {
    /// Tell the nodes nearest to a torrent that this host has it
    Announce(AnnounceArgs),
    /// Collect info-hashes from nodes all over the network (BEP 51)
    Crawl(CrawlArgs),
    /// Find an item (BEP 44)
    Get(GetArgs),
    /// Find the peers of a torrent
    GetPeers(GetPeersArgs),
    /// Ask nodes whether they are there
    Ping(PingArgs),
    /// Sign which torrent is the newest version of another (BEP 46), and print the link that follows it
    Publish(PublishArgs),
    /// Store an item (BEP 44)
    Put(PutArgs),
    /// Ask the nodes on the way to a target for info-hashes (BEP 51)
    Sample(SampleArgs),
}

#[derive(Args, Debug)]
pub(crate) struct AnnounceArgs {
    /// The torrent: an info-hash, magnet link or .torrent file
    pub(crate) torrent: String,
    /// Where the peer listens [default: the port of the UDP socket]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
    /// The peer has everything (BEP 33)
    #[arg(long)]
    pub(crate) seed: bool,
}

#[derive(Args, Debug)]
pub(crate) struct CrawlArgs {
    /// End after so many info-hashes
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub(crate) count: usize,
    /// End after this time
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub(crate) time: Span,
}

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("item").args(["target", "key"]).required(true))]
pub(crate) struct GetArgs {
    /// Where an immutable item is: the SHA-1 of its value, in hex; or a magnet link that names a publisher's key (BEP 46)
    pub(crate) target: Option<String>,
    /// The owner of a mutable item: the public key in hex, or the key file of `dht put --key`
    #[arg(long, value_name = "HEX|FILE")]
    pub(crate) key: Option<String>,
    /// Tells several items of one owner apart
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) salt: String,
}

#[derive(Args, Debug)]
pub(crate) struct GetPeersArgs {
    /// The torrent: an info-hash, magnet link or .torrent file
    pub(crate) torrent: String,
    /// Also estimate how many seeds and others there are (BEP 33)
    #[arg(long)]
    pub(crate) scrape: bool,
    /// Leave out seeds (BEP 33)
    #[arg(long)]
    pub(crate) noseed: bool,
}

#[derive(Args, Debug)]
pub(crate) struct PingArgs {
    /// The nodes
    #[arg(required = true, value_name = "HOST:PORT")]
    pub(crate) node: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct PublishArgs {
    /// The newest version: an info-hash, magnet link or .torrent file
    pub(crate) torrent: String,
    /// The key that signs, in this file (made on first use)
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// Tells several torrents of one publisher apart
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) salt: String,
    /// The number of the version [default: the one after the newest that is found]
    #[arg(long, value_name = "N")]
    pub(crate) seq: Option<i64>,
    /// Stay, and store it again every hour, or else the network forgets it after two
    #[arg(long)]
    pub(crate) stay: bool,
}

#[derive(Args, Debug)]
pub(crate) struct PutArgs {
    /// What to store; `-` reads it from standard input
    pub(crate) value: String,
    /// The value is bencode already; otherwise it is stored as a string
    #[arg(long)]
    pub(crate) bencoded: bool,
    /// Store a mutable item, signed with the key in this file (made on first use)
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Tells several items of one owner apart
    #[arg(long, value_name = "TEXT", default_value = "", requires = "key")]
    pub(crate) salt: String,
    /// The version [default: the one after the newest that is found]
    #[arg(long, value_name = "N", requires = "key")]
    pub(crate) seq: Option<i64>,
    /// Only where this version is stored
    #[arg(long, value_name = "N", requires = "key")]
    pub(crate) cas: Option<i64>,
}

#[derive(Args, Debug)]
pub(crate) struct SampleArgs {
    /// In hex [default: a random one]
    pub(crate) target: Option<String>,
    /// Ask this node only
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) at: Option<String>,
}
