mod igd;
mod upnp;

use super::*;
use crate::DatagramSocket;
use crate::sim::{HostOptions, Sim};
use crate::{Binder, Listener};

/// A host of the simulation that knows its gateway.
struct Routed(Arc<dyn Binder>, Arc<Mutex<Vec<Gateway>>>);

impl Binder for Routed {
    fn gateways(&self) -> io::Result<Vec<Gateway>> {
        Ok(self.1.lock().clone())
    }

    fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn Listener>> {
        self.0.listen(at)
    }

    fn datagram(&self, at: SocketAddr) -> io::Result<Arc<dyn DatagramSocket>> {
        self.0.datagram(at)
    }

    fn multicast(
        &self,
        group: SocketAddr,
        own: Option<IpAddr>,
    ) -> io::Result<Vec<Arc<dyn DatagramSocket>>> {
        self.0.multicast(group, own)
    }
}

/// What a played gateway knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Knows {
    Pcp,
    /// PCP, and gives for what was asked for.
    PcpForLong,
    NatPmp,
    Nothing,
    /// PCP, but it does not answer.
    Mute,
}

/// A request as the gateway has heard it: its version, our port, and for how long.
type Heard = (u8, u16, u32);

/// Plays a gateway that gives the port that was asked for, and one more, for a minute.
async fn serve(socket: Arc<dyn DatagramSocket>, knows: Knows, heard: Arc<Mutex<Vec<Heard>>>) {
    let mut buffer = [0; 1100];
    loop {
        let (len, from) = socket.recv_from(&mut buffer).await.unwrap();
        let request = &buffer[..len];
        let word = |at: usize| u16::from_be_bytes([request[at], request[at + 1]]);
        let long = |at: usize| u32::from(word(at)) << 16 | u32::from(word(at + 2));
        let answer = match (request[0], knows) {
            (2, Knows::Pcp | Knows::PcpForLong) => {
                heard.lock().push((2, word(40), long(4)));
                let mut answer = vec![2, 0x81, 0, 0];
                let lifetime = long(4).min(if knows == Knows::Pcp { 60 } else { 7200 });
                answer.extend(lifetime.to_be_bytes());
                answer.extend([0; 16]);
                answer.extend(&request[24..42]);
                answer.extend((word(40) + 1).to_be_bytes());
                answer.extend(
                    "::ffff:9.9.9.9"
                        .parse::<std::net::Ipv6Addr>()
                        .unwrap()
                        .octets(),
                );
                answer
            }
            (2, Knows::Mute) => {
                heard.lock().push((2, word(40), long(4)));
                continue;
            }
            (2, Knows::NatPmp) => vec![0, 0x81, 0, 1, 0, 0, 0, 0],
            (0, Knows::NatPmp) if len == 2 => vec![0, 0x80, 0, 0, 0, 0, 0, 0, 9, 9, 9, 9],
            (0, Knows::NatPmp) => {
                heard.lock().push((0, word(4), long(8)));
                let mut answer = vec![0, 0x80 + request[1], 0, 0, 0, 0, 0, 0];
                answer.extend(&request[4..6]);
                answer.extend((word(4) + 1).to_be_bytes());
                answer.extend(if long(8) == 0 { [0; 4] } else { [0, 0, 0, 60] });
                answer
            }
            _ => continue,
        };
        socket.send_to(&answer, from).await.unwrap();
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

const PORTS: [(Transport, u16); 2] = [(Transport::Tcp, 7), (Transport::Udp, 7)];

struct Scene {
    map: PortMap,
    heard: Arc<Mutex<Vec<Heard>>>,
    gateways: Arc<Mutex<Vec<Gateway>>>,
    serving: Task<()>,
}

fn scene(knows: Knows, at: &str) -> Scene {
    asking(knows, (at, at), Asking::default())
}

/// A gateway, one that the routes name, and what asks them.
fn asking(knows: Knows, (at, routed): (&str, &str), asking: Asking) -> Scene {
    let sim = Sim::new(6);
    let host = |text: &str| sim.host(HostOptions::at(ip(text))).network();
    let (client, gateway) = (host("10.0.0.2"), host(at));
    let heard = Arc::<Mutex<Vec<Heard>>>::default();
    let socket = gateway.datagram("0.0.0.0:5351".parse().unwrap()).unwrap();
    let serving = Pool::current().spawn(serve(socket, knows, Arc::clone(&heard)));
    let known = vec![Gateway {
        at: ip(routed),
        own: ip("10.0.0.2"),
    }];
    let gateways = Arc::new(Mutex::new(known));
    let routed = Routed(Arc::clone(client.binder()), Arc::clone(&gateways));
    let network = client.with_binder(Arc::new(routed));
    Scene {
        map: PortMap::asking(network, PORTS.to_vec(), &Pool::current(), asking),
        heard,
        gateways,
        serving,
    }
}

fn given(by: By) -> Vec<Mapped> {
    let ports = PORTS.into_iter();
    let given = ports.map(|(transport, internal)| Mapped {
        transport,
        internal,
        external: internal + 1,
        ip: Some(ip("9.9.9.9")),
        by,
    });
    given.collect()
}

#[tokio::test(start_paused = true)]
async fn ports_are_asked_for_by_either_protocol_renewed_and_given_back() {
    for (knows, by, version) in [(Knows::Pcp, By::Pcp, 2), (Knows::NatPmp, By::NatPmp, 0)] {
        let scene = scene(knows, "10.0.0.1");
        sleep(Duration::from_secs(20)).await;
        assert_eq!(scene.map.ports().now(), given(by));
        assert!(!scene.map.ports().is_refused());
        let first = [(version, 7, 7200); 2];
        assert_eq!(*scene.heard.lock(), first);
        // Half of the minute that was given.
        sleep(Duration::from_secs(30)).await;
        assert_eq!(scene.heard.lock().len(), 4);
        let heard = Arc::clone(&scene.heard);
        scene.map.release(Duration::from_secs(2)).await;
        assert_eq!(heard.lock()[4..], [(version, 7, 0); 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn ports_that_were_given_for_long_are_asked_for_again_every_few_minutes() {
    let scene = scene(Knows::PcpForLong, "10.0.0.1");
    sleep(Duration::from_secs(1000)).await;
    assert_eq!(*scene.heard.lock(), [(2, 7, 7200); 8]);
    assert_eq!(scene.map.ports().now(), given(By::Pcp));
}

#[tokio::test(start_paused = true)]
async fn what_was_being_asked_for_at_the_end_is_given_back_without_waiting() {
    let scene = scene(Knows::Mute, "10.0.0.1");
    sleep(Duration::from_millis(300)).await;
    assert_eq!(*scene.heard.lock(), [(2, 7, 7200)]);
    let begin = Instant::now();
    let heard = Arc::clone(&scene.heard);
    let (map, _serving) = (scene.map, scene.serving);
    map.release(Duration::from_secs(2)).await;
    assert_eq!(begin.elapsed(), Duration::ZERO);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(heard.lock()[1..], [(2, 7, 0)]);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_knows_nothing_is_asked_again_later() {
    let scene = scene(Knows::Nothing, "10.0.0.1");
    assert!(!scene.map.ports().is_refused());
    sleep(Duration::from_secs(100)).await;
    assert!(scene.map.ports().now().is_empty() && scene.map.ports().is_refused());
    scene.map.release(Duration::from_secs(2)).await;
}

#[tokio::test(start_paused = true)]
async fn nobody_in_the_internet_is_asked() {
    let scene = scene(Knows::Pcp, "9.9.9.1");
    sleep(Duration::from_secs(1000)).await;
    assert!(scene.heard.lock().is_empty() && scene.map.ports().now().is_empty());
    assert!(scene.map.ports().is_refused());
}

#[tokio::test(start_paused = true)]
async fn what_another_gateway_gave_is_forgotten() {
    let scene = scene(Knows::Pcp, "10.0.0.1");
    sleep(Duration::from_secs(20)).await;
    assert_eq!(scene.map.ports().now().len(), 2);
    scene.gateways.lock().clear();
    sleep(Duration::from_secs(65)).await;
    assert!(scene.map.ports().now().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_router_that_is_named_is_asked_for_as_long_as_is_said_and_only_as_is_said() {
    let named = Asking {
        lease: Duration::from_secs(600),
        router: Some(ip("10.0.0.1")),
        ..Asking::default()
    };
    let heard = |scene: &Scene| scene.heard.lock().clone();
    let scene = asking(Knows::Pcp, ("10.0.0.1", "10.0.0.77"), named);
    sleep(Duration::from_secs(20)).await;
    assert_eq!(heard(&scene), [(2, 7, 600); 2]);
    let mute = Asking {
        nat_pmp: false,
        ..Asking::default()
    };
    let scene = asking(Knows::Pcp, ("10.0.0.1", "10.0.0.1"), mute);
    sleep(Duration::from_secs(1000)).await;
    assert!(heard(&scene).is_empty());
    // One of the Internet is never asked, whoever names it.
    let far = Asking {
        router: Some(ip("9.9.9.1")),
        ..Asking::default()
    };
    let scene = asking(Knows::Pcp, ("9.9.9.1", "10.0.0.1"), far);
    sleep(Duration::from_secs(1000)).await;
    assert!(heard(&scene).is_empty());
}
