//! What keeps a circuit secret: how two nodes agree on keys, and how cells are sealed and opened under them.
//!
//! Everything works in place. A layer adds [`OVERHEAD`] bytes: [`HEAD`] in front (the counter) and [`TAG`] behind.
//!
//! # Nonces
//! A key of one direction has one owner, the [`Sealer`], which cannot be cloned and counts upwards, so that no nonce is used
//! twice. Keys come from fresh secrets for each hop and are never saved: a restart begins with other keys. The older
//! dialect has one flaw by design, for both ends seal with the same key there: whoever joins a circuit seals its list of
//! neighbours with the key of the originator. Both ends here count in ranges far from each other and from where
//! the original begins ([`first_counter`], [`ANSWER_COUNTER`]).

mod agree;
mod gcm;
mod layer;
mod replay;
mod session;

pub use agree::{AUTH_LEN, AgreeError, Ephemeral, Shared, answer, conclude};
#[cfg(test)]
pub(crate) use layer::sealed;
pub use layer::{HEAD, OVERHEAD, OpenError, TAG};
pub use session::{ANSWER_COUNTER, Opener, SealError, Sealer, Session, Side, first_counter};

#[cfg(test)]
mod tests;
