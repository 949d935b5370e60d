//! Peers that lie, stall and flood, against the real command: memory stays bounded, and honest transfers go on.

mod datagrams;
mod downloader;
mod half_open;
mod liar;
mod scene;
mod seeder;
