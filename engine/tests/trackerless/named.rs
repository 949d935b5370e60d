//! Nodes of the DHT that a link names, where names are looked up at the far end.

use std::io;
use std::task::{Context, Poll};

use net::{BoxFuture, BoxStream, DatagramSocket, Dialer, Network, resolve::LiteralsOnly};
use tokio::io::ReadBuf;

use super::*;

/// The name of the only node there is.
const NAME: &str = "node.test";

/// Dials as another dialer does, and says that names are looked up at the far end.
struct FarNames(Arc<dyn Dialer>);

impl Dialer for FarNames {
    fn dial(&self, to: SocketAddr) -> BoxFuture<'_, io::Result<BoxStream>> {
        self.0.dial(to)
    }

    fn takes_names(&self) -> bool {
        true
    }
}

/// Sends what is for the name to the node.
struct FarSocket {
    inner: Arc<dyn DatagramSocket>,
    node: SocketAddr,
}

impl DatagramSocket for FarSocket {
    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        self.inner.poll_recv_from(cx, buf)
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        datagram: &[u8],
        to: SocketAddr,
    ) -> Poll<io::Result<()>> {
        self.inner.poll_send_to(cx, datagram, to)
    }

    fn try_send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        self.inner.try_send_to(datagram, to)
    }

    fn poll_send_to_name(
        &self,
        cx: &mut Context<'_>,
        datagram: &[u8],
        (host, port): (&str, u16),
    ) -> Poll<io::Result<()>> {
        assert_eq!((host, port), (NAME, PORT));
        self.inner.poll_send_to(cx, datagram, self.node)
    }

    fn local_addr(&self) -> SocketAddr {
        self.inner.local_addr()
    }
}

/// A host whose names are looked up at the far end, and a node of the DHT there that knows nobody.
fn far_named(sim: &Sim, node: SocketAddr) -> (Host, Network, DhtHandle) {
    let host = sim.host(HostOptions::at(ip(far(502))));
    let plain = host.network();
    let at = SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT));
    let inner = plain.datagram(at).expect("a socket");
    let socket = Arc::new(FarSocket { inner, node });
    let far_names = Arc::new(FarNames(Arc::clone(plain.dialer())));
    let network = plain
        .with_dialer(far_names)
        .with_resolver(Arc::new(LiteralsOnly));
    let mut dht = DhtConfig::new(Some(socket), None, network.clone(), Pool::current());
    dht.seed = Some(502);
    (host, network, DhtNode::launch(dht))
}

#[test]
fn a_node_that_is_added_by_its_name_leads_to_others() {
    simulate(async {
        let sim = Sim::new(45);
        let (_nodes, bootstrap) = network(&sim, 20);
        tokio::time::sleep(Duration::from_secs(30)).await;
        let (_host, _network, node) = far_named(&sim, bootstrap[0]);
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert!(node.contacts().await.expect("it runs").is_empty());
        let added = node.add_named_node(NAME.to_owned(), PORT).await;
        added.expect("it runs");
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(node.contacts().await.expect("it runs").len() > 5);
        sim
    });
}

#[test]
fn a_node_that_a_link_names_is_found_where_names_are_looked_up_at_the_far_end() {
    simulate(async {
        let sim = Sim::new(44);
        let (_nodes, bootstrap) = network(&sim, 20);
        tokio::time::sleep(Duration::from_secs(30)).await;
        let payload = Payload::new(44, 300_000, PIECE);
        let seeder = Node::start(&sim, 501, &bootstrap);
        seeder.seed(&payload).await;
        tokio::time::sleep(Duration::from_secs(30)).await;

        let (host, network, handle) = far_named(&sim, bootstrap[0]);
        let mut config = config(&host, 502);
        config.network = network;
        config.dht = Some(DhtDoor {
            handle,
            port: Some(PORT),
        });
        let leecher = sim::Node::start(host, config);
        let mut magnet = Magnet::new(payload.metainfo().hashes());
        magnet.nodes = vec![(NAME.to_owned(), PORT)];
        let id = leecher.add(Source::Magnet(Box::new(magnet))).await;
        assert!(leecher.finishes(id, Duration::from_secs(120)).await);
        sim
    });
}
