//! The SIGBUS guard.
//!
//! Reading a mapped page that the file no longer has (it was cut), or that the device can't read, or writing one for
//! which the disk has no room, raises SIGBUS, which would end the process. The guard is a process-wide handler that
//! looks the address up among the registered ranges; if it is one of ours, it puts zero pages in place from the
//! failing page to the end of the range and marks the range as faulted, so that the access goes on and whoever made it
//! finds the mark afterwards. Any other SIGBUS goes to the handler that was there before.
//!
//! The table is a list of chunks of atomics that only grows: the handler takes no lock and allocates nothing.

use std::io;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

use parking_lot::Mutex;

/// A range in the guard's table; leaves it on drop.
#[derive(Debug)]
pub(super) struct Registration(&'static Slot);

#[derive(Debug)]
struct Slot {
    /// First address of the first page, `FREE` while unused.
    start: AtomicUsize,
    /// First address past the last page.
    end: AtomicUsize,
    faulted: AtomicBool,
}

struct Chunk {
    slots: [Slot; SLOTS],
    next: AtomicPtr<Self>,
}

/// Ranges in a chunk; one chunk serves a store of the default bounds.
const SLOTS: usize = 128;
/// Above every address.
const FREE: usize = usize::MAX;

static TABLE: Chunk = Chunk::new();
static UNUSED: Mutex<Vec<&'static Slot>> = Mutex::new(Vec::new());
static PREVIOUS: OnceLock<libc::sigaction> = OnceLock::new();
static INSTALLED: OnceLock<Result<usize, i32>> = OnceLock::new();

impl Registration {
    /// Watches the pages that hold `len` bytes at `start`.
    pub(super) fn new(start: usize, len: usize) -> io::Result<Self> {
        let page = *INSTALLED
            .get_or_init(install)
            .as_ref()
            .map_err(|errno| io::Error::from_raw_os_error(*errno))?;
        let unused = UNUSED.lock().pop();
        let slot = unused.unwrap_or_else(grow);
        slot.faulted.store(false, Ordering::Relaxed);
        slot.end
            .store((start + len).next_multiple_of(page), Ordering::Relaxed);
        slot.start.store(start - start % page, Ordering::Release);
        Ok(Self(slot))
    }

    /// Whether a page of the range failed.
    pub(super) fn faulted(&self) -> bool {
        self.0.faulted.load(Ordering::SeqCst)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.0.start.store(FREE, Ordering::SeqCst);
        UNUSED.lock().push(self.0);
    }
}

impl Slot {
    const fn new() -> Self {
        Self {
            start: AtomicUsize::new(FREE),
            end: AtomicUsize::new(0),
            faulted: AtomicBool::new(false),
        }
    }

    /// The end of the range if the address is in it.
    fn find(&self, address: usize) -> Option<usize> {
        let start = self.start.load(Ordering::Acquire);
        let end = self.end.load(Ordering::Acquire);
        // A slot that changes hands between the two loads shows another start now. (If it shows the same one, `end`
        // is the new owner's, and it can't hold the address: that lies in a range that is alive elsewhere.)
        let unchanged = self.start.load(Ordering::Acquire) == start;
        (unchanged && start <= address && address < end).then_some(end)
    }
}

impl Chunk {
    const fn new() -> Self {
        Self {
            slots: [const { Slot::new() }; SLOTS],
            next: AtomicPtr::new(ptr::null_mut()),
        }
    }
}

/// Adds a chunk to the table and gives one of its slots; chunks are never freed, their slots are used again.
#[cold]
fn grow() -> &'static Slot {
    static FIRST_TAKEN: AtomicBool = AtomicBool::new(false);
    let chunk = if FIRST_TAKEN.swap(true, Ordering::AcqRel) {
        let chunk: &'static Chunk = Box::leak(Box::new(Chunk::new()));
        let mut head = TABLE.next.load(Ordering::Acquire);
        loop {
            chunk.next.store(head, Ordering::Relaxed);
            let new = ptr::from_ref(chunk).cast_mut();
            match TABLE
                .next
                .compare_exchange(head, new, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => break chunk,
                Err(now) => head = now,
            }
        }
    } else {
        &TABLE
    };
    let (first, rest) = chunk.slots.split_first().unwrap_or_else(|| unreachable!());
    UNUSED.lock().extend(rest);
    first
}

/// Puts the handler in place; gives the page size.
fn install() -> Result<usize, i32> {
    let errno = || {
        io::Error::last_os_error()
            .raw_os_error()
            .unwrap_or(libc::EINVAL)
    };
    // SAFETY: plain system calls. `sigaction` structures are made of integers, for which zero is valid, and the
    // pointers are to live locals. The previous action is stored before ours can run.
    unsafe {
        let mut previous: libc::sigaction = std::mem::zeroed();
        if libc::sigaction(libc::SIGBUS, ptr::null(), &raw mut previous) != 0 {
            return Err(errno());
        }
        let _ = PREVIOUS.set(previous);
        let mut action: libc::sigaction = std::mem::zeroed();
        let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) = on_sigbus;
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
        libc::sigemptyset(&raw mut action.sa_mask);
        if libc::sigaction(libc::SIGBUS, &raw const action, ptr::null_mut()) != 0 {
            return Err(errno());
        }
        Ok(libc::sysconf(libc::_SC_PAGESIZE) as usize)
    }
}

/// Runs in signal context: atomics and `mmap` only; `errno` is left as it was.
extern "C" fn on_sigbus(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid `siginfo_t`; for a SIGBUS that it raised itself (`si_code` > 0) the address
    // field is set. `__errno_location` is valid on every thread.
    let (code, address, errno) = unsafe {
        (
            (*info).si_code,
            (*info).si_addr().addr(),
            *libc::__errno_location(),
        )
    };
    let mended = code > 0 && mend(address);
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
    if !mended {
        pass_on(signal, info, context);
    }
}

/// Puts zero pages from the failing page to the end of its range; `false` if it is in none.
fn mend(address: usize) -> bool {
    let Some(Ok(page)) = INSTALLED.get() else {
        return false;
    };
    let mut chunk = &TABLE;
    loop {
        for slot in &chunk.slots {
            let Some(end) = slot.find(address) else {
                continue;
            };
            // The mark goes first: whoever reads a zero of ours, or loses a byte to it, can see the mark by then.
            slot.faulted.store(true, Ordering::SeqCst);
            let from = address - address % page;
            // SAFETY: [from, end) are whole pages of a live mapping that is registered here and nowhere else: the
            // thread that faulted holds it, so it can't be unmapped before this handler returns. MAP_FIXED replaces
            // exactly those pages; slices into them stay valid, as the new pages can be read and written.
            let new = unsafe {
                libc::mmap(
                    ptr::with_exposed_provenance_mut(from),
                    end - from,
                    libc::PROT_READ | libc::PROT_WRITE,
                    libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                    -1,
                    0,
                )
            };
            return new != libc::MAP_FAILED;
        }
        // SAFETY: chunks are leaked or static, so the pointer is null or valid for ever; it is written once, before
        // the chunk is published with release order.
        match unsafe { chunk.next.load(Ordering::Acquire).as_ref() } {
            Some(next) => chunk = next,
            None => return false,
        }
    }
}

/// Hands a SIGBUS that is none of ours to whoever handled it before; ends the process if that is nobody.
fn pass_on(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let previous = PREVIOUS.get();
    let handler = previous.map_or(libc::SIG_DFL, |action| action.sa_sigaction);
    // SAFETY: `handler` was installed for this signal by `sigaction`, so apart from the two constants it is a function
    // with the signature that its flags say. `sigaction` structures are made of integers, for which zero is valid, and
    // the pointers are to live locals.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        if handler == libc::SIG_DFL || handler == libc::SIG_IGN {
            libc::sigaction(signal, &raw const now, ptr::null_mut());
        } else if previous.is_some_and(|action| action.sa_flags & libc::SA_SIGINFO != 0) {
            let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) =
                std::mem::transmute(handler);
            handler(signal, info, context);
        } else {
            let handler: extern "C" fn(i32) = std::mem::transmute(handler);
            handler(signal);
        }
        // Rust's own handler only restores the default action, which is to come to pass when the access is repeated.
        // A signal that was sent repeats nothing, and would have disarmed the guard; so it comes to pass here.
        libc::sigaction(signal, ptr::null(), &raw mut now);
        if now.sa_sigaction == libc::SIG_DFL {
            libc::raise(signal);
        }
    }
}
