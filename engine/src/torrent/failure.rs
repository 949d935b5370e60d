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

/// How long a torrent that failed stands still before it tries again.
const RETRY_AFTER: Duration = Duration::from_secs(2);

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
        if let Phase::Failed(known, at) = &mut self.phase {
            *at = now() + RETRY_AFTER;
            if *known == error {
                return;
            }
        }
        tracing::warn!(torrent = %self.hashes.wire(), %error, "stopped");
        self.halt(Phase::Failed(error.clone(), now() + RETRY_AFTER));
        self.event(Event::Error { id: self.id, error });
        self.publish();
    }

    /// Tries again after an error: first whether the disk gives what is needed, then everything. A torrent that may be
    /// complete needs no more than to be read.
    pub(crate) fn retry_if_due(&mut self, now: Instant, ctx: &mut Context<Self>) {
        let Phase::Failed(TorrentError::Storage { .. }, at) = &mut self.phase else {
            return;
        };
        if now < *at {
            return;
        }
        *at = now + 15 * RETRY_AFTER;
        let Some(spec) = self.spec() else { return };
        let me = ctx.address();
        let options = self.setup.storage.clone();
        let lacking = self.known.as_ref().is_some_and(|known| known.lacking);
        let wanted: Vec<bool> = spec.files.iter().map(|file| file.wanted).collect();
        self.setup.disk.short(move || {
            let wanted = |file: usize| wanted.get(file).is_some_and(|wanted| *wanted);
            let probed = Store::open(spec, options).and_then(|store| {
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
