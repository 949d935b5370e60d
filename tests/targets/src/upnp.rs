//! What a gateway writes by UPnP: it is read or not, within its limits, and leads nowhere but where it says.

use std::net::{IpAddr, Ipv4Addr};

use protocol::port_mapping::Transport;
use protocol::port_mapping::upnp::soap::{Call, Mapping, Reply};
use protocol::port_mapping::upnp::ssdp::{self, Target};
use protocol::port_mapping::upnp::{Service, description, leads_to};
use url::{Host, Url};

/// Checks one input.
pub fn run(data: &[u8]) {
    let gateway = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 1));
    let location = Url::parse("http://192.168.1.1:5000/rootDesc.xml").expect("a URL");
    if let Some(found) = ssdp::read(data) {
        assert!(Target::ALL.contains(&found.target));
        if leads_to(&found.location, gateway) {
            assert_eq!(found.location.scheme(), "http");
            assert_eq!(
                found.location.host(),
                Some(Host::Ipv4(Ipv4Addr::new(192, 168, 1, 1)))
            );
        }
    }
    if let Ok(controls) = description::read(data, &location) {
        assert!(controls.len() <= description::MOST_SERVICES);
        assert!(
            controls
                .iter()
                .all(|control| Service::ALL.contains(&control.service))
        );
    }
    let mapping = Mapping {
        transport: Transport::Tcp,
        external: 6881,
        client: IpAddr::V4(Ipv4Addr::new(192, 168, 1, 5)),
        internal: 6881,
        lease: 3600,
    };
    let calls = [
        Call::AddAny(mapping),
        Call::Add(mapping),
        Call::Delete(Transport::Udp, 6881),
        Call::Entry(Transport::Udp, 6881),
        Call::ExternalAddress,
    ];
    // A refusal may be to any question.
    let read = calls.map(|call| call.read(data));
    let refused = read
        .iter()
        .filter(|reply| matches!(reply, Ok(Reply::Refused(_))))
        .count();
    assert!(refused == 0 || refused == calls.len());
    for reply in read.iter().flatten() {
        if let Reply::Done(told) = reply {
            assert!(told.external_ip.is_none_or(|ip| !ip.is_unspecified()));
        }
    }
}
