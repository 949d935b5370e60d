//! Takes the streams that others open.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::Handle;
use super::shared::Accepted;
use super::stream::UtpStream;
use crate::Listener;

/// Takes uTP streams. Once it is dropped, nobody is answered who wants to open one.
#[derive(Debug)]
pub struct UtpListener {
    handle: Arc<Handle>,
}

impl UtpListener {
    pub(super) fn new(handle: Arc<Handle>) -> Self {
        handle.shared.table.lock().accepting = true;
        Self { handle }
    }
}

impl Listener for UtpListener {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        loop {
            let mut table = self.handle.shared.table.lock();
            let Some(conn) = table.waiting.pop_front() else {
                table.acceptor = Some(cx.waker().clone());
                return Poll::Pending;
            };
            drop(table);
            let over = conn.state.lock().machine.closed().is_some();
            if !over {
                let peer = conn.key.peer;
                let stream = UtpStream::new(Arc::clone(&self.handle), conn);
                return Poll::Ready(Ok((Box::new(stream), peer)));
            }
        }
    }

    fn local_addr(&self) -> SocketAddr {
        self.handle.shared.socket.local_addr()
    }
}

impl Drop for UtpListener {
    fn drop(&mut self) {
        let mut table = self.handle.shared.table.lock();
        table.accepting = false;
        let waiting = std::mem::take(&mut table.waiting);
        drop(table);
        for conn in waiting {
            drop(UtpStream::new(Arc::clone(&self.handle), conn));
        }
    }
}
