//! Schemathesis, which asks a server whatever the description of its API allows, and more: `tests/setup` installs it.

use std::path::PathBuf;

use super::libtorrent::cache;

/// The version that the tests know.
pub const VERSION: &str = "4.32.5";

/// The program, in its virtual environment.
pub fn program() -> PathBuf {
    cache()
        .join(format!("schemathesis-{VERSION}"))
        .join("bin/schemathesis")
}
