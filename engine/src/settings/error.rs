//! Why settings are refused.

use std::fmt;
use std::path::{Path, PathBuf};

/// Why settings are refused: everything that is wrong, not only the first.
///
/// One line each: `settings.toml:3: limits.dwon: there is no such key; did you mean limits.down?`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    /// The file that they are in, if they are in one.
    pub file: Option<PathBuf>,
    /// What is wrong, in order; never empty.
    pub wrongs: Vec<Wrong>,
}

/// A key that is refused, or a text that is no TOML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The line that it is in, from 1, where it is in a text.
    pub line: Option<usize>,
    /// Group and name as they were written; empty where it is not about a key.
    pub path: String,
    /// What is wrong with it.
    pub kind: WrongKind,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WrongKind {
    /// There is no such key.
    #[error("there is no such key{}", .nearest.as_ref().map(|near| format!("; did you mean {near}?")).unwrap_or_default())]
    Unknown {
        /// The key that it looks most like, if it looks like any.
        nearest: Option<String>,
    },
    /// The value is of another kind.
    #[error("{found}, and should be {due}")]
    Kind {
        /// What it is.
        found: String,
        /// What it should be.
        due: String,
    },
    /// The value is not one of those that are allowed.
    #[error("{value} is not allowed: {range}")]
    OutOfRange {
        /// The value.
        value: String,
        /// What is allowed, with the unit.
        range: String,
    },
    /// It has no effect here, for the program decides it.
    #[error("it is the program that opens the network here, and no setting")]
    NotHere,
    /// It is no TOML.
    #[error("{0}")]
    Syntax(String),
    /// The file cannot be read or written.
    #[error("{0}")]
    File(String),
}

impl SettingsError {
    /// One thing that is wrong with a key.
    pub(crate) fn of(path: &str, kind: WrongKind) -> Self {
        Self {
            file: None,
            wrongs: vec![Wrong {
                line: None,
                path: path.to_owned(),
                kind,
            }],
        }
    }

    /// It is about a file.
    #[must_use]
    pub(super) fn in_file(mut self, file: &Path) -> Self {
        self.file = Some(file.to_owned());
        self
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, wrong) in self.wrongs.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            match (&self.file, wrong.line) {
                (Some(file), Some(line)) => write!(f, "{}:{line}: ", file.display())?,
                (Some(file), None) => write!(f, "{}: ", file.display())?,
                (None, Some(line)) => write!(f, "line {line}: ")?,
                (None, None) => {}
            }
            if !wrong.path.is_empty() {
                write!(f, "{}: ", wrong.path)?;
            }
            write!(f, "{}", wrong.kind)?;
        }
        Ok(())
    }
}

impl std::error::Error for SettingsError {}

/// The name that a wrong one looks most like, if it looks like any: with fewer changes than a third of its letters.
pub(super) fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let all = names.map(|name| (distance(wrong, name), name));
    let (changes, name) = all.min()?;
    (changes <= (name.len() / 3).max(1)).then_some(name)
}

/// Letters that have to be put in, left out, changed or swapped with their neighbour to make one of the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().collect());
    let mut rows: [Vec<usize>; 3] = [Vec::new(), Vec::new(), (0..=b.len()).collect()];
    for (i, x) in a.iter().enumerate() {
        rows.rotate_left(1);
        let [before, last, row] = &mut rows;
        row.clear();
        row.push(i + 1);
        for (j, y) in b.iter().enumerate() {
            let mut least = (last[j + 1] + 1).min(row[j] + 1);
            least = least.min(last[j] + usize::from(x != y));
            if i > 0 && j > 0 && a[i - 1] == *y && b[j - 1] == *x {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
    }
    rows[2][b.len()]
}
