//! The search for what the gateway is.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use protocol::port_mapping::upnp::leads_to;
use protocol::port_mapping::upnp::ssdp::{self, ANSWER_WITHIN, GROUP, MOST_BYTES, Target};
use tokio::time::{Instant, sleep_until, timeout_at};
use url::Url;

use crate::DatagramSocket;

/// How often everyone is asked: datagrams get lost.
const ROUNDS: u32 = 2;

/// How long answers are waited for each time: they take as long as they were told to, and their way.
const WAIT: Duration = Duration::from_millis(ANSWER_WITHIN as u64 * 1000 + 500);

/// Datagrams that are received at most: whoever else is in the network answers, too.
const MOST_DATAGRAMS: u32 = 512;

/// A search that is going on.
pub(super) struct Search {
    socket: Arc<dyn DatagramSocket>,
    gateway: IpAddr,
    rounds: u32,
    until: Instant,
    received: u32,
    seen: Vec<Url>,
}

impl Search {
    pub(super) fn new(socket: Arc<dyn DatagramSocket>, gateway: IpAddr) -> Self {
        Self {
            socket,
            gateway,
            rounds: 0,
            until: Instant::now(),
            received: 0,
            seen: Vec::new(),
        }
    }

    /// The next URL at which the gateway says its description is, on itself; none where no more come.
    pub(super) async fn next(&mut self) -> Option<Url> {
        let mut buffer = [0; MOST_BYTES];
        while self.received < MOST_DATAGRAMS {
            match timeout_at(self.until, self.socket.recv_from(&mut buffer)).await {
                Ok(Ok((len, from))) => {
                    self.received += 1;
                    if from.ip() == self.gateway
                        && let Some(url) = self.look_at(buffer.get(..len).unwrap_or_default())
                    {
                        return Some(url);
                    }
                }
                // The system may say so at once if nobody can be asked.
                Ok(Err(_)) => {
                    self.received += 1;
                    sleep_until(self.until).await;
                }
                Err(_) if self.rounds < ROUNDS && self.seen.is_empty() => self.ask().await,
                Err(_) => return None,
            }
        }
        None
    }

    /// Asks everyone.
    async fn ask(&mut self) {
        self.rounds += 1;
        self.until = Instant::now() + WAIT;
        for target in Target::ALL {
            let _ = timeout_at(
                self.until,
                self.socket.send_to(&ssdp::search(target), GROUP),
            )
            .await;
        }
    }

    /// The URL in an answer of the gateway, the first time that it comes.
    fn look_at(&mut self, datagram: &[u8]) -> Option<Url> {
        let url = ssdp::read(datagram)?.location;
        if !leads_to(&url, self.gateway) {
            tracing::debug!(gateway = %self.gateway, "the gateway's description is said to be elsewhere");
            return None;
        }
        if self.seen.contains(&url) {
            return None;
        }
        self.seen.push(url.clone());
        Some(url)
    }
}
