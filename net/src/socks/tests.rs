use std::sync::Arc;
use std::time::Duration;

use protocol::proxy::datagram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use super::*;
use crate::sim::{Host, HostOptions, Sim};
use crate::{Binder, DatagramSocket, Proxy};

const PROGRAM: &str = "1.0.0.1";
const SERVER: &str = "1.0.0.2";
const WORLD: &str = "1.0.0.3";
const OTHER: &str = "1.0.0.4";

/// A host with programs, one with the server, the world, and another host.
struct Scene {
    sim: Sim,
    program: Host,
    server: Host,
    world: Host,
    other: Host,
}

impl Scene {
    fn new() -> Self {
        let sim = Sim::new(11);
        let host = |ip: &str| sim.host(HostOptions::at(ip.parse().unwrap()));
        let scene = Self {
            program: host(PROGRAM),
            server: host(SERVER),
            world: host(WORLD),
            other: host(OTHER),
            sim,
        };
        scene.sim.name("world.test", vec![WORLD.parse().unwrap()]);
        scene
    }

    fn launch(&self, options: SocksOptions) -> SocksServer {
        let network = self.server.network();
        SocksServer::launch(network.clone(), network, options, &Pool::current()).unwrap()
    }

    fn start(&self) -> SocksServer {
        self.launch(open("1.0.0.2:1080"))
    }

    fn through(&self, url: &str) -> Network {
        self.program
            .network()
            .through(&url.parse::<Proxy>().unwrap())
    }

    /// A socket that sends each datagram back twice.
    fn echo(&self) -> Task<()> {
        let socket = self.world.network().datagram(at("0.0.0.0:7")).unwrap();
        Pool::current().spawn(async move {
            let mut bytes = [0; 2048];
            loop {
                let (len, from) = socket.recv_from(&mut bytes).await.unwrap();
                for _ in 0..2 {
                    socket.try_send_to(&bytes[..len], from).unwrap();
                }
            }
        })
    }

    /// Says what a program says, and hears what it is told within a second.
    async fn say(&self, bytes: &[u8]) -> (BoxStream, Vec<u8>) {
        let mut stream = self
            .program
            .network()
            .dial(at("1.0.0.2:1080"))
            .await
            .unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut told = Vec::new();
        let _ = timeout(Duration::from_secs(1), stream.read_to_end(&mut told)).await;
        (stream, told)
    }

    /// An association, and where datagrams are to be sent.
    async fn associate(&self, stated: &Destination) -> (BoxStream, SocketAddr) {
        let mut asked = vec![5, 1, 0];
        asked.extend([5, 3]);
        datagram::wrap(stated, &[], &mut asked);
        // The header of a datagram has two zeros where a request has version and command.
        asked.drain(5..7);
        let (stream, told) = self.say(&asked).await;
        assert_eq!(told[..6], [5, 0, 5, 0, 0, 1], "{told:?}");
        let ip: [u8; 4] = told[6..10].try_into().unwrap();
        let port = u16::from_be_bytes(told[10..12].try_into().unwrap());
        (stream, SocketAddr::from((ip, port)))
    }
}

fn open(text: &str) -> SocksOptions {
    SocksOptions {
        beyond_loopback: true,
        ..SocksOptions::at(at(text))
    }
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn anywhere() -> Destination {
    Destination::Addr(at("0.0.0.0:0"))
}

fn wrapped(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    datagram::wrap(&Destination::Addr(at("1.0.0.3:7")), payload, &mut bytes);
    bytes
}

/// What comes within a second.
async fn heard(socket: &Arc<dyn DatagramSocket>) -> Vec<Vec<u8>> {
    let (mut bytes, mut heard) = ([0; 2048], Vec::new());
    let second = Duration::from_secs(1);
    while let Ok(Ok((len, _))) = timeout(second, socket.recv_from(&mut bytes)).await {
        heard.push(bytes[..len].to_vec());
    }
    heard
}

#[tokio::test(start_paused = true)]
async fn datagrams_go_out_by_address_and_by_name_and_come_back() {
    let scene = Scene::new();
    let (server, _echo) = (scene.start(), scene.echo());
    let socket = scene.through("socks5://1.0.0.2:1080");
    let socket = socket.datagram(at("0.0.0.0:0")).unwrap();
    sleep(Duration::from_secs(1)).await;
    for n in 0..40 {
        socket.try_send_to(&[n; 100], at("1.0.0.3:7")).unwrap();
    }
    let back = heard(&socket).await;
    assert_eq!(back.len(), 80);
    assert!(back.iter().all(|datagram| datagram.len() == 100));
    socket
        .send_to_name(b"named", ("world.test", 7))
        .await
        .unwrap();
    socket
        .send_to_name(b"nobody", ("nobody.test", 7))
        .await
        .unwrap();
    assert_eq!(heard(&socket).await, [b"named", b"named"]);
    let counters = server.counters();
    assert_eq!(
        (counters.sent, counters.received, counters.dropped),
        (41, 82, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn associations_share_the_room_for_what_they_receive() {
    let scene = Scene::new();
    let (server, _echo) = (scene.start(), scene.echo());
    let mut kept = Vec::new();
    for _ in 0..50 {
        let (stream, at) = scene.associate(&anywhere()).await;
        let socket = scene.program.network().datagram(self::at("0.0.0.0:0"));
        let socket = socket.unwrap();
        socket.try_send_to(&wrapped(b"hello"), at).unwrap();
        assert_eq!(heard(&socket).await.len(), 2);
        kept.push((stream, socket));
    }
    assert_eq!(server.counters().clients, 50);
    assert_eq!(server.shared.batches.spare(), 1);
}

#[tokio::test(start_paused = true)]
async fn datagrams_are_taken_from_the_program_only() {
    let scene = Scene::new();
    let (server, _echo) = (scene.start(), scene.echo());
    let (_control, relay) = scene.associate(&anywhere()).await;
    let socket = |host: &Host| host.network().datagram(at("0.0.0.0:0")).unwrap();
    let (ours, second, foreign) = (
        socket(&scene.program),
        socket(&scene.program),
        socket(&scene.other),
    );
    for socket in [&foreign, &ours, &second] {
        socket.try_send_to(&wrapped(b"x"), relay).unwrap();
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(heard(&ours).await, [wrapped(b"x"), wrapped(b"x")]);
    assert!(heard(&second).await.is_empty() && heard(&foreign).await.is_empty());
    // Who stated a port is heard from there and nowhere else.
    let port = ours.local_addr().port();
    let stated = Destination::Addr((std::net::Ipv4Addr::UNSPECIFIED, port).into());
    let (_control, relay) = scene.associate(&stated).await;
    second.try_send_to(&wrapped(b"y"), relay).unwrap();
    sleep(Duration::from_millis(100)).await;
    ours.try_send_to(&wrapped(b"z"), relay).unwrap();
    assert_eq!(heard(&ours).await, [wrapped(b"z"), wrapped(b"z")]);
    assert_eq!(server.counters().dropped, 3);
}

#[tokio::test(start_paused = true)]
async fn fragments_and_what_cannot_be_read_go_nowhere() {
    let scene = Scene::new();
    let (server, _echo) = (scene.start(), scene.echo());
    let (_control, relay) = scene.associate(&anywhere()).await;
    let socket = scene.program.network().datagram(at("0.0.0.0:0")).unwrap();
    let mut fragment = wrapped(b"x");
    fragment[2] = 1;
    let bad: [&[u8]; 3] = [&fragment, b"\0\0\0\x09", b"\0\0\0\x03\x02a/\0\x07x"];
    for datagram in bad {
        socket.try_send_to(datagram, relay).unwrap();
    }
    assert!(heard(&socket).await.is_empty());
    assert_eq!(server.counters().dropped, 3);
}

#[tokio::test(start_paused = true)]
async fn an_association_ends_with_its_connection() {
    let scene = Scene::new();
    let (server, _echo) = (scene.start(), scene.echo());
    let (control, relay) = scene.associate(&anywhere()).await;
    let socket = scene.program.network().datagram(at("0.0.0.0:0")).unwrap();
    socket.try_send_to(&wrapped(b"x"), relay).unwrap();
    assert_eq!(heard(&socket).await.len(), 2);
    assert_eq!(server.counters().clients, 1);
    drop(control);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(server.counters().clients, 0);
    socket.try_send_to(&wrapped(b"x"), relay).unwrap();
    assert!(heard(&socket).await.is_empty());
}

/// A network whose sockets never have a way out.
struct Closed(Network);

impl Binder for Closed {
    fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn Listener>> {
        self.0.listen(at)
    }

    fn datagram(&self, at: SocketAddr) -> io::Result<Arc<dyn DatagramSocket>> {
        Ok(Arc::new(ClosedSocket(self.0.datagram(at)?)))
    }

    fn multicast(
        &self,
        group: SocketAddr,
        own: Option<IpAddr>,
    ) -> io::Result<Vec<Arc<dyn DatagramSocket>>> {
        self.0.multicast(group, own)
    }
}

struct ClosedSocket(Arc<dyn DatagramSocket>);

impl DatagramSocket for ClosedSocket {
    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        self.0.poll_recv_from(cx, buf)
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        datagram: &[u8],
        to: SocketAddr,
    ) -> Poll<io::Result<()>> {
        self.0.poll_send_to(cx, datagram, to)
    }

    fn try_send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        self.0.try_send_to(datagram, to)
    }

    fn is_up(&self) -> bool {
        false
    }

    fn local_addr(&self) -> SocketAddr {
        self.0.local_addr()
    }
}

#[tokio::test(start_paused = true)]
async fn who_goes_before_there_is_a_way_out_is_let_go_at_once() {
    let scene = Scene::new();
    let inside = scene.server.network();
    let outside = inside.clone().with_binder(Arc::new(Closed(inside.clone())));
    let server = SocksServer::launch(inside, outside, open("1.0.0.2:1080"), &Pool::current());
    let server = server.unwrap();
    let (mut control, _) = scene.associate(&anywhere()).await;
    // What it says there means nothing.
    control.write_all(&[7; 10_000]).await.unwrap();
    sleep(Duration::from_secs(5)).await;
    assert_eq!(server.counters().clients, 1);
    drop(control);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(server.counters().clients, 0);
}

#[tokio::test(start_paused = true)]
async fn streams_go_out_by_address_and_by_name() {
    let scene = Scene::new();
    let server = scene.start();
    let mut door = scene.world.network().listen(at("0.0.0.0:80")).unwrap();
    let _echo = Pool::current().spawn(async move {
        loop {
            let (mut stream, from) = door.accept().await.unwrap();
            assert_eq!(from.ip(), SERVER.parse::<IpAddr>().unwrap());
            let mut said = Vec::new();
            stream.read_to_end(&mut said).await.unwrap();
            stream.write_all(&said).await.unwrap();
        }
    });
    let network = scene.through("socks5://1.0.0.2:1080");
    for by_name in [false, true] {
        let stream = if by_name {
            network.dial_name("world.test", 80).await
        } else {
            network.dial(at("1.0.0.3:80")).await
        };
        let mut stream = stream.unwrap();
        let said = vec![7; 100_000];
        stream.write_all(&said).await.unwrap();
        // Half of a stream may end before the other.
        stream.shutdown().await.unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await.unwrap();
        assert!(heard == said);
    }
    sleep(Duration::from_secs(1)).await;
    let counters = server.counters();
    assert_eq!((counters.clients, counters.failed), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn replies_tell_what_became_of_a_request() {
    let scene = Scene::new();
    let server = scene.start();
    let connect = |address: &[u8]| [&[5, 1, 0, 5, 1, 0], address].concat();
    let cases: [(Vec<u8>, u8); 6] = [
        (connect(&[1, 1, 0, 0, 3, 0, 9]), 5),
        (connect(b"\x03\x0bnobody.test\0\x50"), 4),
        (connect(b"\x03\x03a/b\0\x50"), 4),
        (connect(&[9, 0]), 8),
        // To wait for connections.
        (vec![5, 1, 0, 5, 2, 0, 1, 1, 0, 0, 3, 0, 80], 7),
        (vec![5, 1, 0, 5, 77, 0, 1, 1, 0, 0, 3, 0, 80], 7),
    ];
    for (asked, code) in cases {
        let (_, told) = scene.say(&asked).await;
        assert_eq!(told[..4], [5, 0, 5, code], "{asked:?}: {told:?}");
        assert_eq!(told.len(), 12);
    }
    assert_eq!(server.counters().failed, 6);
    let network = scene.through("socks5://1.0.0.2:1080");
    scene.world.set_online(false);
    let late = network.dial(at("1.0.0.3:80")).await.unwrap_err();
    assert_eq!(late.kind(), io::ErrorKind::TimedOut, "{late}");
}

#[tokio::test(start_paused = true)]
async fn who_has_no_datagrams_outside_says_so() {
    let scene = Scene::new();
    let outside = scene
        .server
        .network()
        .through(&"http://1.0.0.4:1".parse().unwrap());
    let (inside, options) = (scene.server.network(), open("1.0.0.2:1080"));
    let _server = SocksServer::launch(inside, outside, options, &Pool::current()).unwrap();
    let (_, told) = scene.say(&[5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0]).await;
    assert_eq!(told[..4], [5, 0, 5, 7], "{told:?}");
    // A proxy that is not there is no failure of the host that was asked for.
    let (_, told) = scene.say(&[5, 1, 0, 5, 1, 0, 1, 1, 0, 0, 3, 0, 80]).await;
    assert_eq!(told[..4], [5, 0, 5, 3], "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn names_go_to_the_far_end_where_that_looks_them_up() {
    let scene = Scene::new();
    let _echo = scene.echo();
    let far = scene.other.network();
    let options = open("1.0.0.4:1080");
    let _far = SocksServer::launch(far.clone(), far, options, &Pool::current()).unwrap();
    // A network behind a proxy looks up nothing itself.
    let outside = scene
        .server
        .network()
        .through(&"socks5://1.0.0.4:1080".parse().unwrap());
    let (inside, options) = (scene.server.network(), open("1.0.0.2:1080"));
    let _near = SocksServer::launch(inside, outside, options, &Pool::current()).unwrap();
    let network = scene.through("socks5://1.0.0.2:1080");
    let socket = network.datagram(at("0.0.0.0:0")).unwrap();
    sleep(Duration::from_secs(1)).await;
    // The association with the far server is made when the first program asks.
    sleep(Duration::from_secs(1)).await;
    socket
        .send_to_name(b"named", ("world.test", 7))
        .await
        .unwrap();
    assert_eq!(heard(&socket).await, [b"named", b"named"]);
}

#[tokio::test(start_paused = true)]
async fn a_password_lets_in_who_has_it() {
    let scene = Scene::new();
    let credentials = Credentials::new(b"me".to_vec(), b"secret".to_vec()).ok();
    let server = scene.launch(SocksOptions {
        credentials,
        ..open("1.0.0.2:1080")
    });
    let dial = async |url: &str| {
        let failed = scene.through(url).dial(at("1.0.0.3:80")).await.unwrap_err();
        failed.to_string()
    };
    assert!(
        dial("socks5://me:secret@1.0.0.2:1080")
            .await
            .contains("connection refused")
    );
    assert!(
        dial("socks5://me:wrong@1.0.0.2:1080")
            .await
            .contains("does not accept")
    );
    assert!(
        dial("socks5://1.0.0.2:1080")
            .await
            .contains("wants a user name")
    );
    assert!(!format!("{server:?}").contains("secret"));
}

#[tokio::test(start_paused = true)]
async fn other_hosts_are_let_in_only_where_that_was_asked_for() {
    let scene = Scene::new();
    let network = scene.server.network();
    for addr in ["1.0.0.2:1080", "0.0.0.0:1080", "[::]:1080"] {
        let options = SocksOptions::at(at(addr));
        let pool = Pool::current();
        let refused = SocksServer::launch(network.clone(), network.clone(), options, &pool);
        let kind = refused.unwrap_err().kind();
        assert_eq!(kind, io::ErrorKind::PermissionDenied, "{addr}");
    }
    let local = scene.launch(SocksOptions::at(at("127.0.0.1:0")));
    assert!(local.addr().ip().is_loopback() && local.addr().port() != 0);
}

#[tokio::test(start_paused = true)]
async fn so_many_programs_are_served_and_no_more() {
    let scene = Scene::new();
    let server = scene.launch(SocksOptions {
        clients: 2,
        ..open("1.0.0.2:1080")
    });
    let (one, _) = scene.associate(&anywhere()).await;
    let (_two, _) = scene.associate(&anywhere()).await;
    let (_, told) = scene.say(&[5, 1, 0]).await;
    assert!(told.is_empty());
    assert_eq!(
        (server.counters().clients, server.counters().turned_away),
        (2, 1)
    );
    drop(one);
    sleep(Duration::from_secs(1)).await;
    scene.associate(&anywhere()).await;
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_or_moves_nothing_is_let_go() {
    let scene = Scene::new();
    let idle = Duration::from_secs(300);
    let server = scene.launch(SocksOptions {
        idle,
        ..open("1.0.0.2:1080")
    });
    let _echo = scene.echo();
    let (_silent, _) = scene.say(&[5]).await;
    let (_control, relay) = scene.associate(&anywhere()).await;
    let (_idle, _) = scene.associate(&anywhere()).await;
    let socket = scene.program.network().datagram(at("0.0.0.0:0")).unwrap();
    assert_eq!(server.counters().clients, 3);
    sleep(GREETING).await;
    assert_eq!(server.counters().clients, 2);
    for _ in 0..10 {
        sleep(idle / 2).await;
        socket.try_send_to(&wrapped(b"x"), relay).unwrap();
    }
    assert_eq!(server.counters().clients, 1);
    sleep(idle * 3).await;
    assert_eq!(server.counters().clients, 0);
}
