use std::fmt::Write as _;
use std::net::IpAddr;

use proptest::prelude::*;
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

#[test]
fn a_magnet_of_a_torrent_is_written_and_read() {
    let hybrid = InfoHashes::hybrid(crate::id::InfoHash([1; 20]), crate::id::InfoHashV2([2; 32]));
    let mut magnet = Magnet::new(hybrid);
    magnet.name = Some("a b&c=é+%".into());
    magnet.nodes = vec![("::1".into(), 6881), ("router.example".into(), 1)];
    magnet.peers = vec!["[2001:db8::1]:80".parse().unwrap()];
    let link = magnet.to_string();
    assert!(link.contains("&dn=a%20b%26c%3d%c3%a9%2b%25&x.pe=[2001:db8::1]:80&dht=[::1]:6881&"));
    assert_eq!(link.parse(), Ok(magnet));
}

#[test]
fn a_selection_is_a_set() {
    let set = |text: &str| SelectOnly::parse(text).unwrap();
    assert_eq!(set("4-6,1,5-8,2,2").to_string(), "1-2,4-8");
    assert_eq!(
        set("4-6,1,5-8,2,2").iter().collect::<Vec<_>>(),
        [1, 2, 4, 5, 6, 7, 8]
    );
    assert!(set("3").contains(3) && !set("3").contains(2) && !set("").contains(0));
    assert_eq!(set("10000,10001,0-4294967296"), set("10000"));
    assert_eq!(
        [5, 3, 4, 9].into_iter().collect::<SelectOnly>(),
        set("3-5,9")
    );
    assert_eq!(SelectOnly::parse("1;2"), None);
}

fn any_magnet() -> impl Strategy<Value = Magnet> {
    let v1 =
        proptest::option::of(proptest::array::uniform20(1..=255_u8).prop_map(crate::id::InfoHash));
    let v2 = proptest::option::of(
        proptest::array::uniform32(1..=255_u8).prop_map(crate::id::InfoHashV2),
    );
    let salt = proptest::collection::vec(any::<u8>(), 0..64);
    let mutable = (any::<[u8; 32]>(), salt);
    let mutable = mutable.prop_map(|(public_key, salt)| MutableItem { public_key, salt });
    let trackers = proptest::collection::btree_set(
        "(udp|https)://[a-z]{1,8}(:[1-9][0-9]{3})?/[!-~é]{0,8}",
        0..4,
    );
    let select = proptest::collection::vec(0..10_001_u32, 0..8);
    let names = ("\\PC{1,12}", proptest::collection::vec("[ -~]{1,9}", 0..3));
    let nodes = proptest::collection::vec(("[a-z.]{1,9}|[0-9a-f:]{3,9}", 1..=u16::MAX), 0..3);
    let address = prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(IpAddr::from)
    ];
    let peers = proptest::collection::vec((address, 1..=u16::MAX).prop_map(SocketAddr::from), 0..3);
    let extra = (
        proptest::option::of(select),
        proptest::option::of(any::<u64>()),
    );
    (
        v1,
        v2,
        proptest::option::of(mutable),
        names,
        trackers,
        nodes,
        peers,
        extra,
    )
        .prop_filter_map(
            "names a torrent",
            |(v1, v2, mutable, (name, web_seeds), trackers, nodes, peers, (select, len))| {
                let hashes = InfoHashes::from_parts(v1, v2);
                (hashes.is_some() || mutable.is_some()).then(|| Magnet {
                    hashes,
                    name: Some(name),
                    trackers: trackers.into_iter().collect(),
                    web_seeds,
                    peers,
                    nodes,
                    select_only: select.map(|indices| indices.into_iter().collect()),
                    len,
                    mutable,
                })
            },
        )
}

proptest! {
    #[test]
    fn what_is_written_reads_the_same(magnet in any_magnet()) {
        let link = magnet.to_string();
        prop_assert!(link.is_ascii());
        prop_assert_eq!(Magnet::parse(&link), Ok(magnet));
    }

    #[test]
    fn any_text_is_refused_or_means_the_same_once_written(
        start in "(magnet:\\?|MAGNET:\\?)?",
        parameters in proptest::collection::vec("(xt|xt\\.1|dn|tr|ws|x\\.pe|dht|so|xl|xs|s)?=?(urn:btih:[0-9a-f]{40}|urn:btmh:1220[0-9A-F]{64}|urn:btpk:[0-9a-f]{64}|http://a/|\\PC{0,20}|[0-9%+,:.-]{0,12})", 0..6),
    ) {
        let link = start + &parameters.join("&");
        if let Ok(magnet) = Magnet::parse(&link) {
            prop_assert_eq!(Magnet::parse(&magnet.to_string()), Ok(magnet));
        }
    }
}
