//! Keys that are one of some words.

use storage::{Preallocate, ReadMode, WriteMode};

use super::value::{Setting, not};
use super::{Value, WrongKind};
use crate::torrent::choker::{SeedMode, SlotsBy};
use crate::{AnnounceMode, Encryption, MixedMode, SeedingMode};

macro_rules! words {
    ($($type:ty { $($word:literal => $value:path),+ $(,)? })+) => {$(
        impl Setting for $type {
            type Bounds = ();

            fn read(value: &Value) -> Result<Self, WrongKind> {
                match value {
                    $(Value::Text(word) if word == $word => Ok($value),)+
                    Value::Text(word) => {
                        let due = one_of(&[$($word),+]);
                        let found = format!("\"{word}\"");
                        Err(WrongKind::OutOfRange { value: found, range: due })
                    }
                    Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
                        Err(not(value, one_of(&[$($word),+])))
                    }
                }
            }

            fn write(&self) -> Value {
                let word = match self {
                    $($value => $word,)+
                };
                Value::Text(word.to_owned())
            }

            fn check(&self, (): &(), _: &'static str) -> Result<(), WrongKind> {
                Ok(())
            }

            fn range((): &(), _: &'static str) -> String {
                one_of(&[$($word),+])
            }
        }
    )+};
}

words! {
    AnnounceMode {
        "first" => Self::Strict,
        "tiers" => Self::EveryTier,
        "trackers" => Self::EveryTracker,
    }
    Encryption {
        "off" => Self::Off,
        "allow" => Self::Allow,
        "prefer" => Self::Prefer,
        "require" => Self::Require,
    }
    MixedMode {
        "proportional" => Self::PeerProportional,
        "prefer-tcp" => Self::PreferTcp,
    }
    Preallocate {
        "sparse" => Self::Sparse,
        "full" => Self::Full,
    }
    ReadMode {
        "map" => Self::Map,
        "pread" => Self::Pread,
    }
    SeedMode {
        "round-robin" => Self::RoundRobin,
        "fastest" => Self::FastestUpload,
    }
    SlotsBy {
        "fixed" => Self::Number,
        "rate" => Self::Rate,
    }
    SeedingMode {
        "forever" => Self::Forever,
        "never" => Self::Never,
        "ratio" => Self::Ratio,
        "time" => Self::Time,
    }
    WriteMode {
        "pwrite" => Self::Pwrite,
        "map" => Self::Map,
    }
}

/// `"a", "b" or "c"`.
fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}
