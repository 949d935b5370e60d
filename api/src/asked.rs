//! What was asked: the query and the body of a request.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, Request, StatusCode, Uri, header};
use bytes::{Bytes, BytesMut};
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout_at};

use crate::problem::Problem;

/// How long a body may take to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a client may send nothing of its body.
const SILENCE: Duration = Duration::from_secs(10);

/// Bytes of a body that is not wanted which are taken all the same, and for how long.
const DRAINED: usize = 64 << 20;
const DRAINING: Duration = Duration::from_secs(2);

/// Up to here every whole number has a fraction of its own: 2 to the power of 53.
const MOST_EXACT: f64 = 9_007_199_254_740_992.0;

/// Which version of the API a request is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Era {
    /// Tribler 7.5.
    #[default]
    Now,
    /// Tribler 7.0.2, by the prefix `/v7.0`.
    V70,
}

/// The query of a request, its texts decoded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn of(uri: &Uri) -> Self {
        let query = uri.query().unwrap_or_default();
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        Self(pairs.into_owned().collect())
    }

    /// The first value of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut pairs = self.0.iter().filter(|(known, _)| known == name);
        pairs.next().map(|(_, value)| value.as_str())
    }

    /// Whether a flag is set: `1` or `true`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Some("1" | "true" | "True"))
    }

    /// A number.
    ///
    /// # Errors
    /// 400 where it is none.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let number = text.parse();
        let number = number.map_err(|_| Problem::wrong(format!("{name}: {text} is no number")));
        number.map(Some)
    }
}

/// The body of a request, of so many bytes at most.
///
/// # Errors
/// 413 beyond that, 408 where it does not come.
pub(crate) async fn body(request: Request<Body>, most: usize) -> Result<Bytes, Problem> {
    let too_large = || {
        let why =
            format!("the body has more than {most} bytes, which are the most that are taken here");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, why)
    };
    let said = length(request.headers());
    // It sends nothing before it is told to (RFC 9110, section 10.1.1).
    let waits = request.headers().contains_key(header::EXPECT);
    let mut body = request.into_body();
    if said.is_some_and(|len| len > most as u64) {
        if !waits {
            drain(&mut body).await;
        }
        return Err(too_large());
    }
    let mut bytes = BytesMut::new();
    let end = Instant::now() + PATIENCE;
    loop {
        let until = end.min(Instant::now() + SILENCE);
        let data = match timeout_at(until, next(&mut body)).await {
            Ok(Some(Ok(data))) => data,
            Ok(Some(Err(error))) => return Err(Problem::wrong(format!("the body: {error}"))),
            Ok(None) => return Ok(bytes.freeze()),
            Err(_) => {
                let why = "the body did not come in time";
                return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, why));
            }
        };
        if bytes.len() + data.len() > most {
            drain(&mut body).await;
            return Err(too_large());
        }
        bytes.extend_from_slice(&data);
    }
}

/// The next bytes of a body.
async fn next(body: &mut Body) -> Option<Result<Bytes, axum::Error>> {
    let frame = std::future::poll_fn(|cx| std::pin::Pin::new(&mut *body).poll_frame(cx)).await?;
    Some(frame.map(|frame| frame.into_data().unwrap_or_default()))
}

/// Lets go of a body that is not wanted, as far as it comes at once: who is cut off while it sends does not read why.
async fn drain(body: &mut Body) {
    let end = Instant::now() + DRAINING;
    let mut left = DRAINED;
    while let Ok(Some(Ok(data))) = timeout_at(end, next(body)).await {
        left = left.saturating_sub(data.len());
        if left == 0 {
            return;
        }
    }
}

fn length(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(header::CONTENT_LENGTH)?.to_str().ok()?;
    text.parse().ok()
}

/// Bytes of a body that is an object with a few words in it.
pub(crate) const SMALL: usize = 1 << 20;

/// What a request says in its body: JSON, or a form in the older version.
///
/// # Errors
/// As [`body`], and 400 where it is no object.
pub(crate) async fn object(request: Request<Body>) -> Result<Object, Problem> {
    let era = era(&request);
    let bytes = body(request, SMALL).await?;
    read(era, &bytes)
}

/// The version that a request is for.
pub(crate) fn era(request: &Request<Body>) -> Era {
    request.extensions().get().copied().unwrap_or_default()
}

pub(crate) fn read(era: Era, bytes: &[u8]) -> Result<Object, Problem> {
    if bytes.is_empty() {
        return Ok(Object::default());
    }
    if era == Era::V70 && bytes.first() != Some(&b'{') {
        return Ok(Object(form(bytes)));
    }
    let read: Result<Value, _> = serde_json::from_slice(bytes);
    match read {
        Ok(Value::Object(map)) => Ok(Object(map)),
        Ok(_) => Err(Problem::wrong("the body is JSON, but no object")),
        Err(error) => {
            let why = format!("the body is not JSON: {error}");
            let class = (false, "JSONDecodeError");
            Err(Problem::of_class(StatusCode::BAD_REQUEST, class, &why))
        }
    }
}

/// A form as an object; what is named `name[]` is a list.
fn form(bytes: &[u8]) -> Map<String, Value> {
    let mut map = Map::new();
    for (name, value) in url::form_urlencoded::parse(bytes) {
        let value = Value::from(value.into_owned());
        match name.strip_suffix("[]") {
            Some(name) => {
                let list = map.entry(name).or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(list) = list {
                    list.push(value);
                }
            }
            None => {
                map.insert(name.into_owned(), value);
            }
        }
    }
    map
}

/// An object of a body. Numbers and flags may also be texts, as forms and queries have them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Object(pub(crate) Map<String, Value>);

impl Object {
    /// What is said, unless that is null.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A text.
    ///
    /// # Errors
    /// 400 where it is none.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, Problem> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let text = value.as_str();
        text.map(Some).ok_or_else(|| wrong(name, "a text", value))
    }

    /// A flag.
    ///
    /// # Errors
    /// 400 where it is none.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Problem> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        match value {
            Value::Bool(flag) => Ok(Some(*flag)),
            Value::Number(number) if number.as_u64() == Some(0) => Ok(Some(false)),
            Value::Number(number) if number.as_u64() == Some(1) => Ok(Some(true)),
            Value::String(text) => match text.as_str() {
                "1" | "true" | "True" => Ok(Some(true)),
                "0" | "false" | "False" => Ok(Some(false)),
                _ => Err(wrong(name, "true or false", value)),
            },
            Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                Err(wrong(name, "true or false", value))
            }
        }
    }

    /// A number of something.
    ///
    /// # Errors
    /// 400 where it is none.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let number = number(value);
        number
            .map(Some)
            .ok_or_else(|| wrong(name, "a number from 0", value))
    }

    /// A list of numbers.
    ///
    /// # Errors
    /// 400 where it is none.
    pub(crate) fn numbers(&self, name: &str) -> Result<Option<Vec<u64>>, Problem> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let list = value.as_array().map(|list| list.iter().map(number));
        let list = list.and_then(Iterator::collect::<Option<Vec<u64>>>);
        list.map(Some)
            .ok_or_else(|| wrong(name, "a list of numbers", value))
    }
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
        Value::String(text) => text.parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A number that is written as a fraction and is none: `7.0` is 7 in JSON.
fn whole(number: f64) -> Option<u64> {
    let fits = number.fract() == 0.0 && (0.0..=MOST_EXACT).contains(&number);
    fits.then_some(number as u64)
}

fn wrong(name: &str, kind: &str, value: &Value) -> Problem {
    let mut shown = value.to_string();
    if shown.len() > 100 {
        shown = shown.chars().take(100).chain("...".chars()).collect();
    }
    Problem::wrong(format!("{name} is {kind}, and not {shown}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
}
