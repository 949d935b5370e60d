//! Ports of other hosts, in one text.

use super::listed::Listed;

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
}

/// A port, or the first and the last of several.
fn one(text: &str) -> Option<(u16, u16)> {
    let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
    match text.split_once('-') {
        Some((from, to)) => Some((port(from)?, port(to)?)),
        None => port(text).map(|port| (port, port)),
    }
}

impl Listed for PortRanges {
    const DUE: &'static str = "at most 256 ports or ranges of ports, such as \"25, 137-139, 445\", or an empty text for none";
    const RANGE: &'static str =
        "ports and ranges of ports, such as 25, 137-139, with commas between";

    fn from_words<'a>(words: impl Iterator<Item = &'a str>) -> Option<Self> {
        let ranges: Option<Vec<(u16, u16)>> = words.take(MOST + 1).map(one).collect();
        Self::new(ranges?)
    }

    fn words(&self) -> Vec<String> {
        let each = self.0.iter().map(|(from, to)| {
            if from == to {
                from.to_string()
            } else {
                format!("{from}-{to}")
            }
        });
        each.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::value::Setting;
    use crate::settings::{Value, WrongKind};

    fn read(text: &str) -> Result<PortRanges, WrongKind> {
        PortRanges::read(&Value::Text(text.to_owned()))
    }

    #[test]
    fn ports_are_written_in_order_and_read_again() {
        let ports = read(" 445, 137-139,25 ,138-140, 141").unwrap();
        assert_eq!(ports.write(), Value::Text("25, 137-141, 445".to_owned()));
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
