//! What people are told of a web server that is of no use: which URL was asked for, and what can be done.

use net::http::{Error, Url};
use protocol::metainfo::Metainfo;
use protocol::web_seed::WebSeed;

/// The rule for those whom strangers name; see [`net::http::Guard::WEB_SEED`].
const RULE_FOR_NAMED: &str = "of a server in the home network or on this machine only plain files are asked for, without a query";

/// The rule for those to whom a server sends us on; see [`net::Scope::admit`].
const RULE_FOR_REDIRECTS: &str =
    "a server may send us to nobody who is nearer to this machine than itself";

/// A URL without what may be secret of it.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

/// Why a request for `url` gave no reply. `led_to` is where it was redirected to last, if it was.
pub(super) fn of_error(error: &Error, url: &Url, led_to: Option<&Url>) -> String {
    let forbidden = matches!(error, Error::Forbidden);
    match led_to.map(|to| (to, shown(to))) {
        // Either may be why: which addresses the host has is not known here.
        Some((url, to)) if forbidden && url.query().is_some() => {
            format!("it redirects to {to}: {RULE_FOR_REDIRECTS}, and {RULE_FOR_NAMED}")
        }
        Some((_, to)) if forbidden => format!("it redirects to {to}: {RULE_FOR_REDIRECTS}"),
        Some((_, to)) => format!("it redirects to {to}: {error}"),
        None if forbidden => format!("{} is not asked: {RULE_FOR_NAMED}", shown(url)),
        None => error.to_string(),
    }
}

/// Why a part cannot be had of the file at `url`, which was answered with `status`; where the web seed's own URL ends with
/// the name that is added to it, what may be wrong with it.
pub(super) fn not_there(
    why: &str,
    url: &Url,
    status: u16,
    (seed, metainfo): (&WebSeed, &Metainfo),
) -> String {
    let why = format!("{why} ({})", shown(url));
    let name = metainfo.name();
    if [404, 410].contains(&status) && ends_with(&seed.url(), name) && !metainfo.is_single_file() {
        format!("{why}; leave out \"{name}\" at the end of its URL?")
    } else {
        why
    }
}

/// Whether the last element of a URL's path is `name`.
fn ends_with(url: &str, name: &str) -> bool {
    let last = |url: &str| {
        let url = Url::parse(url).ok()?;
        let mut elements = url.path_segments()?;
        let last = elements.rfind(|element| !element.is_empty())?;
        Some(last.to_owned())
    };
    // The name as a URL has it.
    let mut named = Url::parse("http://x/").ok();
    if let Some(mut elements) = named.as_mut().and_then(|url| url.path_segments_mut().ok()) {
        elements.push(name);
    }
    let escaped = named.and_then(|url| last(url.as_str()));
    last(url).is_some_and(|last| Some(&last) == escaped.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn an_error_after_a_redirect_is_told_of_the_target_and_without_secrets() {
        let [from, to] = ["http://a.example/f", "http://u:p@127.0.0.1:1/x?key=1"].map(url);
        let told = of_error(&Error::Truncated, &from, Some(&to));
        assert_eq!(
            told,
            "it redirects to http://127.0.0.1:1/x: the reply was cut short"
        );
        let told = of_error(&Error::Forbidden, &from, Some(&to));
        assert!(
            told.starts_with("it redirects to http://127.0.0.1:1/x: a server may"),
            "{told}"
        );
        let told = of_error(&Error::Forbidden, &to, None);
        assert!(
            told.starts_with("http://127.0.0.1:1/x is not asked: "),
            "{told}"
        );
        let told = of_error(&Error::Truncated, &from, None);
        assert_eq!(told, "the reply was cut short");
    }

    #[test]
    fn a_url_that_names_the_torrent_already_is_noticed() {
        for (base, name, ends) in [
            ("http://a.example/pub/multi", "multi", true),
            ("http://a.example/pub/multi/", "multi", true),
            ("http://a.example/pub/my%20films/", "my films", true),
            ("http://a.example/pub/", "multi", false),
            ("http://a.example/multi/other/", "multi", false),
        ] {
            assert_eq!(ends_with(base, name), ends, "{base}");
        }
    }
}
