//! Basic authentication from the user and password of a URL.

use hyper::header::HeaderValue;
use percent_encoding::percent_decode_str;
use url::Url;

/// The `Authorization` header for the user and password of `url`, if it has any (RFC 7617).
pub(super) fn authorization(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut plain: Vec<u8> = percent_decode_str(url.username()).collect();
    plain.push(b':');
    plain.extend(percent_decode_str(url.password().unwrap_or_default()));
    let mut value = HeaderValue::try_from(format!("Basic {}", base64(&plain))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The redirect target `to` with the user and password of `from`, when both are the same server and `to` names none.
pub(super) fn carried_over(from: &Url, mut to: Url) -> Url {
    let anonymous = to.username().is_empty() && to.password().is_none();
    if anonymous && from.origin() == to.origin() {
        // Neither can fail: `to` has a host, being of the same origin as a URL that was fetched.
        let _ = to.set_username(from.username());
        let _ = to.set_password(from.password());
    }
    to
}

/// Base 64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = group
            .iter()
            .fold(0u32, |word, byte| word << 8 | u32::from(*byte))
            << (8 * (3 - group.len()));
        for digit in 0..4 {
            if digit <= group.len() {
                text.push(char::from(DIGITS[(word >> (18 - 6 * digit)) as usize & 63]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_agrees_with_rfc_4648() {
        let cases = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, encoded) in cases {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }

    #[test]
    fn user_and_password_are_percent_decoded() {
        let url = Url::parse("http://Aladdin:open%20sesame@host/").unwrap();
        assert_eq!(
            authorization(&url).unwrap(),
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        );
        assert_eq!(authorization(&Url::parse("http://host/").unwrap()), None);
        let only_user = Url::parse("http://u@host/").unwrap();
        assert_eq!(authorization(&only_user).unwrap(), "Basic dTo=");
    }

    #[test]
    fn a_redirect_keeps_the_password_on_the_same_server_only() {
        let from = Url::parse("http://u:p@host/a").unwrap();
        let to = |to| carried_over(&from, Url::parse(to).unwrap()).to_string();
        assert_eq!(to("http://host/b"), "http://u:p@host/b");
        assert_eq!(to("http://other/b"), "http://other/b");
        assert_eq!(to("http://host:81/b"), "http://host:81/b");
        assert_eq!(to("https://host/b"), "https://host/b");
        assert_eq!(to("http://x@host/b"), "http://x@host/b");
    }
}
