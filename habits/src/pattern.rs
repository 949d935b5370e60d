//! What titles are compared with.

use regex::{Regex, RegexBuilder};

/// Bytes of the longest pattern.
const LONGEST: usize = 500;

/// Bytes that an expression may take when it is compiled.
const COMPILED: usize = 1 << 20;

/// Why a pattern is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// There is nothing in it.
    #[error("a pattern is not empty")]
    Empty,
    /// It is longer than 500 bytes.
    #[error("a pattern has 500 bytes at most")]
    TooLong,
    /// It is no regular expression, or too large a one.
    #[error("`{0}` is no regular expression that can be used")]
    Expression(String),
}

/// A title fits where all of these are found in it.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Vec<Regex>);

impl Pattern {
    /// Reads words or a regular expression.
    pub(crate) fn new(text: &str, regex: bool) -> Result<Self, PatternError> {
        if text.len() > LONGEST {
            return Err(PatternError::TooLong);
        }
        if text.trim().is_empty() {
            return Err(PatternError::Empty);
        }
        let compile = |source: &str| {
            RegexBuilder::new(source)
                .case_insensitive(true)
                .size_limit(COMPILED)
                .dfa_size_limit(COMPILED)
                .build()
                .map_err(|_| PatternError::Expression(text.to_owned()))
        };
        if regex {
            return Ok(Self(vec![compile(text)?]));
        }
        let words = text.split_whitespace().map(|word| {
            let mut source = String::new();
            for character in word.chars() {
                match character {
                    '*' => source.push_str(".*"),
                    '?' => source.push('.'),
                    other => source.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
                }
            }
            compile(&source)
        });
        words.collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn fits(&self, title: &str) -> bool {
        self.0.iter().all(|part| part.is_match(title))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_all_found_in_any_order_and_may_have_wildcards() {
        for (pattern, title, fits) in [
            ("show 1080P", "The.Show.1080p", true),
            ("1080p show", "The.Show.1080p", true),
            ("show 720p", "The.Show.1080p", false),
            ("s0?e0? x26*", "Show S01E02 x264", true),
            ("a.b", "axb", false),
            ("a.b(", "A.B(c", true),
            ("ÄÖ", "äö", true),
        ] {
            assert_eq!(
                Pattern::new(pattern, false).unwrap().fits(title),
                fits,
                "{pattern}"
            );
        }
        let regex = Pattern::new(r"^show\.s\d+e\d+", true).unwrap();
        assert!(regex.fits("Show.S01E02") && !regex.fits("a show.s01e02"));
    }

    #[test]
    fn patterns_have_bounds() {
        let new = |text: &str, regex| Pattern::new(text, regex).unwrap_err();
        assert_eq!(new(" ", false), PatternError::Empty);
        assert_eq!(new(&"x".repeat(501), false), PatternError::TooLong);
        for bad in ["(", "a{9999}{9999}"] {
            assert_eq!(new(bad, true), PatternError::Expression(bad.to_owned()));
        }
        // Linear, whatever it looks like.
        let evil = Pattern::new("(a+)+b", true).unwrap();
        assert!(!evil.fits(&"a".repeat(100_000)));
    }
}
