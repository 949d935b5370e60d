//! Who is asked before each call to the operating system: nobody, or a test that lets it fail, has it wait, or ends the
//! program there.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::error::Cause;

/// A call that is about to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Call {
    /// Opening a file to read, or a folder.
    Open,
    /// Opening a file to write, which makes it where it is not there.
    Create,
    /// Making a folder.
    MakeFolder,
    /// Making a symbolic link.
    Link,
    /// Looking at what stands at a path.
    Stat,
    /// Reading, or mapping to read.
    Read,
    /// Writing, or mapping to write.
    Write,
    /// Giving a file another length.
    Truncate,
    /// Reserving room.
    Reserve,
    /// Bringing a file or a folder to the disk.
    Sync,
    /// Telling the disk to write a file, or waiting for that; a power cut may take what was written nevertheless.
    StartSync,
    /// Giving a file another name or folder.
    Rename,
    /// Removing a file or a link.
    Remove,
    /// Removing a folder.
    RemoveFolder,
}

impl Call {
    /// Whether it changes what is on the disk.
    pub const fn changes(self) -> bool {
        !matches!(self, Self::Open | Self::Stat | Self::Read)
    }
}

/// Is asked before each call, with the path: where the file or folder stands, below the folder that was chosen as it was named. An
/// error takes the place of the call, which is not made then. May take its time.
pub type Watch = dyn Fn(Call, &Path) -> io::Result<()> + Send + Sync;

/// Who watches the calls of a store. Clones share it.
#[derive(Clone, Default)]
pub struct Watcher(Option<Arc<Watch>>);

impl Watcher {
    /// Asks this before each call.
    pub fn new(watch: impl Fn(Call, &Path) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(watch)))
    }

    /// Whether the call may be made.
    ///
    /// # Errors
    /// What takes the place of the call.
    #[inline]
    pub fn ask(&self, call: Call, path: &Path) -> io::Result<()> {
        match &self.0 {
            None => Ok(()),
            Some(watch) => watch(call, path),
        }
    }

    /// Whether there is anybody.
    pub(crate) const fn is_somebody(&self) -> bool {
        self.0.is_some()
    }

    /// As [`ask`](Self::ask).
    #[inline]
    pub(crate) fn may(&self, call: Call, path: &Path) -> Result<(), Cause> {
        Ok(self.ask(call, path)?)
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Watcher(someone)"
        } else {
            "Watcher(nobody)"
        })
    }
}
