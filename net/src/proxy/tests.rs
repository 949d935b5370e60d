mod server;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::*;
use crate::http::{Client, HeaderValue, Request, Url};
use crate::sim::{Happening, Host, HostOptions, Sim};
use crate::{Located, Pool, Task};
use server::Server;

/// A client, a proxy, and a server that lies behind it.
struct Scene {
    sim: Sim,
    client: Host,
    proxy: Host,
    server: Host,
}

const CLIENT: &str = "1.0.0.1";
const PROXY: &str = "1.0.0.2";
const SERVER: &str = "1.0.0.3";

impl Scene {
    fn new() -> Self {
        let sim = Sim::new(5);
        let host = |ip: &str| sim.host(HostOptions::at(ip.parse().unwrap()));
        let scene = Self {
            client: host(CLIENT),
            proxy: host(PROXY),
            server: host(SERVER),
            sim,
        };
        scene.sim.name("tracker.test", vec![ip(SERVER)]);
        scene.sim.name("proxy.test", vec![ip(PROXY)]);
        scene.sim.record(100_000);
        scene
    }

    fn start(&self, password: Option<&str>) -> Server {
        Server::start(
            &self.proxy.network(),
            "0.0.0.0:1080".parse().unwrap(),
            password,
        )
    }

    fn through(&self, url: &str) -> Network {
        self.client.network().through(&url.parse().unwrap())
    }

    /// A server that repeats what it is told, and the addresses that its guests come from.
    fn echo(&self) -> Task<Vec<IpAddr>> {
        let network = self.server.network();
        let mut listener = network.listen("0.0.0.0:80".parse().unwrap()).unwrap();
        Pool::current().spawn(async move {
            let mut guests = Vec::new();
            for _ in 0..2 {
                let (mut stream, from) = listener.accept().await.unwrap();
                guests.push(from.ip());
                let mut bytes = [0; 5];
                stream.read_exact(&mut bytes).await.unwrap();
                stream.write_all(&bytes).await.unwrap();
            }
            guests
        })
    }

    /// Nothing that the client sent went anywhere else than to the proxy.
    fn client_spoke_to_the_proxy_only(&self) {
        let (from_us, mut sent) = (ip(CLIENT), 0);
        for (_, happening) in &self.sim.trace().log {
            let (Happening::Dialled { from, to }
            | Happening::Segment { from, to, .. }
            | Happening::Datagram { from, to, .. }
            | Happening::DatagramLost { from, to, .. }) = happening
            else {
                continue;
            };
            if from.ip() == from_us {
                assert_eq!(to.ip(), ip(PROXY), "{happening:?}");
                sent += 1;
            }
        }
        assert!(sent > 0);
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn streams_go_through_either_kind_of_proxy_by_address_and_by_name() {
    for scheme in ["socks5", "http"] {
        let scene = Scene::new();
        let server = scene.start(Some("me:secret"));
        let echo = scene.echo();
        let network = scene.through(&format!("{scheme}://me:secret@proxy.test:1080"));
        let first = network.dial(at("1.0.0.3:80")).await.unwrap();
        assert_eq!(first.peer_addr(), at("1.0.0.3:80"));
        assert!(first.local_addr().ip().is_unspecified());
        let located = network.locate("tracker.test", 80).await.unwrap();
        assert_eq!(located, Located::ByName);
        let second = network.dial_name("tracker.test", 80).await.unwrap();
        for mut stream in [first, second] {
            stream.write_all(b"hello").await.unwrap();
            let mut bytes = [0; 5];
            stream.read_exact(&mut bytes).await.unwrap();
            assert_eq!(&bytes, b"hello");
        }
        assert_eq!(echo.await.unwrap(), [ip(PROXY); 2]);
        let asked = ["connect 1.0.0.3:80", "connect tracker.test:80"];
        assert_eq!(*server.asked.lock(), asked);
        scene.client_spoke_to_the_proxy_only();
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_does_not_know_us_is_told_apart_from_a_silent_server() {
    let scene = Scene::new();
    let _server = scene.start(Some("me:secret"));
    let cases = [
        ("socks5://1.0.0.2:1080", "the proxy wants a user name"),
        ("socks5://me:wrong@1.0.0.2:1080", "does not accept"),
        ("http://me:wrong@1.0.0.2:1080", "or others than those given"),
        ("socks5://me:secret@1.0.0.2:1080", "host unreachable"),
        ("http://me:secret@1.0.0.2:1080", "502"),
        ("socks5://1.0.0.2:1", "proxy 1.0.0.2:1: connection refused"),
    ];
    for (url, expected) in cases {
        let network = scene.through(url);
        let error = network
            .dial(at("1.0.0.3:99"))
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(expected) && !error.contains("secret"),
            "{url}: {error}"
        );
    }
    scene.client_spoke_to_the_proxy_only();
}

#[tokio::test(start_paused = true)]
async fn an_http_request_leaves_the_look_up_to_the_proxy_and_is_held_to_the_policy() {
    let scene = Scene::new();
    let server = scene.start(None);
    let mut listener = scene.server.network().listen(at("0.0.0.0:80")).unwrap();
    let _serving = Pool::current().spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let reply: &[u8] = if head.starts_with(b"GET /home") {
                b"HTTP/1.1 302 x\r\nLocation: http://localhost/announce\r\n\r\n"
            } else {
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
            };
            stream.write_all(reply).await.unwrap();
        }
    });
    let client = Client::new(
        scene.through("socks5://1.0.0.2:1080"),
        HeaderValue::from_static("test"),
    );
    let get = async |url: &str| {
        let mut request = Request::new(Url::parse(url).unwrap());
        request.policy = Arc::new(crate::http::Guard::TRACKER);
        client.get(&request).await
    };
    let reply = get("http://tracker.test/announce").await.unwrap();
    assert_eq!(
        (&reply.body[..], reply.peer),
        (&b"hi"[..], at("0.0.0.0:80"))
    );
    assert_eq!(*server.asked.lock(), ["connect tracker.test:80"]);
    for forbidden in ["http://tracker.test/home", "http://LocalHost./admin"] {
        let outcome = get(forbidden).await;
        assert!(
            matches!(outcome, Err(crate::http::Error::Forbidden)),
            "{outcome:?}"
        );
    }
    scene.client_spoke_to_the_proxy_only();
}

#[tokio::test(start_paused = true)]
async fn this_machine_is_asked_for_announces_only_over_a_connection_that_was_kept_too() {
    let scene = Scene::new();
    let server = scene.start(None);
    scene.sim.name("localhost", vec![ip(SERVER)]);
    let heard = Arc::<parking_lot::Mutex<Vec<String>>>::default();
    let mut listener = scene.server.network().listen(at("0.0.0.0:80")).unwrap();
    let all = Arc::clone(&heard);
    let _serving = Pool::current().spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        loop {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            all.lock().push(String::from_utf8(head).unwrap());
            let reply = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
            stream.write_all(reply).await.unwrap();
        }
    });
    let client = Client::new(
        scene.through("socks5://1.0.0.2:1080"),
        HeaderValue::from_static("test"),
    )
    .keeping(crate::http::Keep::default());
    let get = async |url: &str| {
        let mut request = Request::new(Url::parse(url).unwrap());
        request.policy = Arc::new(crate::http::Guard::TRACKER);
        client.get(&request).await
    };
    for _ in 0..2 {
        let reply = get("http://a:b@localhost/announce").await.unwrap();
        assert_eq!(&reply.body[..], b"hi");
    }
    assert_eq!(client.kept(), 1);
    let outcome = get("http://localhost/admin").await;
    assert!(
        matches!(outcome, Err(crate::http::Error::Forbidden)),
        "{outcome:?}"
    );
    assert_eq!(*server.asked.lock(), ["connect localhost:80"]);
    let heard = heard.lock();
    assert_eq!(heard.len(), 2, "{heard:?}");
    let secret = heard.iter().any(|head| head.contains("Authorization"));
    assert!(!secret, "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn datagrams_pass_a_socks5_proxy_both_ways_and_again_after_it_was_away() {
    let scene = Scene::new();
    let mut server = scene.start(None);
    let network = scene.through("socks5://1.0.0.2:1080");
    let ours = network.datagram(at("[::]:0")).unwrap();
    let theirs = scene.server.network().datagram(at("0.0.0.0:9")).unwrap();
    for round in 0..2 {
        let mut buffer = [0; 100];
        ours.send_to(b"ping", at("1.0.0.3:9")).await.unwrap();
        let (len, from) = theirs.recv_from(&mut buffer).await.unwrap();
        assert_eq!((&buffer[..len], from.ip()), (&b"ping"[..], ip(PROXY)));
        theirs.send_to(b"pong!", from).await.unwrap();
        let (len, from) = ours.recv_from(&mut buffer).await.unwrap();
        assert_eq!((&buffer[..len], from), (&b"pong!"[..], at("1.0.0.3:9")));
        ours.send_to_name(b"by name", ("tracker.test", 9))
            .await
            .unwrap();
        let (len, _) = theirs.recv_from(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..len], b"by name");
        assert_eq!(
            *server.asked.lock(),
            ["udp 0.0.0.0:0", "name tracker.test:9"]
        );
        if round == 0 {
            server.stop();
            // The proxy is gone; what wants to go out waits until it is back.
            let gone = async {
                loop {
                    if ours.try_send_to(b"lost", at("1.0.0.3:9")).is_err() {
                        break;
                    }
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            };
            timeout(Duration::from_secs(60), gone).await.unwrap();
            let waiting = ours.send_to(b"x", at("1.0.0.3:9"));
            assert!(timeout(Duration::from_secs(300), waiting).await.is_err());
            server = scene.start(None);
        }
    }
    scene.client_spoke_to_the_proxy_only();
}

#[tokio::test(start_paused = true)]
async fn nobody_else_than_the_relay_is_listened_to() {
    let scene = Scene::new();
    let _server = scene.start(None);
    let network = scene.through("socks5://1.0.0.2:1080");
    let ours = network.datagram(at("[::]:0")).unwrap();
    let theirs = scene.server.network().datagram(at("0.0.0.0:9")).unwrap();
    ours.send_to(b"ping", at("1.0.0.3:9")).await.unwrap();
    let mut buffer = [0; 100];
    let (_, relay) = theirs.recv_from(&mut buffer).await.unwrap();
    let mut forged = Vec::new();
    let from = protocol::proxy::Destination::Addr(at("9.9.9.9:9"));
    protocol::proxy::datagram::wrap(&from, b"forged", &mut forged);
    for port in 1024..=u16::MAX {
        let _ = theirs.try_send_to(&forged, SocketAddr::new(ip(CLIENT), port));
    }
    theirs.send_to(b"real", relay).await.unwrap();
    let (len, from) = ours.recv_from(&mut buffer).await.unwrap();
    assert_eq!((&buffer[..len], from), (&b"real"[..], at("1.0.0.3:9")));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_go_through_the_proxy_is_refused() {
    let scene = Scene::new();
    let _server = scene.start(None);
    for (url, datagrams) in [
        ("socks5://1.0.0.2:1080", true),
        ("http://1.0.0.2:1080", false),
    ] {
        let network = scene.through(url);
        let refused = |error: io::Error| error.kind() == io::ErrorKind::Unsupported;
        assert!(network.listen(at("0.0.0.0:1")).is_err_and(refused));
        assert!(network.lookup("tracker.test", 1).await.is_err_and(refused));
        assert!(network.texts("tracker.test").await.is_err_and(refused));
        let group = at("239.192.152.143:6771");
        assert!(network.multicast(group, None).unwrap().is_empty());
        assert_eq!(network.datagram(at("0.0.0.0:1")).is_ok(), datagrams);
        let bad = network.dial_name("a b", 1).await.unwrap_err();
        assert_eq!(bad.kind(), io::ErrorKind::InvalidInput);
    }
    assert_eq!(
        scene.sim.text_look_ups(),
        0,
        "nobody is asked behind the proxy's back"
    );
    let plain = scene.client.network();
    let refused = plain.dial_name("tracker.test", 1).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::Unsupported);
}

mod outages;
