//! `dht sample` and `dht crawl`.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use dht::{Progress, Sampling, Update};
use protocol::id::InfoHash;
use protocol::krpc::NodeId;

use super::line::Line;
use super::{Work, unhex};
use crate::cli::dht::{CrawlArgs, SampleArgs};
use crate::failure::Failure;
use crate::json::seconds;

/// The pause between two lookups of a crawl.
const PAUSE: Duration = Duration::from_millis(100);

impl Work<'_> {
    /// Tells what the nodes on the way to a target have peers of.
    pub(super) async fn sample(&self, args: &SampleArgs) -> Result<(), Failure> {
        let target = match &args.target {
            Some(text) => NodeId(unhex(text)?),
            None => NodeId::random(&mut rand::rng()),
        };
        let at = if let Some(node) = &args.at {
            self.addresses(node).await?.into_iter().next()
        } else {
            self.ready().await?;
            None
        };
        let began = Instant::now();
        let mut known = BTreeSet::new();
        let sampling = Sampling { target, at };
        let progress = self.collect(sampling, &mut known, usize::MAX).await?;
        self.tell(&Line::done(&progress, seconds(began.elapsed()), None))?;
        if progress.answered > 0 || at.is_some() && !known.is_empty() {
            Ok(())
        } else {
            Err(Failure::Told)
        }
    }

    /// Samples one random target after the other.
    pub(super) async fn crawl(&self, args: &CrawlArgs) -> Result<(), Failure> {
        self.ready().await?;
        let began = Instant::now();
        let mut known = BTreeSet::new();
        let mut all = Progress::default();
        while known.len() < args.count && began.elapsed() < args.time.0 {
            let target = NodeId::random(&mut rand::rng());
            let sampling = Sampling { target, at: None };
            let left = args.time.0.saturating_sub(began.elapsed());
            let step = self.collect(sampling, &mut known, args.count);
            let Ok(step) = tokio::time::timeout(left, step).await else {
                break;
            };
            let step = step?;
            all.asked += step.asked;
            all.answered += step.answered;
            tokio::time::sleep(PAUSE).await;
        }
        all.found = known.len();
        self.tell(&Line::done(&all, seconds(began.elapsed()), None))
    }

    /// Tells the info-hashes of one lookup that are new, until there are `most`.
    async fn collect(
        &self,
        sampling: Sampling,
        known: &mut BTreeSet<InfoHash>,
        most: usize,
    ) -> Result<Progress, Failure> {
        let mut search = self.dht.sample(sampling).await.map_err(Failure::failed)?;
        let mut last = Progress::default();
        while let Some(update) = search.next().await.map_err(Failure::failed)? {
            if let Update::Done(_, progress) = &update {
                last = *progress;
            }
            let Update::Sampled(sampled, progress) = update else {
                continue;
            };
            last = progress;
            let room = most.saturating_sub(known.len());
            let hashes = sampled.hashes.iter();
            let new: Vec<String> = hashes
                .filter(|hash| known.insert(**hash))
                .take(room)
                .map(ToString::to_string)
                .collect();
            if !new.is_empty() {
                self.tell(&Line::InfoHashes {
                    from: sampled.from.to_string(),
                    hashes: new,
                    total: sampled.total,
                    interval: sampled.interval.as_secs(),
                })?;
            }
            if known.len() >= most {
                break;
            }
        }
        Ok(last)
    }
}
