//! Requests to HTTP trackers, which exits send.

use std::future::poll_fn;

use super::*;

/// A server that answers each request with a body and notes the requests.
pub(super) fn web_server(
    town: &Town,
    body: &'static str,
) -> (SocketAddr, Task<()>, mpsc::Receiver<String>) {
    let ip = Ipv4Addr::new(93, 184, 216, 40);
    let host = host(&town.sim, ip);
    let at = SocketAddr::from((ip, 6969));
    let listener = host.network().listen((Ipv4Addr::UNSPECIFIED, 6969).into());
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
