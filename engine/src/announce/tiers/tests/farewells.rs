//! Leaving, and coming back.

use super::*;

#[test]
fn stopped_goes_to_those_who_know_us_only() {
    let mut lab = Lab::new(&[&["a"], &["b"], &["c"]]);
    lab.round(&["b"]);
    lab.now += Duration::from_hours(1);
    lab.round(&["a", "b"]);
    lab.tiers.set_event(lab.now, Event::Stopped);
    assert!(!lab.tiers.is_done());
    let mut told = Vec::new();
    while let Some(farewell) = lab.tiers.next(lab.now) {
        assert_eq!(farewell.event, Event::Stopped);
        told.push(farewell);
    }
    let urls: Vec<&str> = told.iter().map(|farewell| &*farewell.url).collect();
    assert_eq!(urls, ["a", "b"]);
    lab.fail(&told[0]);
    assert!(!lab.tiers.is_done());
    lab.work(&told[1]);
    assert!(lab.tiers.is_done());
    assert_eq!(lab.tiers.next(lab.now + INTERVAL), None);
    assert_eq!(lab.tiers.poll_timeout(lab.now), None);
}

#[test]
fn who_leaves_right_after_completing_tells_of_that_first() {
    let mut lab = Lab::new(&[&["a"]]);
    lab.round(&["a"]);
    lab.tiers.set_event(lab.now, Event::Completed);
    lab.tiers.set_event(lab.now, Event::Stopped);
    let (completed, _) = lab.wait();
    assert_eq!(completed.event, Event::Completed);
    assert_eq!(lab.tiers.next(lab.now), None);
    lab.work(&completed);
    let (stopped, _) = lab.wait();
    assert_eq!(stopped.event, Event::Stopped);
    lab.work(&stopped);
    assert!(lab.tiers.is_done());
}

#[test]
fn who_completes_and_leaves_while_an_announce_is_under_way_tells_of_both_after_it() {
    let mut lab = Lab::new(&[&["a"]]);
    let (started, _) = lab.wait();
    lab.tiers.set_event(lab.now, Event::Completed);
    lab.tiers.set_event(lab.now, Event::Stopped);
    assert_eq!(lab.tiers.next(lab.now), None);
    lab.work(&started);
    for event in [Event::Completed, Event::Stopped] {
        let (announce, _) = lab.wait();
        assert_eq!(announce.event, event);
        lab.work(&announce);
    }
    assert!(lab.tiers.is_done());
}

#[test]
fn nobody_is_told_of_the_end_if_nobody_knows_us() {
    let mut lab = Lab::new(&[&["a"]]);
    let (started, _) = lab.wait();
    lab.tiers.set_event(lab.now, Event::Stopped);
    assert!(!lab.tiers.is_done(), "an answer may still come");
    lab.fail(&started);
    assert!(lab.tiers.is_done());
}

#[test]
fn a_tracker_that_answers_after_the_end_is_told_of_it() {
    let mut lab = Lab::new(&[&["a"]]);
    let (started, _) = lab.wait();
    lab.tiers.set_event(lab.now, Event::Stopped);
    lab.work(&started);
    let farewell = lab.tiers.next(lab.now).unwrap();
    assert_eq!(farewell.event, Event::Stopped);
    lab.work(&farewell);
    assert!(lab.tiers.is_done());
}

#[test]
fn a_torrent_started_again_says_started() {
    let mut lab = Lab::new(&[&["a"]]);
    lab.round(&["a"]);
    lab.tiers.set_event(lab.now, Event::Stopped);
    let farewell = lab.tiers.next(lab.now).unwrap();
    lab.work(&farewell);
    lab.now += Duration::from_mins(5);
    lab.tiers.set_event(lab.now, Event::Started);
    let (again, waited) = lab.wait();
    assert_eq!((again.event, waited), (Event::Started, 0));
}

#[test]
fn an_announce_that_never_went_out_does_not_hold_up_leaving() {
    let mut lab = Lab::new(&[&["a"]]);
    let (first, _) = lab.wait();
    lab.tiers.withdrawn(first.tracker);
    lab.tiers.set_event(lab.now, Event::Stopped);
    assert!(lab.tiers.is_done(), "nobody knows us");
}
