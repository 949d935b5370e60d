//! Classes as settings have them: one text each.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use net::limit::MOST_WEIGHT;

use super::{
    ALWAYS, AddressClasses, AddressRange, ClassKind, ClassList, GLOBAL, KindClasses, KindRule,
    MOST_CLASSES, MOST_RANGES, PeerClass,
};
use crate::settings::{Setting, Settings, Value, Wrong, WrongKind, not};
use crate::units::Rate;

/// Letters of a name.
const LONGEST_NAME: usize = 32;

/// Parts of the most connections that a class may have, in percent.
const CONNECTIONS: std::ops::RangeInclusive<u32> = 1..=1000;

/// What stands for no class at all.
const NONE: &str = "none";

/// Whether a class can be called so.
pub(super) fn is_name(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
    (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(letter) && name != NONE
}

/// Why a class cannot be so.
pub(super) fn flaw(name: &str, class: &PeerClass) -> Option<String> {
    let priorities = 1..=MOST_WEIGHT;
    if !is_name(name) {
        let due = "lower-case letters, digits, `-` and `_`, 32 at most, and not `none`";
        return Some(format!("`{name}` is no name of a class: {due}"));
    }
    for (word, priority) in [
        ("down_priority", class.down_priority),
        ("up_priority", class.up_priority),
    ] {
        if !priorities.contains(&priority) {
            return Some(format!("{name}: {word} is 1 to {MOST_WEIGHT}"));
        }
    }
    if !CONNECTIONS.contains(&class.connections) {
        return Some(format!("{name}: connections are 1 to 1000 percent"));
    }
    let limits = class.limits.down.or(class.limits.up);
    (name == GLOBAL && limits.is_some())
        .then(|| "the limits of `global` are the settings limits.down and limits.up".to_owned())
}

/// One class: its name, and what is said of it.
fn class(text: &str) -> Result<(String, PeerClass), String> {
    let mut words = text.split_whitespace();
    let name = words.next().unwrap_or_default();
    let mut class = PeerClass::default();
    for word in words {
        if word == "free_slots" {
            class.free_slots = true;
            continue;
        }
        let odd = || format!("{name}: `{word}` says nothing of a class");
        let (key, value) = word.split_once('=').ok_or_else(odd)?;
        let number = |text: &str| text.parse::<u32>().map_err(|_| odd());
        let rate = || {
            let rate = value.parse::<Rate>().map(|rate| rate.0);
            rate.map_err(|error| format!("{name}: {key}: {error}"))
        };
        match key {
            "down" => class.limits.down = rate()?,
            "up" => class.limits.up = rate()?,
            "down_priority" => class.down_priority = number(value)?,
            "up_priority" => class.up_priority = number(value)?,
            "connections" => {
                class.connections = number(value.strip_suffix('%').unwrap_or(value))?;
            }
            _ => return Err(odd()),
        }
    }
    Ok((name.to_owned(), class))
}

impl ClassList {
    fn parse(text: &str) -> Result<Self, String> {
        let mut list = Self::default();
        for one in entries(text) {
            let (name, class) = class(one)?;
            if list.0.insert(name.clone(), class).is_some() {
                return Err(format!("{name}: it is said twice what it is"));
            }
        }
        match list.flaw() {
            Some(flaw) => Err(flaw),
            None => Ok(list),
        }
    }

    /// Why the classes cannot be so.
    pub(super) fn flaw(&self) -> Option<String> {
        let own = self.0.keys().filter(|name| !ALWAYS.contains(&&***name));
        if own.count() > MOST_CLASSES - ALWAYS.len() {
            let most = MOST_CLASSES - ALWAYS.len();
            return Some(format!("there are more than {most} classes"));
        }
        self.0.iter().find_map(|(name, class)| flaw(name, class))
    }
}

impl fmt::Display for ClassList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, class)) in self.0.iter().enumerate() {
            f.write_str(if at > 0 { "; " } else { "" })?;
            f.write_str(name)?;
            for (key, rate) in [("down", class.limits.down), ("up", class.limits.up)] {
                match rate.map(|rate| Some(rate).write()) {
                    Some(Value::Text(text)) => write!(f, " {key}={text}")?,
                    Some(value) => write!(f, " {key}={value}")?,
                    None => {}
                }
            }
            for (key, priority) in [
                ("down_priority", class.down_priority),
                ("up_priority", class.up_priority),
            ] {
                if priority != 1 {
                    write!(f, " {key}={priority}")?;
                }
            }
            if class.free_slots {
                f.write_str(" free_slots")?;
            }
            if class.connections != 100 {
                write!(f, " connections={}%", class.connections)?;
            }
        }
        Ok(())
    }
}

impl AddressRange {
    /// Both ends are of one family, and in their order.
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        let (first, last) = (first.to_canonical(), last.to_canonical());
        (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(Self { first, last })
    }

    fn parse(text: &str) -> Option<Self> {
        if let Some((first, last)) = text.split_once('-') {
            return Self::new(first.parse().ok()?, last.parse().ok()?);
        }
        let Some((ip, bits)) = text.split_once('/') else {
            let ip = text.parse().ok()?;
            return Self::new(ip, ip);
        };
        let bits: u32 = bits.parse().ok()?;
        match ip.parse().ok()? {
            IpAddr::V4(ip) => {
                let mask = u32::MAX.checked_shl(32_u32.checked_sub(bits)?).unwrap_or(0);
                let first = u32::from(ip) & mask;
                let ends = [first, first | !mask].map(|ip| Ipv4Addr::from(ip).into());
                Self::new(ends[0], ends[1])
            }
            IpAddr::V6(ip) => {
                let free = 128_u32.checked_sub(bits)?;
                let mask = u128::MAX.checked_shl(free).unwrap_or(0);
                let first = u128::from(ip) & mask;
                let ends = [first, first | !mask].map(|ip| Ipv6Addr::from(ip).into());
                Self::new(ends[0], ends[1])
            }
        }
    }

    /// The numbers of its ends.
    pub(super) fn numbers(&self) -> (u128, u128) {
        let number = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => u128::from(u32::from(ip)),
            IpAddr::V6(ip) => u128::from(ip),
        };
        (number(self.first), number(self.last))
    }
}

/// As a network where it is one, else by both ends.
impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = self.numbers();
        let free = (first ^ last).count_ones();
        let width = if self.first.is_ipv4() { 32 } else { 128 };
        let span = 1_u128.checked_shl(free).unwrap_or(0).wrapping_sub(1);
        if first == last {
            write!(f, "{}", self.first)
        } else if last.wrapping_sub(first) == span && first & span == 0 {
            write!(f, "{}/{}", self.first, width - free)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl AddressClasses {
    fn parse(text: &str) -> Result<Self, String> {
        let mut all = Vec::new();
        for one in entries(text) {
            let mut words = one.split_whitespace();
            let range = words.next().unwrap_or_default();
            let parsed = AddressRange::parse(range);
            let parsed = parsed.ok_or_else(|| format!("`{range}` is no range of addresses"))?;
            let names: BTreeSet<String> = words.map(str::to_owned).collect();
            if names.is_empty() {
                return Err(format!("{range}: its classes are not named, or `none`"));
            }
            let none = names.len() == 1 && names.contains(NONE);
            if let Some(odd) = names.iter().find(|name| !none && !is_name(name)) {
                return Err(format!("{range}: `{odd}` is no name of a class"));
            }
            all.push((parsed, if none { BTreeSet::new() } else { names }));
        }
        if all.len() > MOST_RANGES {
            return Err(format!("there are more than {MOST_RANGES} ranges"));
        }
        Ok(Self(all))
    }
}

impl fmt::Display for AddressClasses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (range, names)) in self.0.iter().enumerate() {
            f.write_str(if at > 0 { "; " } else { "" })?;
            write!(f, "{range}")?;
            for name in names {
                write!(f, " {name}")?;
            }
            if names.is_empty() {
                write!(f, " {NONE}")?;
            }
        }
        Ok(())
    }
}

impl KindClasses {
    fn parse(text: &str) -> Result<Self, String> {
        let mut all = Self::default();
        for one in entries(text) {
            let mut words = one.split_whitespace();
            let word = words.next().unwrap_or_default();
            let kind = ClassKind::EACH.into_iter().find(|kind| kind.word() == word);
            let kind = kind.ok_or_else(|| {
                format!("`{word}` is no kind of connection: `tcp`, `utp` or `web`")
            })?;
            let mut rule = KindRule::default();
            for word in words {
                let odd = || format!("{}: `{word}` is no class with `+` or `-`", kind.word());
                let joins = word.starts_with('+');
                let name = word.strip_prefix(['+', '-']).filter(|name| is_name(name));
                let name = name.ok_or_else(odd)?.to_owned();
                if joins {
                    rule.join.insert(name);
                } else {
                    rule.leave.insert(name);
                }
            }
            if all.0.insert(kind, rule).is_some() {
                return Err(format!("{}: it is said twice what it changes", kind.word()));
            }
        }
        Ok(all)
    }
}

impl fmt::Display for KindClasses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (kind, rule)) in self.0.iter().enumerate() {
            f.write_str(if at > 0 { "; " } else { "" })?;
            f.write_str(kind.word())?;
            for name in &rule.leave {
                write!(f, " -{name}")?;
            }
            for name in &rule.join {
                write!(f, " +{name}")?;
            }
        }
        Ok(())
    }
}

/// The parts of a text that are not empty.
fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.split(';').map(str::trim).filter(|one| !one.is_empty())
}

/// Names of classes that others of the settings speak of and that there are not.
pub(crate) fn unknown(settings: &Settings) -> Vec<Wrong> {
    let there = |name: &String| {
        ALWAYS.contains(&name.as_str()) || settings.classes.list.0.contains_key(name)
    };
    let ranges = settings.classes.addresses.0.iter();
    let named = ranges.flat_map(|(_, names)| names);
    let rules = settings.classes.kinds.0.values();
    let joined = rules.flat_map(|rule| rule.leave.iter().chain(&rule.join));
    let named = named.map(|name| ("classes.addresses", name));
    let all = named.chain(joined.map(|name| ("classes.kinds", name)));
    let mut missing: Vec<(&str, &String)> = all.filter(|(_, name)| !there(name)).collect();
    missing.dedup();
    let wrong = |(path, name): (&str, &String)| Wrong {
        line: None,
        path: path.to_owned(),
        kind: WrongKind::Kind {
            found: format!("{name} is no class"),
            due: "one of those in classes.list, or global, tcp or local".to_owned(),
        },
    };
    missing.into_iter().map(wrong).collect()
}

/// A setting that is a text of its own.
macro_rules! text_setting {
    ($($type:ty: $due:literal, $example:literal;)*) => {$(
        impl Setting for $type {
            type Bounds = ();

            fn read(value: &Value) -> Result<Self, WrongKind> {
                const DUE: &str = concat!($due, ", such as \"", $example, "\", or an empty text");
                match value {
                    Value::Text(text) => Self::parse(text).map_err(|why| WrongKind::Kind {
                        found: why,
                        due: DUE.to_owned(),
                    }),
                    Value::Bool(_) | Value::Int(_) | Value::Float(_) => Err(not(value, DUE)),
                }
            }

            fn write(&self) -> Value {
                let mut text = String::new();
                let _ = write!(text, "{self}");
                Value::Text(text)
            }

            fn check(&self, (): &(), _: &'static str) -> Result<(), WrongKind> {
                let whole = Self::read(&self.write())?;
                let same = whole == *self;
                same.then_some(()).ok_or_else(|| WrongKind::OutOfRange {
                    value: self.write().to_string(),
                    range: <Self as Setting>::range(&(), ""),
                })
            }

            fn range((): &(), _: &'static str) -> String {
                concat!($due, ", such as `", $example, "`").to_owned()
            }
        }
    )*};
}

text_setting! {
    ClassList: "classes with `;` between", "friends up_priority=4 free_slots; guests down=1MiB/s up=100KiB/s";
    AddressClasses: "ranges of addresses with their classes, with `;` between", "10.1.0.0/16 friends local; 192.0.2.7-192.0.2.9 global guests";
    KindClasses: "kinds of connections with the classes that they come into and leave, with `;` between", "utp +guests; web -global";
}

#[cfg(test)]
mod tests;
