//! Addresses of this machine, in one text.

use std::net::IpAddr;

use super::listed::Listed;

/// Addresses that one text may name.
const MOST: usize = 64;

/// Some addresses, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses(pub Vec<IpAddr>);

impl Listed for Addresses {
    const DUE: &'static str = "at most 64 IP addresses of this machine, each once, such as \"192.0.2.7, 2001:db8::7\", or an empty text";
    const RANGE: &'static str = "IP addresses with commas between, or an empty text";

    fn from_words<'a>(words: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut all = Vec::new();
        for word in words {
            let ip = net::resolve::ip_literal(word)?;
            if ip.is_unspecified() || ip.is_multicast() || all.contains(&ip) || all.len() == MOST {
                return None;
            }
            all.push(ip);
        }
        Some(Self(all))
    }

    fn words(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Value;
    use crate::settings::value::Setting;

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
