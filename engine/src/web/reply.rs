//! What a reply of a web server means for the part that was asked for.

use std::time::Duration;

use protocol::retry_after;
use protocol::web_seed::{ContentRange, Kind, Part};

/// Bytes of an answer that only says when to come again (BEP 17).
pub(super) const MOST_WORDS: usize = 64;

/// The head of a reply.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Head<'a> {
    pub(super) status: u16,
    pub(super) body_len: Option<u64>,
    pub(super) content_range: Option<&'a [u8]>,
    pub(super) retry_after: Option<&'a [u8]>,
    pub(super) date: Option<&'a [u8]>,
}

/// What follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The body has the part, or its beginning, from its first byte on.
    Part,
    /// The body is the whole file.
    Whole,
    /// The server is busy: it may have said when to come again.
    Busy(Option<Duration>),
    /// It is busy, and may say in the body when to come again.
    BusyInWords,
    /// What was asked for is not there, or not what the torrent says.
    NotThere(&'static str),
    /// The server does not do its work.
    Broken(String),
}

/// Judges the reply to a request for `part`.
pub(super) fn judge(kind: Kind, part: &Part, head: &Head<'_>) -> Verdict {
    let other_len = |expected| head.body_len.is_some_and(|len| len != expected);
    match (head.status, kind) {
        (200 | 206, Kind::Hoffman) if other_len(part.len) => {
            Verdict::NotThere("it sends a range of another length")
        }
        (200 | 206, Kind::Hoffman) => Verdict::Part,
        (200, Kind::GetRight) if other_len(part.whole) => {
            Verdict::NotThere("its file has another length")
        }
        (200, Kind::GetRight) if part.len == part.whole => Verdict::Part,
        (200, Kind::GetRight) => Verdict::Whole,
        (206, Kind::GetRight) => match head.content_range.map(ContentRange::parse) {
            None => Verdict::Broken("it sends a range and does not say which".to_owned()),
            Some(Err(error)) => Verdict::Broken(error.to_string()),
            Some(Ok(range)) if range.whole.is_some_and(|whole| whole != part.whole) => {
                Verdict::NotThere("its file has another length")
            }
            Some(Ok(range)) if range.first != part.from => {
                Verdict::Broken("it sends another range than was asked for".to_owned())
            }
            Some(Ok(range)) if other_len(range.len()) => {
                Verdict::Broken("it sends more or less than it says".to_owned())
            }
            Some(Ok(_)) => Verdict::Part,
        },
        (416, _) => Verdict::NotThere("its file is shorter"),
        (401 | 403, _) => Verdict::NotThere("it refuses to send the file"),
        (404 | 410 | 451, _) => Verdict::NotThere("it does not have the file"),
        (503, Kind::Hoffman) if head.retry_after.is_none() => Verdict::BusyInWords,
        (429 | 500..=599, _) => {
            let told = head.retry_after;
            Verdict::Busy(told.and_then(|told| retry_after::header(told, head.date)))
        }
        (status, _) => Verdict::Broken(format!("it answers with status {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PART: Part = Part {
        at: 1000,
        len: 50,
        item: 0,
        from: 100,
        whole: 400,
    };

    fn head(status: u16, body_len: Option<u64>, range: Option<&'static str>) -> Head<'static> {
        Head {
            status,
            body_len,
            content_range: range.map(str::as_bytes),
            retry_after: None,
            date: None,
        }
    }

    #[test]
    fn a_file_is_taken_if_it_is_the_file_that_the_torrent_means() {
        let cases = [
            (head(206, Some(50), Some("bytes 100-149/400")), "Part"),
            (head(206, None, Some("bytes 100-120/*")), "Part"),
            (head(206, Some(50), Some("bytes 0-49/400")), "Broken"),
            (head(206, Some(50), Some("bytes 100-149/401")), "NotThere"),
            (head(206, Some(60), Some("bytes 100-149/400")), "Broken"),
            (head(206, Some(50), None), "Broken"),
            (head(206, Some(50), Some("pages 1-2/3")), "Broken"),
            (head(200, Some(400), None), "Whole"),
            (head(200, None, None), "Whole"),
            (head(200, Some(50), None), "NotThere"),
            (head(404, Some(9), None), "NotThere"),
            (head(416, None, Some("bytes */90")), "NotThere"),
            (head(500, None, None), "Busy"),
            (head(304, None, None), "Broken"),
        ];
        for (head, expected) in cases {
            let verdict = judge(Kind::GetRight, &PART, &head);
            assert!(
                format!("{verdict:?}").starts_with(expected),
                "{head:?} {verdict:?}"
            );
        }
        let all = Part {
            len: 400,
            from: 0,
            ..PART
        };
        assert_eq!(
            judge(Kind::GetRight, &all, &head(200, None, None)),
            Verdict::Part
        );
    }

    #[test]
    fn a_script_sends_what_it_was_asked_for_or_says_when_to_come_again() {
        let judge = |head| judge(Kind::Hoffman, &PART, &head);
        assert_eq!(judge(head(200, Some(50), None)), Verdict::Part);
        assert_eq!(judge(head(206, None, None)), Verdict::Part);
        assert!(matches!(
            judge(head(200, Some(400), None)),
            Verdict::NotThere(_)
        ));
        assert_eq!(judge(head(503, Some(3), None)), Verdict::BusyInWords);
        let told = Head {
            retry_after: Some(b"9"),
            ..head(503, None, None)
        };
        assert_eq!(judge(told), Verdict::Busy(Some(Duration::from_secs(9))));
        let dated = Head {
            retry_after: Some(b"Sun, 06 Nov 1994 08:50:37 GMT"),
            ..told
        };
        assert_eq!(judge(dated), Verdict::Busy(None));
        let dated = Head {
            date: Some(b"Sun, 06 Nov 1994 08:49:37 GMT"),
            ..dated
        };
        assert_eq!(judge(dated), Verdict::Busy(Some(Duration::from_secs(60))));
    }
}
