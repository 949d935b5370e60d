//! The ways to hash that a machine offers.

use std::fmt;
use std::sync::LazyLock;

use crate::algorithm::{Algorithm, Sha1, Sha256};
use crate::kernel::LANES;
use crate::message::Message;
use crate::plan::{self, Plan};
use crate::schedule;

/// The back ends that hash; what a machine has is found at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// The fastest of the others for each number of messages.
    Adaptive,
    /// 8 lanes of AVX2.
    Avx2,
    /// 16 lanes of AVX-512.
    Avx512,
    /// One message after the other, SHA-1 by `sha1_smol` and SHA-256 by `ring`.
    Library,
    /// 16 lanes of plain arrays.
    Portable,
    /// One message after the other, in plain code.
    Scalar,
    /// Interleaved streams of the SHA extensions of x86.
    ShaNi {
        /// How many messages are interleaved.
        streams: usize,
    },
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Adaptive => f.pad("adaptive"),
            Self::Avx2 => f.pad("avx2-x8"),
            Self::Avx512 => f.pad("avx512-x16"),
            Self::Library => f.pad("library"),
            Self::Portable => f.pad("portable-x16"),
            Self::Scalar => f.pad("scalar"),
            Self::ShaNi { streams } => f.pad(&format!("sha-ni-x{streams}")),
        }
    }
}

/// A way to hash many messages that this machine can run; the functions of the crate root use [`Lanes::best`].
#[derive(Clone)]
pub struct Lanes {
    backend: Backend,
    sha1: Plan,
    sha256: Plan,
}

impl fmt::Debug for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Lanes");
        f.field("backend", &self.backend)
            .field("full", &self.full())
            .finish_non_exhaustive()
    }
}

static BEST: LazyLock<Lanes> = LazyLock::new(Lanes::adaptive);

impl Lanes {
    /// The fastest mix of back ends, found once per process.
    pub fn best() -> &'static Self {
        &BEST
    }

    /// Everything that this machine can run: the mix first, then each back end by itself.
    pub fn available() -> Vec<Self> {
        let alone = |(backend, plan): (Backend, Plan)| Self {
            backend,
            sha1: plan.clone(),
            sha256: plan,
        };
        std::iter::once(Self::adaptive())
            .chain(plan::alone().into_iter().map(alone))
            .collect()
    }

    /// The back end, or [`Backend::Adaptive`].
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// How many messages fill the widest back end: a caller who can wait gathers as many.
    pub fn full(&self) -> usize {
        match &self.sha1 {
            Plan::Kernels(kernels) => kernels[LANES - 1].width(),
            Plan::Library => 1,
        }
    }

    /// As [`sha1_many`](crate::sha1_many), by this way.
    ///
    /// # Panics
    /// When `out` has another length than `messages`.
    pub fn sha1_many(&self, messages: &[&[u8]], out: &mut [[u8; 20]]) {
        self.many::<5, Sha1>(messages.len(), |i| Message::whole(messages[i]), out);
    }

    /// As [`sha256_many`](crate::sha256_many), by this way.
    ///
    /// # Panics
    /// When `out` has another length than `messages`.
    pub fn sha256_many(&self, messages: &[&[u8]], out: &mut [[u8; 32]]) {
        self.many::<8, Sha256>(messages.len(), |i| Message::whole(messages[i]), out);
    }

    /// As [`sha1_many_parts`](crate::sha1_many_parts), by this way.
    ///
    /// # Panics
    /// When `out` has another length than `messages`.
    pub fn sha1_many_parts(&self, messages: &[&[&[u8]]], out: &mut [[u8; 20]]) {
        self.many::<5, Sha1>(messages.len(), |i| Message::parts(messages[i]), out);
    }

    /// As [`sha256_many_parts`](crate::sha256_many_parts), by this way.
    ///
    /// # Panics
    /// When `out` has another length than `messages`.
    pub fn sha256_many_parts(&self, messages: &[&[&[u8]]], out: &mut [[u8; 32]]) {
        self.many::<8, Sha256>(messages.len(), |i| Message::parts(messages[i]), out);
    }

    /// As [`sha256_blocks`](crate::sha256_blocks), by this way.
    ///
    /// # Panics
    /// When `block_len` is 0.
    pub fn sha256_blocks(&self, data: &[u8], block_len: usize, out: &mut Vec<[u8; 32]>) {
        let old = out.len();
        out.resize(old + data.len().div_ceil(block_len), [0; 32]);
        let queue = data.chunks(block_len).map(Message::whole).enumerate();
        schedule::run::<8, Sha256>(&self.sha256, queue, |i, digest| out[old + i] = digest);
    }

    /// As [`sha256_pairs`](crate::sha256_pairs), by this way.
    ///
    /// # Panics
    /// When `nodes` is not twice as long as `out`.
    pub fn sha256_pairs(&self, nodes: &[[u8; 32]], out: &mut [[u8; 32]]) {
        assert_eq!(nodes.len(), 2 * out.len(), "two nodes per digest");
        let (messages, _) = nodes.as_flattened().as_chunks();
        schedule::blocks::<8, Sha256>(&self.sha256, messages, out);
    }

    fn many<'a, const W: usize, A: Algorithm<W>>(
        &self,
        count: usize,
        message: impl Fn(usize) -> Message<'a>,
        out: &mut [A::Digest],
    ) {
        assert_eq!(count, out.len(), "one digest per message");
        let plan = A::plan(&self.sha1, &self.sha256);
        let done = |i: usize, digest| out[i] = digest;
        let mut lens = (0..count).map(|i| message(i).len());
        let first = lens.next();
        if lens.any(|len| Some(len) != first) {
            // The long ones first, so that the short ones fill the gaps and all lanes end at about the same time.
            let mut order: Vec<usize> = (0..count).collect();
            order.sort_by_cached_key(|&i| std::cmp::Reverse(message(i).len()));
            let queue = order.into_iter().map(|i| (i, message(i)));
            schedule::run::<W, A>(plan, queue, done);
        } else {
            schedule::run::<W, A>(plan, (0..count).map(|i| (i, message(i))), done);
        }
    }

    fn adaptive() -> Self {
        let (sha1, sha256) = plan::adaptive();
        Self {
            backend: Backend::Adaptive,
            sha1,
            sha256,
        }
    }
}
