mod attacks;
mod circuits;
mod hidden;
mod owners;
mod replay;
pub(crate) mod world;
