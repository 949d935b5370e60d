//! What the Supervisor tells of what lies between us and others: the DHT, the ways out, and the ports that the gateway gives.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dht::{DhtHandle, Sight};
use net::Task;
use net::port_map::{Mapped, Ports};
use tokio::time::{sleep, timeout};

use crate::event::hub::Hub;
use crate::{Category, Event};

use super::Supervisor;

/// How long nobody in the DHT may answer before that is told.
const SILENCE: Duration = Duration::from_secs(60);

/// How long after a node of the DHT has failed its sights are asked for again.
const AGAIN: Duration = Duration::from_secs(5);

/// What was told, and what looks for more.
#[derive(Debug, Default)]
pub(super) struct Outer {
    /// Tells what passes at our node of the DHT, as long as somebody wants to hear of it.
    sights: Option<Task<()>>,
    /// Waits for a node of the DHT that answers.
    ready: Option<Task<()>>,
    ports: Option<Ports>,
    mapped: Vec<Mapped>,
    /// Our port that was mapped last.
    port: Option<u16>,
    /// It was told that the gateway gives no port.
    unmapped: bool,
    /// Routes by which nothing leaves, as was told.
    down: BTreeMap<u8, Arc<str>>,
}

impl Supervisor {
    /// Waits for the DHT, where there is one.
    pub(super) fn await_dht(&mut self) {
        if let Some(dht) = self.dht() {
            let telling = tell_ready(dht, self.events.clone());
            self.outer.ready = Some(self.config.pool.spawn(telling));
        }
    }

    /// Looks after the ports that a gateway gives, from now on.
    pub(super) fn watch_ports(&mut self, ports: Ports) {
        self.outer.ports = Some(ports);
    }

    /// Looks what has changed; once a second.
    pub(super) fn look_outside(&mut self) {
        self.tell_networks();
        self.tell_ports();
        if !self.events.wants(Category::DhtQueries) {
            self.outer.sights = None;
        } else if self.outer.sights.is_none()
            && let Some(dht) = self.dht()
        {
            let telling = tell_sights(dht, self.events.clone());
            self.outer.sights = Some(self.config.pool.spawn(telling));
        }
    }

    fn tell_networks(&mut self) {
        let routes = self.routes.iter();
        let down = routes.filter_map(|route| {
            let reason: Arc<str> = route.reach.network.outage()?.to_string().into();
            Some((route.reach.hops, reason))
        });
        let down: BTreeMap<u8, Arc<str>> = down.collect();
        let before = std::mem::replace(&mut self.outer.down, down);
        for hops in before.keys() {
            if !self.outer.down.contains_key(hops) {
                self.event(&Event::NetworkUp { hops: *hops });
            }
        }
        for (hops, reason) in &self.outer.down {
            if !before.contains_key(hops) {
                self.event(&Event::NetworkDown {
                    hops: *hops,
                    reason: Arc::clone(reason),
                });
            }
        }
    }

    fn tell_ports(&mut self) {
        let Some(ports) = &self.outer.ports else {
            return;
        };
        let (now, refused) = (ports.now(), ports.is_refused());
        let before = std::mem::replace(&mut self.outer.mapped, now);
        for port in &self.outer.mapped {
            if !before.contains(port) {
                self.event(&Event::Mapped { port: *port });
                self.outer.port = Some(port.internal);
            }
        }
        let was_refused = std::mem::replace(&mut self.outer.unmapped, refused);
        if refused && !was_refused {
            let port = self.outer.port;
            self.event(&Event::MapFailed { port });
        }
    }
}

/// Tells when the DHT can be used, and if it cannot for long.
async fn tell_ready(dht: DhtHandle, events: Hub) {
    let failed = |why: &str| {
        let about = Category::Dht.and_errors();
        events.tell_of(about, || Event::DhtFailed { reason: why.into() });
    };
    let usable = if let Ok(usable) = timeout(SILENCE, dht.usable()).await {
        usable
    } else {
        failed("no node has answered yet");
        dht.usable().await
    };
    match usable {
        Ok(()) => events.tell_of(Category::Dht, || Event::DhtReady),
        Err(error) => failed(&error.to_string()),
    }
}

/// Tells what passes at our node, until it is stopped.
async fn tell_sights(dht: DhtHandle, events: Hub) {
    while let Ok(mut sights) = dht.watch().await {
        while let Some(sight) = sights.recv().await {
            let event = match sight {
                Sight::Announced {
                    from,
                    info_hash,
                    port,
                } => Event::DhtAnnounced {
                    from,
                    info_hash,
                    port,
                },
                Sight::Asked { from, info_hash } => Event::DhtAsked { from, info_hash },
                Sight::Asking { to, info_hash } => Event::DhtAsks { to, info_hash },
                _ => continue,
            };
            events.tell_of(Category::DhtQueries, || event);
        }
        sleep(AGAIN).await;
    }
}
