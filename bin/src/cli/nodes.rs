//! The flags of nodes of the overlay, and of those who look after them.

use std::net::{SocketAddr, SocketAddrV4};
use std::path::PathBuf;

use clap::Args;

use super::overlay::OverlayArgs;
use crate::units::{Rate, Size, Span};

/// How much is done for others at most.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Limits")]
#[expect(clippy::struct_field_names, reason = "they are the names of flags")]
pub(crate) struct CapArgs {
    /// Most circuits of others at a time; one that is relayed counts twice [default: 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) max_circuits: Option<u32>,
    /// Largest rate of what is carried for others, all of it together; 0 is no limit [default: unlimited]
    #[arg(long, value_name = "RATE")]
    pub(crate) max_rate: Option<Rate>,
    /// Carry so much for others, and nothing after that [default: unlimited]
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_bytes: Option<Size>,
}

/// How whoever runs a node hears of it.
#[derive(Args, Debug)]
#[command(next_help_heading = "Output")]
pub(crate) struct WatchArgs {
    /// How often to tell how it stands, where that has changed
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub(crate) every: Span,
    /// Print JSON lines instead of text
    #[arg(long)]
    pub(crate) json: bool,
    /// End when standard input does
    #[arg(long, hide = true)]
    pub(crate) until_stdin_ends: bool,
}

/// What `relay` and `exit` share.
#[derive(Args, Debug)]
pub(crate) struct NodeArgs {
    #[command(flatten)]
    pub(crate) overlay: OverlayArgs,
    #[command(flatten)]
    pub(crate) caps: CapArgs,
    /// Send what leaves the circuits of others to addresses of this machine and of private networks, and to no others: for test
    /// networks, which have a community of their own and are at loopback addresses, as those of `testnet`
    #[arg(
        long,
        help_heading = "Overlay",
        requires_all = ["overlay_listen", "overlay_community"]
    )]
    pub(crate) only_local: bool,
    /// Where the identity and the control socket are kept [default: $XDG_STATE_HOME/tribler-rs or ~/.local/state/tribler-rs]
    #[arg(long, value_name = "DIR", help_heading = "Storage")]
    pub(crate) state: Option<PathBuf>,
    /// Serve figures for Prometheus by HTTP at this address, such as 127.0.0.1:9464
    #[arg(long, value_name = "ADDR:PORT", value_parser = super::listen_address, help_heading = "Output")]
    pub(crate) metrics: Option<SocketAddr>,
    /// Print a unit file for systemd that runs this command with these flags, and do nothing else
    #[arg(long, help_heading = "Output")]
    pub(crate) print_unit: bool,
    #[command(flatten)]
    pub(crate) watch: WatchArgs,
}

#[derive(Args, Debug)]
#[command(
    override_usage = "tribler-rs relay [OPTIONS]",
    after_help = "Examples:\n  tribler-rs relay --max-rate 2MiB/s --max-bytes 100GiB\n  \
                  tribler-rs relay --print-unit | sudo tee /etc/systemd/system/tribler-relay.service"
)]
pub(crate) struct RelayArgs {
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

/// How the policy file is written.
const POLICY: &str = "What leaves: by UDP what looks like BitTorrent (uTP, DHT, UDP trackers), and by TCP GET requests to HTTP trackers, \
of whose answers only bencoded ones are passed on. Nothing goes to private or local addresses, to this node's own, nor to ports of \
mail, name services and remote terminals.

A line of the policy file takes away from that: it is a rule, `allow` or `deny`; perhaps `udp` or `http`, for that alone; an \
address, a block such as 198.51.100.0/24 or `any`; and perhaps a port or some (6881-6889); # begins a comment. The first rule that \
fits decides, and what none fits is let out. `deny http` sends no requests at all.";

#[derive(Args, Debug)]
#[command(
    override_usage = "tribler-rs exit [OPTIONS]",
    after_help = format!("{POLICY}\n\nExamples:\n  tribler-rs exit --policy exit.policy --max-rate 5MiB/s --metrics 127.0.0.1:9464\n  \
                  tribler-rs exit --print-unit | sudo tee /etc/systemd/system/tribler-exit.service")
)]
pub(crate) struct ExitArgs {
    /// Rules of what is let out, read at the start; see below
    #[arg(long, value_name = "FILE", help_heading = "Exit")]
    pub(crate) policy: Option<PathBuf>,
    /// Let packets of IPv8 out, too
    #[arg(long, help_heading = "Exit")]
    pub(crate) ipv8: bool,
    /// Largest rate of what leaves for one circuit; 0 is no limit [default: a quarter of --max-rate]
    #[arg(long, value_name = "RATE", help_heading = "Exit")]
    pub(crate) circuit_rate: Option<Rate>,
    /// Most HTTP requests a second that are sent for one circuit; 0 sends none at all
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=1000), help_heading = "Exit")]
    pub(crate) circuit_http: u32,
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

#[derive(Args, Debug)]
#[command(
    override_usage = "tribler-rs bootstrap-server [OPTIONS]",
    after_help = "Members name it by --overlay-bootstrap.\n\nExample:\n  \
                  tribler-rs bootstrap-server --overlay-listen 0.0.0.0:6421 --overlay-key server.key"
)]
pub(crate) struct BootstrapServerArgs {
    /// The address of the UDP socket, IPv4; port 0 takes any
    #[arg(
        long,
        visible_alias = "listen",
        value_name = "ADDR:PORT",
        default_value = "0.0.0.0:6421",
        help_heading = "Overlay"
    )]
    pub(crate) overlay_listen: SocketAddrV4,
    /// The server's identity; made on first use, mode 0600 [default: a new one each time]
    #[arg(long, value_name = "FILE", help_heading = "Overlay")]
    pub(crate) overlay_key: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) watch: WatchArgs,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Each running `download`, `seed`, `relay` and `exit` of this user with a part in the overlay is asked."
)]
pub(crate) struct CircuitsArgs {
    /// Ask those who were started with this --state [default: those who were started without]
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Ask this process only
    #[arg(long, value_name = "PID")]
    pub(crate) pid: Option<u32>,
    /// Print one JSON object for each process instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
#[command(
    override_usage = "tribler-rs testnet N [OPTIONS]",
    after_help = "Example:\n  tribler-rs testnet 20"
)]
pub(crate) struct TestnetArgs {
    /// How many processes: a bootstrap server, relays and exits
    #[arg(value_name = "N", value_parser = clap::value_parser!(u16).range(2..=200))]
    pub(crate) nodes: u16,
    /// How many of them are exits [default: a fifth]
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u16).range(1..=199))]
    pub(crate) exits: Option<u16>,
    /// Where the nodes keep their state [default: a temporary folder, which is removed at the end]
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Print JSON lines instead of text
    #[arg(long)]
    pub(crate) json: bool,
}
