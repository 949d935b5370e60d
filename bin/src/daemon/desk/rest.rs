//! The desk as the REST API sees it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use api::{Circuit, Daemon, Follow, Made, Make, News, OverlayFigures, Part, Promise};
use control::{Ask, Code, Refusal};
use engine::metrics::Exposition;
use engine::{DhtDoor, EngineHandle, Settings};
use net::Scope;
use net::http::{Guard, Policy, Url};
use protocol::id::InfoHash;
use protocol::magnet::Magnet;
use protocol::metainfo::Metainfo;
use serde_json::{Map, Value};
use tokio::sync::oneshot;
use tunnels::{CircuitStatus, Flags, Purpose, State};

use super::Desk;
use super::part::InOverlay;
use crate::commands::create::given;
use crate::daemon::bulletin::{self, Follower};
use crate::daemon::metadata::{self, AT_A_TIME, Outfit, PATIENCE};
use crate::failure::Failure;
use crate::metrics::{self, Source as _};
use crate::source;

/// What names begin with in the store of what the API has kept.
pub(super) const PREFIX: &str = "api.";

impl Daemon for Desk {
    fn engine(&self) -> &EngineHandle {
        &self.engine
    }

    fn ask(&self, ask: Ask) -> Promise<'_, Result<Value, Refusal>> {
        Box::pin(self.answer(ask))
    }

    fn follow(&self) -> Box<dyn Follow> {
        Box::new(Listener(self.bulletin.follow(None)))
    }

    fn content_dir(&self) -> PathBuf {
        self.output.clone()
    }

    fn state_size(&self) -> u64 {
        std::fs::metadata(self.keeper.path()).map_or(0, |file| file.len())
    }

    fn overlay(&self) -> Option<OverlayFigures> {
        let ([sent, received], uptime) = self.circuits.traffic()?;
        Some(OverlayFigures {
            sent,
            received,
            uptime,
        })
    }

    fn circuits(&self) -> Vec<Circuit> {
        let own = self.circuits.reporter().map(|reporter| reporter.own());
        let now = Instant::now();
        let circuits = own
            .into_iter()
            .flatten()
            .map(|CircuitStatus { info, hops, .. }| {
                let ids = info.hops.iter().map(|key| key.mid().0);
                Circuit {
                    id: info.id.0,
                    purpose: match info.purpose {
                        Purpose::Data => "DATA",
                        Purpose::Test => "SPEED_TEST",
                        Purpose::Introduction => "IP_SEEDER",
                        Purpose::RendezvousSeeder => "RP_SEEDER",
                        Purpose::RendezvousDownloader => "RP_DOWNLOADER",
                    },
                    is_ready: info.state == State::Ready,
                    goal: info.goal,
                    hops: ids.zip(hops).collect(),
                    asked: info.asked.as_ref().map(|key| key.mid().0),
                    exit_flags: match info.purpose {
                        Purpose::Data => Flags::EXIT.0,
                        Purpose::Test => Flags::SPEED_TEST.0,
                        Purpose::Introduction
                        | Purpose::RendezvousSeeder
                        | Purpose::RendezvousDownloader => 0,
                    },
                    bytes: [info.sent, info.bytes - info.sent],
                    age: now.saturating_duration_since(info.born),
                }
            });
        circuits.collect()
    }

    fn part(&self) -> Option<Box<dyn Part>> {
        let part = InOverlay::new(self.circuits.anonymity()?, self.engine.clone());
        Some(Box::new(part))
    }

    fn fetch<'a>(
        &'a self,
        url: &'a str,
        hops: Option<u8>,
    ) -> Promise<'a, Result<Vec<u8>, Refusal>> {
        Box::pin(async move {
            let hops = hops.or(self.args.common.hops.hops);
            let network = self.way(hops).await?;
            let open = Arc::new(OpenNet::default());
            let policy: Arc<dyn Policy> = if self.args.api_local_urls {
                Arc::new(Guard::USER)
            } else {
                Arc::clone(&open) as Arc<dyn Policy>
            };
            let fetched = source::fetch(url, &network, policy).await;
            fetched.map_err(|failure| {
                if open.refused.load(Ordering::Relaxed) {
                    let why =
                        "this leads to no address of the open net; --api-local-urls allows others";
                    let url = source::without_login(url);
                    return Refusal::new(Code::Wrong, format!("{url}: {why}"));
                }
                Refusal::new(code_of(&failure), failure.to_string())
            })
        })
    }

    fn metadata(
        &self,
        link: Magnet,
        hops: Option<u8>,
    ) -> Promise<'_, Result<Arc<Metainfo>, Refusal>> {
        Box::pin(async move {
            let turn = Arc::clone(&self.looks).try_acquire_owned();
            let turn = turn.map_err(|_| {
                let why = format!("{AT_A_TIME} links are being looked up already: ask again later");
                Refusal::new(Code::Busy, why)
            })?;
            let hops = hops.or(self.args.common.hops.hops).unwrap_or_default();
            let outfit = self.outfit();
            let (told, found) = oneshot::channel();
            let sent = self.home.spawn(async move {
                // Whoever asked may be gone: it is looked for all the same, and its turn is not over.
                let _turn = turn;
                let _ = told.send(metadata::fetch(outfit, link, hops, PATIENCE).await);
            });
            let ended = || Refusal::new(Code::Stopped, "the daemon is ending");
            if !sent {
                return Err(ended());
            }
            let found = found.await.map_err(|_| ended())?;
            found.map_err(|why| Refusal::new(Code::Failed, why.to_string()))
        })
    }

    fn count_in_dht(&self, hash: InfoHash) -> Promise<'_, Result<[u64; 2], String>> {
        Box::pin(async move {
            if self.args.common.hops.hops.is_some_and(|hops| hops > 0) {
                let why = "what goes through circuits here unless said otherwise is not counted in the DHT";
                return Err(why.to_owned());
            }
            let dht = self
                .direct
                .dht()
                .filter(|_| self.engine.settings().dht.enabled);
            let dht = dht.ok_or_else(|| "there is no node of the DHT here".to_owned())?;
            let counted = dht.scrape(hash).await.map_err(|error| error.to_string())?;
            let counted = counted.ok_or_else(|| "no node of the DHT knows it".to_owned())?;
            // They are estimates: half a peer is none.
            Ok([counted.seeds, counted.leechers].map(|count| count.round() as u64))
        })
    }

    fn make(&self, of: Make) -> Promise<'_, Result<Made, Refusal>> {
        Box::pin(async move {
            let made = self.making.make(move |stop| given::make(&of, stop)).await;
            made.map_err(|failure| Refusal::new(code_of(&failure), failure.to_string()))
        })
    }

    fn log(&self, lines: usize) -> String {
        self.tail.last(lines)
    }

    fn is_profiling(&self) -> bool {
        self.profiler.is_running()
    }

    fn start_profiling(&self) -> Result<(), Refusal> {
        self.profiler.start()
    }

    fn stop_profiling(&self) -> Promise<'_, Result<PathBuf, Refusal>> {
        Box::pin(self.profiler.stop())
    }

    fn figures(&self) -> Promise<'_, String> {
        Box::pin(async {
            let source = metrics::Engine {
                engine: self.engine.clone(),
                circuits: self.circuits.clone(),
            };
            let mut page = Exposition::new("tribler");
            source.write(&mut page).await;
            page.finish()
        })
    }

    fn remembered(&self) -> Map<String, Value> {
        let all = self.of_api.all().into_iter();
        let all =
            all.filter_map(|(name, value)| Some((name, serde_json::from_slice(&value).ok()?)));
        all.collect()
    }

    fn remember(&self, values: Map<String, Value>) -> Promise<'_, Result<(), String>> {
        Box::pin(async move {
            let bytes = |value: Value| value.to_string().into_bytes();
            let changes = values.into_iter().map(|(name, value)| {
                let value = (!value.is_null()).then(|| bytes(value));
                (name, value)
            });
            self.of_api.keep(changes).await
        })
    }
}

impl Desk {
    /// What looks for metadata are made of.
    fn outfit(&self) -> Outfit {
        let dht = self.direct.dht();
        let look = LOOKS.fetch_add(1, Ordering::Relaxed);
        Outfit {
            network: self.direct.network(),
            pool: self.pool.clone(),
            dht: dht.map(|handle| DhtDoor { handle, port: None }),
            routes: Some(Arc::new(self.circuits.clone())),
            settings: Settings::clone(&self.engine.settings()),
            dir: self.place().join(format!("look-{look}")),
            local: self.args.api_local_urls,
            trackers: !self.args.common.no_trackers,
        }
    }
}

/// Looks that were begun in this process.
static LOOKS: AtomicU64 = AtomicU64::new(0);

/// What kind of refusal a failure is.
const fn code_of(failure: &Failure) -> Code {
    match failure {
        Failure::NotFound(_) => Code::NotFound,
        Failure::Usage(_) => Code::Wrong,
        Failure::Failed(_) | Failure::Told | Failure::Unreachable(_) | Failure::Anonymity(_) => {
            Code::Failed
        }
    }
}

/// Leads to the open net only: what clients of the API name may be what a page of the web has given them.
#[derive(Debug, Default)]
struct OpenNet {
    /// There was a server that has no other addresses than such as are not there.
    refused: AtomicBool,
}

impl Policy for OpenNet {
    fn admit(&self, _: &Url, _: Option<SocketAddr>, addresses: &mut Vec<SocketAddr>) {
        let any = !addresses.is_empty();
        addresses.retain(|addr| Scope::of(addr.ip()) == Some(Scope::Global));
        if any && addresses.is_empty() {
            self.refused.store(true, Ordering::Relaxed);
        }
    }

    fn may_log_in(&self, server: SocketAddr, sent_by: Option<SocketAddr>) -> bool {
        Guard::USER.may_log_in(server, sent_by)
    }
}

/// Somebody who follows the bulletin.
struct Listener(Follower);

impl Follow for Listener {
    fn next<'a>(&'a mut self, words: &'a [&'a str]) -> Promise<'a, News> {
        Box::pin(async move {
            loop {
                let told: Arc<bulletin::Told> = match self.0.next().await {
                    bulletin::News::Missed(count) => return News::Missed(count),
                    bulletin::News::Told(told) => told,
                };
                if words.contains(&told.word) {
                    let line = serde_json::from_slice(&told.line);
                    return News::Told(told.word, line.unwrap_or_default());
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_lead_to_the_open_net_only_by_whatever_name_and_whoever_sends_on() {
        let url: Url = "http://named.example/x.torrent".parse().unwrap();
        let addr = |ip: &str| SocketAddr::new(ip.parse().unwrap(), 80);
        let (open, near) = ("1.1.1.1", "192.168.1.1");
        for sent_by in [None, Some(addr(open)), Some(addr(near))] {
            for ip in [
                "127.0.0.1",
                "127.255.0.9",
                "0.0.0.0",
                "10.0.0.1",
                "172.16.0.1",
                near,
                "100.64.0.1",
                "169.254.169.254",
                "198.18.0.1",
                "224.0.0.1",
                "255.255.255.255",
                "::",
                "::1",
                "fe80::1",
                "fd00::1",
                "ff02::1",
                "::ffff:127.0.0.1",
                "::ffff:10.0.0.1",
                "64:ff9b::7f00:1",
                "64:ff9b:1::1",
                "2002:7f00:1::1",
                "2002:c0a8:101::1",
            ] {
                let policy = OpenNet::default();
                let mut addresses = vec![addr(ip)];
                policy.admit(&url, sent_by, &mut addresses);
                assert_eq!(addresses, [], "{ip}");
                assert!(policy.refused.load(Ordering::Relaxed), "{ip}");
                // A name that leads to both, as one does that is led elsewhere between two look-ups, leads to the open one.
                let both = OpenNet::default();
                let mut addresses = vec![addr(ip), addr(open)];
                both.admit(&url, sent_by, &mut addresses);
                assert_eq!(addresses, [addr(open)], "{ip}");
                assert!(!both.refused.load(Ordering::Relaxed), "{ip}");
            }
        }
    }
}
