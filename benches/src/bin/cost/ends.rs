//! The two engines, and what is counted around a transfer.

use std::error::Error;
use std::io::BufRead as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use benches::content::Content;
use benches::loopback;
use benches::usage::cpu;
use engine::{AddTorrent, Event, Source};

use crate::ALLOCATOR;

/// What one end has used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) allocations: u64,
    pub(crate) allocated_bytes: u64,
    pub(crate) cpu_us: u64,
    pub(crate) switches: u64,
}

impl Cost {
    /// All that this process has used so far.
    fn so_far() -> Self {
        let memory = ALLOCATOR.stats();
        Self {
            allocations: (memory.allocations + memory.reallocations) as u64,
            allocated_bytes: memory.bytes_allocated as u64,
            cpu_us: cpu().as_micros() as u64,
            switches: switches(),
        }
    }

    fn since(self, begin: Self) -> Self {
        Self {
            allocations: self.allocations - begin.allocations,
            allocated_bytes: self.allocated_bytes - begin.allocated_bytes,
            cpu_us: self.cpu_us - begin.cpu_us,
            switches: self.switches.saturating_sub(begin.switches),
        }
    }

    fn print(self) {
        println!(
            "{} {} {} {}",
            self.allocations, self.allocated_bytes, self.cpu_us, self.switches
        );
    }

    /// Reads what the other process printed.
    pub(crate) fn from_line(line: &str) -> Result<Self, Box<dyn Error>> {
        let numbers = line
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<Vec<u64>, _>>()?;
        let [allocations, allocated_bytes, cpu_us, switches] = numbers[..] else {
            return Err("no figures".into());
        };
        Ok(Self {
            allocations,
            allocated_bytes,
            cpu_us,
            switches,
        })
    }
}

/// Voluntary context switches of the threads that live.
fn switches() -> u64 {
    let threads = std::fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    let count = |status: String| -> Option<u64> {
        let line = status
            .lines()
            .find(|line| line.starts_with("voluntary_ctxt_switches"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    threads
        .filter_map(|thread| count(std::fs::read_to_string(thread.path().join("status")).ok()?))
        .sum()
}

/// Prints its address, serves until a line comes in, prints what that took.
pub(crate) fn seeder(content: Content) -> Result<(), Box<dyn Error>> {
    actix::System::new().block_on(async move {
        let (engine, _pool) = loopback::engine()?;
        let mut events = engine.events(engine::Categories::USUAL, 1024);
        let mut add = AddTorrent::new(
            Source::Metainfo(Arc::new(content.metainfo()?)),
            content.original(),
        );
        add.trust_data = true;
        engine.add(add).await?;
        while !matches!(
            events.recv().await?,
            Event::CheckFinished { .. } | Event::Finished { .. }
        ) {}
        let begin = Cost::so_far();
        println!("{}", engine.snapshot().listen.ok_or("no address")?);
        tokio::task::spawn_blocking(|| std::io::stdin().lock().read_line(&mut String::new()))
            .await??;
        Cost::so_far().since(begin).print();
        engine.shutdown(Duration::from_secs(1)).await;
        Ok(())
    })
}

/// Downloads everything, prints what that took.
pub(crate) fn leecher(content: Content, from: SocketAddr) -> Result<(), Box<dyn Error>> {
    actix::System::new().block_on(async move {
        let (engine, _pool) = loopback::engine()?;
        let mut events = engine.events(engine::Categories::USUAL, 1024);
        let mut add = AddTorrent::new(
            Source::Metainfo(Arc::new(content.metainfo()?)),
            content.copy(),
        );
        add.peers = vec![from];
        let begin = Cost::so_far();
        engine.add(add).await?;
        while !matches!(events.recv().await?, Event::Finished { .. }) {}
        Cost::so_far().since(begin).print();
        engine.shutdown(Duration::from_secs(1)).await;
        Ok(())
    })
}
