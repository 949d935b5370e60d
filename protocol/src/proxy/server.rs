//! The server's side of SOCKS5 (RFC 1928) with passwords (RFC 1929), up to what a client asks for.
//!
//! ```text
//! client  05 n methods                         us  05 method, or 05 ff
//! client  01 len user len password             us  01 status              (only where a password is wanted)
//! client  05 command 00 address                us  05 reply 00 address
//! ```

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::net::{Ipv4Addr, SocketAddr};

use super::socks5::{
    Command, NAME, NO_AUTHENTICATION, PASSWORD, PASSWORD_VERSION, Place, Refusal, V4, V6, VERSION,
    read_place, write_address,
};
use super::{Credentials, Destination};
use crate::fault::Fault;

/// The method that says that there is none.
const NO_METHOD: u8 = 0xff;

/// The most bytes that a client's message has: that with a name and a password.
pub const MOST_MESSAGE: usize = 513;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is to be done.
    pub command: Command,
    /// Where; of [`Command::UdpAssociate`], where the client says its datagrams come from, or zeros.
    pub destination: Destination,
}

/// Why a client gets nothing. What it is told stands in [`Acceptance::output`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// It does not speak SOCKS5.
    #[error("the client speaks no SOCKS5")]
    NotSocks5,
    /// It offers no way to show who it is that is taken here.
    #[error("the client cannot show who it is as is wanted here")]
    NoMethod,
    /// Its name or its password is wrong.
    #[error("the client's name or password is wrong")]
    BadCredentials,
    /// It asks for something that is not done here.
    #[error("the client asks for what is not done here")]
    BadCommand,
    /// It names an address of an unknown kind, or a name that no host can have.
    #[error("the client names no address")]
    BadAddress,
}

impl AcceptError {
    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        Fault::Peer
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Version and number of methods.
    Greeting,
    Methods,
    /// Version and length of the name.
    User,
    /// The name, and the length of the password.
    PasswordLen,
    Password,
    /// Up to the first byte of the address, which may be the length of a name.
    Head,
    /// The rest: an address of this kind.
    Address,
    Over,
}

/// A client that is let in. Read as many bytes as it [wants](Self::wants), [handle](Self::handle) them, and send
/// [`output`](Self::output), until there is a request or an error; what it has to say is to be sent also then.
///
/// The request is answered with [`reply`].
#[derive(Clone, Debug)]
pub struct Acceptance {
    step: Step,
    credentials: Option<Credentials>,
    output: Vec<u8>,
    /// What of the client's message has come; at most [`MOST_MESSAGE`] bytes.
    input: Vec<u8>,
}

impl Acceptance {
    /// A client of whom nothing has come yet. With credentials, it must have them.
    pub const fn new(credentials: Option<Credentials>) -> Self {
        Self {
            step: Step::Greeting,
            credentials,
            output: Vec::new(),
            input: Vec::new(),
        }
    }

    /// Takes what is to be sent now.
    pub fn output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// How many bytes to read next at most; 0 once it is over.
    pub fn wants(&self) -> usize {
        self.due().saturating_sub(self.input.len())
    }

    /// Bytes of the message that is coming in.
    fn due(&self) -> usize {
        let at = |place: usize| self.input.get(place).copied().map_or(0, usize::from);
        match self.step {
            Step::Greeting | Step::User => 2,
            Step::Methods => at(1).saturating_add(2),
            Step::PasswordLen => at(1).saturating_add(3),
            Step::Password => {
                let user = at(1).saturating_add(3);
                user.saturating_add(at(user.saturating_sub(1)))
            }
            Step::Head => 5,
            Step::Address => match (self.input.get(3), self.input.get(4)) {
                (Some(&V4), _) => 10,
                (Some(&V6), _) => 22,
                (_, Some(&len)) => usize::from(len).saturating_add(7),
                _ => 5,
            },
            Step::Over => 0,
        }
    }

    /// Takes bytes that were read, no more than it wants; the request once it is there.
    ///
    /// # Errors
    /// [`AcceptError`]: the stream is to be closed once the client has been told.
    pub fn handle(&mut self, bytes: &[u8]) -> Result<Option<Request>, AcceptError> {
        let taken = bytes.get(..self.wants()).unwrap_or(bytes);
        self.input.extend_from_slice(taken);
        while self.wants() == 0 {
            match self.step {
                Step::Greeting => self.greeting()?,
                Step::Methods => self.methods()?,
                Step::User => self.user()?,
                Step::PasswordLen => self.step = Step::Password,
                Step::Password => self.password()?,
                Step::Head => self.head()?,
                Step::Address => return self.address().map(Some),
                Step::Over => return Ok(None),
            }
        }
        Ok(None)
    }

    fn greeting(&mut self) -> Result<(), AcceptError> {
        match *self.input.as_slice() {
            [VERSION, _] => {
                self.step = Step::Methods;
                Ok(())
            }
            // Nobody knows in which words to refuse.
            _ => self.refuse(&[], AcceptError::NotSocks5),
        }
    }

    fn methods(&mut self) -> Result<(), AcceptError> {
        let (method, next) = match self.credentials {
            None => (NO_AUTHENTICATION, Step::Head),
            Some(_) => (PASSWORD, Step::User),
        };
        let offered = self.input.get(2..).unwrap_or_default();
        if !offered.contains(&method) {
            return self.refuse(&[VERSION, NO_METHOD], AcceptError::NoMethod);
        }
        self.output.extend_from_slice(&[VERSION, method]);
        self.next(next);
        Ok(())
    }

    fn user(&mut self) -> Result<(), AcceptError> {
        if self.input.first() != Some(&PASSWORD_VERSION) {
            return self.refuse(&[PASSWORD_VERSION, 1], AcceptError::NotSocks5);
        }
        self.step = Step::PasswordLen;
        Ok(())
    }

    fn password(&mut self) -> Result<(), AcceptError> {
        let len = self.input.get(1).copied().map_or(0, usize::from);
        let rest = self.input.get(2..).unwrap_or_default();
        let (user, rest) = rest.split_at_checked(len).unwrap_or_default();
        let password = rest.get(1..).unwrap_or_default();
        let wanted = self.credentials.as_ref();
        if !wanted.is_some_and(|wanted| wanted.are(user, password)) {
            return self.refuse(&[PASSWORD_VERSION, 1], AcceptError::BadCredentials);
        }
        self.output.extend_from_slice(&[PASSWORD_VERSION, 0]);
        self.next(Step::Head);
        Ok(())
    }

    fn head(&mut self) -> Result<(), AcceptError> {
        let refusal = match *self.input.as_slice() {
            [VERSION, 1 | 3, _, V4 | V6 | NAME, _] => {
                self.step = Step::Address;
                return Ok(());
            }
            [VERSION, 1 | 3, ..] => (Refusal::AddressNotSupported, AcceptError::BadAddress),
            // To wait for a connection from outside (2), and what nobody knows.
            [VERSION, ..] => (Refusal::CommandNotSupported, AcceptError::BadCommand),
            _ => (Refusal::General, AcceptError::NotSocks5),
        };
        self.refuse(&reply(Err(refusal.0)), refusal.1)
    }

    fn address(&mut self) -> Result<Request, AcceptError> {
        let command = match self.input.get(1) {
            Some(1) => Command::Connect,
            _ => Command::UdpAssociate,
        };
        let place = read_place(self.input.get(3..).unwrap_or_default());
        let destination = place.and_then(|(place, _)| place.destination());
        let Some(destination) = destination else {
            let told = reply(Err(Refusal::HostUnreachable));
            return self.refuse(&told, AcceptError::BadAddress);
        };
        self.next(Step::Over);
        Ok(Request {
            command,
            destination,
        })
    }

    fn next(&mut self, step: Step) {
        self.step = step;
        self.input.clear();
    }

    fn refuse<T>(&mut self, told: &[u8], why: AcceptError) -> Result<T, AcceptError> {
        self.output.extend_from_slice(told);
        self.next(Step::Over);
        Err(why)
    }
}

/// The answer to a request: where it is done, or why not.
pub fn reply(outcome: Result<SocketAddr, Refusal>) -> Vec<u8> {
    let (code, bound) = match outcome {
        Ok(bound) => (0, bound),
        Err(refusal) => (refusal.code(), (Ipv4Addr::UNSPECIFIED, 0).into()),
    };
    let mut reply = vec![VERSION, code, 0];
    write_address(&Destination::Addr(bound), &mut reply);
    reply
}

impl Place<'_> {
    /// Where it is. An address that is written as a name is one; nothing where no host can have such a name.
    pub(super) fn destination(self) -> Option<Destination> {
        match self {
            Place::Addr(addr) => Some(Destination::Addr(addr)),
            Place::Name(name, port) => Destination::named(std::str::from_utf8(name).ok()?, port),
        }
    }
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "tests")]
mod tests;
