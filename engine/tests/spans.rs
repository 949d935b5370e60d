//! What an engine logs of a torrent stands in the span of that torrent, and of a connection in the span of that peer.

mod common;

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::Payload;
use common::sim::{Node, addr, config, ip, simulate};
use engine::Source;
use engine::settings::Patch;
use net::sim::{HostOptions, Sim};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

/// What was logged: where from, and the spans that it stands in, each with its fields, the innermost first.
#[derive(Debug, Default)]
struct Line {
    target: String,
    scope: Vec<(String, Fields)>,
}

#[derive(Clone, Debug, Default)]
struct Fields(BTreeMap<String, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = self.0.entry(field.name().to_owned()).or_default();
        let _infallible = write!(text, "{value:?}");
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<Line>>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let span = context.span(id).expect("it has just begun");
        span.extensions_mut().insert(fields);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let spans = context.event_scope(event).into_iter().flatten();
        let scope = spans.map(|span| {
            let fields = span.extensions().get::<Fields>().cloned();
            (span.name().to_owned(), fields.expect("all have some"))
        });
        let line = Line {
            target: event.metadata().target().to_owned(),
            scope: scope.collect(),
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(line);
    }
}

/// The lines of a module, each of which has to stand in a span of this name; the values of one of its fields.
fn of(lines: &[Line], module: &str, name: &str, field: &str) -> Vec<String> {
    let lines = lines.iter().filter(|line| line.target.starts_with(module));
    let values = lines.map(|line| {
        let span = line.scope.iter().find(|(is, _)| is == name);
        let (_, fields) = span.unwrap_or_else(|| panic!("not in a {name}: {line:?}"));
        fields.0.get(field).cloned().unwrap_or_default()
    });
    values.collect()
}

#[test]
fn what_is_logged_says_of_which_torrent_and_of_which_peer_it_is() {
    let lines = Lines::default();
    let logs = tracing_subscriber::registry().with(lines.clone());
    let _logs = tracing::subscriber::set_default(logs);
    let payloads = [1, 2, 3].map(|seed| Payload::new(seed, 300_000, 16 * 1024));
    simulate(async {
        let sim = Sim::new(1);
        let start = |number: u32| {
            let host = sim.host(HostOptions::at(ip(number)));
            let config = config(&host, number.into());
            Node::start(host, config)
        };
        let [seeder, leecher] = [1, 2].map(start);
        seeder.seed(&payloads[0]).await;
        let from_seeder = |payload: &Payload| {
            let source = Source::Metainfo(payload.metainfo());
            leecher.add_with(source, |add| add.peers = vec![addr(1)])
        };
        let one = from_seeder(&payloads[0]).await;
        assert!(leecher.finishes(one, Duration::from_secs(60)).await);
        // A folder is in the way of the next file.
        std::fs::remove_file(leecher.dir.path().join("payload")).expect("removed");
        std::fs::create_dir(leecher.dir.path().join("payload")).expect("made");
        from_seeder(&payloads[1]).await;
        // And now the seeder understands nothing that is said.
        for (node, peers) in [(&seeder, "off"), (&leecher, "require")] {
            let patch = Patch::new().with("encryption.peers", peers);
            node.handle.set_settings(patch).await.expect("settings");
        }
        let source = Source::Metainfo(payloads[2].metainfo());
        let elsewhere = leecher.dir.path().join("elsewhere");
        leecher
            .add_with(source, |add| {
                add.dir = elsewhere;
                add.peers = vec![addr(1)];
            })
            .await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        sim
    });
    let lines = lines.0.lock().unwrap_or_else(PoisonError::into_inner);
    let hashes = of(&lines, "engine::torrent", "torrent", "hash");
    for payload in &payloads[..2] {
        let hash = payload.metainfo().hashes().wire().to_string();
        assert!(hashes.contains(&hash), "nothing of {hash}: {hashes:?}");
    }
    let peers = of(&lines, "engine::peer", "peer", "addr");
    assert!(peers.contains(&addr(1).to_string()), "{peers:?}");
}
