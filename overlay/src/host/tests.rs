//! Communities on the simulated network, in virtual time.

use std::net::{IpAddr, Ipv4Addr};

use net::sim::{HostOptions, Sim};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::time::sleep;

use super::*;
use crate::discovery::{DISCOVERY, Discovery, Found};
use crate::endpoint::EndpointConfig;
use crate::endpoint::tests::simulate;
use crate::introducer::Settings;
use crate::key::SecretKey;
use crate::server::BootstrapServer;

const PORT: u16 = 7759;

fn ip(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, last)
}

fn config(sim: &Sim, last: u8) -> HostConfig {
    let network = sim.host(HostOptions::at(IpAddr::V4(ip(last)))).network();
    let any = (Ipv4Addr::UNSPECIFIED, PORT).into();
    let socket = network.datagram(any).unwrap();
    let endpoint = Endpoint::launch(EndpointConfig::new(socket, Pool::current()));
    HostConfig::new(endpoint, network, Pool::current())
}

fn server(sim: &Sim, last: u8) -> HostHandle<BootstrapServer> {
    let mut rng = StdRng::seed_from_u64(u64::from(last));
    let own = SocketAddrV4::new(ip(last), PORT);
    let key = SecretKey::generate(&mut rng);
    let machine = BootstrapServer::new(key, own, now(), &mut rng);
    Host::launch(machine, config(sim, last), |()| {})
}

fn member(
    sim: &Sim,
    last: u8,
    bootstrap: Bootstrap,
    listener: impl FnMut(Found) + Send + 'static,
) -> HostHandle<Discovery> {
    let mut rng = StdRng::seed_from_u64(u64::from(last));
    let mut settings = Settings::new(SecretKey::generate(&mut rng), DISCOVERY);
    settings.lan = SocketAddrV4::new(ip(last), PORT);
    let machine = Discovery::new(&settings, now(), &mut rng);
    let mut config = config(sim, last);
    config.bootstrap = bootstrap;
    Host::launch(machine, config, listener)
}

async fn peers(member: &HostHandle<Discovery>) -> usize {
    let count = member.with(|discovery, _| discovery.introducer().peer_count());
    count.await.unwrap()
}

#[test]
fn members_find_each_other_through_a_server_that_they_know_by_name_or_address() {
    simulate(async {
        let sim = Sim::new(1);
        sim.name("tracker.example", vec![IpAddr::V4(ip(1))]);
        let server = server(&sim, 1);
        let by_name = Bootstrap {
            addrs: Vec::new(),
            hosts: vec![("tracker.example".to_owned(), PORT)],
        };
        let by_addr = Bootstrap::only(vec![SocketAddrV4::new(ip(1), PORT)]);
        let (heard, mut told) = mpsc::channel(64);
        let members: Vec<_> = (2..12)
            .map(|last| {
                let bootstrap = [&by_name, &by_addr][usize::from(last % 2)].clone();
                let heard = heard.clone();
                member(&sim, last, bootstrap, move |event| {
                    let _ = heard.try_send(event);
                })
            })
            .collect();
        sleep(Duration::from_secs(90)).await;
        for member in &members {
            assert_eq!(peers(member).await, 9);
        }
        assert!(matches!(told.recv().await, Some(Found::Services(_))));
        let status = server.with(|server, _| server.status()).await.unwrap();
        assert_eq!((status.communities, status.refused), (1, 0));
        assert!(status.introduced > 0);
    });
}

#[test]
fn a_community_ends_with_its_last_door() {
    simulate(async {
        let sim = Sim::new(2);
        let lone = member(&sim, 1, Bootstrap::none(), |_| {});
        let clone = lone.clone();
        drop(lone);
        assert_eq!(peers(&clone).await, 0);
        let weak = clone.orders.downgrade();
        drop(clone);
        sleep(Duration::from_secs(2)).await;
        assert!(weak.upgrade().is_none());
    });
}
