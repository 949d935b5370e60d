//! What the process takes of the machine: looked at every few seconds, remembered for a while, and warned of before it runs short.
//!
//! [`meter`] reads it from the system; [`limits`] says, as pure rules, what is short; [`priority`] has the system prefer other
//! processes, or not.

mod limits;
mod meter;
mod priority;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use control::{Resources as Told, Sample};
use engine::settings::ResourceSettings;
use engine::{Category, EngineHandle};
use net::{Pool, Task};
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep};

use self::limits::{Changed, Limits};
use self::meter::Reading;
use super::bulletin::Bulletin;

/// Events about this, by their words.
pub(crate) const WORDS: [&str; 2] = ["resource_enough", "resource_short"];

/// How often it is looked whether settings have changed, at least.
const LOOK: Duration = Duration::from_secs(1);

/// What is known of what the process takes. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resources(Arc<Mutex<Monitor>>);

/// What was read, and what is short.
#[derive(Debug, Default)]
struct Monitor {
    samples: VecDeque<Sample>,
    last: Option<(Instant, Reading)>,
    limits: Limits,
}

impl Monitor {
    /// Takes a reading into account; says what has become short, and what no longer is.
    fn take(
        &mut self,
        reading: Reading,
        (now, at): (Instant, Duration),
        cores: usize,
        settings: &ResourceSettings,
    ) -> Vec<Changed> {
        let before = self.last.replace((now, reading));
        let cpu = before.and_then(|(since, before)| {
            let spent = reading.cpu?.checked_sub(before.cpu?)?;
            let passed = now.saturating_duration_since(since).as_secs_f64();
            (passed > 0.0).then(|| spent.as_secs_f64() / passed * 100.0)
        });
        self.samples.push_back(Sample {
            time: at.as_secs_f64(),
            cpu,
            memory: reading.memory,
            available: reading.available,
            open_files: reading.open_files,
        });
        self.shorten(settings.history as usize);
        let of_all = cpu.map(|cpu| cpu / cores.max(1) as f64);
        self.limits.look(&reading, of_all, now, settings)
    }

    fn shorten(&mut self, most: usize) {
        let excess = self.samples.len().saturating_sub(most);
        self.samples.drain(..excess);
    }

    /// Nothing is looked at any more: what was short is not known to be.
    fn rest(&mut self) {
        *self = Self::default();
    }
}

impl Resources {
    /// All that is known, oldest first.
    pub(crate) fn told(&self) -> Told {
        let monitor = self.0.lock();
        Told {
            samples: monitor.samples.iter().cloned().collect(),
            most_files: monitor.last.and_then(|(_, reading)| reading.most_files),
            short: monitor.limits.short(),
        }
    }

    /// Looks after it for as long as the task is held.
    pub(crate) fn watch(&self, engine: EngineHandle, bulletin: Bulletin, pool: &Pool) -> Task<()> {
        pool.spawn(self.clone().run(engine, bulletin))
    }

    async fn run(self, engine: EngineHandle, bulletin: Bulletin) {
        let cores = crate::wire::cores();
        let start = priority::Start::now();
        let mut priority = None;
        let mut due = Instant::now();
        loop {
            let settings = engine.settings().resources.clone();
            if priority.replace(settings.priority) != Some(settings.priority) {
                start.set(settings.priority);
            }
            let now = Instant::now();
            if !settings.enabled {
                self.0.lock().rest();
                due = now;
            } else if now >= due {
                due = now + settings.every;
                let Ok(reading) = tokio::task::spawn_blocking(meter::read).await else {
                    return;
                };
                let at = SystemTime::now().duration_since(UNIX_EPOCH);
                let at = (Instant::now(), at.unwrap_or_default());
                let changed = self.0.lock().take(reading, at, cores, &settings);
                for changed in changed {
                    tell(&bulletin, &changed);
                }
            }
            sleep(due.saturating_duration_since(now).min(LOOK).max(MIN_SLEEP)).await;
        }
    }
}

/// The shortest pause between two turns.
const MIN_SLEEP: Duration = Duration::from_millis(100);

/// Says that something has become short, or no longer is.
fn tell(bulletin: &Bulletin, changed: &Changed) {
    let mut line = Map::new();
    let word = if changed.short { WORDS[1] } else { WORDS[0] };
    line.insert("event".to_owned(), word.into());
    if let Ok(Value::Object(fields)) = serde_json::to_value(changed.what) {
        line.extend(fields);
    }
    line.insert("reason".to_owned(), changed.what.to_string().into());
    tracing::warn!(short = changed.short, "{}", changed.what);
    let about = if changed.short {
        engine::Categories::from(Category::Performance).with(Category::Errors)
    } else {
        Category::Performance.into()
    };
    bulletin.tell((word, about), line);
}

#[cfg(test)]
mod tests {
    use engine::Settings;

    use super::*;

    #[test]
    fn the_last_readings_are_kept_and_processor_time_is_counted_between_them() {
        let mut monitor = Monitor::default();
        let mut settings = Settings::default().resources;
        settings.history = 3;
        let begin = Instant::now();
        for second in 0..10_u32 {
            let reading = Reading {
                cpu: Some(Duration::from_millis(500) * second),
                memory: Some(u64::from(second)),
                ..Reading::default()
            };
            let passed = Duration::from_secs(u64::from(second));
            monitor.take(reading, (begin + passed, passed), 2, &settings);
        }
        let samples = |monitor: &Monitor| -> Vec<(f64, Option<f64>, Option<u64>)> {
            let all = monitor.samples.iter();
            all.map(|it| (it.time, it.cpu, it.memory)).collect()
        };
        let kept = [7, 8, 9].map(|at| (f64::from(at), Some(50.0), Some(at as u64)));
        assert_eq!(samples(&monitor), kept);
        settings.history = 1;
        let passed = Duration::from_secs(10);
        monitor.take(Reading::default(), (begin + passed, passed), 2, &settings);
        assert_eq!(samples(&monitor), [(10.0, None, None)]);
        monitor.rest();
        assert!(samples(&monitor).is_empty());
    }
}
