//! Texts for people: names, rates, times.

use std::fmt::Write;
use std::time::Duration;

use crate::units::Span;

/// Bytes a second.
pub(crate) fn per_second(bytes: u64, elapsed: Duration) -> u64 {
    (bytes as f64 / elapsed.as_secs_f64().max(1e-9)) as u64
}

/// Bytes in hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `eta 0:42`, or nothing while the rate says nothing.
pub(crate) fn eta(left: u64, rate: u64) -> String {
    match left.checked_div(rate) {
        Some(seconds) if left > 0 && seconds < 100 * 86_400 => {
            let span = match seconds {
                0..60 => format!("0:{seconds:02}"),
                _ => Span(Duration::from_secs(seconds)).to_string(),
            };
            format!("eta {span}")
        }
        _ => String::new(),
    }
}

/// A name cut in its middle to at most `width` characters; control characters become `?`.
pub(crate) fn shorten(name: &str, width: usize) -> String {
    let clean: Vec<char> = printable(name).chars().collect();
    if clean.len() <= width {
        return clean.into_iter().collect();
    }
    let tail = width / 3;
    let head = width - tail - 1;
    let (front, back) = (&clean[..head], &clean[clean.len() - tail..]);
    front.iter().chain(&['…']).chain(back).collect()
}

/// Lines that are wider than `columns` are broken at spaces, and go on under the text that begins at the column `hang`. A word that
/// does not fit by itself stays whole, so that it can be copied.
pub(crate) fn wrapped(text: &str, columns: usize, hang: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let mut rest: Vec<char> = line.chars().collect();
        // What stands in front of the text is not broken.
        let mut from = hang;
        while rest.len() > columns {
            let is_gap = |at: &usize| rest[*at] == ' ' && rest[at - 1] != ' ';
            let fits = (from + 1..=columns).rev().find(is_gap);
            let Some(at) = fits.or_else(|| (columns.max(from) + 1..rest.len()).find(is_gap)) else {
                break;
            };
            let next = rest.split_off(at);
            let next: String = next.into_iter().collect();
            out.extend(rest);
            out.push('\n');
            rest = format!("{:hang$}{}", "", next.trim_start())
                .chars()
                .collect();
            from = hang;
        }
        out.extend(rest);
        out.push('\n');
    }
    out
}

/// Text from a torrent made safe for a terminal: control characters become `?`.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() || is_bidi_control(c) {
                '?'
            } else {
                c
            }
        })
        .collect()
}

/// Characters that reorder the text around them and so could make a name look like another one.
fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_keep_their_start_and_end() {
        assert_eq!(shorten("short", 10), "short");
        let cut = shorten("a-very-long-name-of-a-film.mkv", 20);
        assert_eq!(cut.chars().count(), 20);
        assert!(cut.starts_with("a-very") && cut.ends_with("m.mkv"), "{cut}");
    }

    #[test]
    fn names_cannot_drive_the_terminal() {
        assert_eq!(printable("a\x1b[31mb\n\u{202e}c"), "a?[31mb??c");
    }

    #[test]
    fn wide_lines_are_broken_at_spaces_and_words_stay_whole() {
        let text = "does    one, two, three\nat      /a/long/path and more\nshort   1\n";
        assert_eq!(
            wrapped(text, 17, 8),
            "does    one, two,\n        three\nat      /a/long/path\n        and more\nshort   1\n"
        );
        assert_eq!(wrapped(text, 80, 8), text);
        // Gaps between columns stay as they are, and whatever the width is, nothing is lost.
        assert_eq!(wrapped("a    b  é é\n", 9, 2), "a    b  é\n  é\n");
        for columns in 0..30 {
            for hang in 0..12 {
                let words = |text: &str| {
                    text.split_whitespace()
                        .map(str::to_owned)
                        .collect::<Vec<_>>()
                };
                let got = wrapped(text, columns, hang);
                assert_eq!(words(&got), words(text), "{columns}, {hang}: {got}");
            }
        }
    }

    #[test]
    fn the_time_left_is_silent_without_a_rate() {
        assert_eq!(eta(100, 0), "");
        assert_eq!(eta(0, 100), "");
        assert_eq!(eta(100, 10), "eta 0:10");
        assert_eq!(eta(1000, 10), "eta 1:40");
    }
}
