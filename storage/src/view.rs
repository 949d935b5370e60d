//! Read views: slices of the map that keep their window alive.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::error::{Cause, Op, StoreError};
use crate::inner::Inner;
use crate::map::Window;
use crate::platform;
use crate::spec::ReadMode;
use crate::watch::Call;

/// A stretch of the torrent, as slices that need no copy. Holds its windows of the map; drop it soon.
///
/// If the file is cut or its device fails while the view is alive, the missing bytes read as zeros and
/// [`check`](Self::check) says so. A system call that is handed such a slice fails with `EFAULT` and leaves no mark:
/// verify the piece then, which names the file.
#[derive(Debug)]
pub struct PieceView {
    parts: SmallVec<[Part; 2]>,
    len: u64,
}

#[derive(Debug)]
enum Part {
    Mapped {
        window: Arc<Window>,
        at: usize,
        len: usize,
    },
    Owned(Box<[u8]>),
    Zeros(u64),
}

/// Bytes of a page, or of a part of one.
const PAGE: usize = 4096;

/// What padding reads from.
pub(crate) static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

impl Inner {
    pub(crate) fn view(self: &Arc<Self>, offset: u64, len: u64) -> Result<PieceView, StoreError> {
        if !self.layout.contains(offset, len) {
            return Err(StoreError::new(Op::Read, &self.root, Cause::OutOfRange));
        }
        let _settled = self.places.read_recursive();
        let mut parts = SmallVec::new();
        for segment in self.layout.segments(offset, len) {
            match self.locate(segment) {
                None => parts.push(Part::Zeros(segment.len)),
                Some((file, at)) => self.view_file(file, (at, segment.len), &mut parts)?,
            }
        }
        Ok(PieceView { parts, len })
    }

    fn view_file(
        self: &Arc<Self>,
        file: u32,
        (mut at, mut rest): (u64, u64),
        parts: &mut SmallVec<[Part; 2]>,
    ) -> Result<(), StoreError> {
        while rest > 0 {
            let window = match self.options.read {
                ReadMode::Map => self.window(file, (at, rest), false)?,
                ReadMode::Pread => None,
            };
            let Some(window) = window else {
                let mut copy = vec![0; rest as usize].into_boxed_slice();
                self.read_file(file, at, &mut copy)?;
                parts.push(Part::Owned(copy));
                return Ok(());
            };
            let from = (at - window.start()) as usize;
            let len = (window.len() - from).min(rest as usize);
            parts.push(Part::Mapped {
                window,
                at: from,
                len,
            });
            at += len as u64;
            rest -= len as u64;
        }
        Ok(())
    }

    /// Reads with positioned reads.
    pub(crate) fn read(self: &Arc<Self>, offset: u64, out: &mut [u8]) -> Result<(), StoreError> {
        let len = out.len() as u64;
        if !self.layout.contains(offset, len) {
            return Err(StoreError::new(Op::Read, &self.root, Cause::OutOfRange));
        }
        let _settled = self.places.read_recursive();
        let mut rest = out;
        for segment in self.layout.segments(offset, len) {
            let (now, later) = rest.split_at_mut(segment.len as usize);
            rest = later;
            match self.locate(segment) {
                None => now.fill(0),
                Some((file, at)) => self.read_file(file, at, now)?,
            }
        }
        Ok(())
    }

    fn read_file(self: &Arc<Self>, file: u32, at: u64, out: &mut [u8]) -> Result<(), StoreError> {
        let open = self.reader(file)?;
        self.options.budget.0.tally.read();
        let asked = self.may(Call::Read, file);
        asked
            .and_then(|()| platform::read_exact_at(&open.file, out, at))
            .map_err(|cause| self.error(Op::Read, file, cause))
    }
}

impl PieceView {
    /// Bytes in all.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes, slice by slice in order; mostly one.
    pub fn segments(&self) -> impl Iterator<Item = &[u8]> {
        self.parts.iter().flat_map(|part| {
            let (slice, mut zeros) = match part {
                Part::Mapped { window, at, len } => (Some(window.bytes(*at, *len)), 0),
                Part::Owned(bytes) => (Some(&**bytes), 0),
                Part::Zeros(len) => (None, *len),
            };
            let padding = std::iter::from_fn(move || {
                let now = zeros.min(ZEROS.len() as u64);
                zeros -= now;
                (now > 0).then(|| &ZEROS[..now as usize])
            });
            slice.into_iter().chain(padding)
        })
    }

    /// The bytes as one slice, if they lie in one.
    pub fn contiguous(&self) -> Option<&[u8]> {
        let mut segments = self.segments();
        let first = segments.next().unwrap_or_default();
        segments.next().is_none().then_some(first)
    }

    /// The bytes, copied.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len());
        self.segments().for_each(|segment| out.extend(segment));
        out
    }

    /// Asks the system to read the bytes ahead; returns at once.
    pub fn will_need(&self) {
        for part in &self.parts {
            if let Part::Mapped { window, at, len } = part {
                window.will_need(*at, *len);
            }
        }
    }

    /// Reads a byte of each page and [checks](Self::check), so that who copies the bytes learns before it whether they are
    /// there.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn probe(&self) -> Result<(), StoreError> {
        for segment in self.segments() {
            for byte in segment.iter().step_by(PAGE).chain(segment.last()) {
                std::hint::black_box(*byte);
            }
        }
        self.check()
    }

    /// Whether everything read from the view so far was the file's. Call it after the bytes were used.
    ///
    /// # Errors
    /// Names the file of which a page could not be read ([`ErrorKind::Vanished`](crate::ErrorKind::Vanished)).
    pub fn check(&self) -> Result<(), StoreError> {
        for part in &self.parts {
            if let Part::Mapped { window, .. } = part
                && window.faulted()
            {
                return Err(StoreError::new(Op::Read, window.path(), Cause::Faulted));
            }
        }
        Ok(())
    }
}
