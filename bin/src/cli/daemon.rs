//! The flags of `daemon`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::Args;
use engine::settings::OwnKey;

use super::transfer::Common;
use crate::failure::Failure;

/// Where the API is, unless something else is said.
pub(crate) const USUAL_API: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8085);

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
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "REST API")]
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
        conflicts_with = "api_key",
        help_heading = "REST API"
    )]
    pub(crate) api_key_file: Option<PathBuf>,
    /// Have addresses that clients of the API name lead to this machine and its networks, too
    #[arg(long, help_heading = "REST API")]
    pub(crate) api_local_urls: bool,
    /// A name of this machine by which clients may ask the API, beside its addresses, localhost and its own name; repeatable
    #[arg(long, value_name = "NAME", help_heading = "REST API")]
    pub(crate) api_name: Vec<String>,
    /// Serve figures for Prometheus by HTTP, at /metrics [default where no address follows: 127.0.0.1:9464]
    #[arg(long, value_name = "ADDR:PORT", value_parser = super::listen_address, num_args = 0..=1,
          default_missing_value = "127.0.0.1:9464", help_heading = "Output")]
    pub(crate) metrics: Option<SocketAddr>,
    /// Print a unit file for systemd that runs this command with these flags, and do nothing else
    #[arg(long, help_heading = "Output")]
    pub(crate) print_unit: bool,
    /// Print the unit file of the socket that a unit of the same name is handed for the REST API, and do nothing else
    #[arg(long, help_heading = "Output")]
    pub(crate) print_socket: bool,
    /// What the file of settings says in place of flags.
    #[arg(skip)]
    pub(crate) of_file: Vec<OwnKey>,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl DaemonArgs {
    /// Refuses what is about the API where there is none.
    ///
    /// # Errors
    /// [`Failure::Usage`] names the flag.
    pub(crate) fn check_api(&self) -> Result<(), Failure> {
        let about = [
            ("--api-port-tries", self.api_port_tries > 0),
            ("--api-key-file", self.api_key_file.is_some()),
            ("--api-local-urls", self.api_local_urls),
            ("--api-name", !self.api_name.is_empty()),
        ];
        let found = about.iter().find(|(_, given)| *given);
        found.map_or(Ok(()), |(flag, _)| {
            let why = format!("{flag}: there is no API without --api");
            Err(Failure::Usage(why))
        })
    }
}
