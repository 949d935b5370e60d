mod attacks;
mod circuits;
mod hidden;
mod replay;
mod world;
