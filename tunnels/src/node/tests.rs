mod attacks;
mod circuits;
mod hidden;
mod replay;
pub(crate) mod world;
