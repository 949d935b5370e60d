use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::*;

/// Links that ours takes otherwise than libtorrent: what ours makes of them. Reasons in docs/differences.md.
enum Ours {
    /// Refuses the link.
    Refuses(MagnetError),
    /// Takes the link, which the given one equals.
    ReadsAs(&'static str),
}

const H: &str = "0123456789abcdef0123456789abcdef01234567";

/// The differences by name of the case in the vectors.
fn difference(name: &str) -> Option<Ours> {
    use Ours::{ReadsAs, Refuses};
    let h = "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567";
    Some(match name {
        "v1 base32 invalid char (1)" | "v1 all zero hash" => Refuses(MagnetError::InfoHash),
        "URN upper case"
        | "scheme upper case"
        | "leading space"
        | "newline at end"
        | "xt value then space" => ReadsAs(h),
        "duplicate trackers" => ReadsAs(
            "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&tr=http%3a%2f%2fa.example%2fannounce",
        ),
        "xl ignored" => {
            ReadsAs("magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&xl=12345")
        }
        "so single" => ReadsAs("magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&so=0"),
        "so index at limit boundary" => {
            ReadsAs("magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&so=10")
        }
        "so reversed range ignored"
        | "so open range ignored"
        | "so leading dash ignored"
        | "so index over limit"
        | "so empty" => ReadsAs("magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&so="),
        "dht port 65535 refused by libtorrent" => ReadsAs(
            "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&dht=router.example:65535",
        ),
        "double ampersand" => {
            ReadsAs("magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&dn=a")
        }
        "public key mutable (BEP 46, ignored by libtorrent)" => ReadsAs(
            "magnet:?xs=urn:btpk:8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e",
        ),
        "mutable with salt plus btih" => ReadsAs(
            "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&xs=urn:btpk:8543d3e6115f0f98c944077a4493dcd543e49c739fd998550a1f614ab36ed63e&s=6e",
        ),
        _ => return None,
    })
}

/// What ours makes of a link, in the terms of the vectors.
fn as_case(magnet: &Magnet) -> Json {
    let hashes = magnet.hashes;
    let trackers = magnet.trackers.iter().enumerate();
    let select = magnet.select_only.as_ref();
    let highest = select.and_then(|select| select.iter().last());
    let priorities = highest.map_or(0..0, |highest| 0..highest + 1);
    json!({
        "outcome": "accept",
        "info_hash_v1": hashes.and_then(|h| h.get_v1()).map(|h| h.to_string()),
        "info_hash_v2": hashes.and_then(|h| h.get_v2()).map(|h| h.to_string()),
        "trackers": trackers.map(|(tier, url)| json!([url, tier])).collect::<Vec<_>>(),
        "url_seeds": magnet.web_seeds,
        "peers": magnet.peers.iter().map(|p| json!([p.ip().to_string(), p.port()])).collect::<Vec<_>>(),
        "dht_nodes": magnet.nodes,
        "file_priorities": priorities
            .map(|index| if select.is_some_and(|s| s.contains(index)) { 4 } else { 0 })
            .collect::<Vec<_>>(),
        "default_dont_download": select.is_some(),
        "i2p": magnet.is_i2p(),
        "display_name": magnet.name.as_deref().unwrap_or_default(),
        "make_magnet_uri": magnet.to_string(),
    })
}

#[test]
fn every_link_of_the_vectors_reads_as_libtorrent_reads_it_or_for_the_better() {
    let vectors: Json =
        serde_json::from_str(include_str!("../../tests/vectors/magnets.json")).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 106);
    let mut wrong = String::new();
    let mut differences = 0;
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let result = Magnet::parse(case["uri"].as_str().unwrap());
        let fits = match (difference(name), &result) {
            (Some(Ours::Refuses(why)), result) => {
                differences += 1;
                *result == Err(why)
            }
            (Some(Ours::ReadsAs(link)), Ok(magnet)) => {
                differences += 1;
                magnet.to_string() == link
            }
            (Some(Ours::ReadsAs(_)), Err(_)) => false,
            (None, Err(_)) => case["outcome"] == "reject",
            (None, Ok(magnet)) => {
                let got = as_case(magnet);
                let got = got.as_object().unwrap();
                got.iter().all(|(key, got)| case[key] == *got)
            }
        };
        if !fits {
            let got = result.as_ref().map(as_case);
            let _ = writeln!(wrong, "{name}: {got:?}\n   expected {case}");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert_eq!(differences, 20);
}

#[test]
fn errors_tell_what_is_wrong() {
    let error = |link: &str| Magnet::parse(link).unwrap_err();
    assert_eq!(error("http://a/"), MagnetError::Scheme);
    assert_eq!(error(H), MagnetError::Scheme);
    assert_eq!(error("magnet:?dn=x"), MagnetError::MissingInfoHash);
    assert_eq!(error("magnet:?xt=urn:btih:12"), MagnetError::InfoHash);
    assert_eq!(error("magnet:?xt=%"), MagnetError::Escape);
    let long = format!("magnet:?xt=urn:btih:{H}&dn={}", "a".repeat(1 << 20));
    assert_eq!(error(&long), MagnetError::TooLong);
}
