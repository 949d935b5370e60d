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
    /// Where the REST API will be. This build has none yet: whoever asks there is told so
    #[arg(long, value_name = "ADDR:PORT", value_parser = super::listen_address)]
    pub(crate) api: Option<SocketAddr>,
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
