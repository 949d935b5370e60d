//! Tells of the only way out, where there is only one: a proxy, or what everything is bound to.

use std::time::{Duration, Instant};

use net::{Network, Outage};

use super::Transfer;
use crate::cli::transfer::{Common, Transport};
use crate::failure::Failure;
use crate::json::Line;
use crate::screen::Style;

/// How often it is looked whether it is there.
pub(super) const LOOK: Duration = Duration::from_millis(500);

/// How long the first look may take before others get their turn.
const FIRST_LOOK: Duration = Duration::from_millis(500);

/// How long it is waited for the proxy to say whether it carries datagrams.
const DATAGRAMS: Duration = Duration::from_secs(3);

/// The only way out, and what was told of it.
#[derive(Debug)]
pub(crate) struct WayOut {
    network: Network,
    /// The proxy, as it is shown, until all was told of what does not go through it.
    proxy: Option<String>,
    /// That was told except for datagrams, of which it was not known.
    partly: bool,
    /// Whether somebody here wants datagrams.
    datagrams: bool,
    since: Instant,
    outage: Option<Outage>,
}

impl WayOut {
    /// The only way out of a network, where there is only one: that in which circuits begin, where all goes through those.
    ///
    /// # Errors
    /// As [`Common::proxy`].
    pub(crate) fn of(common: &Common, network: &Network) -> Result<Option<Self>, Failure> {
        let proxy = common.proxy()?;
        Ok(network.has_one_way_out().then(|| Self {
            network: network.clone(),
            proxy: proxy.map(ToString::to_string),
            partly: false,
            datagrams: common.transport != Transport::Tcp || !common.no_dht,
            since: Instant::now(),
            outage: None,
        }))
    }
}

impl Transfer {
    /// Says up front where there is no way out.
    pub(super) async fn look_for_outage(&mut self) -> Result<(), Failure> {
        let Some(way) = &self.way_out else {
            return Ok(());
        };
        let look = way.network.look_for_outage();
        // Where that takes longer, it is told later.
        let _ = tokio::time::timeout(FIRST_LOOK, look).await;
        self.tell_way_out()
    }

    /// Says when the way out goes and when it is back, and once what a proxy does not carry.
    pub(super) fn tell_way_out(&mut self) -> Result<(), Failure> {
        let Some(way) = &mut self.way_out else {
            return Ok(());
        };
        let outage = way.network.outage();
        if outage != way.outage {
            let was = std::mem::replace(&mut way.outage, outage.clone());
            let over = was.filter(|was| outage.as_ref().is_none_or(|is| !is.is_of(was)));
            let over = over.map(|was| was.over());
            let news = [
                over.map(|over| (true, over)),
                outage.map(|outage| (false, outage.to_string())),
            ];
            for (up, reason) in news.into_iter().flatten() {
                match self.screen.style() {
                    Style::Json => {
                        let reason = &reason;
                        self.screen.json(&Line::Network { up, reason })?;
                    }
                    Style::Bars | Style::Lines => {}
                }
                if up {
                    self.screen.say(reason)?;
                } else {
                    self.screen.warn("warning", reason);
                }
            }
        }
        self.tell_proxy()
    }

    /// Says what does not go through the proxy, once that is known: where it takes long, and again when all is known.
    fn tell_proxy(&mut self) -> Result<(), Failure> {
        let Some(way) = &mut self.way_out else {
            return Ok(());
        };
        let known = way.network.datagrams_pass();
        let unknown = way.datagrams && known.is_none();
        if unknown && (way.partly || way.since.elapsed() < DATAGRAMS) {
            return Ok(());
        }
        way.partly = unknown;
        let proxy = if unknown {
            way.proxy.clone()
        } else {
            way.proxy.take()
        };
        let Some(proxy) = proxy else {
            return Ok(());
        };
        if self.screen.style() == Style::Json {
            return self.screen.json(&Line::Proxy {
                proxy: &proxy,
                udp: known.as_ref().map(Result::is_ok),
                reason: known
                    .as_ref()
                    .and_then(|known| known.as_ref().err())
                    .map(AsRef::as_ref),
            });
        }
        let udp = match &known {
            Some(Ok(())) => "yes".to_owned(),
            Some(Err(why)) => format!("no ({why}), so no uTP, no DHT and no UDP trackers"),
            None if way.datagrams => "not known yet".to_owned(),
            None => "not needed".to_owned(),
        };
        self.screen.say(format_args!(
            "through {proxy}: no incoming connections, no local discovery, no port mapping; UDP: {udp}"
        ))
    }
}
