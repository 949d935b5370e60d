//! Whose files are checked: so many torrents at a time as may be, in the order in which they asked.

use std::collections::VecDeque;
use std::sync::Arc;

use actix::Message;
use parking_lot::Mutex;

use crate::TorrentId;

/// A torrent may check its files now: to its Torrent, once for each time that it asked.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct MayCheck(pub(crate) Check);

/// Those that check, of all torrents. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Checks(Arc<Mutex<Line>>);

/// Held as long as files are checked.
#[derive(Debug)]
pub(crate) struct Check(Arc<Mutex<Line>>);

#[derive(Debug)]
struct Line {
    /// 0 is no limit.
    most: u32,
    running: u32,
    waiting: VecDeque<(TorrentId, actix::Recipient<MayCheck>)>,
}

impl Checks {
    /// At most so many at a time; 0 is no limit.
    pub(crate) fn new(most: u32) -> Self {
        Self(Arc::new(Mutex::new(Line {
            most,
            running: 0,
            waiting: VecDeque::new(),
        })))
    }

    /// At most so many from now on; those that run go on.
    pub(crate) fn set_most(&self, most: u32) {
        self.0.lock().most = most;
        call(&self.0);
    }

    /// Lets a torrent check, or has it told when it may.
    pub(crate) fn ask(
        &self,
        id: TorrentId,
        torrent: impl FnOnce() -> actix::Recipient<MayCheck>,
    ) -> Option<Check> {
        let mut line = self.0.lock();
        if line.waiting.is_empty() && line.has_room() {
            line.running += 1;
            return Some(Check(Arc::clone(&self.0)));
        }
        line.waiting
            .retain(|(one, torrent)| *one != id && torrent.connected());
        line.waiting.push_back((id, torrent()));
        None
    }
}

impl Line {
    const fn has_room(&self) -> bool {
        self.most == 0 || self.running < self.most
    }
}

/// Tells those whose turn it is.
fn call(line: &Arc<Mutex<Line>>) {
    loop {
        let next = {
            let mut line = line.lock();
            if !line.has_room() {
                return;
            }
            let Some((_, next)) = line.waiting.pop_front() else {
                return;
            };
            line.running += 1;
            next
        };
        // Where the torrent is gone, this is dropped, and the next one called.
        actors::tell_recipient(&next, MayCheck(Check(Arc::clone(line))));
    }
}

impl Drop for Check {
    fn drop(&mut self) {
        self.0.lock().running -= 1;
        call(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use actix::{Actor, Context, Handler};

    use super::*;

    /// A torrent that checks until it is told otherwise.
    struct Checker(tokio::sync::mpsc::Sender<Check>);

    impl Actor for Checker {
        type Context = Context<Self>;
    }

    impl Handler<MayCheck> for Checker {
        type Result = ();

        fn handle(&mut self, may: MayCheck, _: &mut Context<Self>) {
            self.0.try_send(may.0).expect("somebody listens");
        }
    }

    #[actix::test]
    async fn so_many_check_at_a_time_and_others_when_those_are_through() {
        let (told, mut checks_begun) = tokio::sync::mpsc::channel(8);
        let checks = Checks::new(2);
        for id in 0..5 {
            let torrent = Checker(told.clone()).start();
            if let Some(check) = checks.ask(TorrentId(id), || torrent.recipient()) {
                told.try_send(check).expect("somebody listens");
            }
        }
        let one = checks_begun.recv().await.unwrap();
        let other = checks_begun.recv().await.unwrap();
        assert_eq!(checks.0.lock().waiting.len(), 3);
        drop(one);
        let third = checks_begun.recv().await.unwrap();
        assert_eq!(checks.0.lock().waiting.len(), 2);
        checks.set_most(0);
        let _rest = (checks_begun.recv().await, checks_begun.recv().await);
        assert_eq!(checks.0.lock().running, 4);
        drop((other, third));
        assert_eq!(checks.0.lock().running, 2);
    }
}
