//! The numbers of messages.

use crate::Dialect;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $classic:expr, $modern:expr;)*) => {
        /// Which message it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[$doc])* $kind,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// Its number on the wire, where the dialect has it.
            pub const fn number(self, dialect: Dialect) -> Option<u8> {
                let (classic, modern): (Option<u8>, Option<u8>) = match self {
                    $(Self::$kind => ($classic, $modern),)*
                };
                match dialect {
                    Dialect::Classic => classic,
                    Dialect::Modern => modern,
                }
            }
        }
    };
}

kinds! {
    /// See [`Message::Data`](super::Message::Data), and so on.
    Data = Some(0), Some(1);
    #[expect(missing_docs, reason = "as its message")]
    Create = Some(2), Some(2);
    #[expect(missing_docs, reason = "as its message")]
    Created = Some(3), Some(3);
    #[expect(missing_docs, reason = "as its message")]
    Extend = Some(4), Some(4);
    #[expect(missing_docs, reason = "as its message")]
    Extended = Some(5), Some(5);
    #[expect(missing_docs, reason = "as its message")]
    Ping = Some(6), Some(6);
    #[expect(missing_docs, reason = "as its message")]
    Pong = Some(7), Some(7);
    /// The end of a circuit: a signed packet and no cell.
    Destroy = Some(10), Some(8);
    #[expect(missing_docs, reason = "as its message")]
    EstablishIntro = Some(11), Some(9);
    #[expect(missing_docs, reason = "as its message")]
    IntroEstablished = Some(12), Some(10);
    #[expect(missing_docs, reason = "as its message")]
    EstablishRendezvous = Some(15), Some(11);
    #[expect(missing_docs, reason = "as its message")]
    RendezvousEstablished = Some(16), Some(12);
    #[expect(missing_docs, reason = "as its message")]
    CreateE2e = Some(17), Some(13);
    #[expect(missing_docs, reason = "as its message")]
    CreatedE2e = Some(18), Some(14);
    #[expect(missing_docs, reason = "as its message")]
    LinkE2e = Some(19), Some(15);
    #[expect(missing_docs, reason = "as its message")]
    LinkedE2e = Some(20), Some(16);
    #[expect(missing_docs, reason = "as its message")]
    PeersRequest = Some(21), Some(17);
    #[expect(missing_docs, reason = "as its message")]
    PeersResponse = Some(22), Some(18);
    #[expect(missing_docs, reason = "as its message")]
    TestRequest = Some(30), Some(19);
    #[expect(missing_docs, reason = "as its message")]
    TestResponse = Some(31), Some(20);
    #[expect(missing_docs, reason = "as its message")]
    SpeedRequest = None, Some(21);
    #[expect(missing_docs, reason = "as its message")]
    SpeedResponse = None, Some(22);
    #[expect(missing_docs, reason = "as its message")]
    HttpRequest = None, Some(28);
    #[expect(missing_docs, reason = "as its message")]
    HttpResponse = None, Some(29);
    #[expect(missing_docs, reason = "as its message")]
    BalanceRequest = Some(24), Some(33);
    #[expect(missing_docs, reason = "as its message")]
    RelayBalanceRequest = Some(25), Some(34);
    #[expect(missing_docs, reason = "as its message")]
    BalanceResponse = Some(26), Some(31);
    #[expect(missing_docs, reason = "as its message")]
    RelayBalanceResponse = Some(27), Some(32);
}

impl Kind {
    /// The message with this number.
    pub fn of(dialect: Dialect, number: u8) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|kind| kind.number(dialect) == Some(number))
    }

    /// Whether it may travel without encryption: there are no keys yet.
    pub const fn may_be_plain(self) -> bool {
        matches!(
            self,
            Self::Create | Self::Created | Self::BalanceRequest | Self::BalanceResponse
        )
    }
}
