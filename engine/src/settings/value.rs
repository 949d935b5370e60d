//! Values of keys, as files and programs write them.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::WrongKind;
use crate::units::{Rate, Size, Span};

/// The value of a key, as a file or a program writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any number.
    Float(f64),
    /// A word, an address, or a number with its unit.
    Text(String),
}

impl Value {
    /// What kind it is of, in words.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Bool(_) => "true or false",
            Self::Int(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Text(_) => "a text",
        }
    }
}

/// As TOML writes it.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Text(value) => {
                f.write_str("\"")?;
                for c in value.chars() {
                    match c {
                        '"' | '\\' => write!(f, "\\{c}")?,
                        c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
                        c => write!(f, "{c}")?,
                    }
                }
                f.write_str("\"")
            }
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<Duration> for Value {
    fn from(value: Duration) -> Self {
        value.write()
    }
}

/// A rate in bytes a second, or none.
impl From<Option<u64>> for Value {
    fn from(value: Option<u64>) -> Self {
        value.write()
    }
}

/// What a key can be of.
pub(crate) trait Setting: Sized {
    /// What bounds it.
    type Bounds;

    /// Reads it, in bounds or not.
    fn read(value: &Value) -> Result<Self, WrongKind>;

    /// As it is read again.
    fn write(&self) -> Value;

    /// Whether it is in bounds.
    fn check(&self, bounds: &Self::Bounds, unit: &'static str) -> Result<(), WrongKind>;

    /// What it may be, in words.
    fn range(bounds: &Self::Bounds, unit: &'static str) -> String;
}

pub(crate) fn not(value: &Value, due: impl Into<String>) -> WrongKind {
    WrongKind::Kind {
        found: format!("{value} is {}", value.kind()),
        due: due.into(),
    }
}

fn within<T: Setting<Bounds = RangeInclusive<T>> + PartialOrd>(
    value: &T,
    bounds: &RangeInclusive<T>,
    unit: &'static str,
) -> Result<(), WrongKind> {
    if bounds.contains(value) {
        return Ok(());
    }
    Err(WrongKind::OutOfRange {
        value: value.write().to_string(),
        range: T::range(bounds, unit),
    })
}

fn span<T: Setting>(bounds: &RangeInclusive<T>, unit: &str) -> String {
    let (from, to) = (bounds.start().write(), bounds.end().write());
    let (from, to) = (plain(&from), plain(&to));
    let range = format!("{from} to {to} {unit}");
    range.trim_end().to_owned()
}

/// Without quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => value.to_string(),
    }
}

impl Setting for bool {
    type Bounds = ();

    fn read(value: &Value) -> Result<Self, WrongKind> {
        match value {
            Value::Bool(yes) => Ok(*yes),
            Value::Int(_) | Value::Float(_) | Value::Text(_) => Err(not(value, "true or false")),
        }
    }

    fn write(&self) -> Value {
        Value::Bool(*self)
    }

    fn check(&self, (): &(), _: &'static str) -> Result<(), WrongKind> {
        Ok(())
    }

    fn range((): &(), _: &'static str) -> String {
        "true or false".to_owned()
    }
}

impl Setting for u32 {
    type Bounds = RangeInclusive<Self>;

    fn read(value: &Value) -> Result<Self, WrongKind> {
        let Value::Int(number) = value else {
            return Err(not(value, "a whole number"));
        };
        Self::try_from(*number).map_err(|_| WrongKind::OutOfRange {
            value: number.to_string(),
            range: format!("0 to {}", Self::MAX),
        })
    }

    fn write(&self) -> Value {
        Value::Int((*self).into())
    }

    fn check(&self, bounds: &Self::Bounds, unit: &'static str) -> Result<(), WrongKind> {
        within(self, bounds, unit)
    }

    fn range(bounds: &Self::Bounds, unit: &'static str) -> String {
        span(bounds, unit)
    }
}

impl Setting for f64 {
    type Bounds = RangeInclusive<Self>;

    fn read(value: &Value) -> Result<Self, WrongKind> {
        match value {
            Value::Int(number) => Ok(*number as Self),
            Value::Float(number) => Ok(*number),
            Value::Bool(_) | Value::Text(_) => Err(not(value, "a number")),
        }
    }

    fn write(&self) -> Value {
        Value::Float(*self)
    }

    fn check(&self, bounds: &Self::Bounds, unit: &'static str) -> Result<(), WrongKind> {
        within(self, bounds, unit)
    }

    fn range(bounds: &Self::Bounds, unit: &'static str) -> String {
        span(bounds, unit)
    }
}

/// A text with a unit, or seconds.
impl Setting for Duration {
    type Bounds = RangeInclusive<Self>;

    fn read(value: &Value) -> Result<Self, WrongKind> {
        const DUE: &str =
            "a length of time, such as \"90s\", \"2h\" or \"250ms\", or a number of seconds";
        match value {
            Value::Int(seconds) => {
                let seconds = u64::try_from(*seconds).map_err(|_| not(value, DUE))?;
                Ok(Self::from_secs(seconds))
            }
            Value::Float(seconds) => {
                let ms = (seconds * 1000.0).round() / 1000.0;
                Self::try_from_secs_f64(ms).map_err(|_| not(value, DUE))
            }
            Value::Text(text) => match text.parse::<Span>() {
                Ok(span) => Ok(span.0),
                Err(error) => Err(not(value, format!("{DUE} ({error})"))),
            },
            Value::Bool(_) => Err(not(value, DUE)),
        }
    }

    fn write(&self) -> Value {
        let ms = self.as_millis();
        let units = [
            (86_400_000, "d"),
            (3_600_000, "h"),
            (60_000, "m"),
            (1000, "s"),
        ];
        let whole = units
            .iter()
            .find(|(unit, _)| ms > 0 && ms.is_multiple_of(*unit));
        Value::Text(match whole {
            Some((unit, letter)) => format!("{}{letter}", ms / unit),
            None if ms == 0 => "0s".to_owned(),
            None => format!("{ms}ms"),
        })
    }

    fn check(&self, bounds: &Self::Bounds, unit: &'static str) -> Result<(), WrongKind> {
        within(self, bounds, unit)
    }

    fn range(bounds: &Self::Bounds, unit: &'static str) -> String {
        span(bounds, unit)
    }
}

/// A rate in bytes a second; none is written `0`.
impl Setting for Option<u64> {
    type Bounds = ();

    fn read(value: &Value) -> Result<Self, WrongKind> {
        const DUE: &str = "a rate, such as \"4MiB/s\" or a number of bytes a second; 0 is no limit";
        match value {
            Value::Int(rate) => {
                let rate = u64::try_from(*rate).map_err(|_| not(value, DUE))?;
                Ok((rate > 0).then_some(rate))
            }
            Value::Text(text) => match text.parse::<Rate>() {
                Ok(rate) => Ok(rate.0),
                Err(error) => Err(not(value, format!("{DUE} ({error})"))),
            },
            Value::Bool(_) | Value::Float(_) => Err(not(value, DUE)),
        }
    }

    fn write(&self) -> Value {
        let Some(rate) = *self else {
            return Value::Int(0);
        };
        let units: [(u64, &str); 3] = [(1 << 30, "GiB/s"), (1 << 20, "MiB/s"), (1 << 10, "KiB/s")];
        let whole = units.iter().find(|(unit, _)| rate.is_multiple_of(*unit));
        match (whole, i64::try_from(rate)) {
            (Some((unit, name)), _) => Value::Text(format!("{}{name}", rate / unit)),
            (None, Ok(rate)) => Value::Int(rate),
            (None, Err(_)) => Value::Text(rate.to_string()),
        }
    }

    fn check(&self, (): &(), _: &'static str) -> Result<(), WrongKind> {
        Ok(())
    }

    fn range((): &(), _: &'static str) -> String {
        "bytes a second, or a text such as 4MiB/s; 0 is no limit".to_owned()
    }
}

/// A number of bytes.
impl Setting for Size {
    type Bounds = RangeInclusive<Self>;

    fn read(value: &Value) -> Result<Self, WrongKind> {
        const DUE: &str = "a size, such as \"4MiB\" or a number of bytes";
        match value {
            Value::Int(bytes) => {
                let bytes = u64::try_from(*bytes).map_err(|_| not(value, DUE))?;
                Ok(Self(bytes))
            }
            Value::Text(text) => match text.parse() {
                Ok(size) => Ok(size),
                Err(error) => Err(not(value, format!("{DUE} ({error})"))),
            },
            Value::Bool(_) | Value::Float(_) => Err(not(value, DUE)),
        }
    }

    fn write(&self) -> Value {
        let units: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        let whole = |unit: u64| self.0 > 0 && self.0.is_multiple_of(unit);
        let whole = units.iter().find(|(unit, _)| whole(*unit));
        match (whole, i64::try_from(self.0)) {
            (Some((unit, name)), _) => Value::Text(format!("{}{name}", self.0 / unit)),
            (None, Ok(bytes)) => Value::Int(bytes),
            (None, Err(_)) => Value::Text(self.0.to_string()),
        }
    }

    fn check(&self, bounds: &Self::Bounds, unit: &'static str) -> Result<(), WrongKind> {
        within(self, bounds, unit)
    }

    fn range(bounds: &Self::Bounds, unit: &'static str) -> String {
        span(bounds, unit)
    }
}

/// A port; none is written `0`.
impl Setting for Option<u16> {
    type Bounds = ();

    fn read(value: &Value) -> Result<Self, WrongKind> {
        let Value::Int(number) = value else {
            return Err(not(value, "a port"));
        };
        let port = u16::try_from(*number).map_err(|_| WrongKind::OutOfRange {
            value: number.to_string(),
            range: <Self as Setting>::range(&(), ""),
        })?;
        Ok((port > 0).then_some(port))
    }

    fn write(&self) -> Value {
        Value::Int(self.unwrap_or(0).into())
    }

    fn check(&self, (): &(), _: &'static str) -> Result<(), WrongKind> {
        match self {
            Some(0) => Err(WrongKind::OutOfRange {
                value: "0".to_owned(),
                range: "1 to 65535".to_owned(),
            }),
            _ => Ok(()),
        }
    }

    fn range((): &(), _: &'static str) -> String {
        "1 to 65535; 0 is none".to_owned()
    }
}

/// An address; none is written as an empty text.
impl Setting for Option<IpAddr> {
    type Bounds = ();

    fn read(value: &Value) -> Result<Self, WrongKind> {
        const DUE: &str = "an IP address, or an empty text for none";
        match value {
            Value::Text(text) if text.is_empty() => Ok(None),
            Value::Text(text) => text.parse().map(Some).map_err(|_| not(value, DUE)),
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => Err(not(value, DUE)),
        }
    }

    fn write(&self) -> Value {
        Value::Text(self.map_or_else(String::new, |ip| ip.to_string()))
    }

    fn check(&self, (): &(), _: &'static str) -> Result<(), WrongKind> {
        Ok(())
    }

    fn range((): &(), _: &'static str) -> String {
        "an IP address, or an empty text for none".to_owned()
    }
}
