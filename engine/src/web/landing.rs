//! The bytes of a job on their way into the store.

use std::time::{Duration, Instant};

use protocol::geometry::{BLOCK_LEN, Geometry};
use storage::StoreError;

use crate::content::Traffic;
use crate::peer::assigned::returned;
use crate::peer::intake::{Catch, Intake};
use crate::peer::messages::Fact;
use crate::web::queue::Job;
use crate::web::shared::{Shared, Wiring};

/// How long the server may take for one block: it is kept from everyone else meanwhile.
const BLOCK_WITHIN: Duration = Duration::from_secs(60);

/// How much of the time that a whole file inside of a block takes does not count: blocks of many small files take many
/// requests.
const FILE_GRACE: Duration = Duration::from_secs(1);

/// Zeros that stand for padding, a piece of it at a time.
static ZEROS: [u8; BLOCK_LEN as usize] = [0; BLOCK_LEN as usize];

/// Takes the bytes of a job in order.
#[derive(Debug)]
pub(super) struct Landing {
    pub(super) job: Job,
    /// Where the next byte belongs, counted from the start of the torrent.
    pub(super) at: u64,
    intake: Intake,
    /// When the block that is arriving began, later by the time that we kept the server from sending; or when the last
    /// one ended.
    block_since: Instant,
    /// Some of a block has come, and not all.
    arriving: bool,
    /// Bytes before the next block that have come since.
    skipped: u64,
}

impl Landing {
    pub(super) fn new(job: Job, now: Instant) -> Self {
        Self {
            at: job.from,
            job,
            intake: Intake::default(),
            block_since: now,
            arriving: false,
            skipped: 0,
        }
    }

    /// When to wait no longer for the rest of a block.
    pub(super) fn patience(&self) -> Instant {
        self.block_since + BLOCK_WITHIN
    }

    /// When a request that goes on with a block has taken too long; none where no block waits for it.
    pub(super) fn waits_until(&self) -> Option<Instant> {
        self.arriving.then(|| self.patience())
    }

    /// It was we who kept the server from sending for so long.
    pub(super) fn held_back(&mut self, time: Duration) {
        self.block_since += time;
    }

    /// The reply to a request begins.
    pub(super) fn answered(&mut self, now: Instant) {
        if !self.arriving {
            self.block_since = now;
            self.skipped = 0;
        }
    }

    /// A file came whole, in so much time.
    pub(super) fn file_ended(&mut self, took: Duration) {
        if self.arriving {
            self.block_since += took.min(FILE_GRACE);
        }
    }

    /// Bytes came that lie before the next one: they come no slower than those of blocks.
    pub(super) fn skipped(&mut self, bytes: u64, now: Instant) {
        self.skipped += bytes;
        if !self.arriving && self.skipped >= u64::from(BLOCK_LEN) {
            self.block_since = now;
            self.skipped = 0;
        }
    }

    /// Writes bytes that came, and appends what there is to tell. Says whether all of them were of use.
    pub(super) fn receive(
        &mut self,
        data: &[u8],
        shared: &Shared,
        now: Instant,
    ) -> Result<bool, StoreError> {
        let mut facts = Vec::new();
        let landed = self.land(data, shared, now, &mut facts);
        shared.tell(facts);
        let landed = landed?;
        let len = data.len() as u64;
        let Wiring {
            traffic,
            torrent_traffic,
            ..
        } = &shared.wiring;
        Traffic::add(&traffic.down, len);
        Traffic::add(&torrent_traffic.down, len);
        Traffic::add(&torrent_traffic.wasted, len.saturating_sub(landed));
        Ok(landed == len)
    }

    /// Goes over padding up to `to`: it is written nowhere, but blocks are whole with it.
    pub(super) fn pad_to(
        &mut self,
        to: u64,
        shared: &Shared,
        now: Instant,
    ) -> Result<(), StoreError> {
        let mut facts = Vec::new();
        let mut outcome = Ok(0);
        while self.at < to.min(self.job.to) && outcome.is_ok() {
            let len = (to - self.at).min(u64::from(BLOCK_LEN)) as usize;
            let zeros = ZEROS.get(..len).unwrap_or(&ZEROS);
            outcome = self.land(zeros, shared, now, &mut facts);
        }
        shared.tell(facts);
        outcome.map(|_| ())
    }

    fn land(
        &mut self,
        mut data: &[u8],
        shared: &Shared,
        now: Instant,
        facts: &mut Vec<Fact>,
    ) -> Result<u64, StoreError> {
        let geometry = shared.geometry();
        let mut catch = Catch::default();
        while !data.is_empty()
            && let Some((active, number, begin)) = self.job.block_at(geometry, self.at)
            && let Some(block) = geometry.block(active.piece(), number)
        {
            let offset = (self.at - begin) as u32;
            if offset == 0 {
                let lease = active.lease(number, shared.wiring.key.0);
                if lease.is_none() {
                    // Another brings it, or has brought it.
                    returned([block], facts);
                }
                self.intake.begin(block, lease);
                self.block_since = now;
                self.arriving = true;
            }
            let room = geometry.block_len(block) - offset;
            let len = data.len().min(room as usize);
            let (part, rest) = data.split_at(len);
            let last = len == room as usize;
            self.intake
                .data(geometry, (block, offset, part), last, &mut catch);
            self.at += len as u64;
            if last {
                self.arriving = false;
                self.block_since = now;
            }
            data = rest;
        }
        let landed = catch.land(&shared.wiring.content.store, facts)?;
        #[cfg(test)]
        crate::scene::trip(facts);
        Ok(landed)
    }

    /// Gives back what has not come.
    pub(super) fn give_back(mut self, geometry: &Geometry, facts: &mut Vec<Fact>) {
        self.intake.abandon();
        if self.at < self.job.to {
            self.job.give_back(geometry, self.at, facts);
        }
    }
}
