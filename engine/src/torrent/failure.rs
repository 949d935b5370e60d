//! A torrent that cannot go on, and when it tries again.

use std::time::{Duration, Instant};

use actix::{AsyncContext, Context};
use actors::tell;
use storage::{ErrorKind, Op, Store, StoreError};

use crate::peer::driver::now;
use crate::torrent::actor::{Phase, Torrent};
use crate::torrent::messages::DiskReply;
use crate::torrent::resume::Known;
use crate::{Event, TorrentError};

/// How long a torrent that failed stands still at most before it tries again, unless the settings say more for the first time.
const LONGEST: Duration = Duration::from_secs(30);

/// How long it must have gone well since the first write, for a trouble with writing to be over.
const PROVEN_AFTER: Duration = Duration::from_secs(2);

/// Trouble with the content that was told and is not over.
#[derive(Debug)]
pub(crate) struct Trouble {
    error: TorrentError,
    /// Tries that came to nothing.
    tries: u32,
    /// When the first write since the last try went well.
    written: Option<Instant>,
}

impl Trouble {
    fn new(error: TorrentError) -> Self {
        Self {
            error,
            tries: 0,
            written: None,
        }
    }

    /// Whether this is what was told: whichever file a full disk happens to show at.
    fn is_told_by(&self, error: &TorrentError) -> bool {
        let full = |error: &TorrentError| {
            matches!(
                error,
                TorrentError::Storage {
                    kind: ErrorKind::Full,
                    ..
                }
            )
        };
        self.error == *error || full(&self.error) && full(error)
    }

    /// Whether only a write can show that it is over. What was gone is back once it can be read.
    fn is_of_writing(&self) -> bool {
        !matches!(
            self.error,
            TorrentError::Storage {
                kind: ErrorKind::Vanished | ErrorKind::TooShort,
                ..
            } | TorrentError::Missing { .. }
        )
    }

    /// Notes that a write went well.
    pub(super) fn note_good_write(&mut self) {
        self.written.get_or_insert_with(now);
    }

    /// How long to stand still before the next try.
    fn pause(&self, first: Duration) -> Duration {
        let doubled = first.saturating_mul(1 << self.tries.min(16));
        doubled.min(LONGEST.max(first))
    }
}

impl Torrent {
    /// Stops because content cannot be read or written. What was verified still counts when the disk was full or the
    /// like; where a file is gone or short, all is looked at again.
    pub(crate) fn fail_storage(&mut self, error: &StoreError) {
        let gone = matches!(error.kind(), ErrorKind::Vanished | ErrorKind::TooShort)
            || error.op() == Op::Sync;
        if gone {
            self.known = None;
            self.add.trust_data = false;
        } else if let Phase::Active(active) = &self.phase {
            self.known = Some(Known {
                have: Some(active.picker.have().clone()),
                partial: active.partials(),
                lacking: !active.finished,
                ..Known::default()
            });
        }
        self.fail(TorrentError::from(error));
    }

    /// Stops because content that was right is not any more: someone else wrote to it. All is looked at again.
    pub(crate) fn fail_changed(&mut self) {
        self.known = None;
        self.add.trust_data = false;
        self.fail(TorrentError::Storage {
            kind: ErrorKind::Vanished,
            message: "the content was changed by another program; it is checked again".into(),
        });
    }

    /// Stops with an error, to try again a little later.
    pub(crate) fn fail(&mut self, error: TorrentError) {
        let told = self.trouble.as_mut();
        let Some(trouble) = told.filter(|trouble| trouble.is_told_by(&error)) else {
            tracing::warn!(torrent = %self.hashes.wire(), %error, "stopped");
            let trouble = Trouble::new(error.clone());
            self.halt(Phase::Failed(
                error.clone(),
                now() + trouble.pause(self.setup.settings.get().disk.retry_after),
            ));
            self.trouble = Some(trouble);
            self.event(Event::Error { id: self.id, error });
            return self.publish();
        };
        trouble.written = None;
        if let Phase::Failed(_, at) = &mut self.phase {
            *at = now() + trouble.pause(self.setup.settings.get().disk.retry_after);
            return;
        }
        trouble.tries += 1;
        let phase = Phase::Failed(
            trouble.error.clone(),
            now() + trouble.pause(self.setup.settings.get().disk.retry_after),
        );
        tracing::debug!(torrent = %self.hashes.wire(), %error, "stopped again");
        self.halt(phase);
        self.publish();
    }

    /// Content that is at work again, where nothing is missing or nothing stood in the way of writing: trouble is over.
    pub(super) fn trouble_may_end(&mut self, finished: bool) {
        let over = |trouble: &mut Trouble| finished || !trouble.is_of_writing();
        if self.trouble.take_if(over).is_some() {
            self.event(Event::Recovered { id: self.id });
        }
    }

    /// Says that trouble with writing is over, once writes have gone well for a while.
    pub(crate) fn tell_recovery(&mut self, now: Instant) {
        let proven = |since: Instant| now.saturating_duration_since(since) >= PROVEN_AFTER;
        let over = |trouble: &mut Trouble| trouble.written.is_some_and(proven);
        if matches!(self.phase, Phase::Active(_)) && self.trouble.take_if(over).is_some() {
            self.event(Event::Recovered { id: self.id });
        }
    }

    /// Tries again after an error: first whether the disk gives what is needed, then everything. A torrent that may be
    /// complete needs no more than to be read.
    pub(crate) fn retry_if_due(&mut self, now: Instant, ctx: &mut Context<Self>) {
        let retry_after = self.setup.settings.get().disk.retry_after;
        let Phase::Failed(TorrentError::Storage { .. } | TorrentError::Missing { .. }, at) =
            &mut self.phase
        else {
            return;
        };
        if now < *at {
            return;
        }
        *at = now + 15 * retry_after;
        let Some(spec) = self.spec() else { return };
        let me = ctx.address();
        let options = self.setup.storage();
        let lacking = self.known.as_ref().is_some_and(|known| known.lacking);
        let wanted: Vec<bool> = spec.files.iter().map(|file| file.wanted).collect();
        let (footing, existing) = (self.footing(), self.add.existing);
        let (ledger, settled) = (self.ledger(), self.relocating.is_settled());
        self.setup.disk.short(move || {
            let wanted = |file: usize| wanted.get(file).is_some_and(|wanted| *wanted);
            let probed = Store::open(spec, options).and_then(|store| {
                if settled {
                    footing.find(&store, existing, ledger.as_ref())?;
                }
                if lacking {
                    return store.probe_room();
                }
                let unread = store.probe_files(wanted);
                unread.or_else(|error| store.probe_room().map_err(|_| error))
            });
            tell(&me, DiskReply::Probed(probed));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storage(kind: ErrorKind, message: &str) -> TorrentError {
        TorrentError::Storage {
            kind,
            message: message.into(),
        }
    }

    #[test]
    fn a_full_disk_is_one_trouble_wherever_it_shows_and_other_files_are_another() {
        let full = Trouble::new(storage(ErrorKind::Full, "can't write a"));
        assert!(full.is_told_by(&storage(ErrorKind::Full, "can't create b")));
        assert!(!full.is_told_by(&storage(ErrorKind::Vanished, "can't write a")));
        let gone = Trouble::new(storage(ErrorKind::Vanished, "a"));
        assert!(gone.is_told_by(&storage(ErrorKind::Vanished, "a")));
        assert!(!gone.is_told_by(&storage(ErrorKind::Vanished, "b")));
    }

    #[test]
    fn only_a_write_ends_trouble_with_writing() {
        for kind in [ErrorKind::Full, ErrorKind::Other, ErrorKind::ReadOnly] {
            assert!(Trouble::new(storage(kind, "a")).is_of_writing(), "{kind:?}");
        }
        for kind in [ErrorKind::Vanished, ErrorKind::TooShort] {
            assert!(
                !Trouble::new(storage(kind, "a")).is_of_writing(),
                "{kind:?}"
            );
        }
    }

    #[test]
    fn tries_that_come_to_nothing_grow_rarer_up_to_half_a_minute() {
        let mut trouble = Trouble::new(storage(ErrorKind::Full, "a"));
        let pauses: Vec<u64> = (0..7)
            .map(|tries| {
                trouble.tries = tries;
                trouble.pause(Duration::from_secs(2)).as_secs()
            })
            .collect();
        assert_eq!(pauses, [2, 4, 8, 16, 30, 30, 30]);
        trouble.tries = u32::MAX;
        assert_eq!(trouble.pause(Duration::from_secs(40)).as_secs(), 40);
    }
}
