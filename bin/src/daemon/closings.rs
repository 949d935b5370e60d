//! Circuits of the daemon's own that are gone, among the events.

use engine::Category;
use serde_json::{Map, Value, json};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tunnels::{ClosedCircuit, Purpose};

use super::bulletin::Bulletin;
use crate::json::seconds;

/// The words of these events.
pub(crate) const WORDS: [&str; 1] = ["circuit_closed"];

/// Puts among the events which circuits are gone, for as long as there may be some.
pub(crate) async fn report(mut closings: Receiver<ClosedCircuit>, bulletin: Bulletin) {
    loop {
        match closings.recv().await {
            Ok(closed) => bulletin.tell((WORDS[0], Category::Status.into()), line(&closed)),
            Err(RecvError::Lagged(count)) => {
                tracing::debug!(count, "circuits that are gone are not told of");
            }
            Err(RecvError::Closed) => return,
        }
    }
}

fn line(closed: &ClosedCircuit) -> Map<String, Value> {
    let purpose = match closed.purpose {
        Purpose::Data => "data",
        Purpose::Test => "test",
        Purpose::Introduction => "introduction",
        Purpose::RendezvousSeeder | Purpose::RendezvousDownloader => "rendezvous",
    };
    let [sent, received] = closed.bytes;
    let fields = json!({
        "event": WORDS[0],
        "circuit": closed.circuit.0,
        "purpose": purpose,
        "hops": closed.goal,
        "reason": closed.why.to_string(),
        "seconds": seconds(closed.lasted),
        "sent": sent,
        "received": received,
    });
    if let Value::Object(fields) = fields {
        fields
    } else {
        Map::new()
    }
}
