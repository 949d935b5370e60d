//! The side that dialled, A.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use rand::{Rng, RngExt as _};

use super::dh::KeyPair;
use super::gather::{Gather, Search, Skip};
use super::keys::Side;
use super::{
    CONSTANT, Ciphers, Established, KEY_LEN, MOST_INITIAL, MOST_PAD, Method, Methods, MseError,
    Rc4, Tag,
};
use crate::id::InfoHash;

/// The handshake of who dialled.
///
/// ```text
/// handle(input)              what came; leaves in `input` what belongs to the stream behind the handshake
/// output, consume_output     what to send
/// ```
#[derive(Debug)]
pub struct Initiator {
    info_hash: InfoHash,
    methods: Methods,
    initial: Vec<u8>,
    pad: usize,
    state: State,
    output: Vec<u8>,
}

#[derive(Debug)]
enum State {
    /// The key of the other side is coming.
    Key(Box<KeyPair>, Gather),
    /// Waiting for the mark that ends its pad: the constant under its cipher.
    Mark(Box<Pair>, Search<8>),
    /// Waiting for the method and the length of its second pad.
    Head(Box<Pair>, Gather),
    /// Waiting for the end of that pad.
    Pad(Box<Pair>, Method, Skip),
    /// Done, or failed.
    Over,
}

#[derive(Debug)]
struct Pair {
    incoming: Rc4,
    outgoing: Rc4,
}

/// `crypto_select` and the length of the pad.
const HEAD_LEN: usize = 6;

impl Initiator {
    /// Begins a handshake about a torrent that offers `methods` and sends `initial` (at most [`MOST_INITIAL`] bytes; what is
    /// more is left out) as soon as it is under cover. One exponentiation; another one when the other side's key is there.
    pub fn new(info_hash: InfoHash, methods: Methods, initial: &[u8], rng: &mut impl Rng) -> Self {
        let keys = KeyPair::random(rng);
        let mut first = vec![0; rng.random_range(0..=MOST_PAD)];
        rng.fill_bytes(&mut first);
        let second = rng.random_range(0..=MOST_PAD);
        Self::with((info_hash, methods), initial, keys, (&first, second))
    }

    /// As [`new`](Self::new), with chosen keys, the first pad, and the length of the second.
    pub(super) fn with(
        (info_hash, methods): (InfoHash, Methods),
        initial: &[u8],
        keys: KeyPair,
        (first, second): (&[u8], usize),
    ) -> Self {
        let initial = initial.get(..MOST_INITIAL).unwrap_or(initial);
        Self {
            info_hash,
            methods,
            initial: initial.to_vec(),
            pad: second,
            output: [keys.public(), first].concat(),
            state: State::Key(Box::new(keys), Gather::new(KEY_LEN)),
        }
    }

    /// Takes what came; gives the outcome when the handshake is done, once the output is sent. What is left in `input`
    /// then belongs to the stream behind it.
    ///
    /// # Errors
    /// [`MseError`]; the connection is to be closed, and nothing sent any more.
    pub fn handle(&mut self, input: &mut &[u8]) -> Result<Option<Box<Established>>, MseError> {
        loop {
            self.state = match std::mem::replace(&mut self.state, State::Over) {
                State::Key(keys, mut gather) => match gather.take_exact(input) {
                    Some(theirs) => self.answer(&keys, theirs)?,
                    None => return Ok(self.wait(State::Key(keys, gather))),
                },
                State::Mark(pair, mut search) => {
                    if !search.take(input)? {
                        return Ok(self.wait(State::Mark(pair, search)));
                    }
                    State::Head(pair, Gather::new(HEAD_LEN))
                }
                State::Head(mut pair, mut gather) => match gather.take_exact(input) {
                    Some(head) => {
                        let (method, pad) = self.read_head(head, &mut pair.incoming)?;
                        State::Pad(pair, method, pad)
                    }
                    None => return Ok(self.wait(State::Head(pair, gather))),
                },
                State::Pad(mut pair, method, mut pad) => {
                    if !pad.take(input, &mut pair.incoming) {
                        return Ok(self.wait(State::Pad(pair, method, pad)));
                    }
                    return Ok(Some(Box::new(Established {
                        info_hash: self.info_hash,
                        method,
                        initial: Vec::new(),
                        ciphers: Ciphers::of(method, pair.incoming, pair.outgoing),
                    })));
                }
                State::Over => return Err(MseError::OutOfTurn),
            };
        }
    }

    /// What is to be sent.
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// Notes that so many bytes of the output were sent.
    pub fn consume_output(&mut self, len: usize) {
        self.output.drain(..len.min(self.output.len()));
    }

    fn wait(&mut self, state: State) -> Option<Box<Established>> {
        self.state = state;
        None
    }

    /// Step 3: the other side's key is there.
    fn answer(&mut self, keys: &KeyPair, theirs: &[u8; KEY_LEN]) -> Result<State, MseError> {
        let secret = keys.agree(theirs).ok_or(MseError::Key)?;
        let mut incoming = secret.cipher(Side::Acceptor, self.info_hash);
        let mut outgoing = secret.cipher(Side::Initiator, self.info_hash);
        let mut sealed = CONSTANT.to_vec();
        sealed.extend_from_slice(&self.methods.encode());
        sealed.extend_from_slice(&(self.pad as u16).to_be_bytes());
        sealed.resize(sealed.len().saturating_add(self.pad), 0);
        sealed.extend_from_slice(&(self.initial.len() as u16).to_be_bytes());
        sealed.append(&mut self.initial);
        outgoing.apply(&mut sealed);
        self.output.extend_from_slice(&secret.mark());
        self.output
            .extend_from_slice(&secret.cover(Tag::of(self.info_hash)));
        self.output.append(&mut sealed);
        let mut mark = CONSTANT;
        incoming.apply(&mut mark);
        let pair = Pair { incoming, outgoing };
        Ok(State::Mark(Box::new(pair), Search::new(mark)))
    }

    fn read_head(
        &self,
        head: &mut [u8; HEAD_LEN],
        cipher: &mut Rc4,
    ) -> Result<(Method, Skip), MseError> {
        cipher.apply(head);
        let [s0, s1, s2, s3, p0, p1] = *head;
        let selected = u32::from_be_bytes([s0, s1, s2, s3]);
        let method = Method::selected(selected, self.methods);
        let method = method.ok_or(MseError::Selected { selected })?;
        Ok((method, Skip::of(u16::from_be_bytes([p0, p1]))?))
    }
}
