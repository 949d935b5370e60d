//! Pieces that are given from outside, pieces that have begun, and what waits to be written to the disk.

use actix::{AsyncContext as _, Context};
use actors::tell;
use bytes::Bytes;
use protocol::geometry::PieceIndex;
use storage::{BlockState, Chunk, StoreError};

use crate::peer::key::PeerKey;
use crate::torrent::actor::{Active, Phase, Torrent};
use crate::torrent::files::{FileError, Reply};
use crate::torrent::messages::DiskReply;

/// A piece that has begun; see [`EngineHandle::begun_pieces`](crate::EngineHandle::begun_pieces).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BegunPiece {
    /// Its number.
    pub piece: u32,
    /// How each of its blocks stands.
    pub blocks: Vec<BlockStatus>,
    /// All of it is written, and it is being hashed.
    pub hashing: bool,
}

/// How a block of a piece that has begun stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BlockStatus {
    /// Nobody is asked for it.
    Missing,
    /// Somebody is asked for it, and nothing of it has come.
    Requested,
    /// It is coming, or being written.
    Arriving,
    /// It is written, and not verified yet.
    Written,
}

/// A piece that was given is written: a job of the Disk to its Torrent.
#[derive(Debug)]
pub(crate) struct Given {
    run: u64,
    piece: PieceIndex,
    from: PeerKey,
    outcome: Result<Vec<u32>, StoreError>,
    reply: Reply<()>,
}

impl Torrent {
    /// The pieces that have begun.
    pub(super) fn begun_pieces(&self) -> Vec<BegunPiece> {
        let Phase::Active(active) = &self.phase else {
            return Vec::new();
        };
        let begun = active.pieces.iter();
        begun
            .map(|(piece, state)| BegunPiece {
                piece: piece.get(),
                blocks: (0..state.blocks())
                    .map(|block| match state.state(block) {
                        BlockState::Written => BlockStatus::Written,
                        BlockState::Receiving => BlockStatus::Arriving,
                        BlockState::Missing if active.picker.is_requested(*piece, block) => {
                            BlockStatus::Requested
                        }
                        BlockState::Missing => BlockStatus::Missing,
                    })
                    .collect(),
                hashing: active.picker.is_full(*piece),
            })
            .collect()
    }

    /// Takes a piece from outside. It counts once it was hashed, as any other.
    pub(super) fn add_piece(
        &mut self,
        (piece, data): (u32, Bytes),
        reply: Reply<()>,
        ctx: &mut Context<Self>,
    ) {
        let from = self.peers.number();
        let Some(active) = self.active() else {
            let _ = reply.send(Err(FileError::NotThere(piece)));
            return;
        };
        let geometry = active.content.geometry;
        let index = geometry.piece(piece);
        let Some(index) = index.filter(|index| geometry.len_of(*index) as usize == data.len())
        else {
            let _ = reply.send(Err(FileError::NoSuchPiece(piece)));
            return;
        };
        if active.picker.have().get(index) || active.picker.is_full(index) {
            let _ = reply.send(Ok(()));
            return;
        }
        let state = active.activate(index);
        let free = (0..state.blocks()).filter_map(|block| state.lease(block, from.0));
        let leases: Vec<storage::Lease> = free.collect();
        let (run, content, me) = (active.run, active.content.clone(), ctx.address());
        self.setup.disk.short(move || {
            let mut blocks = Vec::with_capacity(leases.len());
            let mut outcome = Ok(());
            for lease in leases {
                let block = lease.block();
                let of = content.geometry.block(index, block);
                let Some((at, bytes)) = of.and_then(|of| {
                    let from = of.begin() as usize;
                    let bytes = data.get(from..from + content.geometry.block_len(of) as usize)?;
                    Some((content.geometry.block_offset(of), bytes))
                }) else {
                    continue;
                };
                outcome = content.store.write(&[Chunk {
                    offset: at,
                    data: bytes,
                }]);
                if outcome.is_err() {
                    break;
                }
                lease.commit();
                blocks.push(block);
            }
            let outcome = outcome.map(|()| blocks);
            tell(
                &me,
                DiskReply::Given(Box::new(Given {
                    run,
                    piece: index,
                    from,
                    outcome,
                    reply,
                })),
            );
        });
    }

    /// A piece from outside is written, or cannot be.
    pub(super) fn on_given(&mut self, given: Given) {
        let Given {
            run,
            piece,
            from,
            outcome,
            reply,
        } = given;
        let current = self.active().is_some_and(|active| active.run == run);
        let blocks = match outcome {
            Ok(blocks) => blocks,
            Err(error) => {
                let _ = reply.send(Err(FileError::from(&error)));
                if current {
                    self.fail_storage(&error);
                }
                return;
            }
        };
        if current {
            for block in blocks {
                self.note_written(from, piece, block..block + 1);
            }
            self.on_piece_full(piece);
        }
        let _ = reply.send(Ok(()));
    }

    /// Has the disk take what was written, and closes files.
    pub(super) fn flush(&self, reply: Reply<()>) {
        let Phase::Active(active) = &self.phase else {
            // What is at rest was flushed when it came to rest.
            let _ = reply.send(Ok(()));
            return;
        };
        let store = active.content.store.clone();
        self.setup.disk.short(move || {
            let flushed = store.flush();
            store.close_files();
            let _ = reply.send(flushed.map_err(|error| FileError::from(&error)));
        });
    }
}

impl Active {
    /// The state of a piece's blocks, which begins here if nobody is at it.
    pub(super) fn activate(&mut self, piece: PieceIndex) -> std::sync::Arc<storage::ActivePiece> {
        let active = self
            .pieces
            .entry(piece)
            .or_insert_with(|| self.content.store.activate(piece));
        std::sync::Arc::clone(active)
    }
}
