use super::*;

#[test]
fn a_handshake_comes_back_as_it_went() {
    let sent = ExtensionHandshake {
        ids: ExtensionIds::local(Extensions::ALL),
        client: Some("tribler-rs 0.1".into()),
        complete_ago: Some(-1),
        encryption: Some(true),
        ipv4: Some([1, 2, 3, 4].into()),
        ipv6: Some(Ipv6Addr::LOCALHOST),
        metadata_size: Some(MAX_METADATA_SIZE),
        port: Some(6881),
        reqq: Some(2000),
        upload_only: Some(false),
        yourip: Some("2001:db8::7".parse().unwrap()),
    };
    assert_eq!(ExtensionHandshake::parse(&sent.encode()), Ok(sent));
    let empty = ExtensionHandshake::default();
    assert_eq!(empty.encode(), b"d1:mdee");
    assert_eq!(ExtensionHandshake::parse(b"de"), Ok(empty));
}

#[test]
fn senseless_entries_count_as_absent() {
    let payload = b"d4:ipv43:abc1:md11:ut_metadatai300e6:ut_pexi-1ee13:metadata_sizei99999999e\
        1:pi70000e4:reqqi-5e1:v0:6:yourip5:abcdee";
    assert_eq!(
        ExtensionHandshake::parse(payload),
        Ok(ExtensionHandshake::default())
    );
    for size in ["0", "-1", "31457281"] {
        let payload = format!("d13:metadata_sizei{size}ee");
        let got = ExtensionHandshake::parse(payload.as_bytes()).unwrap();
        assert_eq!(got.metadata_size, None);
    }
}

#[test]
fn a_client_name_is_cut_and_cleaned() {
    let long = "x".repeat(500);
    let payload = format!("d1:v{}:\x1b[31m{long}e", long.len() + 5);
    let got = ExtensionHandshake::parse(payload.as_bytes()).unwrap();
    let name = got.client.unwrap();
    assert!(name.starts_with("[31mx"));
    assert_eq!(name.chars().count(), MAX_CLIENT_CHARS);
}

#[test]
fn what_is_no_dictionary_is_refused() {
    assert_eq!(
        ExtensionHandshake::parse(b"le"),
        Err(ExtensionError::HandshakeForm)
    );
    assert!(matches!(
        ExtensionHandshake::parse(&b"l".repeat(5000)),
        Err(ExtensionError::Handshake(_))
    ));
    assert!(ExtensionHandshake::parse(b"").is_err());
}

#[test]
fn a_later_handshake_adds_and_takes_away() {
    let parse = |text: &[u8]| ExtensionHandshake::parse(text).unwrap();
    let mut known = parse(b"d1:md11:ut_metadatai3e6:ut_pexi1ee4:reqqi50e1:v1:xe");
    known.update(&parse(b"d1:md12:ut_holepunchi4e6:ut_pexi0ee1:v1:ye"));
    assert_eq!(known.ids.get(Extension::Metadata), Some(3));
    assert_eq!(known.ids.get(Extension::Pex), Some(0));
    assert_eq!(known.ids.get(Extension::Holepunch), Some(4));
    assert_eq!(known.ids.get(Extension::DontHave), None);
    assert_eq!(known.reqq, Some(50));
    assert_eq!(known.client.as_deref(), Some("y"));
    let all = ExtensionHandshake {
        ids: ExtensionIds::local(Extensions::ALL),
        client: Some("z".into()),
        complete_ago: Some(1),
        encryption: Some(false),
        ipv4: Some([1, 1, 1, 1].into()),
        ipv6: Some(Ipv6Addr::LOCALHOST),
        metadata_size: Some(7),
        port: Some(8),
        reqq: Some(9),
        upload_only: Some(true),
        yourip: Some([2, 2, 2, 2].into()),
    };
    known.update(&all);
    assert_eq!(known, all);
    known.update(&ExtensionHandshake::default());
    assert_eq!(known, all);
}

#[test]
fn names_are_in_order_and_ids_are_unique() {
    assert!(Extension::ALL.is_sorted_by_key(|e| e.name()));
    for extension in Extension::ALL {
        assert_eq!(
            Extension::from_local_id(extension.local_id()),
            Some(extension)
        );
        let set = Extensions::ALL.without(extension);
        assert!(!set.contains(extension) && set.with(extension) == Extensions::ALL);
    }
    assert_eq!(Extension::from_local_id(0), None);
    assert_eq!(Extensions::ALL.local_mask(), 0b1001_1111);
}
