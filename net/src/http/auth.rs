//! Basic authentication from the user and password of a URL.

use hyper::header::HeaderValue;
use percent_encoding::percent_decode_str;
use protocol::base64;
use url::Url;

/// The `Authorization` header for the user and password of `url`, if it has any (RFC 7617).
pub(super) fn authorization(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut plain: Vec<u8> = percent_decode_str(url.username()).collect();
    plain.push(b':');
    plain.extend(percent_decode_str(url.password().unwrap_or_default()));
    let mut value = HeaderValue::try_from(format!("Basic {}", base64::encode(&plain))).ok()?;
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

#[cfg(test)]
mod tests {
    use super::*;

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
