use super::*;

/// What is wrong with a value, by a shape of the document.
pub(crate) fn faults(document: &Value, shape: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(name) = shape["$ref"].as_str() {
        let shape = document.pointer(name.trim_start_matches('#')).unwrap();
        return faults(document, shape, value, at);
    }
    if let Some(shapes) = shape["anyOf"].as_array() {
        let mut all = shapes.iter().map(|it| faults(document, it, value, at));
        return if all.any(|faults| faults.is_empty()) {
            Vec::new()
        } else {
            vec![format!("{at}: {value} is none of {}", shape["anyOf"])]
        };
    }
    let kind = shape["type"].as_str();
    let fits = match kind {
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_u64() || (value.is_i64() && shape["minimum"].is_null()),
        Some("number") => value.is_number(),
        Some("null") => value.is_null(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        None => true,
        Some(other) => panic!("{other}"),
    };
    if !fits {
        return vec![format!("{at}: {value} is not {shape}")];
    }
    let mut found = Vec::new();
    for row in value.as_array().into_iter().flatten() {
        found.extend(faults(document, &shape["items"], row, &format!("{at}[]")));
    }
    for name in shape["required"].as_array().into_iter().flatten() {
        if value.get(name.as_str().unwrap()).is_none() {
            found.push(format!("{at}: there is no {name}"));
        }
    }
    for (name, field) in value.as_object().into_iter().flatten() {
        let of = shape["properties"].get(name);
        match of.or_else(|| shape.get("additionalProperties")) {
            Some(of) => found.extend(faults(document, of, field, &format!("{at}.{name}"))),
            None if kind == Some("object") => found.push(format!("{at}: {name} is not said")),
            None => {}
        }
    }
    found
}

/// What is wrong with an answer, by the document: its status, its type, its shape.
pub(crate) fn answer_faults(
    document: &Value,
    (method, path): (&str, &str),
    (status, kind, json): (u16, Option<&str>, &Value),
) -> Vec<String> {
    let operation = &document["paths"][path][method.to_ascii_lowercase()];
    let Some(answer) = operation["responses"].get(status.to_string()) else {
        return vec![format!("{method} {path}: {status} is not in the document")];
    };
    let empty = answer["content"].as_object().is_none_or(Map::is_empty);
    let kind = kind.unwrap_or_default();
    let shape = answer["content"].get(kind);
    match shape.or_else(|| answer["content"].get("*/*")) {
        None if empty => Vec::new(),
        None => vec![format!(
            "{method} {path}: {status}: {kind} is not in the document"
        )],
        Some(shape) if kind == JSON => faults(document, &shape["schema"], json, path),
        Some(_) => Vec::new(),
    }
}

#[test]
fn answers_are_held_against_the_document() {
    let about = About::new("x").answers(object(&[
        ("a", shapes::count()),
        ("b?", shapes::or_null(text())),
    ]));
    let document = document(std::iter::once(("GET", "/x/{infohash}".to_owned(), &about)));
    let faults = |status, json: Value| {
        answer_faults(
            &document,
            ("GET", "/x/{infohash}"),
            (status, Some(JSON), &json),
        )
    };
    assert_eq!(faults(200, json!({"a": 1})), Vec::<String>::new());
    assert_eq!(
        faults(200, json!({"a": 1, "b": null})),
        Vec::<String>::new()
    );
    assert_eq!(faults(401, json!({"error": "x"})), Vec::<String>::new());
    assert_eq!(faults(404, json!({"error": "x"})).len(), 1);
    assert_eq!(faults(401, json!({"error": 7})).len(), 1);
    assert_eq!(faults(200, json!({"a": -1})).len(), 1);
    assert_eq!(faults(200, json!({"a": 1, "b": 7})).len(), 1);
    assert_eq!(faults(200, json!({"a": 1, "c": 7})).len(), 1);
    assert_eq!(faults(200, json!({})).len(), 1);
    let place = &document["paths"]["/x/{infohash}"]["get"]["parameters"][0];
    assert_eq!(
        (&place["in"], &place["name"]),
        (&json!("path"), &json!("infohash"))
    );
}

#[test]
fn what_people_begin_with_is_as_described() {
    let document = crate::routes::document();
    let paths = document["paths"].as_object().unwrap().iter();
    let all = paths.flat_map(|(path, of)| of.as_object().unwrap().iter().map(move |it| (path, it)));
    let mut examples = 0;
    for (path, (_, operation)) in all {
        let body = &operation["requestBody"]["content"][JSON];
        if let Some(example) = body.get("example") {
            let found = faults(&document, &body["schema"], example, path);
            assert_eq!(found, Vec::<String>::new());
            examples += 1;
        }
    }
    assert!(examples >= 3, "{examples}");
}
