//! Ranges of bytes (RFC 9110, section 14).

use axum::http::HeaderValue;

/// Bytes of a file: the first one, and the one behind the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u64,
    pub(crate) end: u64,
}

impl Span {
    pub(super) const fn whole(len: u64) -> Self {
        Self { start: 0, end: len }
    }

    pub(super) const fn len(self) -> u64 {
        self.end - self.start
    }

    /// The value of `Content-Range`, of a file of so many bytes.
    pub(crate) fn content_range(self, len: u64) -> String {
        format!("bytes {}-{}/{len}", self.start, self.end.saturating_sub(1))
    }

    /// The same as Tribler has it: without the unit, and with the byte behind the last.
    pub(super) fn as_in_7_0(self, len: u64) -> String {
        format!("{}-{}/{len}", self.start, self.end)
    }
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Range {
    /// All of it: nothing else is said, or nothing that can be made sense of, or several ranges, which need not be heeded.
    Whole,
    Part(Span),
    /// There are no such bytes.
    Unsatisfiable,
}

/// What a request with this `Range` asks for, of a file of so many bytes.
pub(crate) fn asked_for(said: Option<&HeaderValue>, len: u64) -> Range {
    let range = said.and_then(|said| said.to_str().ok());
    let Some((unit, range)) = range.and_then(|range| range.split_once('=')) else {
        return Range::Whole;
    };
    let Some((first, last)) = range.trim().split_once('-') else {
        return Range::Whole;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Range::Whole;
    }
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // What is larger than any number is behind all files.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let (start, end) = match (first, number(first), last, number(last)) {
        ("", _, _, Some(suffix)) => (len.saturating_sub(suffix), len),
        (_, Some(start), "", _) => (start, len),
        (_, Some(start), _, Some(last)) if start <= last => {
            (start, last.saturating_add(1).min(len))
        }
        _ => return Range::Whole,
    };
    if start >= end {
        return Range::Unsatisfiable;
    }
    Range::Part(Span { start, end })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_standard_has_them() {
        let of = |text: &str, len| asked_for(Some(&text.parse().unwrap()), len);
        let part = |start, end| Range::Part(Span { start, end });
        for (text, due) in [
            ("bytes=0-99", part(0, 100)),
            ("bytes=100-", part(100, 1000)),
            ("bytes=-100", part(900, 1000)),
            ("bytes=-5000", part(0, 1000)),
            ("bytes=999-2000", part(999, 1000)),
            ("Bytes = 0-0", part(0, 1)),
            ("bytes=0-99999999999999999999999", part(0, 1000)),
            ("bytes=1000-", Range::Unsatisfiable),
            ("bytes=99999999999999999999999-", Range::Unsatisfiable),
            ("bytes=-0", Range::Unsatisfiable),
            ("bytes=5-4", Range::Whole),
            ("bytes=0-1,5-6", Range::Whole),
            ("bytes=-", Range::Whole),
            ("bytes=+1-2", Range::Whole),
            ("bytes=a-b", Range::Whole),
            ("lines=0-1", Range::Whole),
            ("bytes", Range::Whole),
        ] {
            assert_eq!(of(text, 1000), due, "{text}");
        }
        assert_eq!(of("bytes=0-", 0), Range::Unsatisfiable);
        assert_eq!(asked_for(None, 7), Range::Whole);
        let span = Span { start: 0, end: 100 };
        assert_eq!(span.content_range(1000), "bytes 0-99/1000");
        assert_eq!(span.as_in_7_0(1000), "0-100/1000");
    }
}
