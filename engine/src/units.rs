//! Sizes, rates and durations as people write and read them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A number of bytes: `4MiB`, `1.5 GiB`, `700MB`, `16k` or plain bytes.
///
/// `KiB`, `MiB`, `GiB`, `TiB` and the bare letters `k`, `M`, `G`, `T` count in 1024s; `kB`, `MB`, `GB`, `TB` in 1000s.
/// Case does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// Bytes a second: a [`Size`] with or without `/s` (`250KiB/s`); `none`, `unlimited` and `0` mean no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(pub Option<u64>);

/// A length of time: `90s`, `2h`, `1h30m`, `1d`, `250ms` or plain seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

/// Why a text is not a size, rate or length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// There is no number.
    #[error("there is no number in it")]
    NoNumber,
    /// This is not a unit of size.
    #[error("`{0}` is not a unit of size: use KiB, MiB, GiB, TiB, kB, MB, GB, TB or plain bytes")]
    SizeUnit(String),
    /// This is not a unit of time.
    #[error("`{0}` is not a unit of time: use ms, s, m, h, d or plain seconds")]
    TimeUnit(String),
    /// The number is too large.
    #[error("the number is too large")]
    TooLarge,
    /// It is not a whole number of bytes.
    #[error("it is not a whole number of bytes")]
    Fraction,
}

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = split_number(text.trim())?;
        let factor: u128 = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kib" => 1 << 10,
            "m" | "mib" => 1 << 20,
            "g" | "gib" => 1 << 30,
            "t" | "tib" => 1 << 40,
            "kb" => 1_000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "tb" => 1_000_000_000_000,
            _ => return Err(UnitError::SizeUnit(unit.to_owned())),
        };
        let scaled = number.times(factor)?;
        if factor == 1 && !number.is_whole() {
            return Err(UnitError::Fraction);
        }
        u64::try_from(scaled)
            .map(Self)
            .map_err(|_| UnitError::TooLarge)
    }
}

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let text = text.trim();
        if matches!(text, "none" | "unlimited") {
            return Ok(Self(None));
        }
        let size: Size = text.strip_suffix("/s").unwrap_or(text).parse()?;
        Ok(Self((size.0 > 0).then_some(size.0)))
    }
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let mut rest = text.trim();
        let mut total_ms: u128 = 0;
        let mut alone = true;
        loop {
            let digits = number_len(rest);
            let (number, _) = split_number(&rest[..digits])?;
            rest = rest[digits..].trim_start();
            let letters = rest
                .find(|c: char| !c.is_ascii_alphabetic())
                .unwrap_or(rest.len());
            let factor = match &rest[..letters] {
                "ms" => 1,
                "" if rest.is_empty() && alone => 1_000,
                "s" => 1_000,
                "m" | "min" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return Err(UnitError::TimeUnit(rest.to_owned())),
            };
            total_ms = total_ms
                .checked_add(number.times(factor)?)
                .ok_or(UnitError::TooLarge)?;
            rest = rest[letters..].trim_start();
            if rest.is_empty() {
                break;
            }
            alone = false;
        }
        let total_ms = u64::try_from(total_ms).map_err(|_| UnitError::TooLarge)?;
        Ok(Self(Duration::from_millis(total_ms)))
    }
}

/// A decimal number, kept exact: `units / 10^decimals`.
struct Decimal {
    units: u128,
    decimals: u32,
}

impl Decimal {
    /// The number times `factor`, rounded down.
    fn times(&self, factor: u128) -> Result<u128, UnitError> {
        let scaled = self.units.checked_mul(factor).ok_or(UnitError::TooLarge)?;
        Ok(scaled / 10_u128.pow(self.decimals))
    }

    fn is_whole(&self) -> bool {
        self.units.is_multiple_of(10_u128.pow(self.decimals))
    }
}

/// Length of the decimal number that `text` starts with.
fn number_len(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len())
}

/// Splits `1.5 GiB` into the number and the trimmed unit.
fn split_number(text: &str) -> Result<(Decimal, &str), UnitError> {
    let (number, unit) = text.split_at(number_len(text));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return Err(UnitError::NoNumber);
    }
    if whole.len() > 20 || fraction.len() > 9 {
        return Err(UnitError::TooLarge);
    }
    let units = format!("{whole}{fraction}")
        .parse()
        .map_err(|_| UnitError::NoNumber)?;
    let decimals = fraction.len() as u32;
    Ok((Decimal { units, decimals }, unit.trim()))
}

/// Bytes for people: `0 B`, `1023 B`, `1.00 KiB`, `46.2 MiB`, `117 GiB`: three digits or the whole number.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut value = self.0 as f64;
        let mut unit = "B";
        for next in ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] {
            if value < 1023.5 {
                break;
            }
            value /= 1024.0;
            unit = next;
        }
        let digits = match value {
            _ if unit == "B" => 0,
            v if v < 9.995 => 2,
            v if v < 99.95 => 1,
            _ => 0,
        };
        f.pad(&format!("{value:.digits$} {unit}"))
    }
}

/// `4.20 MiB/s`, or `unlimited`.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(bytes) => f.pad(&format!("{}/s", Size(bytes))),
            None => f.pad("unlimited"),
        }
    }
}

/// `0.42s` under ten seconds, `12s` under a minute, `3:05`, `2:00:09`, `3d 4h`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
        f.pad(&match seconds {
            0 if self.0.is_zero() => "0s".to_owned(),
            0..10 => format!("{:.2}s", self.0.as_secs_f64()),
            10..60 => format!("{seconds}s"),
            60..3600 => format!("{minutes}:{:02}", seconds % 60),
            3600..86_400 => format!("{hours}:{:02}:{:02}", minutes % 60, seconds % 60),
            _ => format!("{days}d {}h", hours % 24),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_binary_decimal_and_plain_units() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("4MiB", 4 << 20),
            ("4 mib", 4 << 20),
            ("16k", 16 << 10),
            ("1.5GiB", 3 << 29),
            ("700MB", 700_000_000),
            ("1kB", 1000),
            ("12B", 12),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_size_is_refused_with_the_reason() {
        assert_eq!("".parse::<Size>(), Err(UnitError::NoNumber));
        assert_eq!("MiB".parse::<Size>(), Err(UnitError::NoNumber));
        assert_eq!("1.2.3k".parse::<Size>(), Err(UnitError::NoNumber));
        assert_eq!("-4k".parse::<Size>(), Err(UnitError::NoNumber));
        assert_eq!(
            "4 MiX".parse::<Size>(),
            Err(UnitError::SizeUnit("MiX".into()))
        );
        assert_eq!("1.5".parse::<Size>(), Err(UnitError::Fraction));
        assert_eq!(
            "18446744073709551616".parse::<Size>(),
            Err(UnitError::TooLarge)
        );
        assert_eq!("99999999TiB".parse::<Size>(), Err(UnitError::TooLarge));
    }

    #[test]
    fn a_rate_without_a_unit_is_bytes_a_second_and_zero_is_no_limit() {
        assert_eq!("250KiB/s".parse(), Ok(Rate(Some(250 << 10))));
        assert_eq!("1000".parse(), Ok(Rate(Some(1000))));
        assert_eq!("0".parse(), Ok(Rate(None)));
        assert_eq!("unlimited".parse(), Ok(Rate(None)));
        assert!("fast".parse::<Rate>().is_err());
    }

    #[test]
    fn lengths_of_time_may_be_put_together() {
        for (text, ms) in [
            ("90s", 90_000),
            ("2h", 7_200_000),
            ("1h30m", 5_400_000),
            ("1 h 30 m", 5_400_000),
            ("0.5s", 500),
            ("250ms", 250),
            ("45", 45_000),
            ("1d", 86_400_000),
        ] {
            assert_eq!(text.parse(), Ok(Span(Duration::from_millis(ms))), "{text}");
        }
        for text in ["", "s", "5x", "1h30", "h1", "5 5", "1é"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_shown_with_three_digits() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (10_235, "10.0 KiB"),
            (48_444_211, "46.2 MiB"),
            (126_000_000_000, "117 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(Size(bytes).to_string(), text);
        }
        assert_eq!(Rate(Some(2048)).to_string(), "2.00 KiB/s");
    }

    #[test]
    fn lengths_of_time_are_shown_short() {
        for (ms, text) in [
            (420, "0.42s"),
            (12_900, "12s"),
            (185_000, "3:05"),
            (7_209_000, "2:00:09"),
            (273_600_000, "3d 4h"),
        ] {
            assert_eq!(Span(Duration::from_millis(ms)).to_string(), text);
        }
    }
}
