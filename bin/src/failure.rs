//! How a command ends when it does not end well, and the exit code of each way.

use std::process::ExitCode;

/// Why a command stopped. The text is one line that a person can act on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The work could not be done: exit code 1.
    #[error("{0}")]
    Failed(String),
    /// The command was understood and did its work; the answer is "no" and has been told: exit code 1.
    #[error("")]
    Told,
    /// The command line asks for something wrong, or for what this build does not have: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// A named file, torrent or key does not exist: exit code 3.
    #[error("{0}")]
    NotFound(String),
    /// Nobody answers who was to be asked: exit code 4.
    #[error("{0}")]
    Unreachable(String),
    /// The anonymity that was asked for cannot be had, and nothing was sent: exit code 5.
    #[error("{0}")]
    Anonymity(String),
}

impl Failure {
    /// The same with nothing more to say: it was told.
    pub(crate) fn silent(self) -> Self {
        let none = String::new();
        match self {
            Self::Failed(_) | Self::Told => Self::Told,
            Self::Usage(_) => Self::Usage(none),
            Self::NotFound(_) => Self::NotFound(none),
            Self::Unreachable(_) => Self::Unreachable(none),
            Self::Anonymity(_) => Self::Anonymity(none),
        }
    }

    /// The same where settings were to be checked: that they are wrong is what was asked for, and no wrong usage.
    pub(crate) fn of_checked(self) -> Self {
        match self {
            Self::Usage(text) => Self::Failed(text),
            failure @ (Self::Failed(_)
            | Self::Told
            | Self::NotFound(_)
            | Self::Unreachable(_)
            | Self::Anonymity(_)) => failure,
        }
    }

    /// The process's exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Failed(_) | Self::Told => 1,
            Self::Usage(_) => 2,
            Self::NotFound(_) => 3,
            Self::Unreachable(_) => 4,
            Self::Anonymity(_) => 5,
        }
    }

    /// The same as the standard library wants it.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }

    /// A failed work with any error's text.
    pub(crate) fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed(plain(&error.to_string()))
    }

    /// An error on the named file: not found where it does not exist, else failed.
    pub(crate) fn on_file(path: &std::path::Path, error: &std::io::Error) -> Self {
        let path = path.display();
        if error.kind() == std::io::ErrorKind::NotFound {
            Self::NotFound(format!("{path} does not exist"))
        } else {
            Self::Failed(format!("{path}: {}", reason(error)))
        }
    }
}

/// An input or output error's text without Rust's ` (os error N)`.
pub(crate) fn reason(error: &std::io::Error) -> String {
    plain(&error.to_string())
}

/// A message without the ` (os error N)` that Rust puts behind what the system says.
pub(crate) fn plain(message: &str) -> String {
    let mut parts = message.split(" (os error ");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.trim_start_matches(|c: char| c.is_ascii_digit());
        plain.push_str(digits.strip_prefix(')').unwrap_or(digits));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::path::Path;

    #[test]
    fn a_missing_file_is_told_from_an_unreadable_one() {
        let on = |kind| Failure::on_file(Path::new("a.torrent"), &io::Error::from(kind));
        assert_eq!(on(io::ErrorKind::NotFound).code(), 3);
        assert_eq!(on(io::ErrorKind::PermissionDenied).code(), 1);
        assert_eq!(
            on(io::ErrorKind::NotFound).to_string(),
            "a.torrent does not exist"
        );
    }

    #[test]
    fn operating_system_errors_lose_their_number() {
        assert_eq!(
            reason(&io::Error::from_raw_os_error(28)),
            "No space left on device"
        );
        assert_eq!(plain("a: b (os error 1): c (os error 22)"), "a: b: c");
    }
}
