//! Ports of other hosts, in one text.

use std::fmt;

use super::value::{Setting, not};
use super::{Value, WrongKind};

/// Ranges that one text may have.
const MOST: usize = 256;

/// Ports: some by themselves, some from one to another, in order and without overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortRanges(Vec<(u16, u16)>);

impl PortRanges {
    /// These, from the first to the last of each pair; `None` where one ends before it begins, or there are more than 256.
    pub fn new(ranges: impl IntoIterator<Item = (u16, u16)>) -> Option<Self> {
        let mut all: Vec<(u16, u16)> = ranges.into_iter().take(MOST + 1).collect();
        if all.len() > MOST || all.iter().any(|(from, to)| from > to) {
            return None;
        }
        all.sort_unstable();
        let mut apart: Vec<(u16, u16)> = Vec::with_capacity(all.len());
        for (from, to) in all {
            match apart.last_mut() {
                Some((_, end)) if from <= end.saturating_add(1) => *end = (*end).max(to),
                _ => apart.push((from, to)),
            }
        }
        Some(Self(apart))
    }

    /// Whether a port is one of them.
    pub fn contains(&self, port: u16) -> bool {
        let next = self.0.partition_point(|(from, _)| *from <= port);
        let before = next.checked_sub(1).and_then(|at| self.0.get(at));
        before.is_some_and(|(_, to)| port <= *to)
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn parse(text: &str) -> Option<Self> {
        let all = text.split(',').map(str::trim).filter(|one| !one.is_empty());
        let ranges: Option<Vec<(u16, u16)>> = all.map(one).collect();
        Self::new(ranges?)
    }
}

/// A port, or the first and the last of several.
fn one(text: &str) -> Option<(u16, u16)> {
    let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
    match text.split_once('-') {
        Some((from, to)) => Some((port(from)?, port(to)?)),
        None => port(text).map(|port| (port, port)),
    }
}

impl fmt::Display for PortRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (from, to)) in self.0.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            if from == to {
                write!(f, "{comma}{from}")?;
            } else {
                write!(f, "{comma}{from}-{to}")?;
            }
        }
        Ok(())
    }
}

impl Setting for PortRanges {
    type Bounds = ();

    fn read(value: &Value) -> Result<Self, WrongKind> {
        const DUE: &str = "at most 256 ports or ranges of ports, such as \"25, 137-139, 445\", or an empty text for none";
        match value {
            Value::Text(text) => Self::parse(text).ok_or_else(|| not(value, DUE)),
            Value::Int(port) => {
                let port = u16::try_from(*port).ok().filter(|port| *port > 0);
                let range = port.and_then(|port| Self::new([(port, port)]));
                range.ok_or_else(|| not(value, DUE))
            }
            Value::Bool(_) | Value::Float(_) => Err(not(value, DUE)),
        }
    }

    fn write(&self) -> Value {
        Value::Text(self.to_string())
    }

    fn check(&self, (): &(), _: &'static str) -> Result<(), WrongKind> {
        Ok(())
    }

    fn range((): &(), _: &'static str) -> String {
        "ports and ranges of ports, such as 25, 137-139, with commas between".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<PortRanges, WrongKind> {
        PortRanges::read(&Value::Text(text.to_owned()))
    }

    #[test]
    fn ports_are_written_in_order_and_read_again() {
        let ports = read(" 445, 137-139,25 ,138-140, 141").unwrap();
        assert_eq!(ports.to_string(), "25, 137-141, 445");
        assert_eq!(PortRanges::read(&ports.write()), Ok(ports.clone()));
        for (port, is_in) in [
            (24, false),
            (25, true),
            (26, false),
            (137, true),
            (141, true),
        ] {
            assert_eq!(ports.contains(port), is_in, "{port}");
        }
        assert!(!ports.contains(142) && !ports.contains(65535) && ports.contains(445));
        assert_eq!(PortRanges::read(&Value::Int(25)), read("25"));
        assert!(read("").unwrap().is_empty());
        assert!(read("1-65535").unwrap().contains(65535));
    }

    #[test]
    fn what_names_no_port_is_refused() {
        for wrong in ["0", "65536", "9-8", "a", "1-", "-1", "1-2-3"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(read(&"1,3,".repeat(129)).is_err());
        assert!(PortRanges::read(&Value::Int(0)).is_err());
    }
}
