//! Which back ends there are, and which one serves how many messages.

use std::fmt;
use std::sync::LazyLock;

use crate::algorithm::{Algorithm, Sha1, Sha256};
use crate::kernel::{Kernel, LANES};
#[cfg(target_arch = "x86_64")]
use crate::kernel::{avx2::Avx2, avx512::Avx512, shani::ShaNi};
use crate::message::Message;
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
    /// 4 lanes of plain arrays.
    Portable,
    /// One message after the other, in plain code.
    Scalar,
    /// One message after the other, by the SHA extensions of x86.
    ShaNi1,
    /// 2 interleaved streams of the SHA extensions of x86.
    ShaNi2,
    /// 4 interleaved streams of the SHA extensions of x86.
    ShaNi4,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Adaptive => "adaptive",
            Self::Avx2 => "avx2 x8",
            Self::Avx512 => "avx512 x16",
            Self::Portable => "portable x4",
            Self::Scalar => "scalar",
            Self::ShaNi1 => "sha-ni",
            Self::ShaNi2 => "sha-ni x2",
            Self::ShaNi4 => "sha-ni x4",
        })
    }
}

/// A way to hash many messages that this machine can run; the functions of the crate root use [`Lanes::best`].
#[derive(Clone)]
pub struct Lanes {
    backend: Backend,
    /// The kernel for 1 to [`LANES`] messages of SHA-1, at index `messages - 1`.
    sha1: [Kernel; LANES],
    /// The same for SHA-256.
    sha256: [Kernel; LANES],
}

impl fmt::Debug for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lanes")
            .field("backend", &self.backend)
            .field("full", &self.full())
            .finish_non_exhaustive()
    }
}

static BEST: LazyLock<Lanes> = LazyLock::new(adaptive);

impl Lanes {
    /// The fastest mix of back ends, found once per process.
    pub fn best() -> &'static Self {
        &BEST
    }

    /// Everything that this machine can run: the mix first, then each back end by itself.
    pub fn available() -> Vec<Self> {
        let mut available = vec![adaptive()];
        available.extend([
            Self::only(Backend::Scalar, Kernel::Scalar),
            Self::only(Backend::Portable, Kernel::Portable),
        ]);
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(token) = Avx2::detect() {
                available.push(Self::only(Backend::Avx2, Kernel::Avx2(token)));
            }
            if let Some(token) = ShaNi::detect() {
                available.extend([
                    Self::only(Backend::ShaNi1, Kernel::ShaNi1(token)),
                    Self::only(Backend::ShaNi2, Kernel::ShaNi2(token)),
                    Self::only(Backend::ShaNi4, Kernel::ShaNi4(token)),
                ]);
            }
            if let Some(token) = Avx512::detect() {
                available.push(Self::only(Backend::Avx512, Kernel::Avx512(token)));
            }
        }
        available
    }

    /// The back end, or [`Backend::Adaptive`].
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// How many messages fill the widest back end: a caller who can wait gathers as many.
    pub fn full(&self) -> usize {
        self.sha1[LANES - 1].width()
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
        schedule::run::<8, Sha256>(self, queue, |i, digest| out[old + i] = digest);
    }

    /// As [`sha256_pairs`](crate::sha256_pairs), by this way.
    ///
    /// # Panics
    /// When `nodes` is not twice as long as `out`.
    pub fn sha256_pairs(&self, nodes: &[[u8; 32]], out: &mut [[u8; 32]]) {
        assert_eq!(nodes.len(), 2 * out.len(), "two nodes per digest");
        let queue = nodes
            .as_flattened()
            .chunks(64)
            .map(Message::whole)
            .enumerate();
        schedule::run::<8, Sha256>(self, queue, |i, digest| out[i] = digest);
    }

    /// The kernel for `active` messages, 1 to [`LANES`].
    pub(crate) fn sha1_kernel(&self, active: usize) -> Kernel {
        self.sha1[active - 1]
    }

    /// The kernel for `active` messages, 1 to [`LANES`].
    pub(crate) fn sha256_kernel(&self, active: usize) -> Kernel {
        self.sha256[active - 1]
    }

    fn only(backend: Backend, kernel: Kernel) -> Self {
        Self {
            backend,
            sha1: [kernel; LANES],
            sha256: [kernel; LANES],
        }
    }

    fn many<'a, const W: usize, A: Algorithm<W>>(
        &self,
        count: usize,
        message: impl Fn(usize) -> Message<'a>,
        out: &mut [A::Digest],
    ) {
        assert_eq!(count, out.len(), "one digest per message");
        let first = if count == 0 { 0 } else { message(0).len() };
        // More messages than lanes: the long ones first, so that all lanes end at about the same time.
        if count > 1 && (1..count).any(|i| message(i).len() != first) {
            let mut order: Vec<usize> = (0..count).collect();
            order.sort_by_key(|&i| std::cmp::Reverse(message(i).len()));
            let queue = order.into_iter().map(|i| (i, message(i)));
            schedule::run::<W, A>(self, queue, |i, digest| out[i] = digest);
        } else {
            let queue = (0..count).map(|i| (i, message(i)));
            schedule::run::<W, A>(self, queue, |i, digest| out[i] = digest);
        }
    }
}

/// The mix for this machine.
fn adaptive() -> Lanes {
    let mut lanes = Lanes::only(Backend::Adaptive, Kernel::Portable);
    lanes.set(1..=1, Kernel::Scalar);
    #[cfg(target_arch = "x86_64")]
    {
        if let Some(token) = Avx2::detect() {
            lanes.set(3..=LANES, Kernel::Avx2(token));
        }
        if let Some(token) = ShaNi::detect() {
            lanes.set(1..=1, Kernel::ShaNi1(token));
            lanes.set(2..=2, Kernel::ShaNi2(token));
            lanes.set(3..=LANES, Kernel::ShaNi4(token));
        }
        if let Some(token) = Avx512::detect() {
            lanes.set(8..=LANES, Kernel::Avx512(token));
        }
    }
    lanes
}

impl Lanes {
    /// Plans `kernel` for these numbers of messages.
    fn set(&mut self, messages: std::ops::RangeInclusive<usize>, kernel: Kernel) {
        for messages in messages {
            self.sha1[messages - 1] = kernel;
            self.sha256[messages - 1] = kernel;
        }
    }
}
