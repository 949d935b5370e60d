//! Proxies that are of no use, for a while or for good.

use tokio::time::{Instant, sleep};

use super::*;
use crate::Outage;
use crate::ports::Transports;

/// A host that takes connections, reads something, says `reply`, and closes.
fn grumpy(scene: &Scene, reply: &'static [u8]) -> (Task<()>, Arc<parking_lot::Mutex<usize>>) {
    let mut listener = scene.proxy.network().listen(at("0.0.0.0:1080")).unwrap();
    let taken = Arc::new(parking_lot::Mutex::new(0));
    let count = Arc::clone(&taken);
    let serving = Pool::current().spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            *count.lock() += 1;
            let _ = stream.read(&mut [0; 1000]).await;
            let _ = stream.write_all(reply).await;
        }
    });
    (serving, taken)
}

fn why(network: &Network) -> Option<String> {
    network.outage().map(|outage| outage.to_string())
}

#[tokio::test(start_paused = true)]
async fn what_fails_for_the_proxys_sake_is_no_peers_fault() {
    for (url, reply, expected) in [
        ("socks5://proxy.test:1080", None, "connection refused"),
        (
            "socks5://nowhere.test:1080",
            None,
            "it is not known where it is: ",
        ),
        ("http://1.0.0.9:1080", None, "timed out"),
        (
            "socks5://proxy.test:1080",
            Some(&b"HTTP/1.1 400 x\r\n\r\n"[..]),
            "what answers is no SOCKS5 proxy",
        ),
        (
            "http://proxy.test:1080",
            Some(&b"\x05\xff"[..]),
            "what answers is no HTTP proxy",
        ),
        (
            "http://proxy.test:1080",
            Some(&b""[..]),
            "it closes the connection",
        ),
        (
            "http://proxy.test:1080",
            Some(&b"HTTP/1.1 403 x\r\n\r\n"[..]),
            "the proxy refuses with status 403",
        ),
        (
            "http://proxy.test:1080",
            Some(&b"HTTP/1.1 407 x\r\n\r\n"[..]),
            "the proxy wants a user name",
        ),
        (
            "socks5://proxy.test:1080",
            Some(&b"\x05\x02"[..]),
            "the proxy wants a user name",
        ),
    ] {
        let scene = Scene::new();
        let _proxy = reply.map(|reply| grumpy(&scene, reply));
        let network = scene.through(url);
        assert_eq!(network.outage(), None);
        let error = network.dial(at("1.0.0.3:80")).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NetworkDown, "{url}: {error}");
        assert!(error.to_string().contains(expected), "{url}: {error}");
        let told = why(&network).unwrap();
        assert!(told.starts_with("proxy "), "{told}");
        assert!(told.contains(expected), "{told}");
        assert!(
            told.ends_with("; nothing leaves until it is back"),
            "{told}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_proxy_says_of_a_peer_is_the_peers() {
    for scheme in ["socks5", "http"] {
        let scene = Scene::new();
        let _server = scene.start(None);
        let network = scene.through(&format!("{scheme}://proxy.test:1080"));
        let error = network.dial(at("1.0.0.3:99")).await.unwrap_err();
        assert_ne!(error.kind(), io::ErrorKind::NetworkDown, "{error}");
        assert_eq!(network.outage(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_is_away_is_looked_after_by_one_task_and_found_back() {
    for scheme in ["socks5", "http"] {
        let scene = Scene::new();
        let network = scene.through(&format!("{scheme}://1.0.0.2:1080"));
        network.look_for_outage().await;
        let outage = network.outage().unwrap();
        assert!(matches!(&outage, Outage::Proxy { at, .. } if &**at == "1.0.0.2:1080"));
        assert_eq!(outage.over(), "proxy 1.0.0.2:1080 is back");
        // Peers that are dialled meanwhile do not add to it.
        for _ in 0..100 {
            let error = network.dial(at("1.0.0.3:80")).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NetworkDown);
        }
        sleep(Duration::from_secs(60)).await;
        let trace = scene.sim.trace();
        let knocks = trace.log.iter().filter(|(_, happening)| {
            matches!(happening, Happening::Dialled { from, .. } if from.ip() == ip(CLIENT))
        });
        assert!((5..10).contains(&knocks.count()));
        let _server = scene.start(None);
        let _echo = scene.echo();
        let began = Instant::now();
        while network.outage().is_some() {
            sleep(Duration::from_millis(100)).await;
        }
        assert!(began.elapsed() <= Duration::from_secs(16));
        assert!(network.dial(at("1.0.0.3:80")).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_refuses_everything_is_asked_now_and_then() {
    let scene = Scene::new();
    let (_proxy, taken) = grumpy(&scene, b"HTTP/1.1 403 no\r\n\r\n");
    let network = scene.through("http://1.0.0.2:1080");
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(30) {
        let error = network.dial(at("1.0.0.3:80")).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NetworkDown);
        sleep(Duration::from_millis(100)).await;
    }
    assert!((8..=11).contains(&*taken.lock()), "{}", taken.lock());
}

#[tokio::test(start_paused = true)]
async fn a_proxy_without_datagrams_says_so_and_carries_streams() {
    let scene = Scene::new();
    let server = scene.start(None);
    server.refuse_datagrams();
    let _echo = scene.echo();
    let network = scene.through("socks5://1.0.0.2:1080");
    let _socket = network.datagram(at("0.0.0.0:0")).unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(
        network.datagrams_pass(),
        Some(Err("the proxy says: it cannot do this".into()))
    );
    assert_eq!(network.outage(), None);
    assert!(network.dial(at("1.0.0.3:80")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_association_that_died_without_a_word_is_made_again() {
    let scene = Scene::new();
    let server = scene.start(None);
    let network = scene.through("socks5://1.0.0.2:1080");
    let ours = network.datagram(at("0.0.0.0:0")).unwrap();
    let theirs = scene.server.network().datagram(at("0.0.0.0:9")).unwrap();
    let mut buffer = [0; 100];
    ours.send_to(b"ping", at("1.0.0.3:9")).await.unwrap();
    let (_, relay) = theirs.recv_from(&mut buffer).await.unwrap();
    theirs.send_to(b"pong", relay).await.unwrap();
    ours.recv_from(&mut buffer).await.unwrap();
    // The proxy forgets what it was asked for, and keeps the connection.
    server.forget_relays();
    let back = async {
        loop {
            let _ = ours.try_send_to(b"ping", at("1.0.0.3:9"));
            sleep(Duration::from_secs(5)).await;
            if server
                .asked
                .lock()
                .iter()
                .filter(|asked| asked.starts_with("udp"))
                .count()
                == 2
            {
                break;
            }
        }
    };
    timeout(Duration::from_secs(300), back).await.unwrap();
    ours.send_to(b"again", at("1.0.0.3:9")).await.unwrap();
    let heard = async {
        loop {
            let (len, _) = theirs.recv_from(&mut buffer).await.unwrap();
            if &buffer[..len] == b"again" {
                return;
            }
        }
    };
    timeout(Duration::from_secs(5), heard).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_takes_an_association_and_drops_it_is_asked_ever_less_often() {
    let scene = Scene::new();
    let server = scene.start(None);
    server.drop_relays();
    let network = scene.through("socks5://1.0.0.2:1080");
    let _ours = network.datagram(at("0.0.0.0:0")).unwrap();
    sleep(Duration::from_secs(600)).await;
    let asked = server.asked.lock().len();
    assert!((5..20).contains(&asked), "{asked}");
}

#[tokio::test(start_paused = true)]
async fn packets_leave_room_for_the_header_of_the_proxy() {
    let scene = Scene::new();
    let _server = scene.start(None);
    let network = scene.through("socks5://1.0.0.2:1080");
    let ours = network.datagram(at("[::]:0")).unwrap();
    ours.send_to(b"ping", at("1.0.0.3:9")).await.unwrap();
    for (to, expected) in [
        ("1.0.0.3:9", 10),
        ("[::ffff:1.0.0.3]:9", 10),
        ("[2001:db8::1]:9", 22),
    ] {
        assert_eq!(ours.overhead(at(to)), expected, "{to}");
        let mut wrapped = Vec::new();
        let to = protocol::proxy::Destination::Addr(crate::resolve::canonical(at(to)));
        protocol::proxy::datagram::wrap(&to, &[0; 100], &mut wrapped);
        assert_eq!(wrapped.len(), 100 + expected, "{to}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_packet_of_utp_grows_beyond_what_a_path_takes_by_the_header_of_the_proxy() {
    let scene = Scene::new();
    let _server = scene.start(None);
    let (pool, options) = (Pool::current(), crate::utp::UtpOptions::default());
    let theirs = crate::ports::open(
        &scene.server.network(),
        (at("0.0.0.0:80"), 0),
        Transports::Utp,
        &pool,
        &options,
    )
    .unwrap();
    let network = scene.through("socks5://1.0.0.2:1080");
    let anywhere = at("0.0.0.0:0");
    let (ours, _) =
        crate::ports::outgoing(&network, anywhere, Transports::Utp, &pool, &options).unwrap();
    // Until the proxy carries datagrams there is no uTP.
    sleep(Duration::from_secs(1)).await;
    let mut listener = theirs.network.listen(theirs.addr).unwrap();
    let (dialled, accepted) = tokio::join!(ours.dial_peer(at("1.0.0.3:80")), listener.accept());
    let (mut dialled, (mut accepted, _)) = (dialled.unwrap(), accepted.unwrap());
    let sending = Pool::current().spawn(async move {
        dialled.write_all(&vec![7; 500_000]).await.unwrap();
        dialled
    });
    let mut received = vec![0; 500_000];
    accepted.read_exact(&mut received).await.unwrap();
    drop(sending.await);
    let trace = scene.sim.trace();
    let sizes = trace.log.iter().filter_map(|(_, happening)| {
        let Happening::Datagram { from, bytes, .. } = happening else {
            return None;
        };
        (from.ip() == ip(CLIENT)).then_some(*bytes)
    });
    let largest = sizes.max().unwrap();
    assert!((1300..=1472).contains(&largest), "{largest}");
}
