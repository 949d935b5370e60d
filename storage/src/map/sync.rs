//! Handing dirty pages to the disk without waiting (`sync_file_range(2)`), which no safe crate offers.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Starts writing all dirty pages of the file; does not wait for the disk.
pub(crate) fn start_writeback(file: &File) -> io::Result<()> {
    sync_file_range(file, libc::SYNC_FILE_RANGE_WRITE)
}

/// Waits for the pages whose writing has started.
pub(crate) fn await_writeback(file: &File) -> io::Result<()> {
    sync_file_range(file, libc::SYNC_FILE_RANGE_WAIT_BEFORE)
}

fn sync_file_range(file: &File, flags: libc::c_uint) -> io::Result<()> {
    loop {
        // SAFETY: a system call on a descriptor that `file` keeps open; offset and length 0 mean the whole file; no
        // memory is passed.
        if unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, flags) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            // File systems without it write back on their own.
            Some(libc::ENOSYS | libc::EINVAL | libc::ESPIPE) => return Ok(()),
            _ => return Err(error),
        }
    }
}
