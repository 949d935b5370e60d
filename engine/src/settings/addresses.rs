//! Addresses of this machine, in one text.

use std::net::IpAddr;

use super::value::{Setting, not};
use super::{Value, WrongKind};

/// Addresses that one text may name.
const MOST: usize = 64;

/// Some addresses, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses(pub Vec<IpAddr>);

impl Addresses {
    fn parse(text: &str) -> Option<Self> {
        let words = text.split(',').map(str::trim).filter(|one| !one.is_empty());
        let mut all = Vec::new();
        for word in words {
            let ip = net::resolve::ip_literal(word)?;
            if ip.is_unspecified() || ip.is_multicast() || all.contains(&ip) {
                return None;
            }
            all.push(ip);
        }
        (all.len() <= MOST).then_some(Self(all))
    }
}

impl Setting for Addresses {
    type Bounds = ();

    fn read(value: &Value) -> Result<Self, WrongKind> {
        const DUE: &str = "at most 64 IP addresses of this machine, each once, such as \"192.0.2.7, 2001:db8::7\", or an empty text";
        match value {
            Value::Text(text) => Self::parse(text).ok_or_else(|| not(value, DUE)),
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => Err(not(value, DUE)),
        }
    }

    fn write(&self) -> Value {
        let each = self.0.iter().map(ToString::to_string);
        Value::Text(each.collect::<Vec<_>>().join(", "))
    }

    fn check(&self, (): &(), _: &'static str) -> Result<(), WrongKind> {
        let whole = Self::read(&self.write()).is_ok_and(|read| read == *self);
        whole.then_some(()).ok_or_else(|| WrongKind::OutOfRange {
            value: self.write().to_string(),
            range: Self::range(&(), ""),
        })
    }

    fn range((): &(), _: &'static str) -> String {
        "IP addresses with commas between, or an empty text".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_they_are_read_and_nothing_else_is() {
        let read = |text: &str| Addresses::read(&Value::Text(text.to_owned()));
        let two = read(" 192.0.2.7,[2001:DB8::7],").unwrap();
        let written = two.write();
        assert_eq!(written, Value::Text("192.0.2.7, 2001:db8::7".to_owned()));
        assert_eq!(Addresses::read(&written), Ok(two));
        assert_eq!(read(""), Ok(Addresses::default()));
        for wrong in [
            "a",
            "1.2.3.4:5",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "1.2.3.4,1.2.3.4",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let many: Vec<String> = (0..65).map(|last| format!("10.0.0.{last}")).collect();
        assert!(read(&many.join(",")).is_err());
    }
}
