//! `dht sample` and `dht crawl`.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use dht::{Outcome, Progress, Sampling, Update};
use protocol::id::InfoHash;
use protocol::krpc::NodeId;

use super::line::Line;
use super::{Work, unhex};
use crate::cli::dht::{CrawlArgs, SampleArgs};
use crate::failure::Failure;
use crate::json::seconds;

/// The pause between two lookups of a crawl.
const PAUSE: Duration = Duration::from_millis(100);

/// Lookups without a node that was not asked before, after which a crawl has seen what there is.
const EMPTY_LOOKUPS: u32 = 3;

/// How far a crawl is.
#[derive(Debug)]
pub(super) struct Crawl {
    began: Instant,
    known: BTreeSet<InfoHash>,
    all: Progress,
}

/// What one lookup, or one node asked alone, came to.
#[derive(Debug, Default)]
struct Step {
    progress: Progress,
    /// Nodes that gave info-hashes, or said that they have none.
    sampled: usize,
    /// The end.
    outcome: Option<Outcome>,
}

impl Crawl {
    /// The totals, and why it ended before its time.
    pub(super) fn line(&self, why: Option<&'static str>) -> Line {
        let progress = Progress {
            found: self.known.len(),
            ..self.all
        };
        Line::crawled(&progress, seconds(self.began.elapsed()), why)
    }
}

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
        let sampling = Sampling { target, at };
        let step = self.collect(sampling, |hashes| hashes, || false).await?;
        let failed = at.and_then(|addr| {
            let addr = addr.to_string();
            if let Some(Outcome::Refused(code)) = step.outcome {
                return Some(Line::Refusal { addr, code });
            }
            (step.outcome == Some(Outcome::Silence)).then_some(Line::Silence { addr })
        });
        if let Some(line) = failed {
            self.tell(&line)?;
            return Err(Failure::Told);
        }
        let progress = step.progress;
        self.tell(&Line::done(&progress, seconds(began.elapsed()), None))?;
        if progress.answered > 0 {
            Ok(())
        } else {
            Err(Failure::Told)
        }
    }

    /// Samples one random target after the other, until there is nobody left to ask.
    pub(super) async fn crawl(&self, args: &CrawlArgs) -> Result<(), Failure> {
        self.ready().await?;
        let began = Instant::now();
        *self.crawl.borrow_mut() = Some(Crawl {
            began,
            known: BTreeSet::new(),
            all: Progress::default(),
        });
        let mut empty = 0;
        let mut why = None;
        while !self.is_enough(args.count) && began.elapsed() < args.time.0 {
            let target = NodeId::random(&mut rand::rng());
            let sampling = Sampling { target, at: None };
            let left = args.time.0.saturating_sub(began.elapsed());
            let step = self.collect(
                sampling,
                |hashes| self.take_new(hashes, args.count),
                || self.is_enough(args.count),
            );
            let Ok(step) = tokio::time::timeout(left, step).await else {
                break;
            };
            let step = step?;
            self.count(&step.progress);
            empty = if step.sampled == 0 { empty + 1 } else { 0 };
            if empty == EMPTY_LOOKUPS {
                why = Some("no further nodes");
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        let line = self.crawl.borrow_mut().take().map(|crawl| crawl.line(why));
        line.map_or(Ok(()), |line| self.tell(&line))
    }

    /// Whether a crawl has found so many info-hashes.
    fn is_enough(&self, count: usize) -> bool {
        let crawl = self.crawl.borrow();
        crawl
            .as_ref()
            .is_none_or(|crawl| crawl.known.len() >= count)
    }

    /// Adds a lookup to the totals of a crawl.
    fn count(&self, step: &Progress) {
        if let Some(crawl) = self.crawl.borrow_mut().as_mut() {
            crawl.all.asked += step.asked;
            crawl.all.answered += step.answered;
            crawl.all.hops = crawl.all.hops.max(step.hops);
        }
    }

    /// The info-hashes that a crawl did not know, as long as it has not found `most`.
    fn take_new(&self, hashes: Vec<InfoHash>, most: usize) -> Vec<InfoHash> {
        let mut crawl = self.crawl.borrow_mut();
        let Some(crawl) = crawl.as_mut() else {
            return hashes;
        };
        let room = most.saturating_sub(crawl.known.len());
        let new = hashes.into_iter().filter(|hash| crawl.known.insert(*hash));
        new.take(room).collect()
    }

    /// Tells the info-hashes of one lookup, those that `new` leaves of them, until `enough`.
    async fn collect(
        &self,
        sampling: Sampling,
        new: impl Fn(Vec<InfoHash>) -> Vec<InfoHash>,
        enough: impl Fn() -> bool,
    ) -> Result<Step, Failure> {
        let mut search = self.dht.sample(sampling).await.map_err(Failure::failed)?;
        let mut step = Step::default();
        while let Some(update) = search.next().await.map_err(Failure::failed)? {
            if let Update::Done(outcome, progress) = update {
                step.progress = progress;
                step.outcome = Some(outcome);
                continue;
            }
            let Update::Sampled(sampled, progress) = update else {
                continue;
            };
            step.progress = progress;
            step.sampled += 1;
            let hashes = new(sampled.hashes);
            if !hashes.is_empty() {
                self.tell(&Line::InfoHashes {
                    from: sampled.from.to_string(),
                    hashes: hashes.iter().map(ToString::to_string).collect(),
                    total: sampled.total,
                    interval: sampled.interval.as_secs(),
                })?;
            }
            if enough() {
                break;
            }
        }
        Ok(step)
    }
}
