//! The side that was dialled, B.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use rand::{Rng, RngExt as _};

use super::dh::{KeyPair, Secret};
use super::gather::{Gather, Search, Skip};
use super::keys::Side;
use super::{
    CONSTANT, Choice, Ciphers, Established, KEY_LEN, MOST_INITIAL, MOST_PAD, Method, Methods,
    MseError, Rc4, Tag,
};
use crate::id::InfoHash;

/// The handshake of who was dialled.
///
/// ```text
/// handle(input, torrents)    what came; leaves in `input` what belongs to the stream behind the handshake
/// agree(rng)                 after Step::Agree, once, when the caller can spare the time
/// output, consume_output     what to send
/// ```
#[derive(Debug)]
pub struct Acceptor {
    choice: Choice,
    state: State,
    pad: usize,
    output: Vec<u8>,
}

/// How far a handshake is.
#[derive(Debug)]
pub enum Step {
    /// The other side's key is there: [`Acceptor::agree`] is to be called.
    Agree,
    /// It is done, once the output is sent.
    Done(Box<Established>),
    /// More has to come.
    More,
}

#[derive(Debug)]
enum State {
    /// The key of the other side is coming.
    Key(Gather),
    /// It is there, and so many bytes have come behind it.
    Keyed([u8; KEY_LEN], usize),
    /// Waiting for the mark that shows that the other side has the secret.
    Mark(Box<Secret>, Search<20>),
    /// Waiting for the torrent's name.
    Name(Box<Secret>, Gather),
    /// Everything else is under RC4.
    Sealed(Box<Sealed>, Field),
    /// Done, or failed.
    Over,
}

#[derive(Debug)]
struct Sealed {
    info_hash: InfoHash,
    method: Method,
    incoming: Rc4,
    outgoing: Rc4,
}

/// What comes next under RC4.
#[derive(Debug)]
enum Field {
    /// The constant, the methods and the length of the pad.
    Head(Gather),
    Pad(Skip),
    /// The length of the initial payload.
    Len(Gather),
    Initial(Gather),
}

/// VC, `crypto_provide` and the length of the pad.
const HEAD_LEN: usize = 14;

impl Acceptor {
    /// Waits for the first byte of a connection.
    pub fn new(choice: Choice) -> Self {
        Self {
            choice,
            state: State::Key(Gather::new(KEY_LEN)),
            pad: 0,
            output: Vec::new(),
        }
    }

    /// Takes what came. What is left in `input` when it is [`Step::Done`] belongs to the stream behind the handshake.
    ///
    /// `torrents` says to which torrent a tag belongs.
    ///
    /// # Errors
    /// [`MseError`]; the connection is to be closed, and nothing sent any more.
    pub fn handle(
        &mut self,
        input: &mut &[u8],
        torrents: impl Fn(Tag) -> Option<InfoHash>,
    ) -> Result<Step, MseError> {
        loop {
            self.state = match std::mem::replace(&mut self.state, State::Over) {
                State::Key(mut gather) => match gather.take_exact(input) {
                    Some(key) => State::Keyed(*key, input.len()),
                    None => return Ok(self.wait(State::Key(gather))),
                },
                State::Keyed(key, spare) => {
                    self.state = State::Keyed(key, spare);
                    return Ok(Step::Agree);
                }
                State::Mark(secret, mut search) => {
                    if !search.take(input)? {
                        return Ok(self.wait(State::Mark(secret, search)));
                    }
                    State::Name(secret, Gather::new(20))
                }
                State::Name(secret, mut gather) => match gather.take_exact(input) {
                    Some(name) => {
                        let tag = secret.uncover(*name);
                        let info_hash = torrents(tag).ok_or(MseError::UnknownTorrent)?;
                        let sealed = Sealed {
                            info_hash,
                            method: self.choice.preferred,
                            incoming: secret.cipher(Side::Initiator, info_hash),
                            outgoing: secret.cipher(Side::Acceptor, info_hash),
                        };
                        State::Sealed(Box::new(sealed), Field::Head(Gather::new(HEAD_LEN)))
                    }
                    None => return Ok(self.wait(State::Name(secret, gather))),
                },
                State::Sealed(mut sealed, field) => {
                    match sealed.take(field, self.choice, input)? {
                        Progress::Next(field) => State::Sealed(sealed, field),
                        Progress::Wait(field) => return Ok(self.wait(State::Sealed(sealed, field))),
                        Progress::Whole(initial) => return Ok(self.finish(*sealed, initial)),
                    }
                }
                State::Over => return Err(MseError::OutOfTurn),
            };
        }
    }

    /// Makes our key and the secret: two exponentiations, to be called once after [`Step::Agree`].
    ///
    /// Our key goes out with a pad that makes it no longer than what has come so far: who did not give its own address
    /// gains nothing by us.
    ///
    /// # Errors
    /// [`MseError::Key`] if the other side's key fixes the secret; [`MseError::OutOfTurn`] if it has not come.
    pub fn agree(&mut self, rng: &mut impl Rng) -> Result<(), MseError> {
        let State::Keyed(_, spare) = self.state else {
            return Err(MseError::OutOfTurn);
        };
        let keys = KeyPair::random(rng);
        let mut first = vec![0; rng.random_range(0..=spare.min(MOST_PAD))];
        rng.fill_bytes(&mut first);
        self.agree_with(&keys, &first, rng.random_range(0..=MOST_PAD))
    }

    /// As [`agree`](Self::agree), with chosen keys, the first pad, and the length of the second.
    pub(super) fn agree_with(
        &mut self,
        keys: &KeyPair,
        first: &[u8],
        second: usize,
    ) -> Result<(), MseError> {
        let State::Keyed(key, _) = std::mem::replace(&mut self.state, State::Over) else {
            return Err(MseError::OutOfTurn);
        };
        let secret = keys.agree(&key).ok_or(MseError::Key)?;
        self.output.extend_from_slice(keys.public());
        self.output.extend_from_slice(first);
        self.pad = second;
        self.state = State::Mark(Box::new(secret), Search::new(secret.mark()));
        Ok(())
    }

    /// What is to be sent.
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// Notes that so many bytes of the output were sent.
    pub fn consume_output(&mut self, len: usize) {
        self.output.drain(..len.min(self.output.len()));
    }

    fn wait(&mut self, state: State) -> Step {
        self.state = state;
        Step::More
    }

    fn finish(&mut self, mut sealed: Sealed, initial: Vec<u8>) -> Step {
        let mut answer = Vec::with_capacity(HEAD_LEN.saturating_add(self.pad));
        answer.extend_from_slice(&CONSTANT);
        answer.extend_from_slice(&sealed.method.encode());
        answer.extend_from_slice(&(self.pad as u16).to_be_bytes());
        answer.resize(answer.len().saturating_add(self.pad), 0);
        sealed.outgoing.apply(&mut answer);
        self.output.append(&mut answer);
        Step::Done(Box::new(Established {
            info_hash: sealed.info_hash,
            method: sealed.method,
            initial,
            ciphers: Ciphers::of(sealed.method, sealed.incoming, sealed.outgoing),
        }))
    }
}

/// What came of looking at a field.
enum Progress {
    Next(Field),
    Wait(Field),
    /// The handshake ends with this initial payload.
    Whole(Vec<u8>),
}

impl Sealed {
    fn take(
        &mut self,
        field: Field,
        choice: Choice,
        input: &mut &[u8],
    ) -> Result<Progress, MseError> {
        Ok(match field {
            Field::Head(mut gather) => match gather.take_exact(input) {
                Some(head) => Progress::Next(Field::Pad(self.read_head(head, choice)?)),
                None => Progress::Wait(Field::Head(gather)),
            },
            Field::Pad(mut pad) => {
                if pad.take(input, &mut self.incoming) {
                    Progress::Next(Field::Len(Gather::new(2)))
                } else {
                    Progress::Wait(Field::Pad(pad))
                }
            }
            Field::Len(mut gather) => match gather.take_exact(input) {
                Some(len) => {
                    self.incoming.apply(len);
                    let len = u16::from_be_bytes(*len);
                    if usize::from(len) > MOST_INITIAL {
                        return Err(MseError::InitialTooLong { len });
                    }
                    Progress::Next(Field::Initial(Gather::new(len.into())))
                }
                None => Progress::Wait(Field::Len(gather)),
            },
            Field::Initial(mut gather) => match gather.take(input) {
                Some(initial) => {
                    self.incoming.apply(initial);
                    Progress::Whole(initial.to_vec())
                }
                None => Progress::Wait(Field::Initial(gather)),
            },
        })
    }

    fn read_head(&mut self, head: &mut [u8; HEAD_LEN], choice: Choice) -> Result<Skip, MseError> {
        self.incoming.apply(head);
        let [c @ .., o0, o1, o2, o3, p0, p1] = *head;
        if c != CONSTANT {
            return Err(MseError::Constant);
        }
        let offered = u32::from_be_bytes([o0, o1, o2, o3]);
        self.method = choice
            .select(Methods::offered(offered))
            .ok_or(MseError::NoMethod { offered })?;
        Skip::of(u16::from_be_bytes([p0, p1]))
    }
}
