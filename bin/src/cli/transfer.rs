//! The flags of `download` and `seed`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use net::proxy::ProxyUrlError;
use net::{Bind, Proxy};
use protocol::web_seed::{Kind, WebSeed};

use super::overlay::{HopArgs, OverlayArgs};
use super::settings::SettingsArgs;
use crate::failure::Failure;
use crate::host_port::HostPort;
use crate::units::{Rate, Span};

/// How peers are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// TCP and nothing else.
    Tcp,
    /// uTP and nothing else.
    Utp,
    /// TCP, and uTP where that does not get through.
    Both,
}

/// Whether connections to peers are encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Encryption {
    /// Plain streams and nothing else.
    Off,
    /// Plain first, encrypted where the peer insists.
    Allow,
    /// Encrypted first, plain where the peer cannot.
    Prefer,
    /// Encrypted and nothing else.
    Require,
}

/// What is done about uTP, which yields to TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MixedMode {
    /// TCP leaves it the share of its peers.
    Proportional,
    /// Nothing.
    PreferTcp,
}

/// Which trackers of a torrent are announced to, besides the first that works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AnnounceToAll {
    /// The first of every tier that works.
    Tiers,
    /// Every one.
    Trackers,
}

/// How blocks are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Storage {
    /// Through a memory map.
    Map,
    /// By positioned writes.
    Pwrite,
}

/// Whether files get their full size on the disk at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Preallocate {
    /// Files grow as blocks come.
    Sparse,
    /// All space is taken at the start.
    Full,
}

/// A name server's address; port 53 where none is given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NameServer(pub(crate) SocketAddr);

impl std::str::FromStr for NameServer {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let with_port = text.parse().ok();
        let address = || net::resolve::ip_literal(text).map(|ip| SocketAddr::new(ip, 53));
        let server = with_port.or_else(address).map(Self);
        server
            .ok_or("write an IP address, and a port if it is not 53, such as 9.9.9.9 or [::1]:5353")
    }
}

/// What stands behind `--proxy`. A wrong one is told of later, without repeating it: it may hold a password.
#[derive(Clone, Debug)]
pub(crate) struct ProxyUrl(Result<Proxy, ProxyUrlError>);

impl ProxyUrl {
    /// One that is written right.
    pub(crate) const fn of(proxy: Proxy) -> Self {
        Self(Ok(proxy))
    }
}

impl std::str::FromStr for ProxyUrl {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.parse()))
    }
}

impl Common {
    /// The proxy that everything goes through, if there is one.
    ///
    /// # Errors
    /// [`Failure::Usage`] where it is written wrong, or cannot carry what is asked for.
    pub(crate) fn proxy(&self) -> Result<Option<&Proxy>, Failure> {
        let Some(ProxyUrl(proxy)) = &self.proxy else {
            return Ok(None);
        };
        let wrong = |why: &dyn std::fmt::Display| Failure::Usage(format!("--proxy: {why}"));
        let proxy = proxy.as_ref().map_err(|error| wrong(error))?;
        if !proxy.has_datagrams() && self.transport == Transport::Utp {
            return Err(wrong(
                &"an HTTP proxy carries no datagrams, so there is no uTP; use SOCKS5 or `--transport tcp`",
            ));
        }
        Ok(Some(proxy))
    }
}

impl Common {
    /// Through how many others everything goes.
    pub(crate) fn hops(&self) -> u8 {
        self.hops.hops.or(self.hops.kept).unwrap_or_default()
    }

    /// Settings of the network for which the command line has something, which stands in their place.
    pub(crate) fn network_keys(&self) -> Vec<&'static str> {
        let given = [
            self.bind.as_ref().map(|_| "network.bind"),
            self.listen.map(|_| "network.listen"),
            self.proxy.as_ref().map(|_| "network.proxy"),
        ];
        given.into_iter().flatten().collect()
    }

    /// What the engine is told of that: nothing where nothing is known, for then it may know.
    pub(crate) fn engine_hops(&self) -> Option<u8> {
        let kept = self.hops.kept.filter(|hops| *hops > 0);
        self.hops.hops.or(kept)
    }

    /// Refuses what contradicts `--hops`.
    ///
    /// # Errors
    /// [`Failure::Usage`] names the flag.
    pub(crate) fn check_hops(&self) -> Result<(), Failure> {
        if self.hops() == 0 {
            return Ok(());
        }
        let contradicts = [
            (
                self.proxy()?.is_some_and(|proxy| !proxy.has_datagrams()),
                "--proxy (or TRIBLER_PROXY): circuits begin by UDP, which an HTTP proxy does not carry; use SOCKS5",
            ),
            (
                self.transport == Transport::Tcp,
                "--transport tcp: circuits carry uTP, and no TCP",
            ),
        ];
        let found = contradicts.iter().find(|(given, _)| *given);
        found.map_or(Ok(()), |(_, why)| {
            Err(Failure::Usage(format!("--hops {} and {why}", self.hops())))
        })
    }
}

/// What `download` and `seed` share.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Peers")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(crate) struct Common {
    /// Where to listen; port 0 takes any [default: port 6881 of all addresses, or the next free one up to 6890]
    #[arg(long, value_name = "ADDR:PORT", value_parser = super::listen_address)]
    pub(crate) listen: Option<SocketAddr>,
    /// Every socket uses this address or network interface, or nothing runs; what is not there, or gone, is waited for
    #[arg(long, value_name = "IP_OR_INTERFACE")]
    pub(crate) bind: Option<Bind>,
    /// Ask this name server, from where `--bind` says; repeatable [default: the system's]
    #[arg(long, value_name = "IP[:PORT]")]
    pub(crate) dns: Vec<NameServer>,
    /// Everything goes through this proxy, or nowhere; what it cannot carry is left out [socks5://, http://]
    #[arg(
        long,
        value_name = "URL",
        env = "TRIBLER_PROXY",
        hide_env_values = true
    )]
    pub(crate) proxy: Option<ProxyUrl>,
    /// Talk to nobody on this list: P2P or DAT text, prefixes or ranges, perhaps gzipped; read again when it changes
    #[arg(long, value_name = "FILE")]
    pub(crate) ip_filter: Option<PathBuf>,
    /// Pass over lines of the list that are no ranges, instead of stopping
    #[arg(long, requires = "ip_filter")]
    pub(crate) skip_bad_lines: bool,
    /// Largest rate of downloading; 0 is no limit [default: unlimited]
    #[arg(
        long,
        value_name = "RATE",
        help_heading = "Limits",
        allow_negative_numbers = true
    )]
    pub(crate) max_down: Option<Rate>,
    /// Largest rate of uploading; 0 is no limit [default: unlimited]
    #[arg(
        long,
        value_name = "RATE",
        help_heading = "Limits",
        allow_negative_numbers = true
    )]
    pub(crate) max_up: Option<Rate>,
    /// The rates are not for peers of the local networks
    #[arg(long, help_heading = "Limits")]
    pub(crate) unlimited_lan: bool,
    /// Most peers connected at a time
    #[arg(long, value_name = "N", help_heading = "Limits", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) max_peers: Option<u32>,
    /// Ask no tracker
    #[arg(long)]
    pub(crate) no_trackers: bool,
    /// Announce to one tracker of each tier, or to every one, instead of the first that works; private torrents never do
    #[arg(
        long,
        value_enum,
        value_name = "tiers|trackers",
        hide_possible_values = true
    )]
    pub(crate) announce_to_all: Option<AnnounceToAll>,
    /// Tell trackers this port, where a router forwards it [default: the one that is listened on]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) announce_port: Option<u16>,
    /// Use no DHT
    #[arg(long)]
    pub(crate) no_dht: bool,
    /// Ask this node of the DHT first, instead of the public ones; repeatable [default on the loopback address: nobody]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) dht_bootstrap: Vec<HostPort>,
    /// Exchange no peers with peers
    #[arg(long)]
    pub(crate) no_pex: bool,
    /// Look for no peers in the local network
    #[arg(long)]
    pub(crate) no_lsd: bool,
    /// Fetch nothing from web seeds
    #[arg(long)]
    pub(crate) no_webseeds: bool,
    /// Ask the router for no port
    #[arg(long, visible_alias = "no-port-mapping")]
    pub(crate) no_portmap: bool,
    /// How to connect to peers: with both, uTP is tried where TCP does not get through
    #[arg(long, value_enum, value_name = "tcp|utp|both", hide_possible_values = true, default_value_t = Transport::Both)]
    pub(crate) transport: Transport,
    /// Where TCP and uTP are at work: whether TCP leaves peers by uTP their share, which they would not get otherwise [default: proportional]
    #[arg(
        long,
        value_enum,
        value_name = "proportional|prefer-tcp",
        hide_possible_values = true
    )]
    pub(crate) mixed_mode: Option<MixedMode>,
    /// Encryption of connections to peers: with allow, plain comes first, with prefer, encrypted [default: allow]
    #[arg(
        long,
        value_enum,
        value_name = "off|allow|prefer|require",
        hide_possible_values = true
    )]
    pub(crate) encryption: Option<Encryption>,
    /// How blocks are written [default: pwrite]
    #[arg(
        long,
        value_enum,
        value_name = "pwrite|map",
        help_heading = "Storage",
        hide_possible_values = true
    )]
    pub(crate) storage: Option<Storage>,
    /// Whether files get their full size on the disk at the start [default: sparse]
    #[arg(
        long,
        value_enum,
        value_name = "sparse|full",
        help_heading = "Storage",
        hide_possible_values = true
    )]
    pub(crate) preallocate: Option<Preallocate>,
    /// Where resume data and the DHT's table are kept [default: $XDG_STATE_HOME/tribler-rs or ~/.local/state/tribler-rs]
    #[arg(long, value_name = "DIR", help_heading = "Storage")]
    pub(crate) state: Option<PathBuf>,
    /// Print JSON lines instead of text
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    #[command(flatten)]
    pub(crate) hops: HopArgs,
    #[command(flatten)]
    pub(crate) overlay: OverlayArgs,
}

#[derive(Args, Debug)]
#[command(
    override_usage = "tribler-rs download SOURCE... [OPTIONS]",
    after_help = "Examples:\n  tribler-rs download debian.torrent -o ~/Downloads\n  \
                  tribler-rs download 'magnet:?xt=urn:btih:...' --max-down 4MiB/s --keep-seeding"
)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(crate) struct DownloadArgs {
    /// A .torrent file, magnet link, http(s) URL of a .torrent, info-hash, or `-` (standard input)
    #[arg(required = true)]
    pub(crate) source: Vec<String>,
    /// Where content goes
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub(crate) output: PathBuf,
    /// Write over files that are there already and hold nothing of the torrent
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Copy what lies in this folder already, under any name, after comparing it with the torrent's hashes; repeatable
    #[arg(long, value_name = "DIR")]
    pub(crate) reuse: Vec<PathBuf>,
    /// Copy what other torrents of this run have, after comparing it; without this they are only named
    #[arg(long)]
    pub(crate) reuse_local_data: bool,
    /// Which files, by number (0,3-7) or pattern ('*.mkv'); the rest is not written. Numbers are those that `info` lists and that
    /// `so=` of a link means: places in the torrent's list, in which padding between files takes places too
    #[arg(long, value_name = "FILES")]
    pub(crate) files: Vec<String>,
    /// Fetch from this web server too: the URL of the file, or of the folder that holds the torrent's name; repeatable
    #[arg(long, value_name = "URL", value_parser = web_seed)]
    pub(crate) web_seed: Vec<String>,
    /// In order, first and last pieces of each file first
    #[arg(long)]
    pub(crate) sequential: bool,
    /// Go on seeding after completion until Ctrl-C
    #[arg(long)]
    pub(crate) keep_seeding: bool,
    /// Go on seeding until this many times the size is uploaded
    #[arg(long, value_name = "RATIO", value_parser = ratio)]
    pub(crate) seed_ratio: Option<f64>,
    /// Go on seeding for this long after completion
    #[arg(long, value_name = "TIME")]
    pub(crate) seed_time: Option<Span>,
    /// Connect straight to this peer; repeatable
    #[arg(long, value_name = "HOST:PORT", help_heading = "Peers")]
    pub(crate) peer: Vec<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Args, Debug)]
#[command(override_usage = "tribler-rs seed TORRENT --data DIR [OPTIONS]")]
pub(crate) struct SeedArgs {
    /// The .torrent file, its http(s) URL, or `-`
    pub(crate) torrent: String,
    /// The folder that holds the torrent's top-level name
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Trust the data as it is, without hashing it first
    #[arg(long)]
    pub(crate) no_check: bool,
    /// Stop when this many times the size is uploaded
    #[arg(long, value_name = "RATIO", value_parser = ratio)]
    pub(crate) seed_ratio: Option<f64>,
    /// Stop after this long
    #[arg(long, value_name = "TIME")]
    pub(crate) seed_time: Option<Span>,
    /// Give out each piece about once, for the first seed of a swarm: every peer sees only a few pieces at a time
    #[arg(long)]
    pub(crate) super_seed: bool,
    /// Connect straight to this peer; repeatable
    #[arg(long, value_name = "HOST:PORT", help_heading = "Peers")]
    pub(crate) peer: Vec<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

fn web_seed(url: &str) -> Result<String, &'static str> {
    let known = WebSeed::new(Kind::GetRight, url);
    known
        .map(|_| url.to_owned())
        .ok_or("use a URL that begins with http:// or https://")
}

fn ratio(text: &str) -> Result<f64, &'static str> {
    match text.parse::<f64>() {
        Ok(ratio) if ratio.is_finite() && ratio >= 0.0 => Ok(ratio),
        _ => Err("use a number such as 1.5"),
    }
}
