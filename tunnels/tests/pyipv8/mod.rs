//! Where pyipv8 is, and what is said to it.
//!
//! `tests/setup` of the workspace installs it. Without it tests say so and are skipped; with `CI` set they fail.
#![expect(clippy::print_stdout, reason = "says what was skipped")]

use std::path::PathBuf;

use tunnels::Dialect;

/// The releases that speak the dialects.
pub(crate) const VERSIONS: [(Dialect, &str); 2] =
    [(Dialect::Classic, "2.2.0"), (Dialect::Modern, "3.2.1")];

/// The interpreter that has a release; `None` where it is not installed.
pub(crate) fn python(version: &str) -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or(home)?;
    let python = cache.join(format!("tribler-rs-tests/pyipv8-{version}/bin/python"));
    if !python.exists() {
        assert!(
            std::env::var_os("CI").is_none(),
            "tests/setup has not installed pyipv8 {version}"
        );
        println!("skipped: tests/setup has not installed pyipv8 {version}");
        return None;
    }
    Some(python)
}

/// Bytes as nodes of pyipv8 are told them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What looks like uTP.
pub(crate) fn utp(tail: &str) -> Vec<u8> {
    let mut data = vec![1, 0];
    data.resize(20, 9);
    data.extend_from_slice(tail.as_bytes());
    data
}
