//! A tracker without anything around it, until it is ended: `serve ADDR:PORT [WORKERS]`, UDP and HTTP at one port.

use std::sync::Arc;

use tracker::access::Mode;
use tracker::http::{HttpLimits, HttpRules, HttpServer};
use tracker::swarms::SwarmOptions;
use tracker::udp::UdpServer;
use tracker::{Core, Policy};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let at = args.next().unwrap_or_else(|| "127.0.0.1:6969".to_owned());
    let workers = args.next().map_or(Ok(1), |count| count.parse())?;
    let core = Arc::new(Core::new(
        SwarmOptions::default(),
        Mode::default(),
        Policy::default(),
        None,
    ));
    let at = at.parse()?;
    let _udp = UdpServer::start(&core, at, workers)?;
    let (rules, limits) = (HttpRules::default(), HttpLimits::default());
    let _http = HttpServer::start(&core, at, workers, (rules, limits), None)?;
    loop {
        std::thread::park();
    }
}
