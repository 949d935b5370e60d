//! How long a server wants to be left alone (RFC 9110, "Retry-After").

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::time::{Duration, SystemTime};

/// The longest time that is heeded: a day.
pub const LONGEST: Duration = Duration::from_secs(86_400);

/// Reads the header `Retry-After`: seconds, or the date from which on the server is there again. A date is measured by the
/// server's own clock, which is in its header `Date`, so that nobody else's has to be right; without that it says nothing.
pub fn header(value: &[u8], date: Option<&[u8]>) -> Option<Duration> {
    seconds(value).or_else(|| {
        let (until, sent) = (http_date(value)?, http_date(date?)?);
        Some(until.duration_since(sent).unwrap_or_default().min(LONGEST))
    })
}

/// Reads seconds: decimal digits and nothing else but blanks around them. In the body of a reply with status 503 they mean
/// the same (BEP 17).
pub fn seconds(value: &[u8]) -> Option<Duration> {
    let digits = std::str::from_utf8(value).ok()?.trim();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let time = digits.parse().map_or(LONGEST, Duration::from_secs);
    Some(time.min(LONGEST))
}

/// A date in one of the three forms that HTTP knows.
fn http_date(value: &[u8]) -> Option<SystemTime> {
    let text = std::str::from_utf8(value).ok()?.trim();
    httpdate::parse_http_date(text).ok()
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "tests may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SENT: &[u8] = b"Sun, 06 Nov 1994 08:49:37 GMT";

    fn read(value: &str) -> Option<u64> {
        header(value.as_bytes(), Some(SENT)).map(|time| time.as_secs())
    }

    #[test]
    fn seconds_and_dates_are_read_in_every_form() {
        let cases = [
            (" 120\r\n", Some(120)),
            ("0", Some(0)),
            ("999999999", Some(86_400)),
            ("99999999999999999999999", Some(86_400)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sunday, 06-Nov-94 08:50:37 GMT", Some(60)),
            ("Sun Nov  6 08:50:37 1994", Some(60)),
            ("Mon, 07 Nov 1994 08:49:36 GMT", Some(86_399)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(86_400)),
            // It is there again already.
            ("Sun, 06 Nov 1994 08:49:36 GMT", Some(0)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("", None),
            ("soon", None),
            ("Sun, 36 Nov 1994 08:49:37 GMT", None),
            ("Wed, 31 Dec 1969 23:59:59 GMT", None),
        ];
        for (value, expected) in cases {
            assert_eq!(read(value), expected, "{value}");
        }
    }

    #[test]
    fn a_date_without_the_servers_own_says_nothing() {
        let later = b"Sun, 06 Nov 1994 08:50:37 GMT";
        assert_eq!(header(later, None), None);
        assert_eq!(header(later, Some(b"today")), None);
        assert_eq!(header(b"7", None), Some(Duration::from_secs(7)));
        assert_eq!(seconds(later), None);
    }

    proptest! {
        #[test]
        fn whatever_a_server_says_is_a_day_at_most(
            value in prop_oneof![any::<Vec<u8>>(), "[A-Za-z0-9, :-]{0,40}".prop_map(String::into_bytes)],
            date in any::<Option<Vec<u8>>>(),
        ) {
            for date in [date.as_deref(), Some(SENT)] {
                prop_assert!(header(&value, date).is_none_or(|time| time <= LONGEST));
            }
        }

        #[test]
        fn the_time_between_two_dates_is_what_is_read(sent in 0_u64..4_000_000_000, wait in 0_u64..86_400) {
            let date = |seconds| httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
            let (until, sent) = (date(sent + wait), date(sent));
            let read = header(until.as_bytes(), Some(sent.as_bytes()));
            prop_assert_eq!(read, Some(Duration::from_secs(wait)));
        }
    }
}
