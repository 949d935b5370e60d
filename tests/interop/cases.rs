//! What can be exchanged, and how: one row of the table each.

use support::clients::Client::{self, Aria2, Libtorrent, Ours, Qbittorrent, Transmission};
use support::clients::Encryption::{self, Covered, Obfuscated, Plain, Preferred, Rc4, Usual};
use support::clients::{Orders, Transport};
use support::payload::Payload;

/// A kind of torrent, and how its peers find and meet each other.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) payload: Payload,
    pub(crate) piece_len: u64,
    pub(crate) kind: Kind,
    /// The downloader has no more than a link that names this hash.
    pub(crate) link: Option<Hash>,
    /// `http` or `udp`; without one the peers are told of each other, if they can be.
    pub(crate) tracker: Option<&'static str>,
    /// Nobody can be reached by another one.
    pub(crate) transport: Option<Transport>,
    /// Whether nobody has or knows an IPv4 address.
    pub(crate) six: bool,
    pub(crate) cover: Option<Cover>,
}

/// What is said about encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cover {
    /// To the other program.
    pub(crate) theirs: Encryption,
    /// To ours.
    pub(crate) ours: Encryption,
    /// How the stream must turn out to be, where that follows.
    pub(crate) wire: Option<&'static str>,
}

/// Which versions a torrent has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    V1,
    /// Made by the seeder's own side, as all that are not v1.
    V2,
    /// Both in one torrent.
    Hybrid,
}

/// By which hash a link names a torrent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    V1,
    V2,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
            Self::Hybrid => "hybrid",
        }
    }
}

impl Case {
    /// Every kind of torrent that `client` knows.
    pub(crate) fn kinds(client: Client) -> Vec<Self> {
        let mut cases = Self::v1();
        if client.knows_v2() {
            cases.extend(Self::v2());
        }
        cases
    }

    fn v1() -> Vec<Self> {
        let file = |name, len, piece_len| {
            Self::plain(name, Payload::single("file.bin", len, piece_len), piece_len)
        };
        vec![
            file("single file", 5_000_001, 256 * KIB),
            Self::nested(),
            file("1-byte file", 1, 16 * KIB),
            file("16 KiB pieces", 3_000_000, 16 * KIB),
            file("4 MiB pieces", 13_000_000, 4096 * KIB),
            Self::magnet(),
            Self::tracker("http"),
            Self::tracker("udp"),
        ]
    }

    /// 300 files in nested folders, some of them empty.
    pub(crate) fn nested() -> Self {
        Self::plain(
            "300 files",
            Payload::nested("nested folders", 300, 40_000, 2),
            64 * KIB,
        )
    }

    /// Torrents with a v2 part, for clients that can be told of each other and know of v2: a hybrid, with padding between
    /// its files, by its .torrent file and by each of its hashes alone; one that is v2 alone, and by its link, for which
    /// the hashes of a thousand pieces must come from the peer.
    fn v2() -> Vec<Self> {
        let folders = |name, kind, link| Self {
            kind,
            link,
            ..Self::folders(name)
        };
        let many_pieces = Self {
            kind: Kind::V2,
            link: Some(Hash::V2),
            ..Self::plain(
                "v2 link, 16 MB",
                Payload::single("v2.bin", 16_000_000, 9),
                16 * KIB,
            )
        };
        vec![
            folders("hybrid", Kind::Hybrid, None),
            folders("hybrid, v1 link", Kind::Hybrid, Some(Hash::V1)),
            folders("hybrid, v2 link", Kind::Hybrid, Some(Hash::V2)),
            folders("v2", Kind::V2, None),
            folders("v2 link", Kind::V2, Some(Hash::V2)),
            many_pieces,
        ]
    }

    fn folders(name: &str) -> Self {
        Self::plain(
            name,
            Payload::nested("v2 folders", 40, 200_000, 8),
            64 * KIB,
        )
    }

    /// A magnet link; its metadata takes more than one message.
    pub(crate) fn magnet() -> Self {
        let payload = Payload::single("magnet.bin", 16_000_000, 6);
        Self {
            link: Some(Hash::V1),
            ..Self::plain("magnet link", payload, 16 * KIB)
        }
    }

    /// Peers that know each other from opentracker alone.
    pub(crate) fn tracker(scheme: &'static str) -> Self {
        let name = format!("{} tracker", scheme.to_uppercase());
        let payload = Payload::single("tracked.bin", 4_000_000, 7);
        Self {
            tracker: Some(scheme),
            ..Self::plain(&name, payload, 256 * KIB)
        }
    }

    /// Every way to meet that `client` knows, one at a time.
    pub(crate) fn ways(client: Client) -> Vec<Self> {
        let mut cases = Vec::new();
        for six in [false, true] {
            cases.push(Self::by(Transport::Tcp, six));
            // Transmission 3.00 opens no socket for uTP by IPv6.
            if client.speaks_utp() && !(six && client == Transmission) {
                cases.push(Self::by(Transport::Utp, six));
            }
        }
        cases.extend(Self::covers(client));
        cases
    }

    /// By one transport and one family of addresses alone.
    pub(crate) fn by(transport: Transport, six: bool) -> Self {
        let name = match (six, transport) {
            (false, Transport::Tcp) => "TCP only",
            (false, _) => "uTP only",
            (true, Transport::Tcp) => "IPv6 only, TCP",
            (true, _) => "IPv6 only, uTP",
        };
        let payload = Payload::single("way.bin", 8_000_001, 13);
        Self {
            transport: Some(transport),
            six,
            ..Self::plain(name, payload, 64 * KIB)
        }
    }

    /// Every kind of encryption that `client` can be held to, against every policy of ours that goes with it. Who refuses
    /// what the other tries first is met by a second connection, which is of the other kind.
    fn covers(client: Client) -> Vec<Self> {
        use Transport::{Tcp, Utp};
        let (plain, obfuscated, rc4) = (Some("plain"), Some("obfuscated"), Some("rc4"));
        let pairs: &[_] = match client {
            Libtorrent(_) => &[
                (Tcp, Rc4, Rc4, rc4),
                (Tcp, Rc4, Preferred, rc4),
                (Tcp, Rc4, Usual, rc4),
                (Tcp, Obfuscated, Preferred, obfuscated),
                (Tcp, Obfuscated, Usual, obfuscated),
                (Tcp, Covered, Rc4, rc4),
                (Tcp, Covered, Usual, None),
                (Tcp, Usual, Rc4, rc4),
                (Tcp, Usual, Preferred, None),
                (Tcp, Plain, Preferred, plain),
                (Tcp, Plain, Usual, plain),
                (Tcp, Plain, Plain, plain),
                (Utp, Rc4, Rc4, rc4),
                (Utp, Obfuscated, Usual, obfuscated),
                (Utp, Plain, Preferred, plain),
            ],
            // Its own libtorrent offers RC4 alone, whatever it is told.
            Qbittorrent => &[
                (Tcp, Rc4, Rc4, rc4),
                (Tcp, Rc4, Usual, rc4),
                (Tcp, Usual, Rc4, rc4),
                (Tcp, Usual, Preferred, None),
                (Tcp, Plain, Preferred, plain),
                (Utp, Rc4, Rc4, rc4),
            ],
            // Unless it is told to prefer RC4, it selects a plain stream where both are offered, and then takes the
            // handshake that came with ours for one in the clear: the second connection, a plain one, succeeds.
            Transmission => &[
                (Tcp, Rc4, Rc4, rc4),
                (Tcp, Rc4, Usual, rc4),
                (Tcp, Preferred, Preferred, rc4),
                (Tcp, Usual, Preferred, plain),
                (Utp, Rc4, Rc4, rc4),
            ],
            // It selects plain streams where they are allowed.
            Aria2 => &[
                (Tcp, Rc4, Rc4, rc4),
                (Tcp, Rc4, Usual, rc4),
                (Tcp, Covered, Usual, obfuscated),
                (Tcp, Usual, Preferred, None),
            ],
            Ours => &[(Tcp, Rc4, Rc4, rc4), (Utp, Rc4, Rc4, rc4)],
        };
        let case = |&(transport, theirs, ours, wire)| Self::covered(transport, theirs, ours, wire);
        pairs.iter().map(case).collect()
    }

    fn covered(
        transport: Transport,
        theirs: Encryption,
        ours: Encryption,
        wire: Option<&'static str>,
    ) -> Self {
        let of = |what| match what {
            Covered => "covered",
            Obfuscated => "plaintext MSE",
            Plain => "no MSE",
            Preferred => "RC4 preferred",
            Rc4 => "RC4 forced",
            Usual => "any",
        };
        let way = if transport == Transport::Tcp {
            ""
        } else {
            "uTP, "
        };
        let name = format!("{way}{}; ours {}", of(theirs), of(ours));
        let payload = Payload::single("covered.bin", 3_000_001, 17);
        Self {
            transport: Some(transport),
            cover: Some(Cover { theirs, ours, wire }),
            ..Self::plain(&name, payload, 64 * KIB)
        }
    }

    fn plain(name: &str, payload: Payload, piece_len: u64) -> Self {
        Self {
            name: name.to_owned(),
            payload,
            piece_len,
            kind: Kind::V1,
            link: None,
            tracker: None,
            transport: None,
            six: false,
            cover: None,
        }
    }

    /// What one side is told.
    pub(crate) fn orders(&self, client: Client) -> Orders {
        let encryption = self.cover.map(|cover| match client {
            Ours => cover.ours,
            Aria2 | Libtorrent(_) | Qbittorrent | Transmission => cover.theirs,
        });
        Orders {
            transport: self.transport,
            encryption,
            ..Orders::default()
        }
    }
}

const KIB: u64 = 1024;
