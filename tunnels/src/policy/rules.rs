//! Rules of an exit's owner: where else it does not send.
//!
//! ```text
//! # An exit's rules. The first that fits an address decides; what none fits is let out.
//! allow 198.51.100.7
//! deny  198.51.100.0/24
//! deny  any 6881-6889
//! deny  2001:db8::/32
//! allow http any 80
//! deny  http
//! ```
//! A rule is a line: `allow` or `deny`; where it is not for all that leaves, `udp` or `http` (requests to trackers); an address, an
//! address with the length of a prefix, or `any`, which may be left out behind `udp` and `http`; and, where it is not for all ports, a
//! port or the first and the last of some. What stands behind a `#` is for people. Rules can only take away: what
//! [`reaches`](super::reaches) forbids stays forbidden.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use net::Subnet;
use thiserror::Error;

/// The most rules of an exit: each datagram to a new target is held against all of them.
pub const MAX_RULES: usize = 10_000;

/// What the owner of an exit allows, in the order of the lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    rules: Vec<Rule>,
}

/// What leaves an exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// Datagrams.
    Udp,
    /// Requests to HTTP trackers, by TCP.
    Http,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    allows: bool,
    /// What it is for; none for all.
    traffic: Option<Traffic>,
    addresses: Option<Subnet>,
    ports: RangeInclusive<u16>,
}

/// Why a text is not the rules of an exit.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {why}")]
pub struct RulesError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: RuleError,
}

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RuleError {
    /// It begins with another word.
    #[error("`{0}`: a rule begins with `allow` or `deny`")]
    Verb(String),
    /// It ends behind the first word.
    #[error("there is no address: use one, one with a prefix such as 198.51.100.0/24, or `any`")]
    NoAddress,
    /// The second word is no address.
    #[error("`{0}` is no address: use one, one with a prefix such as 198.51.100.0/24, or `any`")]
    Address(String),
    /// There are more bits in the address than its prefix covers, which is most likely not what was meant.
    #[error("`{0}`: the address has bits beyond its prefix; the block that it lies in is {1}")]
    Bits(String, String),
    /// The third word is no port.
    #[error(
        "`{0}` is no port: use one from 1 to 65535, or the first and the last such as 6881-6889"
    )]
    Ports(String),
    /// There are more words.
    #[error("`{0}`: nothing stands behind the ports")]
    Rest(String),
    /// There are too many lines.
    #[error("there are more than {MAX_RULES} rules")]
    TooMany,
}

impl Rules {
    /// Whether some traffic is let out to an address.
    pub fn allow(&self, traffic: Traffic, to: SocketAddr) -> bool {
        let to = SocketAddr::new(to.ip().to_canonical(), to.port());
        let mut rules = self.rules.iter();
        let fits = rules.find(|rule| rule.is_for(traffic) && rule.fits(to));
        fits.is_none_or(|rule| rule.allows)
    }

    /// Whether some traffic is let out nowhere.
    pub fn forbid(&self, traffic: Traffic) -> bool {
        let mut rules = self.rules.iter().filter(|rule| rule.is_for(traffic));
        let decisive = rules.find(|rule| rule.allows || rule.is_for_all());
        decisive.is_some_and(|rule| !rule.allows)
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are none: everything is let out.
    pub const fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

impl Rule {
    fn is_for(&self, traffic: Traffic) -> bool {
        self.traffic.is_none_or(|only| only == traffic)
    }

    fn is_for_all(&self) -> bool {
        self.addresses.is_none() && *self.ports.start() <= 1 && *self.ports.end() == u16::MAX
    }

    fn fits(&self, to: SocketAddr) -> bool {
        let addresses = self.addresses;
        self.ports.contains(&to.port()) && addresses.is_none_or(|block| block.holds(to.ip()))
    }

    fn read(words: &str) -> Result<Self, RuleError> {
        let mut words = words.split_whitespace();
        let verb = words.next().unwrap_or_default();
        let allows = match verb {
            "allow" => true,
            "deny" => false,
            _ => return Err(RuleError::Verb(verb.to_owned())),
        };
        let mut word = words.next();
        let traffic = match word {
            Some("udp") => Some(Traffic::Udp),
            Some("http") => Some(Traffic::Http),
            _ => None,
        };
        if traffic.is_some() {
            word = words.next().or(Some("any"));
        }
        let addresses = match word.ok_or(RuleError::NoAddress)? {
            "any" => None,
            block => Some(read_block(block)?),
        };
        let ports = match words.next() {
            None => 0..=u16::MAX,
            Some(ports) => read_ports(ports).ok_or_else(|| RuleError::Ports(ports.to_owned()))?,
        };
        match words.next() {
            Some(rest) => Err(RuleError::Rest(rest.to_owned())),
            None => Ok(Self {
                allows,
                traffic,
                addresses,
                ports,
            }),
        }
    }
}

fn read_block(text: &str) -> Result<Subnet, RuleError> {
    let wrong = || RuleError::Address(text.to_owned());
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let ip: IpAddr = address.parse().map_err(|_| wrong())?;
    if ip.to_canonical() != ip {
        return Err(wrong());
    }
    let most = if ip.is_ipv4() { 32 } else { 128 };
    let prefix: u8 = match prefix {
        None => most,
        Some(digits) => {
            let length = digits.parse().ok().filter(|length| *length <= most);
            length.ok_or_else(wrong)?
        }
    };
    let block = Subnet::around(ip, prefix);
    if block.first() == ip {
        Ok(block)
    } else {
        Err(RuleError::Bits(text.to_owned(), block.to_string()))
    }
}

fn read_ports(text: &str) -> Option<RangeInclusive<u16>> {
    let port = |digits: &str| digits.parse().ok().filter(|port| *port > 0);
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (port(first)?, port(last)?),
        None => (port(text)?, port(text)?),
    };
    (first <= last).then_some(first..=last)
}

impl FromStr for Rules {
    type Err = RulesError;

    fn from_str(text: &str) -> Result<Self, RulesError> {
        let mut rules = Vec::new();
        for (line, words) in (1..).zip(text.lines()) {
            let words = words.split('#').next().unwrap_or_default().trim();
            if words.is_empty() {
                continue;
            }
            let wrong = |why| RulesError { line, why };
            if rules.len() == MAX_RULES {
                return Err(wrong(RuleError::TooMany));
            }
            rules.push(Rule::read(words).map_err(wrong)?);
        }
        Ok(Self { rules })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_first_rule_that_fits_decides_and_what_none_fits_is_let_out() {
        let rules: Rules = "
            # a comment
            allow 198.51.100.7          # this one
            deny  198.51.100.0/24
            deny  any 6881-6889
            deny  2001:db8::/32 80
        "
        .parse()
        .unwrap();
        assert_eq!(rules.len(), 4);
        for out in [
            "198.51.100.7:6881",
            "198.51.101.1:1",
            "[2001:db8::1]:81",
            "9.9.9.9:6880",
            "9.9.9.9:6890",
        ] {
            assert!(rules.allow(Traffic::Udp, addr(out)), "{out}");
        }
        for held in [
            "198.51.100.8:1",
            "9.9.9.9:6881",
            "9.9.9.9:6889",
            "[2001:db8:ffff::1]:80",
            "[2002::1]:6885",
            "[::ffff:198.51.100.8]:1",
        ] {
            assert!(!rules.allow(Traffic::Udp, addr(held)), "{held}");
        }
    }

    #[test]
    fn no_rules_let_everything_out_and_a_last_line_can_hold_back_the_rest() {
        assert!(
            Rules::default().is_empty() && Rules::default().allow(Traffic::Udp, addr("9.9.9.9:1"))
        );
        let only: Rules = "allow 9.0.0.0/8\ndeny any".parse().unwrap();
        assert!(only.allow(Traffic::Udp, addr("9.1.2.3:4")));
        assert!(
            !only.allow(Traffic::Udp, addr("8.1.2.3:4"))
                && !only.allow(Traffic::Udp, addr("[::1]:4"))
        );
        let all: Rules = "deny 0.0.0.0/0".parse().unwrap();
        assert!(
            !all.allow(Traffic::Udp, addr("8.1.2.3:4"))
                && all.allow(Traffic::Udp, addr("[2606::1]:4"))
        );
    }

    #[test]
    fn a_rule_can_be_for_datagrams_or_for_requests_alone() {
        use Traffic::{Http, Udp};
        let rules: Rules = "
            allow http 9.9.9.9
            deny  http any 1-1024
            deny  udp 8.0.0.0/8
            deny  http
        "
        .parse()
        .unwrap();
        for (traffic, to, out) in [
            (Http, "9.9.9.9:80", true),
            (Http, "9.9.9.8:80", false),
            (Http, "9.9.9.8:8080", false),
            (Udp, "9.9.9.8:80", true),
            (Udp, "8.1.1.1:80", false),
        ] {
            assert_eq!(rules.allow(traffic, addr(to)), out, "{traffic:?} {to}");
        }
        assert!(!rules.forbid(Http) && !rules.forbid(Udp));
        for (text, http, udp) in [
            ("deny http", true, false),
            ("deny http any 1-65535", true, false),
            ("deny http any 80\ndeny any", true, true),
            ("allow udp 9.9.9.9\ndeny any", true, false),
            ("deny http 0.0.0.0/0", false, false),
            ("", false, false),
        ] {
            let rules: Rules = text.parse().unwrap();
            assert_eq!(
                (rules.forbid(Http), rules.forbid(Udp)),
                (http, udp),
                "{text}"
            );
        }
    }

    #[test]
    fn a_wrong_line_is_named_by_its_number_and_by_what_is_wrong() {
        for (text, line, told) in [
            ("block any", 1, "`block`: a rule begins with"),
            ("\n\nallow", 3, "there is no address"),
            ("deny any\ndeny 1.2.3", 2, "`1.2.3` is no address"),
            ("deny 1.2.3.4/33", 1, "no address"),
            ("deny ::/129", 1, "no address"),
            (
                "deny 10.0.0.1/8",
                1,
                "the block that it lies in is 10.0.0.0/8",
            ),
            ("deny any 0", 1, "`0` is no port"),
            ("deny any 9-8", 1, "`9-8` is no port"),
            ("deny any 1-70000", 1, "no port"),
            ("deny tcp any", 1, "`tcp` is no address"),
            ("deny http 80", 1, "`80` is no address"),
            ("# x\ndeny any 5 udp", 2, "`udp`: nothing stands behind"),
        ] {
            let error = text.parse::<Rules>().unwrap_err();
            assert_eq!(error.line, line, "{text}");
            assert!(error.to_string().contains(told), "{text}: {error}");
        }
        let many = "deny any\n".repeat(MAX_RULES + 1);
        let error = many.parse::<Rules>().unwrap_err();
        assert_eq!((error.line, error.why), (MAX_RULES + 1, RuleError::TooMany));
    }
}
