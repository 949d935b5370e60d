//! What the URL of a database says of TLS, in the words of libpq; the rest of it is for the client of PostgreSQL.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;

/// Whether a connection is under TLS, and what of the server's certificate is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mode {
    /// Never.
    Disable,
    /// Where the server has it, whoever that is.
    #[default]
    Prefer,
    /// Always, whoever the server is.
    Require,
    /// Always, and the certificate is one of an authority that we know.
    VerifyCa,
    /// Always, and it is the certificate of the host, too.
    VerifyFull,
}

/// Whom certificates are believed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Roots {
    /// Those of a file.
    File(PathBuf),
    /// Those of this machine.
    System,
}

/// What a URL says of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    /// `sslmode`.
    pub(super) mode: Mode,
    /// `sslrootcert`.
    pub(super) roots: Option<Roots>,
    /// `sslcert` and `sslkey`: what we show of ourselves.
    pub(super) own: Option<(PathBuf, PathBuf)>,
}

/// Why a URL cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WordsError {
    /// No such way to connect.
    #[error("sslmode={0} is none of disable, allow, prefer, require, verify-ca and verify-full")]
    Mode(String),
    /// Nobody to believe certificates from.
    #[error(
        "sslmode=verify-ca and verify-full need sslrootcert=FILE with the certificates of authorities, or sslrootcert=system"
    )]
    NoRoots,
    /// Every website has a certificate of some authority of the machine.
    #[error("sslrootcert=system needs sslmode=verify-full")]
    WeakRoots,
    /// A certificate without its key, or a key without its certificate.
    #[error("sslcert and sslkey go together")]
    HalfOwn,
    /// Words that are not `name = value`.
    #[error("there is no `name=value` at {0:?}")]
    Malformed(String),
}

/// Takes what is said of TLS out of a URL, or of words such as `host=db sslmode=require`; gives what is left, too.
pub(super) fn split(url: &str) -> Result<(Words, String), WordsError> {
    let mut said = Said::default();
    let is_url = ["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| url.starts_with(scheme));
    let rest = if is_url {
        from_query(url, &mut said)
    } else {
        from_pairs(url, &mut said)?
    };
    Ok((said.words()?, rest))
}

/// The values of the words, as they were written.
#[derive(Default)]
struct Said {
    mode: Option<String>,
    roots: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
}

impl Said {
    /// Where a word belongs, if it is one of these.
    fn place(&mut self, name: &str) -> Option<&mut Option<String>> {
        match name {
            "sslmode" => Some(&mut self.mode),
            "sslrootcert" => Some(&mut self.roots),
            "sslcert" => Some(&mut self.certificate),
            "sslkey" => Some(&mut self.key),
            _ => None,
        }
    }

    fn words(self) -> Result<Words, WordsError> {
        let said = |text: Option<String>| text.filter(|text| !text.is_empty());
        let roots = said(self.roots).map(|text| match &*text {
            "system" => Roots::System,
            _ => Roots::File(text.into()),
        });
        let mode = match said(self.mode).as_deref() {
            Some("disable") => Mode::Disable,
            Some("allow" | "prefer") => Mode::Prefer,
            // As libpq has it: who names authorities wants them asked.
            Some("require") if roots.is_some() => Mode::VerifyCa,
            Some("require") => Mode::Require,
            Some("verify-ca") => Mode::VerifyCa,
            Some("verify-full") => Mode::VerifyFull,
            Some(other) => return Err(WordsError::Mode(other.chars().take(64).collect())),
            None if roots == Some(Roots::System) => Mode::VerifyFull,
            None => Mode::Prefer,
        };
        if mode >= Mode::VerifyCa && roots.is_none() {
            return Err(WordsError::NoRoots);
        }
        if roots == Some(Roots::System) && mode != Mode::VerifyFull {
            return Err(WordsError::WeakRoots);
        }
        let own = match (said(self.certificate), said(self.key)) {
            (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(WordsError::HalfOwn),
        };
        Ok(Words { mode, roots, own })
    }
}

fn from_query(url: &str, said: &mut Said) -> String {
    let Some((place, query)) = url.split_once('?') else {
        return url.to_owned();
    };
    let kept = query.split('&').filter(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let Some(place) = said.place(name) else {
            return true;
        };
        *place = Some(percent_decode_str(value).decode_utf8_lossy().into_owned());
        false
    });
    let kept = kept.collect::<Vec<_>>().join("&");
    if kept.is_empty() {
        place.to_owned()
    } else {
        format!("{place}?{kept}")
    }
}

/// Values may stand between quotes, and a backslash takes what follows as it is.
fn from_pairs(text: &str, said: &mut Said) -> Result<String, WordsError> {
    let mut kept = String::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let malformed = || WordsError::Malformed(first_word(rest));
        let (name, behind) = rest.split_once('=').ok_or_else(malformed)?;
        let name = name.trim_end();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(malformed());
        }
        let behind = behind.trim_start();
        let (value, len) = value(behind).ok_or_else(malformed)?;
        let (written, behind) = behind.split_at(len);
        match said.place(name) {
            Some(place) => *place = Some(value),
            None => kept.extend([name, "=", written, " "]),
        }
        rest = behind.trim_start();
    }
    kept.truncate(kept.trim_end().len());
    Ok(kept)
}

/// A word for an error; never what stands behind a `=`, which may be a password.
fn first_word(text: &str) -> String {
    let ends = |c: char| c.is_whitespace() || c == '=';
    let word = text.split(ends).next().unwrap_or_default();
    word.chars().take(64).collect()
}

/// The value at the front of a text, and how many bytes of it are that; `None` where a quote has no end.
fn value(text: &str) -> Option<(String, usize)> {
    let is_quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut chars = text.char_indices();
    if is_quoted {
        chars.next();
    }
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.push(chars.next()?.1),
            '\'' if is_quoted => return Some((value, at + 1)),
            c if c.is_whitespace() && !is_quoted => return Some((value, at)),
            c => value.push(c),
        }
    }
    (!is_quoted).then_some((value, text.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(mode: Mode, roots: Option<&str>) -> Words {
        Words {
            mode,
            roots: roots.map(|path| Roots::File(path.into())),
            own: None,
        }
    }

    #[test]
    fn what_is_said_of_tls_is_taken_out_and_the_rest_is_left() {
        let cases = [
            (
                "postgresql://u:p@db/t",
                Words::default(),
                "postgresql://u:p@db/t",
            ),
            (
                "postgres://db/t?sslmode=require&application_name=x%20y",
                words(Mode::Require, None),
                "postgres://db/t?application_name=x%20y",
            ),
            (
                "postgresql://db/t?sslrootcert=%2Fetc%2Fmy%20ca.pem&sslmode=verify-full",
                words(Mode::VerifyFull, Some("/etc/my ca.pem")),
                "postgresql://db/t",
            ),
            (
                "host = db  password='a \\' sslmode=x' sslmode = disable dbname=t",
                words(Mode::Disable, None),
                "host=db password='a \\' sslmode=x' dbname=t",
            ),
            (
                "sslmode='verify-ca' sslrootcert='/a b' host=db\\ c",
                words(Mode::VerifyCa, Some("/a b")),
                "host=db\\ c",
            ),
            (
                "host=db sslmode=require sslrootcert=/ca",
                words(Mode::VerifyCa, Some("/ca")),
                "host=db",
            ),
            (
                "host=db sslmode=allow",
                words(Mode::Prefer, None),
                "host=db",
            ),
            ("", Words::default(), ""),
        ];
        for (url, words, rest) in cases {
            assert_eq!(split(url), Ok((words, rest.to_owned())), "{url}");
        }
        let (words, _) = split("host=db sslcert=/c sslkey=/k sslrootcert=system").unwrap();
        assert_eq!(words.own, Some(("/c".into(), "/k".into())));
        assert_eq!(
            (words.mode, words.roots),
            (Mode::VerifyFull, Some(Roots::System))
        );
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let cases = [
            (
                "host=db sslmode=sometimes",
                WordsError::Mode("sometimes".to_owned()),
            ),
            ("postgres://db?sslmode=verify-full", WordsError::NoRoots),
            ("host=db sslmode=verify-ca", WordsError::NoRoots),
            (
                "host=db sslmode=require sslrootcert=system",
                WordsError::WeakRoots,
            ),
            ("host=db sslkey=/k", WordsError::HalfOwn),
            ("host=db secret", WordsError::Malformed("secret".to_owned())),
            (
                "host=db password='secret",
                WordsError::Malformed("password".to_owned()),
            ),
        ];
        for (url, error) in cases {
            assert_eq!(split(url), Err(error), "{url}");
        }
    }

    proptest! {
        #[test]
        fn values_are_read_as_they_were_quoted(value in "[ -~\u{e9}]{0,20}") {
            let quoted = value.replace('\\', "\\\\").replace('\'', "\\'");
            let url = format!("host='{quoted}' sslrootcert='{quoted}' port=1");
            match split(&url) {
                Ok((words, rest)) => {
                    let roots = (!value.is_empty()).then(|| match &*value {
                        "system" => Roots::System,
                        path => Roots::File(path.into()),
                    });
                    prop_assert_eq!(words.roots, roots);
                    prop_assert_eq!(rest, format!("host='{quoted}' port=1"));
                }
                Err(error) => prop_assert!(false, "{}", error),
            }
        }

        #[test]
        fn no_text_is_too_much(text in ".{0,200}") {
            let _ = split(&text);
            let _ = split(&format!("postgres://{text}"));
        }
    }
}
