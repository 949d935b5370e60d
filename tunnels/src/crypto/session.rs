//! The keys that two nodes share for one hop, and who seals with which.

use std::fmt;
use std::ops::Range;

use rand::{Rng, RngExt};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk};
use thiserror::Error;
use zeroize::Zeroizing;

use super::Shared;
use super::layer::{HEAD, Layer, OVERHEAD, OpenError, TAG};
use super::replay::Replay;
use crate::Dialect;

/// What keys are derived for.
const INFO: &[u8] = b"key_generation";

/// The counter with which a node that joins seals the list of its neighbours, under the key of the originator: far above
/// where originators count.
pub const ANSWER_COUNTER: u64 = 1 << 62;

/// The most cells that one key seals. Far more than the traffic limit of a circuit lets through, and few enough that two counter
/// blocks of GCM do not meet.
const MOST_CELLS: u64 = 1 << 32;

/// Counters with eight digits: the nonce of the older dialect then has the 12 bytes that are fast everywhere.
const EIGHT_DIGITS: Range<u64> = 10_000_000..100_000_000;

/// Which end of a hop this is; each seals with the key that the other opens with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Began the exchange of keys, or seeds at the far end of an end-to-end link.
    Originator,
    /// Answered it, or downloads from such a seeder.
    Joined,
}

/// A message cannot be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the key has sealed as many cells as it may")]
pub struct SealError;

/// Both directions of a hop, as one of its ends has them.
#[derive(Debug)]
pub struct Session {
    /// What this end sends.
    pub seal: Sealer,
    /// What the other end sends.
    pub open: Opener,
}

/// The one owner of a key to seal with. Not to be cloned: its counter would run twice.
pub struct Sealer {
    layer: Layer,
    next: u64,
    left: u64,
}

/// A key to open with, and what it has opened.
pub struct Opener {
    layer: Layer,
    replay: Replay,
}

/// A counter to begin with: so that all that a circuit may carry has counters of eight digits, and no two sessions have an
/// order.
pub fn first_counter(rng: &mut impl Rng) -> u64 {
    rng.random_range(EIGHT_DIGITS.start..EIGHT_DIGITS.start * 4)
}

impl Session {
    /// Derives the keys: HKDF-Expand with SHA-256 of the shared secret, first the key and then the salt of each direction.
    ///
    /// `first` is the counter of the first cell that is sealed here.
    pub fn new(dialect: Dialect, shared: &Shared, side: Side, first: u64) -> Option<Self> {
        let keys = Keys::derive(dialect, shared)?;
        let (mut seal, mut open) = (keys.to_exit, keys.to_originator);
        if side == Side::Joined {
            (seal, open) = (open, seal);
        }
        Some(Self {
            seal: Sealer::new(seal, first),
            open: Opener::new(open),
        })
    }

    /// A session of the older dialect with given keys and salts, towards the originator and towards the exit.
    #[cfg(test)]
    pub(crate) fn of_keys(
        to_originator: ([u8; 16], [u8; 4]),
        to_exit: ([u8; 16], [u8; 4]),
        side: Side,
        first: u64,
    ) -> Self {
        let mut seal = Layer::gcm(to_exit.0, to_exit.1);
        let mut open = Layer::gcm(to_originator.0, to_originator.1);
        if side == Side::Joined {
            (seal, open) = (open, seal);
        }
        Self {
            seal: Sealer::new(seal, first),
            open: Opener::new(open),
        }
    }

    /// The session of a node that joins, and with it the list of its neighbours sealed for the originator.
    pub fn joined(
        dialect: Dialect,
        shared: &Shared,
        first: u64,
        list_counter: u64,
        list: &[u8],
    ) -> Option<(Self, Vec<u8>)> {
        let mut session = Self::new(dialect, shared, Side::Joined, first)?;
        let mut frame = vec![0; HEAD];
        frame.extend_from_slice(list);
        frame.resize(list.len() + OVERHEAD, 0);
        session.open.layer.seal(list_counter, &mut frame)?;
        Some((session, frame))
    }

    /// Opens such a list: the one message under the key that this end seals with that comes from the other.
    ///
    /// # Errors
    /// [`OpenError::Short`], [`OpenError::Forged`].
    pub fn open_list(&mut self, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        let mut frame = sealed.to_vec();
        self.seal.layer.open(&mut frame)?;
        frame.truncate(frame.len().saturating_sub(TAG));
        frame.drain(..HEAD.min(frame.len()));
        Ok(frame)
    }
}

impl Sealer {
    const fn new(layer: Layer, first: u64) -> Self {
        Self {
            layer,
            next: first,
            left: MOST_CELLS,
        }
    }

    /// Seals `frame` in place: [`HEAD`] bytes of room, the message, [`TAG`] bytes of room.
    ///
    /// # Errors
    /// [`SealError`] after 2^32 cells.
    pub fn seal(&mut self, frame: &mut [u8]) -> Result<(), SealError> {
        let counter = self.next;
        self.left = self.left.checked_sub(1).ok_or(SealError)?;
        self.next = counter.checked_add(1).ok_or(SealError)?;
        self.layer.seal(counter, frame).ok_or(SealError)
    }

    /// Seals a copy of `message`.
    ///
    /// # Errors
    /// As [`Sealer::seal`].
    pub fn seal_copy(&mut self, message: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut frame = Vec::with_capacity(message.len() + OVERHEAD);
        frame.resize(HEAD, 0);
        frame.extend_from_slice(message);
        frame.resize(message.len() + OVERHEAD, 0);
        self.seal(&mut frame)?;
        Ok(frame)
    }
}

impl Opener {
    const fn new(layer: Layer) -> Self {
        Self {
            layer,
            replay: Replay::new(),
        }
    }

    /// Takes the layer off `frame` in place: the message is then what lies between its first [`HEAD`] and its last [`TAG`]
    /// bytes. After an error the bytes have no meaning any more.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(&mut self, frame: &mut [u8]) -> Result<(), OpenError> {
        let head = frame.first_chunk().copied().ok_or(OpenError::Short)?;
        let tag = frame.last_chunk().copied().ok_or(OpenError::Short)?;
        let counter = u64::from_be_bytes(head);
        if !self.replay.may_be_new(counter, tag) {
            return Err(OpenError::Replayed);
        }
        self.layer.open(frame)?;
        self.replay.note(counter, tag);
        Ok(())
    }

    /// Opens a copy of `sealed`.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_copy(&mut self, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        let mut frame = sealed.to_vec();
        self.open(&mut frame)?;
        frame.truncate(frame.len().saturating_sub(TAG));
        frame.drain(..HEAD.min(frame.len()));
        Ok(frame)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer({:?}, {} cells left)", self.layer, self.left)
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opener({:?})", self.layer)
    }
}

/// The keys of both directions.
struct Keys {
    to_originator: Layer,
    to_exit: Layer,
}

impl Keys {
    fn derive(dialect: Dialect, shared: &Shared) -> Option<Self> {
        match dialect {
            Dialect::Classic => {
                let block = expand::<40>(shared)?;
                let (to_originator, rest) = block.split_first_chunk::<16>()?;
                let (to_exit, rest) = rest.split_first_chunk::<16>()?;
                let (salt, rest) = rest.split_first_chunk::<4>()?;
                Some(Self {
                    to_originator: Layer::gcm(*to_originator, *salt),
                    to_exit: Layer::gcm(*to_exit, *rest.first_chunk()?),
                })
            }
            Dialect::Modern => {
                let block = expand::<72>(shared)?;
                let (to_originator, rest) = block.split_first_chunk::<32>()?;
                let (to_exit, rest) = rest.split_first_chunk::<32>()?;
                let (salt, rest) = rest.split_first_chunk::<4>()?;
                Some(Self {
                    to_originator: Layer::chacha(to_originator, *salt)?,
                    to_exit: Layer::chacha(to_exit, *rest.first_chunk()?)?,
                })
            }
        }
    }
}

struct Len(usize);

impl KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand<const N: usize>(shared: &Shared) -> Option<Zeroizing<[u8; N]>> {
    let prk = Prk::new_less_safe(HKDF_SHA256, shared.as_bytes());
    let mut block = Zeroizing::new([0; N]);
    let okm = prk.expand(&[INFO], Len(N)).ok()?;
    okm.fill(block.as_mut()).ok()?;
    Some(block)
}
