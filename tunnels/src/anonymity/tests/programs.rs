//! Other programs behind the SOCKS5 server.

use std::future::poll_fn;

use net::Proxy;
use net::socks::{SocksOptions, SocksServer};

use super::http::{get, web_server};
use super::*;

/// Where programs find the server.
const DOOR: u16 = 1080;

/// A server for circuits of so many hops on the host of a citizen.
fn door(citizen: &Citizen, hops: u8) -> SocksServer {
    let at = SocketAddr::new(citizen.host.ip(), DOOR);
    let mut options = SocksOptions::at(at);
    // The addresses of the simulation are no loopback's.
    options.beyond_loopback = true;
    let outside = citizen.anonymity.network_of_programs(hops);
    let inside = citizen.host.network();
    SocksServer::launch(inside, outside, options, &Pool::current()).unwrap()
}

/// The way of a program on a host of its own through that server.
fn program(town: &Town, citizen: &Citizen, last: u8) -> (Network, SimHost) {
    let host = host(&town.sim, Ipv4Addr::new(19, 7, 0, last));
    let proxy = format!("socks5://{}:{DOOR}", citizen.host.ip());
    let network = host.network().through(&proxy.parse::<Proxy>().unwrap());
    (network, host)
}

#[test]
fn programs_at_one_door_get_their_own_answers_and_nothing_of_strangers() {
    simulate(async {
        let mut town = Town::new(33);
        let _citizens = town.citizens(2, 3);
        let (target, _echo) = town.echo();
        town.sim.name("echo.example", vec![target.ip()]);
        let ours = town.citizen(Roles::default(), |_| {});
        let _door = door(&ours, 1);
        sleep(Duration::from_secs(40)).await;
        assert!(ours.anonymity.circuits().is_empty(), "nobody uses it");
        let programs = [1, 2].map(|last| program(&town, &ours, last));
        let sockets = programs.each_ref().map(|(network, _)| {
            let socket = network.datagram((Ipv4Addr::UNSPECIFIED, 0).into());
            socket.unwrap()
        });
        for socket in &sockets {
            until_echoed(&**socket, target).await;
        }
        let mut mixed = [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]];
        for round in 0..20 {
            for (who, socket) in sockets.iter().enumerate() {
                let mut data = utp(100 + who);
                data[50] = round;
                if round % 2 == 0 {
                    socket.try_send_to(&data, target).unwrap();
                } else {
                    let name = ("echo.example", target.port());
                    poll_fn(|cx| socket.poll_send_to_name(cx, &data, name))
                        .await
                        .unwrap();
                }
                mixed[who][0].push(data);
            }
        }
        for (who, socket) in sockets.iter().enumerate() {
            while let Ok((data, from)) = timeout(Duration::from_secs(2), receive(&**socket)).await {
                assert_eq!(from, target);
                mixed[who][1].push(data);
            }
        }
        for [sent, mut got] in mixed {
            got.sort();
            let mut sent = sent;
            sent.sort();
            assert!(got == sent, "not its own answers, all of them, once");
        }
        // Somebody who knows where the exits of both are, but was never written to.
        let stranger = host(&town.sim, Ipv4Addr::new(93, 184, 216, 99));
        let known = stranger
            .network()
            .datagram((Ipv4Addr::UNSPECIFIED, 6881).into());
        let known = known.unwrap();
        let at = SocketAddr::new(stranger.ip(), 6881);
        let mut exits = Vec::new();
        for socket in &sockets {
            socket.try_send_to(&utp(40), at).unwrap();
            exits.push(receive(&*known).await.1);
        }
        assert_ne!(exits[0], exits[1], "each by a circuit of its own");
        let other = stranger
            .network()
            .datagram((Ipv4Addr::UNSPECIFIED, 6882).into());
        let other = other.unwrap();
        for exit in exits {
            other.try_send_to(&utp(60), exit).unwrap();
        }
        for socket in &sockets {
            let heard = timeout(Duration::from_secs(2), receive(&**socket)).await;
            assert!(heard.is_err(), "{heard:?}");
        }
    });
}

#[test]
fn programs_are_told_at_once_by_http_why_a_request_has_no_answer_and_none_is_sent_twice() {
    simulate(async {
        let mut town = Town::new(32);
        let rules = "deny http any 8080".parse().unwrap();
        let exit = town.citizen(
            Roles::exit(ExitPolicy {
                rules: Some(Arc::new(rules)),
                ..ExitPolicy::default()
            }),
            |_| {},
        );
        let (at, _server, mut heard) = web_server(&town, "<html>secret</html>");
        town.sim
            .name("home.example", vec![IpAddr::V4([10, 0, 0, 1].into())]);
        let ours = town.citizen(Roles::default(), |_| {});
        let network = ours.anonymity.network_of_programs(1);
        sleep(Duration::from_secs(40)).await;
        assert!(ours.anonymity.circuits().is_empty(), "nobody uses it");
        let exit_at = exit.host.ip();
        for (url, status, asked) in [
            (format!("http://{at}/f.txt"), 502, 1),
            (format!("http://{}:7/f.txt", at.ip()), 502, 0),
            ("http://nobody.example/".to_owned(), 502, 0),
            ("http://home.example/".to_owned(), 403, 0),
            (format!("http://{}:8080/", at.ip()), 403, 0),
            ("http://127.0.0.1/".to_owned(), 403, 0),
            (format!("http://{}:25/", at.ip()), 403, 0),
            (format!("http://{exit_at}/"), 403, 0),
        ] {
            let begun = now();
            let reply = get(&network, &url).await.unwrap();
            let took = now() - begun;
            let said = String::from_utf8_lossy(&reply.body).into_owned();
            assert_eq!(reply.status, status, "{url}: {said}");
            assert!(took < Duration::from_secs(4), "{url}: {took:?}");
            let times = std::iter::from_fn(|| heard.try_recv().ok()).count();
            assert_eq!(times, asked, "{url}");
        }
        let modern = &exit.anonymity.counters().nodes[0].counters;
        assert_eq!(modern.of(Refusal::Policy), 1);
        assert_eq!(modern.of(Refusal::Target), 4);
        assert!(!ours.anonymity.circuits().is_empty());
        sleep(Duration::from_secs(70)).await;
        assert!(ours.anonymity.circuits().is_empty(), "nobody uses it");
    });
}
