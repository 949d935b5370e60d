//! Requests to HTTP trackers, which exits send.

use std::future::poll_fn;

use net::Subnet;

use super::*;

/// A server that answers each request with a body and notes the requests.
pub(super) fn web_server(
    town: &Town,
    body: &'static str,
) -> (SocketAddr, Task<()>, mpsc::Receiver<String>) {
    web_server_at(town, Ipv4Addr::new(93, 184, 216, 40).into(), body)
}

fn web_server_at(
    town: &Town,
    ip: IpAddr,
    body: &'static str,
) -> (SocketAddr, Task<()>, mpsc::Receiver<String>) {
    let host = town.sim.host(HostOptions::at(ip));
    host.set_link(Link::with_latency(Duration::from_millis(20)));
    let at = SocketAddr::from((ip, 6969));
    let listener = host.network().listen(at);
    let mut listener = listener.unwrap();
    let (told, heard) = mpsc::channel(64);
    let task = Pool::current().spawn(async move {
        let _host = host;
        while let Ok((mut stream, _)) = poll_fn(|cx| listener.poll_accept(cx)).await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read_exact(&mut byte).await.is_err() {
                    break;
                }
                request.extend(byte);
            }
            let _ = told.try_send(String::from_utf8(request).unwrap());
            let reply = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(reply.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (at, task, heard)
}

pub(super) async fn get(
    network: &Network,
    url: &str,
) -> Result<net::http::Response, net::http::Error> {
    let agent = net::http::HeaderValue::from_static("ours/1");
    let client = net::http::Client::new(network.clone(), agent);
    let mut request = net::http::Request::new(net::http::Url::parse(url).unwrap());
    request.headers.insert("x-mine", "1".parse().unwrap());
    client.get(&request).await
}

#[test]
fn http_trackers_are_asked_by_exits_that_look_up_their_names() {
    simulate(async {
        let mut town = Town::new(30);
        let citizens = town.citizens(8, 3);
        let long: &'static str =
            Box::leak(format!("d5:peers{}:{}e", 5000, "x".repeat(5000)).into_boxed_str());
        let (at, _server, mut heard) = web_server(&town, long);
        town.sim.name("tracker.example", vec![at.ip()]);
        let ours = town.citizen(Roles::default(), |_| {});
        let network = ours.anonymity.network(2);
        sleep(Duration::from_secs(40)).await;
        let url = "http://tracker.example:6969/announce?info_hash=%aa&left=0";
        let reply = get(&network, url).await.unwrap();
        assert_eq!(reply.body, long);
        let request = heard.recv().await.unwrap();
        assert!(request.starts_with("GET /announce?info_hash=%aa&left=0 HTTP/1.1\r\n"));
        assert!(request.to_lowercase().contains("user-agent: ours/1"));
        assert!(!request.to_lowercase().contains("x-mine"), "{request}");
        let reply = get(&network, &format!("http://{at}/scrape")).await.unwrap();
        assert_eq!(reply.body, long);
        drop(citizens);
    });
}

#[test]
fn exits_pass_on_only_what_trackers_answer_and_ask_nobody_at_home() {
    simulate(async {
        let mut town = Town::new(31);
        let _citizens = town.citizens(5, 2);
        let (at, _server, mut heard) = web_server(&town, "<html>secret</html>");
        let at_home = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), [10, 0, 0, 1].into()];
        town.sim.name("home.example", at_home);
        let ours = town.citizen(Roles::default(), |_| {});
        let network = ours.anonymity.network(1);
        sleep(Duration::from_secs(40)).await;
        let begun = now();
        let page = get(&network, &format!("http://{at}/announce")).await;
        assert!(page.is_err() && now() - begun < Duration::from_secs(1));
        assert!(heard.try_recv().is_ok(), "it was asked");
        let home = get(&network, "http://home.example:6969/announce").await;
        assert!(home.is_err());
        assert!(heard.try_recv().is_err(), "it was asked again");
        let begun = now();
        let tls = get(&network, "https://tracker.example/announce").await;
        assert!(
            tls.is_err() && now() - begun < Duration::from_secs(1),
            "{tls:?}"
        );
    });
}

#[test]
fn an_exit_whose_policy_denies_http_offers_none() {
    let roles = |rules: &str| {
        let policy = ExitPolicy {
            rules: Some(Arc::new(rules.parse().unwrap())),
            ..ExitPolicy::default()
        };
        Roles::exit(policy).flags(Dialect::Modern)
    };
    assert!(roles("deny any 80").contain(Flags::EXIT_HTTP));
    assert!(!roles("deny http").contain(Flags::EXIT_HTTP));
    assert!(roles("deny http").contain(Flags::EXIT));
}

#[test]
fn exits_ask_nobody_in_the_networks_that_they_are_in_as_these_come_and_go() {
    simulate(async {
        let mut town = Town::new(34);
        let (near, far) = ("2a00:1:0:1::40", "2a00:2::40");
        let mut options = HostOptions::at(Ipv4Addr::new(40, 7, 0, 1).into());
        options.ips.push("2a00:1:0:1::1".parse().unwrap());
        let at_home = town.sim.host(options);
        let within = |ip: &str, prefix| Subnet::around(ip.parse().unwrap(), prefix);
        let interfaces = [within(near, 64), within("93.184.216.1", 24)];
        at_home.set_networks(interfaces.to_vec());
        let _exit = town.citizen(Roles::exit(ExitPolicy::default()), |config| {
            config.network = at_home.network();
        });
        let _servers = [near, far, "93.184.216.50"]
            .map(|ip| web_server_at(&town, ip.parse().unwrap(), "d5:peers0:e"));
        town.sim.name("near.example", vec![near.parse().unwrap()]);
        let ours = town.citizen(Roles::default(), |_| {});
        let network = ours.anonymity.network_of_programs(1);
        sleep(Duration::from_secs(40)).await;
        let told = async |host: &str| {
            sleep(Duration::from_secs(1)).await;
            let reply = get(&network, &format!("http://{host}:6969/announce")).await;
            reply.unwrap().status
        };
        assert_eq!(told(&format!("[{near}]")).await, 403);
        assert_eq!(told("near.example").await, 403);
        assert_eq!(
            told("[2a00:1::ffff]").await,
            403,
            "another network of the site"
        );
        assert_eq!(told("93.184.216.50").await, 403);
        assert_eq!(told(&format!("[{far}]")).await, 200);
        at_home.set_networks(vec![within(far, 128)]);
        sleep(Duration::from_secs(31)).await;
        assert_eq!(told("near.example").await, 200);
        assert_eq!(told("93.184.216.50").await, 200);
        assert_eq!(told(&format!("[{far}]")).await, 403);
    });
}

#[test]
fn many_requests_that_wait_for_a_circuit_have_one_built_together() {
    simulate(async {
        let mut town = Town::new(35);
        let exit = town.citizen(Roles::exit(ExitPolicy::default()), |_| {});
        let (at, _server, _heard) = web_server(&town, "d5:peers0:e");
        let ours = town.citizen(Roles::default(), |_| {});
        let network = ours.anonymity.network_of_programs(1);
        sleep(Duration::from_secs(40)).await;
        let asked = (0..40).map(|_| {
            let network = network.clone();
            Pool::current().spawn(async move { get(&network, &format!("http://{at}/")).await })
        });
        let asked: Vec<_> = asked.collect();
        let mut answers = 0;
        for answer in asked {
            answers += usize::from(answer.await.unwrap().unwrap().status == 200);
        }
        let joined = exit.anonymity.counters().nodes[0].counters.joined;
        println!("{answers} answers by {joined} circuits");
        // Those that are kept ready, and one for each try of a request.
        assert!(joined <= 4 + 3, "{joined}");
        assert!(answers >= 10, "{answers}");
    });
}
