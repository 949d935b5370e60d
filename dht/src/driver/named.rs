//! Nodes that are known by their names, where the far end of the network looks names up.
//!
//! A ping goes to the name; whoever answers it is the node.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use net::DatagramSocket;
use protocol::krpc::{Body, Message, Method, NodeId, Query};
use rand::RngExt as _;

/// Pings whose answers are still recognised; older ones are given up.
const MOST: usize = 16;

/// Nobody guesses it who has not seen the ping.
type Transaction = [u8; 8];

/// Pings that are to be sent, and those that are under way.
#[derive(Debug, Default)]
pub(super) struct Named {
    queue: VecDeque<(String, u16)>,
    asked: VecDeque<Transaction>,
}

impl Named {
    /// Pings a host.
    pub(super) fn ask(&mut self, host: String, port: u16) {
        if self.queue.len() < MOST {
            self.queue.push_back((host, port));
        }
    }

    /// Sends what there is room for.
    pub(super) fn transmit(&mut self, cx: &mut Context<'_>, socket: &dyn DatagramSocket) {
        while let Some((host, port)) = self.queue.front() {
            let transaction: Transaction = rand::rng().random();
            let ping = Message {
                transaction: &transaction,
                version: None,
                ip: None,
                body: Body::Query(Query {
                    // The table learns of the node by a ping of its own, with our id.
                    id: NodeId::random(&mut rand::rng()),
                    read_only: true,
                    want: None,
                    method: Method::Ping,
                }),
            };
            match socket.poll_send_to_name(cx, &ping.to_bytes(), (host, *port)) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) => {
                    self.asked.push_back(transaction);
                    if self.asked.len() > MOST {
                        self.asked.pop_front();
                    }
                }
                Poll::Ready(Err(error)) => tracing::debug!(%error, "asking a node by its name"),
            }
            self.queue.pop_front();
        }
    }

    /// Whether a datagram answers one of the pings.
    pub(super) fn has_answered(&mut self, datagram: &[u8]) -> bool {
        if self.asked.is_empty() {
            return false;
        }
        let Ok(message) = Message::decode(datagram) else {
            return false;
        };
        let known = self
            .asked
            .iter()
            .position(|asked| message.transaction == asked);
        match (known, message.body) {
            (Some(at), Body::Response(_)) => {
                self.asked.remove(at);
                true
            }
            _ => false,
        }
    }
}
