//! What is found out by asking: how fast circuits are, and how many seed a swarm of hidden peers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rand::Rng;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout_at};

use super::lanes::Kept;
use super::{Anonymity, now};
use crate::message::IntroPoint;
use crate::{CircuitId, Flags, Purpose, State, Tunnels};

/// Requests of a test that are under way at once.
const WINDOW: usize = 100;

/// How long an answer to one of them is waited for; then it is lost, and another one is sent.
const LOST: Duration = Duration::from_secs(3);

/// How often it is looked whether a circuit is there.
const LOOK: Duration = Duration::from_millis(100);

/// How long a circuit is waited for.
const BUILT: Duration = Duration::from_secs(60);

/// Bytes of a request and of an answer at most.
const MOST: u16 = 2000;

/// How long introduction points of a swarm are waited for, and how often the same is asked until then.
const ANSWER: Duration = Duration::from_secs(4);
const ASKED: usize = 3;

/// Introduction points that are asked at most.
const POINTS: usize = 10;

/// What a test of speed is to do. At most 2000 bytes are sent, or asked for, at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpeedTest {
    /// Bytes of each request.
    pub request: u16,
    /// Bytes of each answer.
    pub response: u16,
    /// For how long requests are sent.
    pub time: Duration,
}

/// What a test of speed has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Speed {
    /// Requests that were sent.
    pub sent: u64,
    /// Requests that were answered, with as many bytes as were asked for.
    pub answered: u64,
    /// From the first request to the last answer.
    pub took: Duration,
    /// How long answers took, on average and the median of some; none without answers.
    pub round_trip: Option<[Duration; 2]>,
}

/// How long answers took: the sum of all, and each one, or each nth where they are many.
#[derive(Debug)]
struct RoundTrips {
    count: u32,
    sum: Duration,
    each: u32,
    some: Vec<Duration>,
}

/// Why there is no test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TestError {
    /// There is no such circuit.
    #[error("could not find requested circuit")]
    Unknown,
    /// Its hops have not all joined.
    #[error("the requested circuit is not ready to transfer data")]
    NotReady,
    /// Its last hop answers no tests.
    #[error("the requested circuit does not support speed testing")]
    Unsupported,
    /// It is tested already, or too many are.
    #[error("too many tests run already")]
    Busy,
    /// No circuit could be built to a node that answers tests.
    #[error("failed to create circuit")]
    NotBuilt,
}

/// A circuit that was built for a test. It ends with this value.
struct Built<'a> {
    node: &'a Tunnels,
    circuit: CircuitId,
}

impl Drop for Built<'_> {
    fn drop(&mut self) {
        self.node.with(|node, _| node.close_circuit(self.circuit));
    }
}

impl RoundTrips {
    /// So many are kept.
    const MOST: usize = 4096;

    const fn new() -> Self {
        Self {
            count: 0,
            sum: Duration::ZERO,
            each: 1,
            some: Vec::new(),
        }
    }

    fn add(&mut self, took: Duration) {
        if self.count.is_multiple_of(self.each) {
            if self.some.len() == Self::MOST {
                let mut nth = 0_usize;
                self.some.retain(|_| {
                    nth += 1;
                    nth % 2 == 1
                });
                self.each = self.each.saturating_mul(2);
            }
            self.some.push(took);
        }
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.saturating_add(took);
    }

    fn told(mut self) -> Option<[Duration; 2]> {
        self.some.sort_unstable();
        let median = self.some.get(self.some.len() / 2)?;
        Some([self.sum.checked_div(self.count)?, *median])
    }
}

impl Anonymity {
    /// Tests the speed of a circuit of our own.
    ///
    /// # Errors
    /// See [`TestError`].
    pub async fn test_circuit(&self, id: CircuitId, test: SpeedTest) -> Result<Speed, TestError> {
        let mut nodes = self.inner.lanes.nodes().iter();
        let node = nodes.find(|node| node.with(|node, _| node.circuit(id).is_some()));
        let node = node.ok_or(TestError::Unknown)?;
        node.with(|node, _| {
            let circuit = node.own(id).ok_or(TestError::Unknown)?;
            if circuit.state() != State::Ready {
                return Err(TestError::NotReady);
            }
            let last = circuit.hops.last();
            let last = last.and_then(|hop| node.candidates().get(&hop.key));
            let answers = last.is_some_and(|known| known.flags.contain(Flags::SPEED_TEST));
            // Beyond the last hop of other circuits there is somebody who answers no tests.
            if answers && circuit.purpose.is_our_wish() {
                Ok(())
            } else {
                Err(TestError::Unsupported)
            }
        })?;
        run(node, id, test).await
    }

    /// Tests the speed of a new circuit of `hops` hops, which ends then.
    ///
    /// # Errors
    /// See [`TestError`].
    pub async fn test_new_circuit(&self, hops: u8, test: SpeedTest) -> Result<Speed, TestError> {
        let mut nodes = self.inner.lanes.nodes().iter();
        let begun = nodes.find_map(|node| {
            let begin =
                |node: &mut crate::Node, now| node.create_circuit(now, Purpose::Test, hops, None);
            let circuit = node.with(begin).ok()?;
            Some(Built { node, circuit })
        });
        let built = begun.ok_or(TestError::NotBuilt)?;
        let until = now() + BUILT;
        loop {
            let circuit = built.node.with(|node, _| node.circuit(built.circuit));
            match circuit.map(|circuit| circuit.state) {
                Some(State::Ready) => return run(built.node, built.circuit, test).await,
                Some(State::Building) if now() < until => sleep(LOOK).await,
                Some(State::Building) | None => return Err(TestError::NotBuilt),
            }
        }
    }

    /// Counts the seeders of a swarm of hidden peers, by circuits of `hops` hops: those that exits find in the DHT of IPv8, and that
    /// some introduction points know. `info_hash` is the name among hidden peers: see
    /// [`lookup_info_hash`](crate::lookup_info_hash). `None` without a circuit within a minute, or where that is counted already.
    pub async fn count_seeders(&self, info_hash: [u8; 20], hops: u8) -> Option<usize> {
        let _lane = self.inner.lanes.lane(hops, Kept::Lingering);
        let until = now() + BUILT;
        while self.inner.lanes.status(hops).ready == 0 {
            if now() >= until {
                return None;
            }
            sleep(LOOK).await;
        }
        let mut seeders = None;
        for node in self.inner.lanes.nodes() {
            if node.status(hops).ready > 0 {
                let found = survey(node, (info_hash, hops)).await;
                seeders = found.map(|found| found + seeders.unwrap_or(0)).or(seeders);
            }
        }
        seeders
    }
}

/// Runs a test.
async fn run(node: &Tunnels, circuit: CircuitId, test: SpeedTest) -> Result<Speed, TestError> {
    let mut answers = node.wait_for_tests(circuit).ok_or(TestError::Busy)?;
    let (request, response) = (test.request.min(MOST), test.response.min(MOST));
    let mut ballast = vec![0; usize::from(request)];
    rand::rng().fill_bytes(&mut ballast);
    let begun = now();
    let (mut speed, mut round_trips) = (Speed::default(), RoundTrips::new());
    let mut asked: BTreeMap<u16, Instant> = BTreeMap::new();
    loop {
        let at = now();
        asked.retain(|_, sent| at < *sent + LOST);
        let goes_on = at < begun + test.time;
        while goes_on && asked.len() < WINDOW {
            let sent = node.with(|node, _| node.test_circuit(circuit, &ballast, response));
            // A circuit that is gone answers nothing any more.
            let Ok(id) = sent else {
                break;
            };
            speed.sent += 1;
            asked.insert(id, at);
        }
        let Some(oldest) = asked.values().min() else {
            break;
        };
        let mut until = *oldest + LOST;
        if goes_on {
            until = until.min(begun + test.time);
        }
        if let Ok(Some((id, bytes, came))) = timeout_at(until.into(), answers.recv()).await
            && bytes == usize::from(response)
            && let Some(sent) = asked.remove(&id)
        {
            speed.answered += 1;
            speed.took = came.saturating_duration_since(begun);
            round_trips.add(came.saturating_duration_since(sent));
        }
    }
    speed.round_trip = round_trips.told();
    Ok(speed)
}

/// Asks who seeds a swarm, and then some of those who introduce them.
async fn survey(node: &Tunnels, swarm: ([u8; 20], u8)) -> Option<usize> {
    let mut told = node.wait_for_peers(swarm.0)?;
    let mut known: Vec<IntroPoint> = ask(node, swarm, None, &mut told).await?;
    let mut asked: BTreeSet<Vec<u8>> = BTreeSet::new();
    while asked.len() < POINTS {
        let next = known.iter().find(|point| !asked.contains(&point.node));
        let Some(next) = next.cloned() else {
            break;
        };
        asked.insert(next.node.clone());
        known.extend(
            ask(node, swarm, Some(&next), &mut told)
                .await
                .unwrap_or_default(),
        );
    }
    let seeders: BTreeSet<&Vec<u8>> = known.iter().map(|point| &point.seeder).collect();
    Some(seeders.len())
}

/// Asks an exit or an introduction point; none where nobody answers.
async fn ask(
    node: &Tunnels,
    (info_hash, hops): ([u8; 20], u8),
    point: Option<&IntroPoint>,
    told: &mut mpsc::Receiver<Vec<IntroPoint>>,
) -> Option<Vec<IntroPoint>> {
    for _ in 0..ASKED {
        let sent = node.with(|node, now| node.survey_peers(now, (info_hash, hops), point));
        let until = now() + ANSWER;
        match timeout_at(until.into(), told.recv()).await {
            Ok(found) => return found,
            Err(_) if sent.is_err() => return None,
            Err(_) => {}
        }
    }
    // Nobody has said that there are some.
    point.is_none().then(Vec::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_round_trips_some_are_kept_and_all_are_counted() {
        let mut all = RoundTrips::new();
        assert_eq!(RoundTrips::new().told(), None);
        for ms in 0..100_000 {
            all.add(Duration::from_millis(ms));
        }
        assert!((RoundTrips::MOST / 2..=RoundTrips::MOST).contains(&all.some.len()));
        let [mean, median] = all.told().unwrap();
        assert_eq!(mean, Duration::from_micros(49_999_500));
        assert!((49_000..51_000).contains(&median.as_millis()), "{median:?}");
    }
}
