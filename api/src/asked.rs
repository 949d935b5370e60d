//! What was asked: the query and the body of a request.

mod coming;

use axum::body::Body;
use axum::http::{Request, StatusCode, Uri};
use data_encoding::HEXLOWER_PERMISSIVE;
use serde_json::{Map, Value};

pub(crate) use self::coming::long;
use crate::problem::Problem;

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
pub(crate) struct Query(pub(crate) Vec<(String, String)>);

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

/// Bytes of a body that is an object with a few words in it.
pub(crate) const SMALL: usize = 1 << 20;

/// Bytes of a pair of a form that is a long one.
const LONG: usize = 4096;

/// What a request says in its body: JSON, or a form in the older version.
///
/// # Errors
/// 400 where it is no object, 413 where it is too long, 408 where it does not come.
pub(crate) async fn object(request: Request<Body>) -> Result<Object, Problem> {
    let era = era(&request);
    let bytes = coming::small(request).await?;
    read(era, &bytes)
}

/// The version that a request is for.
pub(crate) fn era(request: &Request<Body>) -> Era {
    request.extensions().get().copied().unwrap_or_default()
}

/// Reads a body as an object.
///
/// # Errors
/// 400 where it is none, 413 where there is more in it than texts are long.
pub(crate) fn read(era: Era, bytes: &[u8]) -> Result<Object, Problem> {
    if bytes.is_empty() {
        return Ok(Object::default());
    }
    let too_many = || {
        let why = format!("the body has more than {SMALL} bytes beside its texts");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, why)
    };
    if era == Era::V70 && bytes.first() != Some(&b'{') {
        if bytes.len() > SMALL && in_short_pairs(bytes) > SMALL {
            return Err(too_many());
        }
        return Ok(Object(form(bytes)));
    }
    if bytes.len() > SMALL && beside_texts(bytes) > SMALL {
        return Err(too_many());
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

/// Bytes of JSON that are in no text. Each of them can come to a value, which takes many times as much memory.
fn beside_texts(json: &[u8]) -> usize {
    let (mut beside, mut in_text, mut is_escaped) = (0, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => {
                in_text = !in_text;
                beside += 1;
            }
            _ if in_text => {}
            _ => beside += 1,
        }
    }
    beside
}

/// Bytes of a form that are in no long pair.
fn in_short_pairs(form: &[u8]) -> usize {
    let lens = form.split(|byte| *byte == b'&').map(<[u8]>::len);
    lens.filter(|len| *len < LONG).map(|len| len + 1).sum()
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

/// 20 bytes, as 40 digits in hex.
pub(crate) fn twenty_bytes(hex: &str) -> Option<[u8; 20]> {
    let bytes = HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok()?;
    bytes.try_into().ok()
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
mod tests;
