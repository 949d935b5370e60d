//! What a tracker keeps of its peers.

use ahash::RandomState;
use serde::Deserialize;

/// By what a peer is known again.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// Its address and port: nobody takes the place of another.
    #[default]
    Address,
    /// Its peer id, in each family of addresses for itself.
    PeerId,
}

/// What is kept of peers beside their addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Their peer ids: 20 bytes for each in large swarms, for lists of peers that are not compact.
    pub ids: bool,
    /// What they tell of their transfer, for whoever looks at a torrent: 32 bytes for each, and more in small swarms.
    pub reports: bool,
    /// By what they are known again; peer ids are kept where it is by these.
    pub identity: Identity,
}

/// What holds for all swarms.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) keep: Keep,
    /// Keyed at random, so that nobody can choose addresses or hashes that fall together.
    random: RandomState,
}

impl Rules {
    pub(super) fn new(mut keep: Keep) -> Self {
        keep.ids |= keep.identity == Identity::PeerId;
        Self {
            keep,
            random: RandomState::new(),
        }
    }

    pub(super) fn hash(&self, bytes: &[u8]) -> u64 {
        self.random.hash_one(bytes)
    }

    /// By what a peer with this address and id is known again.
    pub(super) const fn key<'a, const N: usize>(
        &self,
        addr: &'a [u8; N],
        id: &'a [u8; 20],
    ) -> &'a [u8] {
        match self.keep.identity {
            Identity::Address => addr,
            Identity::PeerId => id,
        }
    }
}
