//! The `tribler-rs` command.

fn main() {}
