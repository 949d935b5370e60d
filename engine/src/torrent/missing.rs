//! Content that was there and is not: its disk may be unmounted, so that nothing is fetched anew into an empty mount point.

use storage::{Store, StoreError};

use crate::Existing;
use crate::torrent::actor::{Phase, Torrent};
use crate::torrent::resume::Ledger;

/// What is known of content that should be there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Footing {
    /// There were verified pieces.
    held: bool,
    /// The device that their folder was on.
    device: Option<u64>,
}

impl Torrent {
    /// Remembers where the content is, as long as there is any.
    pub(super) fn note_footing(&mut self) {
        if let Phase::Active(active) = &self.phase
            && active.picker.have().count() > 0
        {
            self.footing = Footing {
                held: true,
                device: active.content.store.device().or(self.footing.device),
            };
        }
    }

    /// What should be there when the content is opened.
    pub(super) fn footing(&self) -> Footing {
        let known = self.known.as_ref().and_then(|known| known.have.as_ref());
        // What is only served is said file by file.
        let trusted = self.add.trust_data && self.add.existing != Existing::Serve;
        let held = known.is_some_and(|have| have.count() > 0) || trusted;
        Footing {
            held: self.footing.held || held,
            ..self.footing
        }
    }
}

impl Footing {
    /// Finds the content, where there was any.
    ///
    /// # Errors
    /// It is gone in a way that an unmounted disk is.
    pub(super) fn find(
        self,
        store: &Store,
        existing: Existing,
        ledger: Option<&Ledger>,
    ) -> Result<(), StoreError> {
        // Who replaces whatever is there has it fetched anew where nothing is.
        if existing == Existing::Replace || store.has_data() {
            return Ok(());
        }
        if self.held || ledger.is_some_and(Ledger::vouches) {
            store.find(self.device)?;
        }
        match ledger.and_then(Ledger::ground) {
            Some(ground) if ground.is_of(store) => store.find_on(ground.file_system),
            _ => Ok(()),
        }
    }
}

impl Ledger {
    /// Whether an earlier run had content in this folder, whatever has become of it. A file does not say so: who names another
    /// folder now, or the same one after its content was deleted, has it fetched there. It has the [ground](Self::ground).
    pub(super) fn vouches(&self) -> bool {
        match self {
            Self::File(..) => false,
            Self::Store(keeper, key) => {
                let progress = keeper.progress(*key).ok().flatten();
                progress.is_some_and(|it| it.have.count() > 0 || !it.partial.is_empty())
            }
        }
    }
}
