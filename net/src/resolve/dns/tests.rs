use std::net::Ipv4Addr;

use protocol::tracker::preferences::{Carrier, Preferences};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::sim::{HostOptions, Sim};
use crate::{Network, Pool, Task};

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Asks for text records.
const TXT: u8 = 16;

/// What `a.test` says of its trackers, in two pieces.
const TEXT: [&[u8]; 2] = [b"BITTORRENT UDP:13", b"37 TCP:80"];

/// The answer to a question: `a.test` has an address and a text, `long.test` an address that only fits into TCP, others none.
fn answer(question: &[u8], over_udp: bool) -> Vec<u8> {
    let name = question[12..].split(|byte| *byte == 0).next().unwrap();
    let kind = question[12 + name.len() + 2];
    let (wants_v4, wants_text) = (kind == 1, kind == TXT && name == b"\x01a\x04test");
    let (known, long) = (name == b"\x01a\x04test", name == b"\x04long\x04test");
    let truncated = long && over_udp;
    let has = (known || long) && wants_v4 && !truncated || wants_text;
    let code = if known || long { 0 } else { 3 };
    let mut out = question[..2].to_vec();
    out.extend([0x81 | u8::from(truncated) << 1, 0x80 | code]);
    out.extend([0, 1, 0, u8::from(has), 0, 0, 0, 0]);
    out.extend(&question[12..12 + name.len() + 5]);
    if wants_text {
        let pieces = TEXT.map(|piece| [&[piece.len() as u8], piece].concat());
        let text = pieces.concat();
        out.extend([0xc0, 12, 0, TXT, 0, 1, 0, 0, 0, 60, 0, text.len() as u8]);
        out.extend(text);
    } else if has {
        out.extend([
            0xc0,
            12,
            0,
            1,
            0,
            1,
            0,
            0,
            0,
            60,
            0,
            4,
            9,
            8,
            7,
            if long { 2 } else { 1 },
        ]);
    }
    out
}

/// Serves names at port 5353 of a host.
fn serve(network: &Network) -> [Task<()>; 2] {
    let socket = network.datagram(addr("0.0.0.0:5353")).unwrap();
    let mut listener = network.listen(addr("0.0.0.0:5353")).unwrap();
    let udp = Pool::current().spawn(async move {
        let mut buffer = [0; 1000];
        loop {
            let (len, from) = socket.recv_from(&mut buffer).await.unwrap();
            socket
                .send_to(&answer(&buffer[..len], true), from)
                .await
                .unwrap();
        }
    });
    let tcp = Pool::current().spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            while let Ok(len) = stream.read_u16().await {
                let mut question = vec![0; usize::from(len)];
                stream.read_exact(&mut question).await.unwrap();
                let answer = answer(&question, false);
                stream.write_u16(answer.len() as u16).await.unwrap();
                stream.write_all(&answer).await.unwrap();
            }
        }
    });
    [udp, tcp]
}

#[tokio::test]
async fn names_are_asked_for_over_the_network_that_is_given() {
    let sim = Sim::new(3);
    let host = |ip| sim.host(HostOptions::at(IpAddr::V4(ip))).network();
    let (client, server) = (
        host(Ipv4Addr::new(1, 0, 0, 1)),
        host(Ipv4Addr::new(1, 0, 0, 2)),
    );
    let _serving = serve(&server);
    let servers = NameServers::these(vec![addr("1.0.0.2:5353")]);
    let (dialer, binder) = (Arc::clone(client.dialer()), Arc::clone(client.binder()));
    let dns = Dns::new(dialer, binder, servers);
    assert_eq!(
        dns.lookup("A.test", 80).await.unwrap(),
        [addr("9.8.7.1:80")]
    );
    assert_eq!(
        dns.lookup("long.test", 1).await.unwrap(),
        [addr("9.8.7.2:1")]
    );
    assert_eq!(dns.lookup("[::1]", 1).await.unwrap(), [addr("[::1]:1")]);
    let error = dns.lookup("nobody.test", 1).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}");
    assert_eq!(dns.texts("A.test").await.unwrap(), [TEXT.concat()]);
    assert!(dns.texts("nobody.test").await.unwrap().is_empty());
    assert!(dns.texts("long.test").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_real_server_on_this_machine_is_asked_for_texts() {
    let network = Network::real(crate::RealOptions::default());
    let socket = network.datagram(addr("127.0.0.1:0")).unwrap();
    let at = socket.local_addr();
    let _serving = Pool::current().spawn(async move {
        let mut buffer = [0; 1000];
        loop {
            let (len, from) = socket.recv_from(&mut buffer).await.unwrap();
            let answer = answer(&buffer[..len], true);
            socket.send_to(&answer, from).await.unwrap();
        }
    });
    let (dialer, binder) = (Arc::clone(network.dialer()), Arc::clone(network.binder()));
    let dns = Dns::new(dialer, binder, NameServers::these(vec![at]));
    let network = network.with_resolver(Arc::new(crate::resolve::SystemResolver::with_texts(dns)));
    let texts = network.with_cached_names().texts("a.test").await.unwrap();
    let said = texts.iter().map(Vec::as_slice);
    let said = Preferences::of_records(said).unwrap();
    assert_eq!(said.ways(), [(Carrier::Udp, 1337), (Carrier::Tcp, 80)]);
}

#[test]
fn servers_on_this_machine_are_left_out_where_they_cannot_be_asked() {
    let config = "# comment\nsearch home\nnameserver 127.0.0.53\nnameserver 10.0.0.1 x\n\
                  nameserver\nnameserver fe80::1%eth0\n nameserver 2001:db8::1\nnameservers 1.1.1.1\n";
    let all = NameServers::of_system();
    let found = [
        addr("127.0.0.53:53"),
        addr("10.0.0.1:53"),
        addr("[2001:db8::1]:53"),
    ];
    assert_eq!(all.usable(config), found);
    assert_eq!(all.beyond_loopback(true).usable(config), found[1..]);
}

#[test]
fn a_link_local_server_is_asked_by_the_interface_that_it_is_on() {
    let config = "nameserver fe80::1%eth0\nnameserver fe80::2%wg0\nnameserver fe80::3%4\n\
                  nameserver 9.9.9.9%wg0\nnameserver 192.0.2.1\n";
    let bound = NameServers::of_system().by_interface(Some(("wg0".to_owned(), 4)));
    let expected = ["[fe80::2]:53", "[fe80::3]:53", "192.0.2.1:53"].map(addr);
    assert_eq!(bound.usable(config), expected);
    let unbound = NameServers::of_system().usable(config);
    assert_eq!(unbound, [addr("192.0.2.1:53")]);
}
