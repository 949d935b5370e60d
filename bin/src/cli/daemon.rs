//! The flags of `daemon`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::transfer::Common;

#[derive(Args, Debug)]
#[command(
    override_usage = "tribler-rs daemon [OPTIONS]",
    after_help = "`tribler-rs ctl` talks to it; docs/daemon.md has the command channel.\n\nExamples:\n  \
                  tribler-rs daemon --output ~/Downloads --max-up 2MiB/s\n  \
                  tribler-rs daemon --output /srv/torrents --print-unit | sudo tee /etc/systemd/system/tribler.service"
)]
pub(crate) struct DaemonArgs {
    /// Where content goes, unless `ctl add --data` says otherwise [default: downloads in the folder of --state]
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
    /// Serve the REST API of Tribler by HTTP [default where no address follows: 127.0.0.1:8085]
    #[arg(long, value_name = "ADDR:PORT", value_parser = super::listen_address, num_args = 0..=1,
          default_missing_value = "127.0.0.1:8085", help_heading = "REST API")]
    pub(crate) api: Option<SocketAddr>,
    /// Ports behind that of --api that are tried where it is taken
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        requires = "api",
        help_heading = "REST API"
    )]
    pub(crate) api_port_tries: u16,
    /// What clients of the API have to know; an empty text lets in everybody. Other users can see the flag: better the variable or a file
    #[arg(
        long,
        value_name = "KEY",
        env = "CORE_API_KEY",
        hide_env_values = true,
        help_heading = "REST API"
    )]
    pub(crate) api_key: Option<String>,
    /// The file with the key, which is made where it is not there [default: api.key in the folder of --state]
    #[arg(
        long,
        value_name = "FILE",
        requires = "api",
        conflicts_with = "api_key",
        help_heading = "REST API"
    )]
    pub(crate) api_key_file: Option<PathBuf>,
    /// Have addresses that clients of the API name lead to this machine and its networks, too
    #[arg(long, requires = "api", help_heading = "REST API")]
    pub(crate) api_local_urls: bool,
    /// A name of this machine by which clients may ask the API, beside its addresses, localhost and its own name; repeatable
    #[arg(long, value_name = "NAME", requires = "api", help_heading = "REST API")]
    pub(crate) api_name: Vec<String>,
    /// Serve figures for Prometheus by HTTP, at /metrics [default where no address follows: 127.0.0.1:9464]
    #[arg(long, value_name = "ADDR:PORT", value_parser = super::listen_address, num_args = 0..=1,
          default_missing_value = "127.0.0.1:9464", help_heading = "Output")]
    pub(crate) metrics: Option<SocketAddr>,
    /// Print a unit file for systemd that runs this command with these flags, and do nothing else
    #[arg(long, help_heading = "Output")]
    pub(crate) print_unit: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}
