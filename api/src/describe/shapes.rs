//! Shapes of JSON, as JSON Schema has them.

use serde_json::{Map, Value, json};

pub(crate) fn text() -> Value {
    json!({"type": "string"})
}

pub(crate) fn flag() -> Value {
    json!({"type": "boolean"})
}

/// A whole number from 0.
pub(crate) fn count() -> Value {
    json!({"type": "integer", "minimum": 0})
}

pub(crate) fn number() -> Value {
    json!({"type": "number"})
}

pub(crate) fn list(of: Value) -> Value {
    let mut list = json!({"type": "array"});
    if let Value::Object(list) = &mut list {
        list.insert("items".to_owned(), of);
    }
    list
}

/// An object whose keys are of the moment, all with values of one shape.
pub(crate) fn map(of: Value) -> Value {
    let mut map = json!({"type": "object"});
    if let Value::Object(map) = &mut map {
        map.insert("additionalProperties".to_owned(), of);
    }
    map
}

/// One or the other.
pub(crate) fn either(shapes: &[Value]) -> Value {
    json!({"anyOf": shapes})
}

/// Something that may be null.
pub(crate) fn or_null(of: Value) -> Value {
    either(&[of, json!({"type": "null"})])
}

/// A shape that has a name.
pub(crate) fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// An object with these fields; those whose names end with `?` may be absent.
pub(crate) fn object(fields: &[(&str, Value)]) -> Value {
    let name = |field: &str| field.trim_end_matches('?').to_owned();
    let all = fields.iter();
    let properties: Map<String, Value> = all
        .clone()
        .map(|(field, shape)| (name(field), shape.clone()))
        .collect();
    let required: Vec<&str> = all
        .map(|(field, _)| *field)
        .filter(|field| !field.ends_with('?'))
        .collect();
    let mut object = json!({"type": "object", "properties": properties});
    if let (false, Value::Object(object)) = (required.is_empty(), &mut object) {
        object.insert("required".to_owned(), required.into());
    }
    object
}

/// All shapes that have names.
pub(super) fn all() -> Value {
    json!({
        "Error": error(),
        "Download": download(),
        "File": file(),
        "Peer": peer(),
        "Tracker": object(&[("url", text()), ("peers", count()), ("status", text())]),
    })
}

fn error() -> Value {
    let long = object(&[("handled", flag()), ("code", text()), ("message", text())]);
    object(&[
        ("error", either(&[text(), long])),
        ("feature?", text()),
        ("success?", flag()),
    ])
}

fn file() -> Value {
    object(&[
        ("index", count()),
        ("name", text()),
        ("size", count()),
        ("included", flag()),
        ("progress", number()),
    ])
}

fn download() -> Value {
    let mut fields = vec![("trackers", list(reference("Tracker")))];
    let of = |names: &[&'static str], shape: &Value| {
        let fields = names.iter().map(|name| (*name, shape.clone()));
        fields.collect::<Vec<_>>()
    };
    fields.extend(of(
        &["name", "infohash", "status", "destination", "error"],
        &text(),
    ));
    fields.extend(of(
        &[
            "speed_down",
            "speed_up",
            "size",
            "num_peers",
            "num_seeds",
            "num_connected_peers",
            "num_connected_seeds",
            "total_up",
            "total_down",
            "hops",
            "max_upload_speed",
            "max_download_speed",
            "total_pieces",
            "time_added",
        ],
        &count(),
    ));
    fields.extend(of(
        &[
            "progress",
            "eta",
            "ratio",
            "availability",
            "vod_prebuffering_progress",
            "vod_prebuffering_progress_consec",
            "vod_header_progress",
            "vod_footer_progress",
        ],
        &number(),
    ));
    fields.extend(of(
        &[
            "anon_download",
            "safe_seeding",
            "vod_mode",
            // As later versions tell, and as the older one does.
            "channel_download?",
            "credit_mining?",
        ],
        &flag(),
    ));
    fields.extend([
        ("peers?", list(reference("Peer"))),
        ("pieces?", text()),
        ("files?", list(reference("File"))),
    ]);
    object(&fields)
}

fn peer() -> Value {
    let flags = [
        "optimistic",
        "uinterested",
        "uchoked",
        "uhasqueries",
        "uflushed",
        "dinterested",
        "dchoked",
        "snubbed",
        "seed",
        "upload_only",
    ];
    let counts = [
        "port",
        "uprate",
        "downrate",
        "utotal",
        "dtotal",
        "speed",
        "connection_type",
    ];
    let texts = ["id", "extended_version", "ip", "direction"];
    let mut fields = vec![("completed", number())];
    fields.extend(flags.map(|name| (name, flag())));
    fields.extend(counts.map(|name| (name, count())));
    fields.extend(texts.map(|name| (name, text())));
    object(&fields)
}
