//! A listener that is opened again when its place is back.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::gate::Gate;
use crate::real::tcp::TcpListener;
use crate::{BoxStream, ByteStream as _, Listener};

/// Listens at the place, whenever it is there.
pub(super) struct BoundListener {
    gate: Arc<Gate>,
    /// What was asked for, with the port that was given.
    at: SocketAddr,
    local: SocketAddr,
    open: Option<TcpListener>,
    generation: u64,
    /// That it cannot be opened again was told.
    told: bool,
}

impl BoundListener {
    pub(super) fn open(gate: &Arc<Gate>, at: SocketAddr) -> io::Result<Self> {
        let (generation, place) = gate.now();
        let place = place?;
        let listener = TcpListener::bind(place.stand(at)?, gate.fit(&place))?;
        let local = listener.local_addr();
        Ok(Self {
            gate: Arc::clone(gate),
            at: SocketAddr::new(at.ip(), local.port()),
            local,
            open: Some(listener),
            generation,
            told: false,
        })
    }

    /// Opens it again, if it has become useless and can be had.
    fn renew(&mut self) {
        let (generation, place) = self.gate.now();
        if generation != self.generation {
            (self.open, self.generation) = (None, generation);
        }
        if self.open.is_none()
            && let Ok(place) = place
        {
            let _runtime = self.gate.pool().handle().enter();
            let at = place.stand(self.at);
            let opened = at.and_then(|at| TcpListener::bind(at, self.gate.fit(&place)));
            if let Err(error) = &opened
                && !self.told
            {
                tracing::warn!(%error, at = %self.at, "listening again");
            }
            self.told = opened.is_err();
            self.open = opened.ok();
        }
    }
}

impl Listener for BoundListener {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(BoxStream, SocketAddr)>> {
        loop {
            self.renew();
            let accepted = match &mut self.open {
                Some(listener) => listener.poll_tcp(cx),
                None => Poll::Pending,
            };
            match accepted {
                Poll::Ready(Ok(stream)) => {
                    let peer = stream.peer_addr();
                    if let Ok(stream) = self.gate.admit(stream) {
                        return Poll::Ready(Ok((stream, peer)));
                    }
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.gate.wait(self.generation, cx);
                    return Poll::Pending;
                }
            }
        }
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }
}
