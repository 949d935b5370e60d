use protocol::port_mapping::upnp::{MOST_TRIES, Service};

use super::igd::{Igd, Ways, page};
use super::*;

const GATEWAY: &str = "10.0.0.1";
const OTHER: &str = "10.0.0.3";

/// Ours is at 10.0.0.2; the gateway does not know PCP or NAT-PMP.
struct Played {
    map: PortMap,
    igd: Igd,
    /// Who has come to 10.0.0.3, at any port that is tried here.
    visits: Arc<Mutex<Vec<SocketAddr>>>,
    host: crate::sim::Host,
    gateways: Arc<Mutex<Vec<Gateway>>>,
    tasks: Vec<Task<()>>,
}

fn play(ways: Ways) -> Played {
    let sim = Sim::new(8);
    let host = |text: &str| sim.host(HostOptions::at(ip(text)));
    let (client, gateway, other) = (host("10.0.0.2"), host(GATEWAY), host(OTHER));
    let igd = Igd::new(gateway.network(), ip(GATEWAY), ways);
    let mut tasks = vec![igd.answer_searches(), igd.answer_requests()];
    let visits = Arc::<Mutex<Vec<SocketAddr>>>::default();
    for at in ["10.0.0.3:80", "10.0.0.3:5000"] {
        let mut listener = other.network().listen(at.parse().unwrap()).unwrap();
        let visits = Arc::clone(&visits);
        tasks.push(Pool::current().spawn(async move {
            while let Ok((_, from)) = listener.accept().await {
                visits.lock().push(from);
            }
        }));
    }
    let known = vec![Gateway {
        at: ip(GATEWAY),
        own: ip("10.0.0.2"),
    }];
    let gateways = Arc::new(Mutex::new(known));
    let network = client.network();
    let routed = Routed(Arc::clone(network.binder()), Arc::clone(&gateways));
    let network = network.with_binder(Arc::new(routed));
    Played {
        map: PortMap::start(network, PORTS.to_vec(), &Pool::current()),
        igd,
        visits,
        host: other,
        gateways,
        tasks,
    }
}

/// What is told of a port that the gateway forwards from this one.
fn mapped(transport: Transport, external: u16) -> Mapped {
    Mapped {
        transport,
        internal: 7,
        external,
        ip: Some(ip("9.9.9.9")),
        by: By::Upnp,
    }
}

fn both(external: u16) -> Vec<Mapped> {
    vec![
        mapped(Transport::Tcp, external),
        mapped(Transport::Udp, external),
    ]
}

fn forwarded(external: u16) -> Vec<(String, u16, String)> {
    let row = |transport: &str| (transport.to_owned(), external, "10.0.0.2:7".to_owned());
    vec![row("TCP"), row("UDP")]
}

/// Long enough for the other protocols to be found unknown, and for a search.
async fn settle() {
    sleep(Duration::from_secs(20)).await;
}

#[tokio::test(start_paused = true)]
async fn ports_are_asked_for_by_upnp_where_nothing_else_is_known_renewed_and_given_back() {
    let played = play(Ways::default());
    settle().await;
    assert_eq!(played.map.ports().now(), both(7));
    assert_eq!(played.igd.forwards(), forwarded(7));
    let first = [
        "search",
        "description",
        "GetExternalIPAddress",
        "AddPortMapping TCP 7 3600",
        "GetSpecificPortMappingEntry TCP 7",
        "AddPortMapping UDP 7 3600",
        "GetSpecificPortMappingEntry UDP 7",
    ];
    assert_eq!(played.igd.heard(), first);
    // Looked after, and asked for again after half of the time.
    sleep(Duration::from_secs(1700)).await;
    let heard = played.igd.heard();
    assert_eq!(heard.len(), 15, "{heard:?}");
    assert!(heard.iter().all(|line| line.starts_with("Get")));
    sleep(Duration::from_secs(100)).await;
    let heard = played.igd.heard();
    assert_eq!(
        heard.iter().filter(|line| line.starts_with("Add")).count(),
        2,
        "{heard:?}"
    );
    played.map.release(Duration::from_secs(2)).await;
    let mut last = played.igd.heard();
    last.sort();
    assert_eq!(last, ["DeletePortMapping TCP 7", "DeletePortMapping UDP 7"]);
    assert_eq!(played.igd.forwards(), []);
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_service_gives_ports_and_the_second_version_another_where_one_is_taken() {
    for (service, external) in [(Service::Ppp1, 7), (Service::Ip2, 8)] {
        let played = play(Ways {
            service,
            ..Ways::default()
        });
        for transport in ["TCP", "UDP"] {
            if service == Service::Ip2 {
                let taken = (format!("{OTHER}:7"), 0);
                let mut table = played.igd.table.lock();
                table.insert((transport.to_owned(), 7), taken);
            }
        }
        settle().await;
        assert_eq!(played.map.ports().now(), both(external));
        // Renewed under the number that was given.
        sleep(Duration::from_secs(1800)).await;
        let heard = played.igd.heard();
        let renewed = format!("AddPortMapping UDP {external} 3600");
        assert_eq!(heard.iter().filter(|line| **line == renewed).count(), {
            if service == Service::Ip2 { 1 } else { 2 }
        });
        played.map.release(Duration::from_secs(2)).await;
        let left = played.igd.forwards();
        assert!(
            left.iter()
                .all(|(_, port, to)| (*port, &to[..]) == (7, "10.0.0.3:7"))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_port_that_another_has_is_asked_for_under_another_number() {
    let played = play(Ways::default());
    let taken = (format!("{OTHER}:7"), 0);
    let key = ("TCP".to_owned(), 7);
    played.igd.table.lock().insert(key.clone(), taken.clone());
    settle().await;
    // Both under the same, though only one was taken.
    let now = played.map.ports().now();
    assert!(now[0].external >= 49_152, "{now:?}");
    assert_eq!(now, both(now[0].external));
    played.map.release(Duration::from_secs(2)).await;
    // What is another's stays.
    assert_eq!(*played.igd.table.lock(), [(key, taken)].into());
}

#[tokio::test(start_paused = true)]
async fn who_gives_for_ever_only_is_not_asked_again_but_gets_it_back() {
    let played = play(Ways {
        lease: 0,
        ..Ways::default()
    });
    sleep(Duration::from_secs(10_000)).await;
    assert_eq!(played.map.ports().now(), both(7));
    let heard = played.igd.heard();
    let added = heard.iter().filter(|line| line.starts_with("Add"));
    assert_eq!(
        added.collect::<Vec<_>>(),
        [
            "AddPortMapping TCP 7 3600",
            "AddPortMapping TCP 7 0",
            "AddPortMapping UDP 7 3600",
            "AddPortMapping UDP 7 0"
        ]
    );
    played.map.release(Duration::from_secs(2)).await;
    assert_eq!(played.igd.forwards(), []);
}

#[tokio::test(start_paused = true)]
async fn what_a_gateway_forgets_is_asked_for_again_wherever_it_is_asked_then() {
    let mut played = play(Ways::default());
    settle().await;
    assert_eq!(played.map.ports().now(), both(7));
    // It forgets, as when its rules are loaded anew, and has got another address.
    played.igd.table.lock().clear();
    played.igd.ways.lock().external_ip = "8.8.8.8";
    sleep(Duration::from_secs(310)).await;
    assert_eq!(played.igd.forwards(), forwarded(7));
    let now = played.map.ports().now();
    assert!(
        now.iter().all(|port| port.ip == Some(ip("8.8.8.8"))),
        "{now:?}"
    );
    // It starts again, and listens at another port.
    drop(played.tasks.remove(1));
    played.igd.table.lock().clear();
    played.igd.ways.lock().port = 5001;
    let serving = played.igd.answer_requests();
    sleep(Duration::from_secs(400)).await;
    assert_eq!(played.igd.forwards(), forwarded(7));
    assert_eq!(played.map.ports().now().len(), 2);
    // It is out of order for a while.
    drop(serving);
    played.igd.ways.lock().location = Some("nowhere".to_owned());
    sleep(Duration::from_secs(400)).await;
    assert!(played.map.ports().now().is_empty());
    played.igd.ways.lock().location = None;
    let _serving = played.igd.answer_requests();
    sleep(Duration::from_secs(620)).await;
    assert_eq!(played.map.ports().now().len(), 2);
    // Ours is in another network.
    played.gateways.lock().clear();
    sleep(Duration::from_secs(65)).await;
    assert!(played.map.ports().now().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_gives_by_another_way_is_not_asked_by_upnp() {
    for (knows, by) in [(Knows::Pcp, By::Pcp), (Knows::NatPmp, By::NatPmp)] {
        let played = play(Ways::default());
        let _serving = played.igd.serve_datagrams(knows);
        sleep(Duration::from_secs(1000)).await;
        assert_eq!(played.map.ports().now(), given(by));
        assert_eq!(played.igd.heard(), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn hostile_gateways_give_nothing_and_lead_nowhere() {
    let with = |change: fn(&mut Ways)| {
        let mut ways = Ways::default();
        change(&mut ways);
        ways
    };
    let filler = |len: usize| page(200, &format!("<root>{}</root>", "x".repeat(len)));
    let bomb = "<!DOCTYPE l [<!ENTITY a \"lol\"><!ENTITY b \"&a;&a;&a;&a;\">]><root>&b;</root>";
    let cases = [
        with(|ways| ways.location = Some("http://10.0.0.3:5000/desc.xml".to_owned())),
        with(|ways| ways.location = Some("http://9.9.9.9/desc.xml".to_owned())),
        with(|ways| ways.location = Some("http://127.0.0.1:5000/desc.xml".to_owned())),
        with(|ways| ways.location = Some("http://gateway.example/desc.xml".to_owned())),
        with(|ways| ways.location = Some("https://10.0.0.1:5000/desc.xml".to_owned())),
        with(|ways| ways.control = "http://10.0.0.3:5000/ctl".to_owned()),
        with(|ways| ways.control = "//10.0.0.3/ctl".to_owned()),
        with(|ways| ways.control = "http://9.9.9.9/ctl".to_owned()),
        with(|ways| ways.control = "http://127.0.0.1:631/".to_owned()),
        with(|ways| {
            ways.description =
                Some(b"HTTP/1.1 302 Found\r\nLocation: http://10.0.0.3/\r\n\r\n".to_vec());
        }),
        with(|ways| ways.description = Some(b"HTTP/1.1 200 OK\r\n\r\n<root><a>".to_vec())),
        with(|ways| ways.description = Some(b"\0\0\0 what?".to_vec())),
        with(|ways| ways.description = Some(page(404, "<root/>"))),
        with(|ways| ways.description = Some(page(200, &"<a>".repeat(1000)))),
        with(|ways| {
            ways.reply = Some(b"HTTP/1.1 307 Moved\r\nLocation: http://10.0.0.3/\r\n\r\n".to_vec());
        }),
        with(|ways| ways.reply = Some(page(500, ""))),
        with(|ways| ways.reply = Some(page(200, "<html><body>Please log in</body></html>"))),
        with(|ways| ways.slow = Some(("GetExternalIPAddress", Duration::from_secs(3600)))),
        with(|ways| ways.slow = Some(("AddPortMapping", Duration::from_secs(3600)))),
        with(|ways| ways.refuses = vec![("AddPortMapping", 606); 1000]),
        with(|ways| ways.refuses = vec![("AddPortMapping", 718); 1000]),
        with(|ways| ways.lies = Some("10.0.0.3:7")),
        Ways {
            description: Some(filler(200_000)),
            ..Ways::default()
        },
        Ways {
            description: Some(page(200, bomb)),
            ..Ways::default()
        },
        Ways {
            reply: Some(filler(100_000)),
            ..Ways::default()
        },
    ];
    for (case, ways) in cases.into_iter().enumerate() {
        let played = play(ways);
        sleep(Duration::from_secs(40)).await;
        assert!(played.map.ports().now().is_empty(), "case {case}");
        let heard = played.igd.heard().len();
        // At most 3 requests to find it, and two for each try of each port.
        assert!(
            heard <= 3 + 4 * usize::from(MOST_TRIES),
            "case {case}: {heard}"
        );
        assert!(played.visits.lock().is_empty(), "case {case}");
        // It comes to its senses, and is asked again before long.
        *played.igd.ways.lock() = Ways::default();
        played.igd.table.lock().clear();
        sleep(Duration::from_secs(100)).await;
        assert_eq!(played.map.ports().now(), both(7), "case {case}");
        played.map.release(Duration::from_secs(2)).await;
        assert_eq!(played.igd.forwards(), [], "case {case}");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_but_the_gateway_is_listened_to() {
    let played = play(Ways {
        location: Some("nowhere".to_owned()),
        ..Ways::default()
    });
    // Another host of the network says that it is one; and that the description is at the gateway.
    let ways = Ways {
        location: Some("http://10.0.0.1:5000/desc.xml".to_owned()),
        ..Ways::default()
    };
    let false_one = Igd::new(played.host.network(), ip(OTHER), ways);
    let _answering = false_one.answer_searches();
    sleep(Duration::from_secs(200)).await;
    assert!(played.map.ports().now().is_empty() && played.visits.lock().is_empty());
    assert!(false_one.heard().contains(&"search".to_owned()));
    assert!(!played.igd.heard().contains(&"description".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn behind_a_proxy_nobody_is_asked() {
    let sim = Sim::new(9);
    let client = sim.host(HostOptions::at(ip("10.0.0.2"))).network();
    let gateway = sim.host(HostOptions::at(ip(GATEWAY))).network();
    let igd = Igd::new(gateway, ip(GATEWAY), Ways::default());
    let _tasks = [igd.answer_searches(), igd.answer_requests()];
    let known = vec![Gateway {
        at: ip(GATEWAY),
        own: ip("10.0.0.2"),
    }];
    let routed = Routed(Arc::clone(client.binder()), Arc::new(Mutex::new(known)));
    let direct = client.with_binder(Arc::new(routed));
    assert_eq!(direct.gateways().unwrap().len(), 1);
    let network = direct.through(&"socks5://10.0.0.9:1080".parse().unwrap());
    let map = PortMap::start(network, PORTS.to_vec(), &Pool::current());
    sleep(Duration::from_secs(1000)).await;
    assert!(map.ports().now().is_empty());
    assert_eq!(igd.heard(), Vec::<String>::new());
    assert_eq!(sim.trace().count, 0);
}

#[tokio::test(start_paused = true)]
async fn a_lease_of_a_second_is_not_chased() {
    let played = play(Ways {
        lease: 1,
        ..Ways::default()
    });
    sleep(Duration::from_secs(620)).await;
    let heard = played.igd.heard();
    let added = heard
        .iter()
        .filter(|line| line.starts_with("Add TCP"))
        .count();
    assert!(added <= 21, "{added}");
    assert_eq!(played.map.ports().now(), both(7));
}

#[tokio::test(start_paused = true)]
async fn what_was_being_asked_for_at_the_end_is_given_back_and_what_is_anothers_is_not() {
    for taken in [false, true] {
        let played = play(Ways {
            slow: Some(("AddPortMapping", Duration::from_secs(5))),
            ..Ways::default()
        });
        let others = (("TCP".to_owned(), 7), (format!("{OTHER}:7"), 0));
        if taken {
            played.igd.table.lock().extend([others.clone()]);
        }
        while !played
            .igd
            .heard()
            .contains(&"AddPortMapping, slowly".to_owned())
        {
            sleep(Duration::from_millis(100)).await;
        }
        // The gateway does it just now, but does not get to say so.
        if !taken {
            let own = (("TCP".to_owned(), 7), ("10.0.0.2:7".to_owned(), 3600));
            played.igd.table.lock().extend([own]);
        }
        played.igd.ways.lock().slow = None;
        played.map.release(Duration::from_secs(2)).await;
        let left = if taken { vec![others] } else { Vec::new() };
        assert_eq!(*played.igd.table.lock(), left.into_iter().collect());
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_does_not_wait_for_a_gateway_that_does_not() {
    let played = play(Ways::default());
    settle().await;
    played.igd.ways.lock().slow = Some(("DeletePortMapping", Duration::from_secs(3600)));
    let begin = Instant::now();
    played.map.release(Duration::from_millis(500)).await;
    assert_eq!(begin.elapsed(), Duration::from_millis(500));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_by_upnp_where_that_is_not_to_be_and_else_for_no_longer_than_is_said() {
    for (upnp, lease) in [(false, 600), (true, 600)] {
        let sim = Sim::new(10);
        let client = sim.host(HostOptions::at(ip("10.0.0.2"))).network();
        let gateway = sim.host(HostOptions::at(ip(GATEWAY))).network();
        let igd = Igd::new(gateway, ip(GATEWAY), Ways::default());
        let _tasks = [igd.answer_searches(), igd.answer_requests()];
        let known = vec![Gateway {
            at: ip(GATEWAY),
            own: ip("10.0.0.2"),
        }];
        let routed = Routed(Arc::clone(client.binder()), Arc::new(Mutex::new(known)));
        let direct = client.with_binder(Arc::new(routed));
        let asking = Asking {
            upnp,
            lease: Duration::from_secs(lease),
            ..Asking::default()
        };
        let map = PortMap::asking(direct, PORTS.to_vec(), &Pool::current(), asking);
        sleep(Duration::from_secs(60)).await;
        assert_eq!(map.ports().now().is_empty(), !upnp);
        assert_eq!(igd.heard().is_empty(), !upnp, "{:?}", igd.heard());
    }
}
