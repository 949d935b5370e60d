//! The figures as a strict reader of their format takes them: that of prometheus_client, which `tests/setup` installs.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Reads standard input; prints how many figures there are, or fails.
const READER: &str = "
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
families = list(text_string_to_metric_families(sys.stdin.read()))
assert all(family.documentation for family in families)
print(len(families), sum(len(family.samples) for family in families))
";

fn python() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(
        || Path::new(&std::env::var_os("HOME").unwrap_or_default()).join(".cache"),
        PathBuf::from,
    );
    cache.join("tribler-rs-tests/prometheus_client-0.26.0/bin/python")
}

/// Asserts that a page can be read and has at least so many figures.
pub(crate) fn check(page: &str, least: usize) {
    let python = python();
    if !python.exists() {
        assert!(std::env::var_os("CI").is_none(), "run tests/setup");
        println!("skipped: no prometheus_client; tests/setup installs it");
        return;
    }
    let mut reader = Command::new(python)
        .args(["-c", READER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = reader.stdin.take().unwrap();
    input.write_all(page.as_bytes()).unwrap();
    drop(input);
    let output = reader.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}\n{page}");
    let counts = String::from_utf8_lossy(&output.stdout).into_owned();
    let families = counts.split(' ').next().and_then(|word| word.parse().ok());
    assert!(families >= Some(least), "{counts}\n{page}");
}

#[test]
fn a_strict_reader_takes_all_figures_of_an_engine() {
    let mut page = engine::metrics::Exposition::new("tribler");
    engine::Metrics::default().write(&mut page);
    check(&page.finish(), engine::Metrics::ALL.len());
}
