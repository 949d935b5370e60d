//! Whom to ask when nobody is known.

use std::net::{Ipv4Addr, SocketAddrV4};

/// Servers that know members of communities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bootstrap {
    /// By their addresses.
    pub addrs: Vec<SocketAddrV4>,
    /// By their names and ports, to be looked up.
    pub hosts: Vec<(String, u16)>,
}

/// The servers of Tribler that are known by address.
const ADDRS: [([u8; 4], u16); 13] = [
    ([130, 161, 119, 206], 6421),
    ([130, 161, 119, 206], 6422),
    ([131, 180, 27, 155], 6423),
    ([131, 180, 27, 156], 6424),
    ([131, 180, 27, 161], 6427),
    ([131, 180, 27, 161], 6521),
    ([131, 180, 27, 161], 6522),
    ([131, 180, 27, 162], 6523),
    ([131, 180, 27, 162], 6524),
    ([130, 161, 119, 215], 6525),
    ([130, 161, 119, 215], 6526),
    ([81, 171, 27, 194], 6527),
    ([81, 171, 27, 194], 6528),
];

/// The servers of Tribler that are known by name.
const HOSTS: [(&str, u16); 15] = [
    ("dispersy1.tribler.org", 6421),
    ("dispersy1.st.tudelft.nl", 6421),
    ("dispersy2.tribler.org", 6422),
    ("dispersy2.st.tudelft.nl", 6422),
    ("dispersy3.tribler.org", 6423),
    ("dispersy3.st.tudelft.nl", 6423),
    ("dispersy4.tribler.org", 6424),
    ("tracker1.ip-v8.org", 6521),
    ("tracker2.ip-v8.org", 6522),
    ("tracker3.ip-v8.org", 6523),
    ("tracker4.ip-v8.org", 6524),
    ("tracker5.ip-v8.org", 6525),
    ("tracker6.ip-v8.org", 6526),
    ("tracker7.ip-v8.org", 6527),
    ("tracker8.ip-v8.org", 6528),
];

impl Bootstrap {
    /// Nobody.
    pub const fn none() -> Self {
        Self {
            addrs: Vec::new(),
            hosts: Vec::new(),
        }
    }

    /// The public servers of Tribler.
    pub fn public() -> Self {
        let addrs = ADDRS.iter();
        let addrs = addrs.map(|(ip, port)| SocketAddrV4::new(Ipv4Addr::from(*ip), *port));
        let hosts = HOSTS.iter();
        let hosts = hosts.map(|(host, port)| ((*host).to_owned(), *port));
        Self {
            addrs: addrs.collect(),
            hosts: hosts.collect(),
        }
    }

    /// These servers and no others.
    pub const fn only(addrs: Vec<SocketAddrV4>) -> Self {
        Self {
            addrs,
            hosts: Vec::new(),
        }
    }
}
