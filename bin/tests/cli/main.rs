//! The command as its users meet it: exit codes, what is printed where, and files that come out.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests stop at what they did not expect, and say what they skip"
)]

mod bootstrap_server;
mod check;
mod check_update;
mod config;
mod create;
mod daemon;
mod dht;
mod feeds;
mod import;
mod info;
mod nodes;
mod openmetrics;
mod packaging;
mod running;
mod signing;
mod support;
mod testnet;
mod tracker;
mod transfer;
mod tribler_settings;
mod usage;
