//! What a host says in DNS about the trackers that it runs (BEP 34): one text record, `BITTORRENT UDP:1337 TCP:80`.

/// Ways that are read of one record; a host has a few.
const MOST: usize = 16;

/// How a tracker of a host is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Carrier {
    /// Over HTTP.
    Tcp,
    /// By datagrams (BEP 15).
    Udp,
}

/// The trackers that a host runs, those first that it would rather be asked by. None at all, where it says that it runs no
/// tracker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preferences {
    ways: Vec<(Carrier, u16)>,
}

impl Preferences {
    /// Reads the text of a record; `None` where it is about something else. Words that are not known say nothing, and neither do
    /// those whose port is none.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut words = text.split(|byte| *byte == b' ');
        if words.next()? != b"BITTORRENT" {
            return None;
        }
        let mut ways = Vec::new();
        for way in words.filter_map(way) {
            if ways.len() < MOST && !ways.contains(&way) {
                ways.push(way);
            }
        }
        Some(Self { ways })
    }

    /// What the records of a host say together: the first that is about trackers counts.
    pub fn of_records<'a>(records: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        records.into_iter().find_map(Self::parse)
    }

    /// The trackers, best first: how they are spoken to, and at which port.
    pub fn ways(&self) -> &[(Carrier, u16)] {
        &self.ways
    }
}

/// A word such as `UDP:6969`.
fn way(word: &[u8]) -> Option<(Carrier, u16)> {
    let (carrier, port) = std::str::from_utf8(word).ok()?.split_once(':')?;
    let carrier = match carrier {
        "TCP" => Carrier::Tcp,
        "UDP" => Carrier::Udp,
        _ => return None,
    };
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|port| digits && *port != 0)?;
    Some((carrier, port))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn records_are_read_as_the_proposal_shows_them() {
        use Carrier::{Tcp, Udp};
        type Ways = Option<&'static [(Carrier, u16)]>;
        let cases: [(&str, Ways); 11] = [
            ("BITTORRENT", Some(&[])),
            ("BITTORRENT DENY ALL", Some(&[])),
            (
                "BITTORRENT UDP:1337 TCP:80",
                Some(&[(Udp, 1337), (Tcp, 80)]),
            ),
            (
                "BITTORRENT  TCP:80  UDP:1337",
                Some(&[(Tcp, 80), (Udp, 1337)]),
            ),
            ("BITTORRENT UDP:80 QUIC:1 UDP:80", Some(&[(Udp, 80)])),
            ("BITTORRENT udp:80 UDP:0 UDP:65536 UDP:+1 UDP:", Some(&[])),
            ("BITTORRENTS UDP:80", None),
            ("bittorrent UDP:80", None),
            (" BITTORRENT UDP:80", None),
            ("v=spf1 -all", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let read = Preferences::parse(text.as_bytes());
            assert_eq!(read.as_ref().map(Preferences::ways), expected, "{text:?}");
        }
    }

    #[test]
    fn of_several_records_the_first_about_trackers_counts() {
        let records: [&[u8]; 3] = [b"v=spf1", b"BITTORRENT TCP:1", b"BITTORRENT"];
        let read = Preferences::of_records(records).expect("one is");
        assert_eq!(read.ways(), [(Carrier::Tcp, 1)]);
        assert_eq!(Preferences::of_records([&b"v=spf1"[..]]), None);
    }

    proptest! {
        #[test]
        fn whatever_it_says_a_record_takes_bounded_room(text in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let named = [b"BITTORRENT ".as_slice(), &text].concat();
            let read = Preferences::parse(&named).expect("it begins so");
            prop_assert!(read.ways().len() <= MOST);
        }
    }
}
