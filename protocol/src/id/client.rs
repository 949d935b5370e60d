//! Which client a peer id tells of (BEP 20, and what is seen in swarms).

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::PeerId;

/// The client that a peer id tells of: its name, and its version where the id has one. Not to be trusted: anyone may
/// choose any id.
///
/// ```
/// use protocol::id::{PeerId, identify};
/// assert_eq!(identify(&PeerId(*b"-qB4630-abcdefghijkl")), "qBittorrent 4.6.3");
/// ```
pub fn identify(id: &PeerId) -> String {
    let id = id.as_bytes();
    azureus(id)
        .or_else(|| prefixed(id))
        .or_else(|| mainline(id))
        .or_else(|| shadow(id))
        .unwrap_or_else(|| "unknown".to_owned())
}

/// How the four version characters of an Azureus-style id are meant.
#[derive(Clone, Copy)]
enum Style {
    /// Each is a number of its own, letters going on after 9; the fourth counts where it is a digit other than 0.
    Each,
    /// Not a version.
    None,
    /// One digit, then two: `2940` is 2.94; from 4 on like [`Style::Each`].
    Transmission,
    /// Two digits and two: `0187` is 1.87.
    TwoTwo,
}

use Style::{Each, Transmission, TwoTwo};

/// The two letters of Azureus-style ids, in byte order.
const AZUREUS: &[([u8; 2], &str, Style)] = &[
    (*b"7T", "aTorrent", Each),
    (*b"A~", "Ares", Each),
    (*b"AB", "AnyEvent::BitTorrent", Each),
    (*b"AD", "Advanced Download Manager", Each),
    (*b"AG", "Ares", Each),
    (*b"AN", "Ares", Each),
    (*b"AR", "Arctic", Each),
    (*b"AT", "Artemis", Each),
    (*b"AV", "Avicora", Each),
    (*b"AX", "BitPump", TwoTwo),
    (*b"AZ", "Vuze", Each),
    (*b"BB", "BitBuddy", Each),
    (*b"BC", "BitComet", TwoTwo),
    (*b"BE", "BitTorrent SDK", Each),
    (*b"BF", "Bitflu", Style::None),
    (*b"BG", "BTG", Each),
    (*b"BH", "BitZilla", Each),
    (*b"BI", "BiglyBT", Each),
    (*b"BL", "BitLord", Each),
    (*b"BM", "BitMagnet", Each),
    (*b"BN", "Baidu Netdisk", Style::None),
    (*b"BP", "BitTorrent Pro", Each),
    (*b"BR", "BitRocket", Each),
    (*b"BS", "BTSlave", Each),
    (*b"BT", "BitTorrent", Each),
    (*b"BU", "BigUp", Each),
    (*b"BW", "BitTorrent Web", Each),
    (*b"BX", "BittorrentX", Each),
    (*b"CB", "Shareaza Plus", Each),
    (*b"CD", "Enhanced CTorrent", TwoTwo),
    (*b"CT", "CTorrent", Each),
    (*b"DE", "Deluge", Each),
    (*b"DP", "Propagate Data Client", Each),
    (*b"EB", "EBit", Each),
    (*b"ES", "Electric Sheep", Each),
    (*b"FC", "FileCroc", Each),
    (*b"FD", "Free Download Manager", Each),
    (*b"FG", "FlashGet", TwoTwo),
    (*b"FL", "Folx", Each),
    (*b"FT", "FoxTorrent", Each),
    (*b"FW", "FrostWire", Each),
    (*b"FX", "Freebox", Each),
    (*b"GR", "GetRight", Each),
    (*b"GS", "GSTorrent", Each),
    (*b"GT", "anacrolix/torrent", Each),
    (*b"HK", "Hekate", Each),
    (*b"HL", "Halite", Each),
    (*b"HN", "Hydranode", Each),
    (*b"IL", "iLivid", Each),
    (*b"KC", "Koinonein", Each),
    (*b"KG", "KGet", Each),
    (*b"KT", "KTorrent", Each),
    (*b"LC", "LeechCraft", Each),
    (*b"LH", "LH-ABC", Each),
    (*b"LK", "linkage", Each),
    (*b"LP", "Lphant", TwoTwo),
    (*b"LT", "libtorrent (Rasterbar)", Each),
    (*b"LW", "LimeWire", Style::None),
    (*b"Lr", "LibreTorrent", Each),
    (*b"MG", "MediaGet", Each),
    (*b"MK", "Meerkat", Each),
    (*b"MO", "MonoTorrent", Each),
    (*b"MP", "MooPolice", Each),
    (*b"MR", "Miro", Each),
    (*b"MT", "MoonlightTorrent", Each),
    (*b"NE", "BT Next Evolution", Each),
    (*b"NX", "Net Transport", Each),
    (*b"OS", "OneSwarm", Each),
    (*b"OT", "OmegaTorrent", Each),
    (*b"PC", "CacheLogic", Each),
    (*b"PD", "Pando", Each),
    (*b"PE", "PeerProject", Each),
    (*b"PI", "PicoTorrent", Each),
    (*b"PT", "Popcorn Time", Each),
    (*b"QD", "QQDownload", Each),
    (*b"QT", "Qt 4 example", Each),
    (*b"RS", "Rufus", Each),
    (*b"RT", "Retriever", Each),
    (*b"RU", "tribler-rs", Each),
    (*b"RZ", "RezTorrent", Each),
    (*b"SB", "SwiftBit", Each),
    (*b"SD", "Xunlei", Each),
    (*b"SG", "GS Torrent", Each),
    (*b"SK", "spark", Each),
    (*b"SM", "SoMud", Each),
    (*b"SN", "ShareNET", Each),
    (*b"SP", "BitSpirit", Each),
    (*b"SS", "SwarmScope", Each),
    (*b"ST", "SymTorrent", Each),
    (*b"SZ", "Shareaza", Each),
    (*b"S~", "Shareaza", Each),
    (*b"TB", "Torch", Style::None),
    (*b"TL", "Tribler", Each),
    (*b"TN", "Torrent.NET", Each),
    (*b"TR", "Transmission", Transmission),
    (*b"TS", "TorrentStorm", Each),
    (*b"TT", "TuoTu", Each),
    (*b"UE", "µTorrent Embedded", Each),
    (*b"UL", "uLeecher!", Each),
    (*b"UM", "µTorrent Mac", Each),
    (*b"UT", "µTorrent", Each),
    (*b"UW", "µTorrent Web", Each),
    (*b"VG", "Vagaa", Each),
    (*b"WD", "WebTorrent Desktop", TwoTwo),
    (*b"WS", "HTTP seed", Style::None),
    (*b"WT", "BitLet", Each),
    (*b"WW", "WebTorrent", TwoTwo),
    (*b"WY", "FireTorrent", Each),
    (*b"XC", "Xtorrent", Each),
    (*b"XF", "Xfplay", Each),
    (*b"XL", "Xunlei", Each),
    (*b"XS", "XSwifter", Each),
    (*b"XT", "XanTorrent", Each),
    (*b"XX", "Xtorrent", Each),
    (*b"ZO", "Zona", Each),
    (*b"ZT", "ZipTorrent", Each),
    (*b"bk", "BitKitten", Each),
    (*b"lt", "libTorrent (Rakshasa)", Each),
    (*b"pX", "pHoeniX", Each),
    (*b"pb", "pbTorrent", Each),
    (*b"qB", "qBittorrent", Each),
    (*b"rQ", "rqbit", Each),
    (*b"st", "SharkTorrent", Each),
];

/// Ids that begin in a way of their own.
const PREFIXES: &[(&[u8], &str)] = &[
    (b"-BOW", "Bits on Wheels"),
    (b"-G3", "G3 Torrent"),
    (b"-ML", "MLDonkey"),
    (b"346-", "TorrentTopia"),
    (b"AZ2500BT", "BitTyrant"),
    (b"BLZ", "Blizzard Downloader"),
    (b"DNA", "BitTorrent DNA"),
    (b"LIME", "LimeWire"),
    (b"Mbrst", "Burst!"),
    (b"OP", "Opera"),
    (b"PEERAPP", "PeerApp"),
    (b"Pando", "Pando"),
    (b"Plus", "Plus!"),
    (b"QVOD", "QVOD"),
    (b"S3-", "Amazon S3"),
    (b"TIX", "Tixati"),
    (b"XBT", "XBT"),
    (b"btpd", "BT Protocol Daemon"),
    (b"btuga", "BTugaXP"),
    (b"eX", "eXeem"),
    (b"exbc", "BitComet"),
    (b"martini", "Martini Man"),
    (b"turbobt", "TurboBT"),
];

/// The letters of Shadow-style ids.
const SHADOW: &[(u8, &str)] = &[
    (b'A', "ABC"),
    (b'O', "Osprey Permaseed"),
    (b'Q', "BTQueue"),
    (b'R', "Tribler"),
    (b'S', "Shadow"),
    (b'T', "BitTornado"),
    (b'U', "UPnP NAT Bit Torrent"),
];

/// A dash, two letters, four characters of version, and nearly always a dash.
fn azureus(id: &[u8; 20]) -> Option<String> {
    let &[
        b'-',
        a,
        b,
        version @ ..,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
    ] = id
    else {
        return None;
    };
    let code = [a, b];
    let known = AZUREUS.iter().find(|(known, ..)| *known == code);
    // Without the closing dash only letters that are known count.
    let closed = id.get(7) == Some(&b'-');
    match known {
        Some((_, name, style)) => {
            let version = version_text(*style, version);
            Some(version.map_or_else(|| (*name).to_owned(), |v| format!("{name} {v}")))
        }
        None if closed && code.iter().all(u8::is_ascii_alphanumeric) => {
            let name = format!("{}{}", char::from(a), char::from(b));
            let version = version_text(Each, version);
            Some(version.map_or_else(|| name.clone(), |v| format!("{name} {v}")))
        }
        None => None,
    }
}

fn version_text(style: Style, version: [u8; 4]) -> Option<String> {
    let [a, b, c, d] = version;
    let digits = |tens: u8, ones: u8| {
        let (tens, ones) = (digit(tens)?, digit(ones)?);
        Some(tens.saturating_mul(10).saturating_add(ones))
    };
    match style {
        Style::None => None,
        TwoTwo => Some(format!("{}.{:02}", digits(a, b)?, digits(c, d)?)),
        Transmission if a == b'0' && b == b'0' => Some(format!("0.{:02}", digits(c, d)?)),
        Transmission if a < b'4' => Some(format!("{}.{:02}", digit(a)?, digits(b, c)?)),
        Transmission => Some(format!("{}.{}.{}", digit(a)?, digit(b)?, digit(c)?)),
        Each => {
            let three = format!("{}.{}.{}", letter(a)?, letter(b)?, letter(c)?);
            match digit(d) {
                None | Some(0) => Some(three),
                Some(d) => Some(format!("{three}.{d}")),
            }
        }
    }
}

fn digit(c: u8) -> Option<u8> {
    (c as char).to_digit(10).map(|digit| digit as u8)
}

/// A digit, or a letter: A is 10, a is 36.
fn letter(c: u8) -> Option<u8> {
    match c {
        b'0'..=b'9' => c.checked_sub(b'0'),
        b'A'..=b'Z' => c.checked_sub(b'A')?.checked_add(10),
        b'a'..=b'z' => c.checked_sub(b'a')?.checked_add(36),
        _ => None,
    }
}

fn prefixed(id: &[u8; 20]) -> Option<String> {
    let found = PREFIXES.iter().find(|(start, _)| id.starts_with(start));
    found.map(|(_, name)| (*name).to_owned())
}

/// A letter, and numbers with dashes between and behind: `M7-10-1-`, and `A2-1-36-0-` of aria2.
fn mainline(id: &[u8; 20]) -> Option<String> {
    let (name, rest) = match id.split_first_chunk::<3>()? {
        (b"A2-", rest) => ("aria2", rest),
        ([b'M', ..], _) => ("Mainline", id.get(1..)?),
        ([b'Q', ..], _) => ("Queen Bee", id.get(1..)?),
        _ => return None,
    };
    let mut numbers = rest.split(|c| *c == b'-').map(|part| {
        let digits = !part.is_empty() && part.len() <= 3 && part.iter().all(u8::is_ascii_digit);
        digits.then(|| String::from_utf8_lossy(part))
    });
    let (major, minor, tiny) = (numbers.next()??, numbers.next()??, numbers.next()??);
    // The third number ends with a dash, too.
    numbers.next()?;
    Some(format!("{name} {major}.{minor}.{tiny}"))
}

/// A letter, up to five characters of version padded with dashes, and three dashes.
fn shadow(id: &[u8; 20]) -> Option<String> {
    let (first, rest) = id.split_first()?;
    let (version, rest) = rest.split_first_chunk::<5>()?;
    let (_, name) = SHADOW.iter().find(|(letter, _)| letter == first)?;
    if !rest.starts_with(b"---") {
        return None;
    }
    let parts = version
        .iter()
        .take_while(|c| **c != b'-')
        .map(|c| letter(*c).map(|part| part.to_string()))
        .collect::<Option<Vec<_>>>()?;
    (!parts.is_empty()).then(|| format!("{name} {}", parts.join(".")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "a panic is how a test fails")]

    use proptest::prelude::*;

    use super::*;
    use crate::id::PEER_ID_PREFIX;

    fn client(start: &str) -> String {
        let mut id = [b'x'; 20];
        id[..start.len()].copy_from_slice(start.as_bytes());
        identify(&PeerId(id))
    }

    #[test]
    fn clients_of_the_day_are_known() {
        for (id, expected) in [
            ("-qB4630-", "qBittorrent 4.6.3"),
            ("-LT20B0-", "libtorrent (Rasterbar) 2.0.11"),
            ("-LT2110-", "libtorrent (Rasterbar) 2.1.1"),
            ("-lt0F60-", "libTorrent (Rakshasa) 0.15.6"),
            ("-TR2940-", "Transmission 2.94"),
            ("-TR300Z-", "Transmission 3.00"),
            ("-TR4060-", "Transmission 4.0.6"),
            ("-TR0072-", "Transmission 0.72"),
            ("-DE211s-", "Deluge 2.1.1"),
            ("-DE13F0-", "Deluge 1.3.15"),
            ("-UT355W", "µTorrent 3.5.5"),
            ("-BC0187-", "BitComet 1.87"),
            ("-BI3600-", "BiglyBT 3.6.0"),
            ("-AZ5750-", "Vuze 5.7.5"),
            ("-TL7050-", "Tribler 7.0.5"),
            ("-WW0201-", "WebTorrent 2.01"),
            ("-LW0001-", "LimeWire"),
            ("A2-1-36-0-", "aria2 1.36.0"),
            ("M7-10-1-", "Mainline 7.10.1"),
            ("M4-3-6--", "Mainline 4.3.6"),
            ("T03I-----", "BitTornado 0.3.18"),
            ("R400-----", "Tribler 4.0.0"),
            ("TIX0279-", "Tixati"),
            ("-ML3.1.0", "MLDonkey"),
            ("-XY1234-", "XY 1.2.3.4"),
            ("-XY12!4-", "XY"),
            ("-XY1234", "unknown"),
            ("", "unknown"),
        ] {
            assert_eq!(client(id), expected, "{id}");
        }
        assert_eq!(identify(&PeerId([0; 20])), "unknown");
        assert_eq!(identify(&PeerId([0xff; 20])), "unknown");
    }

    #[test]
    fn our_own_prefix_is_ours_alone() {
        let prefix = std::str::from_utf8(&PEER_ID_PREFIX).unwrap();
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(client(prefix), format!("tribler-rs {version}"));
        let code = [PEER_ID_PREFIX[1], PEER_ID_PREFIX[2]];
        let owners = AZUREUS.iter().filter(|(known, ..)| *known == code);
        assert_eq!(owners.count(), 1);
    }

    #[test]
    fn no_letters_are_listed_twice() {
        for (at, (code, ..)) in AZUREUS.iter().enumerate() {
            let later = &AZUREUS[at + 1..];
            assert!(later.iter().all(|(other, ..)| other != code), "{code:?}");
        }
    }

    proptest! {
        #[test]
        fn any_id_has_a_printable_name(id: [u8; 20]) {
            let name = identify(&PeerId(id));
            prop_assert!(!name.is_empty() && !name.chars().any(char::is_control));
        }

        #[test]
        fn any_dashed_id_has_a_printable_name(tail in "-[ -~]{19}|[A-Z][0-9-]{19}") {
            let id: [u8; 20] = tail.as_bytes().try_into().unwrap();
            let name = identify(&PeerId(id));
            prop_assert!(!name.is_empty() && !name.chars().any(char::is_control));
        }
    }
}
