//! Several things of one kind in one text, with commas between.

use super::value::{Setting, not};
use super::{Value, WrongKind};

/// A list that stands in one text.
pub(super) trait Listed: Clone + PartialEq + Sized {
    /// What such a text is, to be told of another.
    const DUE: &'static str;
    /// What is allowed, for the page of settings.
    const RANGE: &'static str;

    /// From what stands between the commas; `None` where that makes no such list.
    fn from_words<'a>(words: impl Iterator<Item = &'a str>) -> Option<Self>;

    /// Each of them as `from_words` takes it.
    fn words(&self) -> Vec<String>;
}

fn parse<T: Listed>(text: &str) -> Option<T> {
    let words = text.split(',').map(str::trim);
    T::from_words(words.filter(|word| !word.is_empty()))
}

impl<T: Listed> Setting for T {
    type Bounds = ();

    fn read(value: &Value) -> Result<Self, WrongKind> {
        let read = match value {
            Value::Text(text) => parse(text),
            Value::Int(number) => parse(&number.to_string()),
            Value::Bool(_) | Value::Float(_) => None,
        };
        read.ok_or_else(|| not(value, T::DUE))
    }

    fn write(&self) -> Value {
        Value::Text(self.words().join(", "))
    }

    fn check(&self, (): &(), _: &'static str) -> Result<(), WrongKind> {
        let whole = Self::read(&self.write()).is_ok_and(|read| read == *self);
        whole.then_some(()).ok_or_else(|| WrongKind::OutOfRange {
            value: self.write().to_string(),
            range: T::RANGE.to_owned(),
        })
    }

    fn range((): &(), _: &'static str) -> String {
        T::RANGE.to_owned()
    }
}
