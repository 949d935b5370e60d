//! Path elements from outside, made safe for a file system.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

/// Bytes after which a path element is cut; file systems commonly allow 255.
const ELEMENT_LEN: usize = 240;

/// How far from the end a dot still starts an extension that survives the cut.
const EXTENSION_LEN: usize = 10;

/// What stands for a path element, or a character of it, that cannot be kept.
const REPLACEMENT: char = '_';

/// Makes a torrent's name safe; `None` where nothing usable is left (empty, `.`, `..`).
pub(super) fn safe_name(raw: &[u8]) -> Option<String> {
    let name = filter(raw);
    if matches!(name.as_str(), "" | "." | "..") {
        None
    } else {
        Some(name)
    }
}

/// Makes an element of a file's path safe; what is unusable becomes `_`.
pub(super) fn safe_element(raw: &[u8]) -> String {
    safe_name(raw).unwrap_or_else(|| String::from(REPLACEMENT))
}

/// Removes separators and invisible or direction-changing characters, replaces control characters and what is not
/// UTF-8, and cuts long elements but for a short extension.
fn filter(raw: &[u8]) -> String {
    let mut out = String::with_capacity(raw.len().min(ELEMENT_LEN));
    let mut full = false;
    let mut at: usize = 0;
    while let Some((c, len)) = next_char(raw.get(at..).unwrap_or_default()) {
        at = at.saturating_add(len);
        if is_dropped(c) {
            continue;
        }
        out.push(if is_replaced(c) { REPLACEMENT } else { c });
        if !full && out.len() >= ELEMENT_LEN {
            full = true;
            let from = raw
                .len()
                .saturating_sub(EXTENSION_LEN.saturating_sub(1))
                .max(at);
            match raw
                .get(from..)
                .and_then(|tail| tail.iter().rposition(|&byte| byte == b'.'))
            {
                Some(dot) => at = from.saturating_add(dot),
                None => break,
            }
        }
    }
    if cfg!(windows) {
        out.truncate(out.trim_end_matches(['.', ' ']).len());
    }
    out
}

/// Reads a text that should be UTF-8; every invalid sequence becomes one `_`.
pub(super) fn text(raw: &[u8]) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((c, len)) = next_char(rest) {
        out.push(c);
        rest = rest.get(len..).unwrap_or_default();
    }
    out
}

/// The first character and the bytes it takes. An invalid sequence gives the replacement, and takes as many bytes as
/// its first byte announces: names must come out as in other clients, so that they find each other's files.
fn next_char(bytes: &[u8]) -> Option<(char, usize)> {
    let first = *bytes.first()?;
    let len = match first {
        0..0x80 => return Some((char::from(first), 1)),
        0x80..0xc0 | 0xfc.. => 1,
        0xc0..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0..0xf8 => 4,
        0xf8..0xfc => 5,
    };
    let sequence = bytes.get(..len).unwrap_or(bytes);
    let valid = std::str::from_utf8(sequence).ok();
    let c = valid.and_then(|text| text.chars().next());
    Some((c.unwrap_or(REPLACEMENT), sequence.len()))
}

/// Separators, NUL, and characters that are not seen or that turn the reading direction round ("gpj.exe").
const fn is_dropped(c: char) -> bool {
    matches!(
        c,
        '\0' | '/' | '\\'
            | '\u{061c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2064}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}'
    )
}

const fn is_replaced(c: char) -> bool {
    matches!(c, '\u{1}'..'\u{20}' | '\u{7f}'..='\u{9f}')
        || cfg!(windows) && matches!(c, '?' | '<' | '>' | '"' | '|' | '*' | ':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_and_invisible_characters_vanish() {
        assert_eq!(safe_element("a/b\\c\u{202e}d\u{feff}".as_bytes()), "abcd");
        assert_eq!(safe_element(b"a\0b\x7fc\xc2\x85d\xff"), "ab_c_d_");
    }

    #[test]
    fn dots_alone_are_no_name() {
        for raw in ["", ".", "..", "/", "./", "\u{200b}"] {
            assert_eq!(safe_name(raw.as_bytes()), None, "{raw:?}");
            assert_eq!(safe_element(raw.as_bytes()), "_", "{raw:?}");
        }
        assert_eq!(safe_element(b"..."), "...");
        assert_eq!(safe_element(b"../.."), "....");
    }

    #[test]
    fn an_invalid_sequence_is_one_character_as_long_as_it_announces() {
        let cases: [(&[u8], &str); 9] = [
            (b"a\x80b", "a_b"),
            (b"a\xc3(b", "a_b"),
            (b"a\xe2\x82b", "a_"),
            (b"\xf0\x9f\x98", "_"),
            (b"\xf4\x90\x80\x80z", "_z"),
            (b"\xf8\x88\x80\x80\x80z", "_z"),
            (b"\xfc\x80\x80z", "___z"),
            (b"\xc3\xc3\xa9", "__"),
            (b"\xef\xbf\xbez", "\u{fffe}z"),
        ];
        for (raw, safe) in cases {
            assert_eq!(safe_element(raw), safe, "{}", raw.escape_ascii());
            assert_eq!(text(raw), safe, "{}", raw.escape_ascii());
        }
    }

    #[test]
    fn a_long_element_keeps_its_extension() {
        let long = "x".repeat(300) + ".torrent";
        let safe = safe_element(long.as_bytes());
        assert_eq!(safe, "x".repeat(240) + ".torrent");
        let wide = "é".repeat(200);
        assert_eq!(safe_element(wide.as_bytes()), "é".repeat(120));
        assert!(safe_element(&[b'.'; 5000]).len() < 256);
    }
}
