//! The read buffer by itself, and with the blocks that come through it.

use std::fs;
use std::sync::Arc;

use proptest::prelude::*;
use protocol::geometry::Geometry;
use storage::{ActivePiece, FileSpec, PieceHashes, Store, StoreOptions, StoreSpec, Verdict};

use super::*;
use crate::peer::intake::{Catch, Intake};

const BLOCK: usize = BLOCK_LEN as usize;
/// A block on the wire.
const FRAME: usize = 13 + BLOCK;
/// Blocks of the file: not quite a piece, and almost what four reads bring at most.
const BLOCKS: usize = 63;

fn fill(buffer: &mut ReadBuffer, len: usize, with: impl Fn(usize) -> u8) {
    let room = buffer.room(len);
    room.iter_mut()
        .enumerate()
        .for_each(|(at, byte)| *byte = with(at));
}

#[test]
fn what_was_kept_lies_before_what_comes_next_until_another_keeps_something() {
    let mut buffer = ReadBuffer::new();
    fill(&mut buffer, READ_BUFFER, |at| at as u8);
    let end: Vec<u8> = buffer.filled(0, READ_BUFFER)[READ_BUFFER - 1000..].to_vec();
    let ticket = buffer.keep(1000, READ_BUFFER).expect("kept");
    fill(&mut buffer, 5000, |_| 7);
    assert!(buffer.holds(&ticket));
    let both = buffer.filled(1000, 5000);
    assert_eq!(both, [end, vec![7; 5000]].concat());
    let other = buffer.keep(1, READ_BUFFER).expect("kept");
    assert!(buffer.holds(&other) && !buffer.holds(&ticket));
    assert!(
        !ReadBuffer::new().holds(&other),
        "the buffer of another thread"
    );
}

#[test]
fn nothing_is_kept_of_short_reads_or_where_no_block_is_arriving() {
    let mut buffer = ReadBuffer::new();
    assert_eq!(buffer.keep(1000, MUCH - 1), None);
    assert_eq!(buffer.keep(0, READ_BUFFER), None);
    assert_eq!(buffer.keep(FRONT + 1, READ_BUFFER), None);
    assert!(buffer.keep(FRONT, MUCH).is_some());
}

#[test]
fn no_more_is_read_than_is_allowed_or_fits() {
    let mut buffer = ReadBuffer::new();
    assert_eq!(buffer.room(10).len(), 10);
    assert_eq!(buffer.room(usize::MAX).len(), READ_BUFFER);
}

/// A v2 torrent of one piece, and its blocks as a peer sends them.
struct Stream {
    dir: tempfile::TempDir,
    store: Store,
    active: Arc<ActivePiece>,
    frames: Vec<u8>,
    /// Bytes that were read.
    at: usize,
}

/// What a driver has of a connection.
#[derive(Default)]
struct Connection {
    intake: Intake,
    kept: Option<Ticket>,
}

impl Stream {
    fn new() -> Self {
        let content: Vec<u8> = (0..BLOCKS * BLOCK)
            .map(|at| (at.wrapping_mul(0x9e37_79b9) >> 11) as u8)
            .collect();
        let mut layer: Vec<[u8; 32]> = content.chunks(BLOCK).map(hash::sha256).collect();
        layer.resize(64, [0; 32]);
        while layer.len() > 1 {
            let pairs = layer.chunks(2);
            layer = pairs.map(|pair| hash::sha256(&pair.concat())).collect();
        }
        let dir = tempfile::tempdir().unwrap();
        let spec = StoreSpec {
            root: dir.path().to_path_buf(),
            files: vec![FileSpec::new(["f"], content.len() as u64)],
            geometry: Geometry::new(content.len() as u64, 1 << 20).unwrap(),
            hashes: PieceHashes::V2(layer.concat().into()),
            part_file: ".parts".into(),
        };
        let store = Store::open(spec, StoreOptions::default()).unwrap();
        let active = store.activate(store.geometry().piece(0).unwrap());
        let frames = content
            .chunks(BLOCK)
            .flat_map(|block| [&[0xee; 13], block].concat());
        Self {
            frames: frames.collect(),
            at: 0,
            dir,
            store,
            active,
        }
    }

    /// The connection reads the next `len` bytes, as a driver does.
    fn read(&mut self, connection: &mut Connection, buffer: &mut ReadBuffer, len: usize) {
        let (from, got) = (self.at, len.min(self.frames.len() - self.at));
        buffer
            .room(got)
            .copy_from_slice(&self.frames[from..from + got]);
        self.at += got;
        let kept = connection.kept.take();
        let kept = kept.is_some_and(|kept| buffer.holds(&kept));
        let come = if kept { connection.intake.come() } else { 0 };
        let bytes = buffer.filled(come, got);
        let mut catch = Catch::behind(come, bytes);
        let mut input = &bytes[come..];
        while !input.is_empty() {
            let (frame, within) = (
                (self.at - input.len()) / FRAME,
                (self.at - input.len()) % FRAME,
            );
            let (now, later) = input.split_at(
                input
                    .len()
                    .min(if within < 13 { 13 } else { FRAME } - within),
            );
            input = later;
            if within < 13 {
                continue;
            }
            let block = self
                .store
                .geometry()
                .block(self.active.piece(), frame as u32)
                .unwrap();
            if within == 13 {
                connection
                    .intake
                    .begin(block, self.active.lease(frame as u32, 1));
            }
            let part = (block, (within - 13) as u32, now);
            let last = within + now.len() == FRAME;
            let geometry = self.store.geometry();
            assert!(connection.intake.data(&geometry, part, last, &mut catch));
        }
        catch.land(&self.store, &mut Vec::new()).unwrap();
        connection.kept = buffer.keep(connection.intake.come(), got);
    }

    /// Whether the piece is good, and whether it is good without being read.
    fn verdicts(&self) -> (bool, bool) {
        assert!(self.active.is_complete());
        let judge = || {
            let mut verdicts = Vec::new();
            self.store
                .verify_arrived(&[self.active.piece()], &mut verdicts);
            matches!(verdicts[..], [Verdict::Good])
        };
        let good = judge();
        let path = self.dir.path().join("f");
        fs::write(path, vec![0; BLOCKS * BLOCK]).unwrap();
        (good, judge())
    }
}

#[test]
fn a_block_of_which_another_connection_has_overwritten_the_beginning_is_read() {
    let mut stream = Stream::new();
    let mut buffer = ReadBuffer::new();
    let (mut one, mut other) = (Connection::default(), Connection::default());
    let mut others = Stream::new();
    while stream.at < stream.frames.len() {
        stream.read(&mut one, &mut buffer, 250_000);
        others.read(&mut other, &mut buffer, 150_000);
    }
    assert_eq!(stream.verdicts(), (true, false));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Each read makes 15 blocks whole, or 16.
    #[test]
    fn a_piece_that_comes_by_long_reads_is_good_without_being_read(
        more in prop::collection::vec(0..3_800_usize, 3),
    ) {
        let mut stream = Stream::new();
        let mut buffer = ReadBuffer::new();
        let mut connection = Connection::default();
        for more in more {
            stream.read(&mut connection, &mut buffer, BLOCKS * FRAME / 4 + more);
        }
        stream.read(&mut connection, &mut buffer, READ_BUFFER);
        prop_assert_eq!(stream.verdicts(), (true, true));
    }

    #[test]
    fn a_piece_is_good_however_its_bytes_come(
        lens in prop::collection::vec(1..READ_BUFFER, 1..40),
        connections in 1..4_usize,
    ) {
        let mut buffer = ReadBuffer::new();
        let mut all: Vec<(Stream, Connection)> = (0..connections)
            .map(|_| (Stream::new(), Connection::default()))
            .collect();
        for (at, len) in lens.into_iter().chain(std::iter::repeat_n(READ_BUFFER, 12)).enumerate() {
            let (stream, connection) = &mut all[at % connections];
            stream.read(connection, &mut buffer, len);
        }
        for (stream, _) in &all {
            prop_assert!(stream.verdicts().0);
        }
    }
}
