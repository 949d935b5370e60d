//! Names of this program.

use super::value::{Setting, not};
use super::{Value, WrongKind};

/// Bytes of the longest name of a client.
const LONGEST: usize = 100;

/// A name and version for trackers, web servers and peers; empty for that of the program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientName(pub String);

/// What peer ids begin with; empty for what is usual.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint(pub String);

fn is_plain(text: &str, longest: usize) -> bool {
    text.len() <= longest && text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}

macro_rules! name {
    ($type:ident, $longest:expr, $due:literal) => {
        impl Setting for $type {
            type Bounds = ();

            fn read(value: &Value) -> Result<Self, WrongKind> {
                match value {
                    Value::Text(text) if is_plain(text, $longest) => Ok(Self(text.clone())),
                    Value::Text(_) | Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
                        Err(not(value, $due))
                    }
                }
            }

            fn write(&self) -> Value {
                Value::Text(self.0.clone())
            }

            fn check(&self, (): &(), _: &'static str) -> Result<(), WrongKind> {
                Self::read(&self.write()).map(|_| ())
            }

            fn range((): &(), _: &'static str) -> String {
                $due.to_owned()
            }
        }
    };
}

name!(
    ClientName,
    LONGEST,
    "at most 100 printable letters of ASCII"
);
name!(Fingerprint, 20, "at most 20 printable letters of ASCII");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_no_lines_and_no_more_letters_than_fit() {
        let client = |text: &str| ClientName::read(&Value::Text(text.to_owned()));
        assert!(client("My Client/1.0 (x; y)").is_ok() && client("").is_ok());
        for wrong in ["a\r\nX: y", "\u{e9}", &"x".repeat(101)] {
            assert!(client(wrong).is_err(), "{wrong:?}");
        }
        let print = |text: &str| Fingerprint::read(&Value::Text(text.to_owned()));
        assert!(print("-XX1234-").is_ok() && print(&"x".repeat(20)).is_ok());
        assert!(print(&"x".repeat(21)).is_err());
    }
}
