//! The stream encryption's handshake on a stream: the loops around the machines of [`protocol::mse`].

use std::collections::HashMap;
use std::io;

use net::{BoxStream, Ciphered, Throttle};
use parking_lot::RwLock;
use protocol::id::InfoHash;
use protocol::mse::{Acceptor, Established, Initiator, Methods, MseError, Step, Tag};
use protocol::peer::handshake::HANDSHAKE_LEN;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::encryption::Wire;

/// Bytes that are read at once: more than a handshake has.
const READ: usize = 2048;

/// How to dial under cover.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cover {
    /// What is offered.
    pub(crate) methods: Methods,
    /// Of the keys and pads.
    pub(crate) seed: u64,
}

/// A stream whose handshake is done.
pub(crate) struct Covered {
    /// The stream, which decrypts and encrypts if that was agreed on.
    pub(crate) stream: BoxStream,
    /// Bytes of the stream that were read already.
    pub(crate) first: Vec<u8>,
    /// What was agreed on.
    pub(crate) wire: Wire,
    /// The torrent that it is about.
    pub(crate) info_hash: InfoHash,
}

/// Why there is no handshake.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CoverError {
    #[error("the peer closed the connection")]
    Closed,
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Mse(#[from] MseError),
}

/// Dials under cover: agrees with the other end of a stream, and sends `session`'s handshake on the way.
pub(crate) async fn dialled(
    mut stream: BoxStream,
    cover: Cover,
    info_hash: InfoHash,
    initial: [u8; HANDSHAKE_LEN],
) -> Result<Covered, CoverError> {
    let mut rng = StdRng::seed_from_u64(cover.seed);
    let mut machine = Initiator::new(info_hash, cover.methods, &initial, &mut rng);
    let mut buffer = Vec::with_capacity(READ);
    loop {
        stream.write_all(machine.output()).await?;
        machine.consume_output(usize::MAX);
        buffer.clear();
        read(&mut stream, &mut buffer).await?;
        let mut input = &buffer[..];
        if let Some(done) = machine.handle(&mut input)? {
            return Ok(covered(stream, *done, input));
        }
    }
}

/// What the listening side needs to take connections under cover.
pub(crate) struct Reception<'a> {
    /// The machine, of which nothing was asked yet.
    pub(crate) machine: Acceptor,
    /// The torrents that may be asked for.
    pub(crate) torrents: &'a Tags,
    /// A taker of the allowance of key agreements.
    pub(crate) toll: Throttle,
    /// Of the keys and pads.
    pub(crate) rng: StdRng,
}

/// Takes a connection under cover, of which `first` was read.
pub(crate) async fn accepted(
    mut stream: BoxStream,
    first: Vec<u8>,
    mut reception: Reception<'_>,
) -> Result<Covered, CoverError> {
    let mut buffer = first;
    loop {
        let mut input = &buffer[..];
        let done = loop {
            let find = |tag| reception.torrents.find(tag);
            match reception.machine.handle(&mut input, find)? {
                Step::Agree => {
                    reception.toll.take(1).await;
                    reception.machine.agree(&mut reception.rng)?;
                }
                Step::Done(done) => break Some(done),
                Step::More => break None,
            }
        };
        stream.write_all(reception.machine.output()).await?;
        reception.machine.consume_output(usize::MAX);
        if let Some(done) = done {
            return Ok(covered(stream, *done, input));
        }
        buffer.clear();
        read(&mut stream, &mut buffer).await?;
    }
}

async fn read(stream: &mut BoxStream, buffer: &mut Vec<u8>) -> Result<(), CoverError> {
    match stream.read_buf(buffer).await? {
        0 => Err(CoverError::Closed),
        _ => Ok(()),
    }
}

/// The stream behind a handshake; `behind` was read of it already.
fn covered(stream: BoxStream, done: Established, behind: &[u8]) -> Covered {
    let mut first = done.initial;
    let clear = first.len();
    first.extend_from_slice(behind);
    let (stream, wire) = match done.ciphers {
        Some(mut ciphers) => {
            ciphers.incoming.apply(&mut first[clear..]);
            let stream: BoxStream = Box::new(Ciphered::new(stream, ciphers));
            (stream, Wire::Rc4)
        }
        None => (stream, Wire::Obfuscated),
    };
    Covered {
        stream,
        first,
        wire,
        info_hash: done.info_hash,
    }
}

/// The torrents that peers may ask for under cover, by the tags of all their hashes.
#[derive(Debug, Default)]
pub(crate) struct Tags(RwLock<HashMap<Tag, InfoHash>>);

impl Tags {
    /// A torrent can be asked for by this hash.
    pub(crate) fn insert(&self, info_hash: InfoHash) {
        self.0.write().insert(Tag::of(info_hash), info_hash);
    }

    /// It no longer can.
    pub(crate) fn remove(&self, info_hash: InfoHash) {
        self.0.write().remove(&Tag::of(info_hash));
    }

    fn find(&self, tag: Tag) -> Option<InfoHash> {
        self.0.read().get(&tag).copied()
    }
}
