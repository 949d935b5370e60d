//! Ctrl-C and SIGTERM: the first asks for a clean end, the second ends at once.

use std::io;
use std::thread;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::failure::Failure;

/// Listens for the signals that ask the process to end.
#[derive(Debug)]
pub(crate) struct Shutdown {
    interrupt: Signal,
    terminate: Signal,
    /// Standard input has ended.
    stdin: Option<oneshot::Receiver<()>>,
}

impl Shutdown {
    /// Starts to listen. From here on the signals no longer end the process by themselves. Must be called in a runtime.
    ///
    /// # Errors
    /// [`Failure::Failed`] where the system refuses.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let on = |kind| signal(kind).map_err(Failure::failed);
        Ok(Self {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            stdin: None,
        })
    }

    /// Takes the end of standard input for a signal: whoever holds the other end has ended, however that came.
    ///
    /// # Errors
    /// [`Failure::Failed`] where the system gives no thread to read it in.
    pub(crate) fn also_when_stdin_ends(&mut self) -> Result<(), Failure> {
        let (ended, end) = oneshot::channel();
        let read = move || {
            // Input that cannot be read has ended, too.
            let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
            let _ = ended.send(());
        };
        let thread = thread::Builder::new().name("stdin".to_owned());
        thread.spawn(read).map_err(Failure::failed)?;
        self.stdin = Some(end);
        Ok(())
    }

    /// Waits for the next signal; returns the exit code that a process ended by it has by custom.
    ///
    /// # Cancel safety
    /// No signal is lost when the future is dropped.
    pub(crate) async fn asked(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => 130,
            _ = self.terminate.recv() => 143,
            () = ended(&mut self.stdin) => 143,
        }
    }
}

/// Waits for the end of standard input, once; for ever where nobody looks for it, or it has been told.
async fn ended(stdin: &mut Option<oneshot::Receiver<()>>) {
    match stdin {
        Some(end) => {
            let _ = end.await;
            *stdin = None;
        }
        None => std::future::pending().await,
    }
}
