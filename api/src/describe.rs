//! What each route is, for people and programs: the words and shapes beside each row of the table, and the OpenAPI document of all of
//! them.

pub(crate) mod shapes;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use self::shapes::{object, reference, text};

/// What a route is.
#[derive(Clone, Debug)]
pub(crate) struct About {
    summary: &'static str,
    query: Vec<(&'static str, Value, &'static str)>,
    body: Option<Body>,
    /// Status, type and shape.
    answers: Vec<(u16, &'static str, Value)>,
    /// Further statuses, which have the shape of errors.
    refusals: Vec<u16>,
    is_free: bool,
}

#[derive(Clone, Debug)]
struct Body {
    required: bool,
    kinds: Vec<(&'static str, Value)>,
    /// What a body of JSON may look like, to begin with.
    example: Option<Value>,
}

/// The type of JSON.
pub(crate) const JSON: &str = "application/json";

/// What may become of any request: whoever may not ask, and when the daemon ends.
const ANYWHERE: [(u16, &str); 8] = [
    (400, "It is no proper request."),
    (401, "The key is missing or wrong."),
    (403, "It comes from a page of another site."),
    (408, "It does not come in time."),
    (414, "The address is too long."),
    (421, "It names another machine."),
    (431, "Its head is too long."),
    (
        503,
        "The daemon ends, or has too much to do. `Retry-After` says where it is worth asking again, in seconds.",
    ),
];

/// What may become of a request with a body.
const OF_BODIES: [u16; 3] = [400, 408, 413];

impl About {
    pub(crate) const fn new(summary: &'static str) -> Self {
        Self {
            summary,
            query: Vec::new(),
            body: None,
            answers: Vec::new(),
            refusals: Vec::new(),
            is_free: false,
        }
    }

    /// The answer where all is well: JSON of this shape.
    pub(crate) fn answers(self, shape: Value) -> Self {
        self.answers_as(200, JSON, shape)
    }

    /// An answer of another status or type.
    pub(crate) fn answers_as(mut self, status: u16, kind: &'static str, shape: Value) -> Self {
        self.answers.push((status, kind, shape));
        self
    }

    /// A word of the query that may be `1`.
    pub(crate) fn flag(self, name: &'static str, words: &'static str) -> Self {
        self.asks(name, json!({"type": "string", "enum": ["0", "1"]}), words)
    }

    /// A word of the query of this shape.
    pub(crate) fn asks(mut self, name: &'static str, shape: Value, words: &'static str) -> Self {
        self.query.push((name, shape, words));
        self
    }

    /// What the body is, as JSON.
    pub(crate) fn takes(self, shape: Value) -> Self {
        self.takes_as(JSON, shape)
    }

    /// What the body may be as well, or else.
    pub(crate) fn takes_as(mut self, kind: &'static str, shape: Value) -> Self {
        let body = self.body.get_or_insert_with(|| Body {
            required: true,
            kinds: Vec::new(),
            example: None,
        });
        body.kinds.push((kind, shape));
        self
    }

    /// What a body of JSON may look like: what people begin with who try a route.
    pub(crate) fn such_as(mut self, example: Value) -> Self {
        if let Some(body) = &mut self.body {
            body.example = Some(example);
        }
        self
    }

    /// Errors beside those that any request may meet.
    pub(crate) fn refuses(mut self, statuses: &[u16]) -> Self {
        self.refusals.extend_from_slice(statuses);
        self
    }

    /// No key is needed.
    pub(crate) const fn free(mut self) -> Self {
        self.is_free = true;
        self
    }

    /// The operation of this route in the document.
    fn operation(&self, path: &str, tag: &str) -> Value {
        let mut parameters: Vec<Value> = places(path)
            .map(
                |name| json!({"name": name, "in": "path", "required": true, "schema": place(name)}),
            )
            .collect();
        parameters.extend(self.query.iter().map(|(name, shape, words)| {
            json!({"name": name, "in": "query", "schema": shape, "description": words})
        }));
        let mut operation = json!({
            "summary": self.summary,
            "tags": [tag],
            "parameters": parameters,
            "responses": self.responses(),
        });
        if let (Some(body), Value::Object(operation)) = (&self.body, &mut operation) {
            let kinds = body.kinds.iter().map(|(kind, shape)| {
                let mut content = json!({"schema": shape});
                if let (JSON, Some(example), Value::Object(content)) =
                    (*kind, &body.example, &mut content)
                {
                    content.insert("example".to_owned(), example.clone());
                }
                ((*kind).to_owned(), content)
            });
            let kinds: Map<String, Value> = kinds.collect();
            operation.insert(
                "requestBody".to_owned(),
                json!({"required": body.required, "content": kinds}),
            );
        }
        if let (true, Value::Object(operation)) = (self.is_free, &mut operation) {
            operation.insert("security".to_owned(), json!([]));
        }
        operation
    }

    fn responses(&self) -> BTreeMap<String, Value> {
        let error = |words: &str| json!({"description": words, "content": {JSON: {"schema": reference("Error")}}});
        let anywhere = ANYWHERE.map(|(status, words)| (status.to_string(), error(words)));
        let mut all = BTreeMap::from(anywhere);
        let of_bodies: &[u16] = if self.body.is_some() { &OF_BODIES } else { &[] };
        for status in self.refusals.iter().chain(of_bodies) {
            let words = axum::http::StatusCode::from_u16(*status).ok();
            let words = words.and_then(|status| status.canonical_reason());
            all.insert(status.to_string(), error(words.unwrap_or_default()));
        }
        for (status, kind, shape) in &self.answers {
            let content = json!({"schema": shape});
            let one = all.entry(status.to_string());
            let one = one.or_insert_with(|| json!({"description": "As asked.", "content": {}}));
            if let Some(Value::Object(kinds)) = one.get_mut("content") {
                kinds.insert((*kind).to_owned(), content);
            }
        }
        all
    }
}

/// The places of a path.
fn places(path: &str) -> impl Iterator<Item = &str> {
    let parts = path.split('/');
    parts.filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// What may stand at a place of a path.
fn place(name: &str) -> Value {
    match name {
        "infohash" => json!({"type": "string", "pattern": "^[0-9a-fA-F]{40}([0-9a-fA-F]{24})?$"}),
        "key" | "mid" => json!({"type": "string", "pattern": "^[0-9a-fA-F]{40}$"}),
        "prefix" => json!({"type": "string", "pattern": "^([01]{1,160}|all)$"}),
        "circuit_id" | "fileindex" => json!({"type": "integer", "minimum": 0}),
        _ => text(),
    }
}

/// Where people find the key.
const KEY_IS: &str = "It is in the file `api.key` of the daemon's state folder, unless it was named by an option or a variable.";

/// The document of routes that are served: each with its method, path and what it is.
pub(crate) fn document<'a>(routes: impl Iterator<Item = (&'a str, String, &'a About)>) -> Value {
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for (method, path, about) in routes {
        let tag = path.split('/').nth(1).filter(|tag| !tag.is_empty());
        let tag = tag.unwrap_or("docs");
        let operation = about.operation(&path, tag);
        let of_path = paths.entry(path).or_default();
        of_path.insert(method.to_ascii_lowercase(), operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "The REST API of Tribler, by tribler-rs",
            "version": env!("CARGO_PKG_VERSION"),
            "description": format!(
                "Everything but this page wants a key. {KEY_IS} `Authorize` takes it, for all that is tried here."
            ),
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"header": []}, {"query": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "header": {"type": "apiKey", "in": "header", "name": "X-Api-Key", "description": KEY_IS},
                "query": {"type": "apiKey", "in": "query", "name": "apikey", "description": KEY_IS},
            },
            "schemas": shapes::all(),
        },
    })
}

/// An answer that says only that something was done.
pub(crate) fn done(word: &'static str) -> Value {
    object(&[(word, json!({"type": "boolean"}))])
}

#[cfg(test)]
pub(crate) mod tests;
