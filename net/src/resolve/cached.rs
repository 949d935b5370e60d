//! Answers of a resolver, remembered for a short time.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::resolve::ip_literal;
use crate::{BoxFuture, Resolver};

/// Hosts that are remembered at most.
const MOST: usize = 256;

/// Asks another resolver, and remembers for a while what it answered. Failures are not remembered.
pub struct Cached {
    inner: Arc<dyn Resolver>,
    life: Box<dyn Fn() -> Duration + Send + Sync>,
    known: Mutex<BTreeMap<String, (Instant, Vec<IpAddr>)>>,
}

impl Cached {
    /// How long an answer is remembered, usually. The system's resolver does not tell how long it may be.
    pub const LIFE: Duration = Duration::from_secs(60);

    /// Remembers what `inner` answers for as long as `life` says at the moment.
    pub fn new(
        inner: Arc<dyn Resolver>,
        life: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Self {
        Self {
            inner,
            life: Box::new(life),
            known: Mutex::default(),
        }
    }

    fn recall(&self, host: &str) -> Option<Vec<IpAddr>> {
        let known = self.known.lock();
        let (since, ips) = known.get(host)?;
        (since.elapsed() < (self.life)()).then(|| ips.clone())
    }

    fn remember(&self, host: String, ips: Vec<IpAddr>) {
        let mut known = self.known.lock();
        if known.len() >= MOST {
            let life = (self.life)();
            known.retain(|_, (since, _)| since.elapsed() < life);
        }
        if known.len() < MOST {
            known.insert(host, (Instant::now(), ips));
        }
    }
}

impl std::fmt::Debug for Cached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cached")
            .field("known", &self.known.lock().len())
            .finish_non_exhaustive()
    }
}

impl Resolver for Cached {
    fn lookup<'a>(
        &'a self,
        host: &'a str,
        port: u16,
    ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move {
            if ip_literal(host).is_some() {
                return self.inner.lookup(host, port).await;
            }
            let name = host.to_ascii_lowercase();
            if let Some(ips) = self.recall(&name) {
                return Ok(ips
                    .into_iter()
                    .map(|ip| SocketAddr::new(ip, port))
                    .collect());
            }
            let found = self.inner.lookup(host, port).await?;
            self.remember(name, found.iter().map(SocketAddr::ip).collect());
            Ok(found)
        })
    }

    /// Not remembered here.
    fn texts<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<Vec<u8>>>> {
        self.inner.texts(host)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;

    /// Answers a different address each time, and for one name none.
    #[derive(Default)]
    struct Counting(AtomicU8);

    impl Resolver for Counting {
        fn lookup<'a>(
            &'a self,
            host: &'a str,
            port: u16,
        ) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
            let count = self.0.fetch_add(1, Ordering::Relaxed);
            let answer = if host == "nowhere" {
                Err(io::ErrorKind::NotFound.into())
            } else {
                Ok(vec![SocketAddr::from(([1, 1, 1, count], port))])
            };
            Box::pin(std::future::ready(answer))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_serves_every_port_for_its_time_and_a_failure_does_not() {
        let life = Duration::from_secs(100);
        let cached = Cached::new(Arc::new(Counting::default()), move || life);
        let last = |found: Vec<SocketAddr>| (found[0].to_string(), found.len());
        let first = last(cached.lookup("Host", 1).await.unwrap());
        assert_eq!(first, ("1.1.1.0:1".to_owned(), 1));
        let again = last(cached.lookup("hOST", 2).await.unwrap());
        assert_eq!(again.0, "1.1.1.0:2");
        assert!(cached.lookup("nowhere", 1).await.is_err());
        assert!(cached.lookup("nowhere", 1).await.is_err());
        tokio::time::advance(Duration::from_millis(99_999)).await;
        let still = last(cached.lookup("host", 1).await.unwrap());
        assert_eq!(still.0, "1.1.1.0:1");
        tokio::time::advance(Duration::from_millis(1)).await;
        let later = last(cached.lookup("host", 1).await.unwrap());
        assert_eq!(later.0, "1.1.1.3:1");
    }

    #[tokio::test(start_paused = true)]
    async fn many_hosts_take_bounded_room() {
        let cached = Cached::new(Arc::new(Counting::default()), || Cached::LIFE);
        for host in 0..2 * MOST {
            cached.lookup(&host.to_string(), 1).await.unwrap();
        }
        assert_eq!(cached.known.lock().len(), MOST);
    }
}
