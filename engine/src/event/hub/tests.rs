use std::cell::Cell;

use protocol::id::{InfoHash, InfoHashes};

use super::*;
use crate::TorrentId;

const fn added(number: u64) -> Event {
    Event::Added {
        id: TorrentId(number),
        hashes: InfoHashes::v1(InfoHash([0; 20])),
    }
}

fn number(event: &Event) -> u64 {
    let Event::Added { id, .. } = event else {
        panic!("{event:?}")
    };
    id.0
}

fn all_of(events: &mut Events) -> Vec<Result<u64, NoEvent>> {
    std::iter::from_fn(|| match events.try_recv() {
        Err(NoEvent::Empty) => None,
        next => Some(next.map(|event| number(&event))),
    })
    .collect()
}

#[test]
fn a_listener_hears_what_it_asked_for_and_nothing_else() {
    let hub = Hub::default();
    let mut status = hub.listen(Category::Status.into(), 8);
    let mut trackers = hub.listen(Category::Trackers.into(), 8);
    hub.tell(&added(1));
    assert_eq!(all_of(&mut status), [Ok(1)]);
    assert_eq!(all_of(&mut trackers), []);
}

#[test]
fn what_nobody_wants_is_not_made() {
    let hub = Hub::default();
    let made = Cell::new(0);
    let tell = || {
        hub.tell_of(Category::Status, || {
            made.set(made.get() + 1);
            added(1)
        });
    };
    tell();
    let others = hub.listen(Categories::ALL.without(Category::Status), 8);
    tell();
    assert_eq!(made.get(), 0);
    let listener = hub.listen(Categories::ALL, 8);
    tell();
    assert_eq!(made.get(), 1);
    drop(listener);
    tell();
    assert_eq!(made.get(), 1);
    drop(others);
}

#[test]
fn a_slow_listener_hears_how_many_it_missed_and_then_the_newest() {
    let hub = Hub::default();
    let mut slow = hub.listen(Categories::ALL, 3);
    let mut quick = hub.listen(Categories::ALL, 100);
    (1..=10).for_each(|it| hub.tell(&added(it)));
    let heard = all_of(&mut slow);
    assert_eq!(heard, [Err(NoEvent::Missed(7)), Ok(8), Ok(9), Ok(10)]);
    assert_eq!(all_of(&mut quick).len(), 10, "nobody else is held up");
    hub.tell(&added(11));
    assert_eq!(all_of(&mut slow), [Ok(11)], "it is said once");
}

#[test]
fn what_waits_is_heard_after_the_end_and_then_that_it_is_over() {
    let hub = Hub::default();
    let mut events = hub.listen(Categories::ALL, 3);
    hub.tell(&added(1));
    hub.close();
    hub.tell(&added(2));
    assert_eq!(events.try_recv().map(|event| number(&event)), Ok(1));
    assert_eq!(events.try_recv().unwrap_err(), NoEvent::Closed);
    let mut late = hub.listen(Categories::ALL, 3);
    assert_eq!(late.try_recv().unwrap_err(), NoEvent::Closed);
}

#[tokio::test]
async fn who_waits_is_woken_by_an_event_and_by_the_end() {
    let hub = Hub::default();
    let mut events = hub.listen(Categories::ALL, 3);
    let waiting = async {
        let first = events.recv().await.map(|event| number(&event));
        (first, events.recv().await.unwrap_err())
    };
    let telling = async {
        tokio::task::yield_now().await;
        hub.tell(&added(7));
        tokio::task::yield_now().await;
        hub.close();
    };
    let (heard, ()) = tokio::join!(waiting, telling);
    assert_eq!(heard, (Ok(7), NoEvent::Closed));
}
