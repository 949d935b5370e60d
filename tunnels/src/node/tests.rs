mod attacks;
mod circuits;
mod hidden;
mod nonces;
mod owners;
mod replay;
pub(crate) mod world;
