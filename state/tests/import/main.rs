//! What other programs remember, read into the records of this one.
#![cfg(test)]

mod bencoded;
mod claims;
mod fixtures;
mod folders;
mod hostile;
mod libtorrent;
mod rqbit;
mod transmission;
