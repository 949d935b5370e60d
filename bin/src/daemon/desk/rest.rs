//! The desk as the REST API sees it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use api::{Daemon, Follow, News, OverlayFigures, Promise};
use control::{Ask, Code, Refusal};
use engine::EngineHandle;
use engine::metrics::Exposition;
use net::Scope;
use net::http::{Guard, Policy, Url};
use serde_json::{Map, Value};
use state::Batch;

use super::Desk;
use crate::daemon::bulletin::{self, Follower};
use crate::daemon::kept;
use crate::failure::Failure;
use crate::metrics::{self, Source as _};
use crate::source;

/// What names begin with in the store of what the API has kept.
const PREFIX: &str = "api.";

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

    fn fetch<'a>(
        &'a self,
        url: &'a str,
        hops: Option<u8>,
    ) -> Promise<'a, Result<Vec<u8>, Refusal>> {
        Box::pin(async move {
            let hops = hops.or(self.args.common.hops.hops);
            let network = self.way(hops).await?;
            let policy: Arc<dyn Policy> = if self.args.api_local_urls {
                Arc::new(Guard::USER)
            } else {
                Arc::new(OpenNet)
            };
            let fetched = source::fetch(url, &network, policy).await;
            fetched.map_err(|failure| {
                let code = if let Failure::NotFound(_) = failure {
                    Code::NotFound
                } else {
                    Code::Failed
                };
                Refusal::new(code, failure.to_string())
            })
        })
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
        let kept = self.keeper.with_store(state::Store::settings);
        let kept = kept.unwrap_or_default().into_iter();
        let kept = kept.filter_map(|(name, value)| {
            let name = name.strip_prefix(PREFIX)?.to_owned();
            Some((name, serde_json::from_slice(&value).ok()?))
        });
        kept.collect()
    }

    fn remember(&self, values: Map<String, Value>) -> Promise<'_, Result<(), String>> {
        Box::pin(async move {
            let mut batch = Batch::new();
            for (name, value) in values {
                let value = (!value.is_null()).then(|| value.to_string().into_bytes().into());
                batch.setting(&format!("{PREFIX}{name}"), value);
            }
            let offered = self.keeper.offer(batch);
            offered.map_err(|error| error.to_string())?;
            kept::on_disk(&self.keeper).await
        })
    }
}

/// Leads to the open net only: what clients of the API name may be what a page of the web has given them.
struct OpenNet;

impl Policy for OpenNet {
    fn admit(&self, _: &Url, _: Option<SocketAddr>, addresses: &mut Vec<SocketAddr>) {
        addresses.retain(|addr| Scope::of(addr.ip()) == Some(Scope::Global));
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
