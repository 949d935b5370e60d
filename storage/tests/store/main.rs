//! The store from outside: what it promises to the engine.
#![cfg(test)]

mod adopt;
mod arrived;
mod basics;
mod crumbs;
mod durable;
mod full;
mod hostile;
mod layouts;
mod leases;
mod memory;
mod merkle;
mod model;
mod probe;
mod relocate;
mod rename;
mod sequences;
mod support;
mod threads;
mod torrents;
mod vanish;
mod work;
