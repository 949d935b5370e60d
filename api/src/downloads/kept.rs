//! What was written or asked for is kept for a while, for all who need it in the same moment: one writes or asks, while others who need it
//! wait.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Mutex as Turns;
use tokio::time::{Instant, sleep};

/// How long something is kept for which nobody asks.
const KEPT: Duration = Duration::from_secs(10);

/// The place of what is kept. Whoever holds it is alone with it.
#[derive(Debug)]
pub(super) struct Place<T> {
    pub(super) what: Turns<Option<T>>,
    asked: Mutex<Instant>,
    weight: AtomicUsize,
}

impl<T> Place<T> {
    /// Says how much of what may be kept this takes; without a word it is 1.
    pub(super) fn weigh(&self, weight: usize) {
        self.weight.store(weight, Ordering::Relaxed);
    }
}

/// Keeps things, by keys.
#[derive(Debug)]
pub(crate) struct Kept<K, T>(Arc<Mutex<Inner<K, T>>>);

impl<K, T> Default for Kept<K, T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Inner {
            places: BTreeMap::new(),
            is_swept: false,
        })))
    }
}

#[derive(Debug)]
struct Inner<K, T> {
    places: BTreeMap<K, Arc<Place<T>>>,
    /// Somebody comes to take away what nobody asks for.
    is_swept: bool,
}

impl<K, T> Inner<K, T> {
    fn weight(&self) -> usize {
        let weights = self.places.values();
        let weights = weights.map(|place| place.weight.load(Ordering::Relaxed));
        weights.fold(0, usize::saturating_add)
    }
}

impl<K: Ord + Send + 'static, T: Send + 'static> Kept<K, T> {
    /// The place of a key. So much may be kept; where there is more, all is let go of.
    pub(super) fn place(&self, key: K, most: usize) -> Arc<Place<T>> {
        let mut inner = self.0.lock();
        if inner.weight() > most {
            inner.places.clear();
        }
        let place = inner.places.entry(key).or_insert_with(|| {
            Arc::new(Place {
                what: Turns::new(None),
                asked: Mutex::new(Instant::now()),
                weight: AtomicUsize::new(1),
            })
        });
        *place.asked.lock() = Instant::now();
        let place = Arc::clone(place);
        if !inner.is_swept {
            inner.is_swept = true;
            tokio::spawn(sweep(Arc::downgrade(&self.0)));
        }
        place
    }

    /// How much is kept.
    #[cfg(test)]
    pub(super) fn weight(&self) -> usize {
        self.0.lock().weight()
    }
}

/// Takes away what nobody asks for, until there is nothing.
async fn sweep<K: Ord, T>(kept: Weak<Mutex<Inner<K, T>>>) {
    loop {
        sleep(KEPT).await;
        let Some(kept) = kept.upgrade() else {
            return;
        };
        let mut inner = kept.lock();
        let now = Instant::now();
        let places = &mut inner.places;
        places.retain(|_, place| now.saturating_duration_since(*place.asked.lock()) < KEPT);
        if places.is_empty() {
            inner.is_swept = false;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn things_are_kept_while_somebody_asks_for_them() {
        let kept = Kept::default();
        *kept.place(1, 10).what.lock().await = Some('a');
        *kept.place(7, 10).what.lock().await = Some('b');
        for _ in 0..5 {
            sleep(KEPT / 2).await;
            let place = kept.place(1, 10);
            assert_eq!(*place.what.lock().await, Some('a'));
        }
        assert_eq!(kept.weight(), 1);
        sleep(3 * KEPT).await;
        assert_eq!(kept.weight(), 0);
        // Whoever swept is gone: it comes again.
        *kept.place(1, 10).what.lock().await = Some('a');
        sleep(3 * KEPT).await;
        assert_eq!(kept.weight(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_no_more_than_was_allowed_and_what_comes_last() {
        let kept: Kept<u32, ()> = Kept::default();
        for key in 0..100 {
            kept.place(key, 5);
            assert!(kept.weight() <= 6);
        }
        kept.place(200, 5).weigh(1000);
        kept.place(201, 5);
        assert_eq!(kept.weight(), 1);
    }
}
