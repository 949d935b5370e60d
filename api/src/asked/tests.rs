use futures_util::FutureExt as _;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::testing::Scene;

#[test]
fn queries_are_decoded_and_flags_read() {
    let query = Query::of(
        &"/x?a=b%20c&get_peers=1&get_files=0&n=7&n=8&m=x"
            .parse()
            .unwrap(),
    );
    assert_eq!(query.get("a"), Some("b c"));
    assert!(query.flag("get_peers") && !query.flag("get_files") && !query.flag("other"));
    assert_eq!(query.number("n"), Ok(Some(7)));
    assert_eq!(query.number("o"), Ok(None));
    assert!(query.number("m").is_err());
}

#[test]
fn bodies_are_objects_of_json_or_forms_of_the_older_version() {
    let now = read(
        Era::Now,
        br#"{"a":1,"b":[0,"2"],"c":null,"d":"x","e":7.0,"f":7.5}"#,
    )
    .unwrap();
    assert_eq!(now.number("a"), Ok(Some(1)));
    assert_eq!(now.number("e"), Ok(Some(7)));
    assert!(now.number("f").is_err());
    assert_eq!(now.flag("a"), Ok(Some(true)));
    assert_eq!(now.numbers("b"), Ok(Some(vec![0, 2])));
    assert_eq!(now.text("c"), Ok(None));
    assert!(now.text("a").is_err() && now.flag("d").is_err() && now.numbers("d").is_err());
    let old = read(
        Era::V70,
        b"state=stop&selected_files[]=1&selected_files[]=3&x=1",
    )
    .unwrap();
    let expected = json!({"state": "stop", "selected_files": ["1", "3"], "x": "1"});
    assert_eq!(Value::Object(old.0.clone()), expected);
    assert_eq!(old.numbers("selected_files"), Ok(Some(vec![1, 3])));
    assert_eq!(old.flag("x"), Ok(Some(true)));
    assert_eq!(read(Era::Now, b""), Ok(Object::default()));
    for bad in ["not json", "[1]", "7"] {
        let problem = read(Era::Now, bad.as_bytes()).unwrap_err();
        assert_eq!(problem.status(), StatusCode::BAD_REQUEST, "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_body_comes_when_it_is_its_turn() {
    let scene = Scene::start().await;
    let shared = scene.shared();
    let request = |len: usize| Request::new(Body::from(vec![b'x'; len]));
    let mut turns = Vec::new();
    while let Ok(turn) = shared.0.whole.now() {
        turns.push(turn);
    }
    assert_eq!(turns.len(), 8);
    let (short, turn) = long(request(SMALL), 2 * SMALL, shared).await.unwrap();
    assert!(short.len() == SMALL && turn.is_none());
    let mut waits = Box::pin(long(request(SMALL + 1), 2 * SMALL, shared));
    assert!((&mut waits).now_or_never().is_none());
    // Those that others give do not wait for these.
    let _other = shared.0.fetched.now().unwrap();
    turns.pop();
    let (bytes, turn) = waits.await.unwrap();
    assert_eq!(bytes.len(), SMALL + 1);
    assert!(shared.0.whole.now().is_err());
    drop(turn);
    assert!(shared.0.whole.now().is_ok());
}

#[test]
fn a_long_body_is_long_by_its_texts() {
    let most = "x".repeat(3 * SMALL);
    let text = json!({"torrent": most}).to_string();
    assert_eq!(
        read(Era::Now, text.as_bytes()).unwrap().text("torrent"),
        Ok(Some(&*most))
    );
    let form = format!("a=1&torrent={most}");
    assert_eq!(
        read(Era::V70, form.as_bytes()).unwrap().text("torrent"),
        Ok(Some(&*most))
    );
    for (era, bad) in [
        (Era::Now, format!(r#"{{"uri":[{}0]}}"#, "0,".repeat(SMALL))),
        (
            Era::Now,
            format!(r#"{{"uri":[{}""]}}"#, r#""\"","#.repeat(SMALL / 3)),
        ),
        (Era::V70, "[]=&".repeat(SMALL / 3)),
    ] {
        let refused = read(era, bad.as_bytes())
            .err()
            .map(|problem| problem.status());
        let due = Some(StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(refused, due, "{}", &bad[..20]);
    }
}

/// Any JSON.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i32>().prop_map(|quarters| (f64::from(quarters) / 4.0).into()),
        ".{0,20}".prop_map(Value::from),
        "[0-9truefals]{1,5}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 32, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(".{0,6}", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Bytes of a value as JSON, were all its texts empty.
fn bare_len(value: &Value) -> usize {
    let inner = |len: usize, count: usize| 2 + len + count.saturating_sub(1);
    match value {
        Value::String(_) => 2,
        Value::Array(list) => inner(list.iter().map(bare_len).sum(), list.len()),
        Value::Object(map) => inner(map.values().map(|one| 3 + bare_len(one)).sum(), map.len()),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string().len(),
    }
}

proptest! {
    #[test]
    fn what_is_beside_texts_is_what_there_is_without_them(value in value()) {
        prop_assert_eq!(beside_texts(value.to_string().as_bytes()), bare_len(&value));
    }

    #[test]
    fn an_object_is_read_as_it_was_written_and_each_field_as_one_thing(
        pairs in proptest::collection::btree_map(".{0,6}", value(), 0..6),
    ) {
        let map: Map<String, Value> = pairs.into_iter().collect();
        let written = Value::Object(map.clone()).to_string();
        let object = read(Era::Now, written.as_bytes()).unwrap();
        prop_assert_eq!(&object.0, &map);
        for (name, value) in &map {
            let is_text = object.text(name).is_ok_and(|text| text.is_some());
            prop_assert_eq!(is_text, value.is_string());
            if let Ok(Some(number)) = object.number(name) {
                let said = value.as_str().map_or_else(|| value.as_f64(), |text| text.parse().ok());
                prop_assert_eq!(said, Some(number as f64));
            }
            if let Ok(Some(numbers)) = object.numbers(name) {
                prop_assert_eq!(numbers.len(), value.as_array().unwrap().len());
            }
        }
    }

    #[test]
    fn forms_are_read_as_they_were_written(
        pairs in proptest::collection::btree_map("[^\\[{][^\\[]{0,5}", ".{0,9}", 1..6),
        list in proptest::collection::vec(".{0,4}", 1..4),
    ) {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(&pairs);
        form.extend_pairs(list.iter().map(|one| ("[many[]", one)));
        let object = read(Era::V70, form.finish().as_bytes()).unwrap();
        prop_assert_eq!(object.0.len(), pairs.len() + 1);
        for (name, text) in &pairs {
            prop_assert_eq!(object.text(name), Ok(Some(text.as_str())));
        }
        prop_assert_eq!(&object.0["[many"], &json!(list));
    }

    #[test]
    fn queries_are_read_as_they_were_written(
        pairs in proptest::collection::vec((".{0,6}", ".{0,9}"), 0..6),
    ) {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&pairs)
            .finish();
        let read = Query::of(&format!("/x?{query}").parse().unwrap());
        prop_assert_eq!(read.0, pairs);
    }

    #[test]
    fn whatever_comes_as_a_body_is_an_object_or_refused(
        body in proptest::collection::vec(any::<u8>(), 0..99),
        old in any::<bool>(),
    ) {
        let era = if old { Era::V70 } else { Era::Now };
        if let Err(problem) = read(era, &body) {
            prop_assert_eq!(problem.status(), StatusCode::BAD_REQUEST);
        }
    }

    #[test]
    fn twenty_bytes_have_forty_digits(bytes in any::<[u8; 20]>(), other in "[0-9a-fA-Fg]{0,60}") {
        let hex = data_encoding::HEXUPPER.encode(&bytes);
        prop_assert_eq!(twenty_bytes(&hex), Some(bytes));
        let is_hex = other.len() == 40 && !other.contains('g');
        prop_assert_eq!(twenty_bytes(&other).is_some(), is_hex);
    }
}
