use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::filter::{Filter, IpFilter};
use crate::http::{Client, Error, Guard, HeaderValue, Request, Response, Url};
use crate::sim::{Host, HostOptions, Sim};
use crate::{BoxStream, Pool, Task};

/// A server that answers many requests on a connection, and closes a connection that asks for `/bye` silently.
struct Server {
    connections: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    _accepting: Task<()>,
}

impl Server {
    fn start(host: &Host) -> Self {
        let (connections, open) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let mut listener = host
            .network()
            .listen("0.0.0.0:80".parse().unwrap())
            .unwrap();
        let counts = (Arc::clone(&connections), Arc::clone(&open));
        let accepting = Pool::current().spawn(async move {
            let mut serving = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                let open = Arc::clone(&counts.1);
                counts.0.fetch_add(1, Ordering::Relaxed);
                open.fetch_add(1, Ordering::Relaxed);
                serving.push(Pool::current().spawn(async move {
                    let _ = serve(stream).await;
                    open.fetch_sub(1, Ordering::Relaxed);
                }));
            }
        });
        Self {
            connections,
            open,
            _accepting: accepting,
        }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

async fn serve(mut stream: BoxStream) -> io::Result<()> {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8(head).unwrap();
        let (more, location) = if head.starts_with("GET /to/") {
            let to = head.split(' ').nth(1).unwrap().trim_start_matches("/to/");
            ("302 Found", format!("Location: http://{to}\r\n"))
        } else if head.starts_with("GET /last") {
            ("200 OK", "Connection: close\r\n".to_owned())
        } else {
            ("200 OK", String::new())
        };
        let reply = format!("HTTP/1.1 {more}\r\n{location}Content-Length: 0\r\n\r\n");
        stream.write_all(reply.as_bytes()).await?;
        stream.flush().await?;
        if head.starts_with("GET /bye") {
            return stream.shutdown().await;
        }
    }
}

struct Scene {
    client: Client,
    server: Server,
    _sim: Sim,
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn scene(keep: Keep) -> Scene {
    let sim = Sim::new(1);
    let at = |text| sim.host(HostOptions::at(ip(text)));
    let (ours, theirs) = (at("50.0.0.1"), at("60.0.0.1"));
    sim.name("tracker.example", vec![ip("60.0.0.1")]);
    sim.name("other.example", vec![ip("60.0.0.1")]);
    Scene {
        client: Client::new(ours.network(), HeaderValue::from_static("t")).keeping(keep),
        server: Server::start(&theirs),
        _sim: sim,
    }
}

impl Scene {
    async fn get(&self, url: &str) -> Result<Response, Error> {
        self.client
            .get(&Request::new(Url::parse(url).unwrap()))
            .await
    }
}

#[tokio::test(start_paused = true)]
async fn one_connection_serves_many_requests() {
    let scene = scene(Keep::default());
    for _ in 0..10 {
        let response = scene.get("http://tracker.example/announce").await.unwrap();
        assert_eq!(response.status, 200);
    }
    assert_eq!((scene.server.connections(), scene.client.kept()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_keeps_nothing_connects_each_time() {
    let mut scene = scene(Keep::default());
    scene.client.shelf = None;
    for _ in 0..3 {
        scene.get("http://tracker.example/announce").await.unwrap();
    }
    assert_eq!(scene.server.connections(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_the_server_closed_is_not_used_again() {
    let scene = scene(Keep::default());
    for path in ["/last", "/bye", "/x", "/bye", "/x"] {
        let url = format!("http://tracker.example{path}");
        assert_eq!(scene.get(&url).await.unwrap().status, 200, "{path}");
        // Long enough for the end of the connection to arrive here, or not.
        tokio::time::sleep(Duration::from_millis(u64::from(path == "/bye") * 200)).await;
    }
    // One for each of: /last, /bye, both of /x and /bye, /x.
    assert_eq!(scene.server.connections(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_meets_a_closing_connection_is_sent_again() {
    let scene = scene(Keep::default());
    for _ in 0..5 {
        // The server's end of the connection is on its way when the next request begins.
        assert_eq!(
            scene
                .get("http://tracker.example/bye")
                .await
                .unwrap()
                .status,
            200
        );
    }
    assert_eq!(scene.server.connections(), 5);
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_closed_in_time() {
    let scene = scene(Keep::default());
    scene.get("http://tracker.example/x").await.unwrap();
    let due = scene.client.tidy().expect("one is kept");
    assert_eq!(due - Instant::now(), Keep::default().idle);
    tokio::time::sleep_until(due).await;
    assert_eq!(scene.client.tidy(), None);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((scene.client.kept(), scene.server.open()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn few_connections_are_kept_for_a_server_and_in_all() {
    let keep = Keep {
        per_server: 2,
        total: 3,
        ..Keep::default()
    };
    let scene = scene(keep);
    for (host, kept) in [("tracker", 2), ("other", 3), ("tracker", 3)] {
        let url = format!("http://{host}.example/x");
        let all = (0..5).map(|_| scene.get(&url));
        for outcome in futures_util::future::join_all(all).await {
            outcome.unwrap();
        }
        assert_eq!(scene.client.kept(), kept, "{host}");
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(scene.server.open(), 3, "the others are closed");
}

#[tokio::test(start_paused = true)]
async fn a_redirect_that_leads_home_is_refused_and_one_elsewhere_reuses_connections() {
    let scene = scene(Keep::default());
    let get = |path: &str| {
        let url = Url::parse(&format!("http://tracker.example{path}")).unwrap();
        let mut request = Request::new(url);
        request.policy = Arc::new(Guard::TRACKER);
        let client = scene.client.clone();
        async move { client.get(&request).await }
    };
    assert_eq!(get("/to/tracker.example/x").await.unwrap().status, 200);
    assert_eq!(scene.server.connections(), 1);
    for home in [
        "127.0.0.1/announce",
        "[::1]/announce",
        "10.0.0.1/",
        "[::ffff:10.0.0.1]/",
        "169.254.169.254/announce",
    ] {
        let error = get(&format!("/to/{home}")).await.unwrap_err();
        assert!(matches!(error, Error::Forbidden), "{home}: {error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_family_that_is_asked_for_is_used_where_there_is_a_choice() {
    let sim = Sim::new(1);
    let both = |v4, v6| HostOptions {
        ips: vec![ip(v4), ip(v6)],
        ..HostOptions::at(ip(v4))
    };
    let (ours, theirs) = (
        sim.host(both("50.0.0.1", "2a00::1")),
        sim.host(both("60.0.0.1", "2a00::2")),
    );
    let at = |text: &str| text.parse::<SocketAddr>().unwrap();
    let _v4 = Server::start(&theirs);
    let mut v6 = theirs.network().listen(at("[::]:81")).unwrap();
    let _accepting = Pool::current().spawn(async move {
        while let Ok((stream, _)) = v6.accept().await {
            Pool::current()
                .spawn(async move { serve(stream).await })
                .detach();
        }
    });
    sim.name("both", vec![ip("60.0.0.1"), ip("2a00::2")]);
    sim.name("old", vec![ip("60.0.0.1")]);
    let client =
        Client::new(ours.network(), HeaderValue::from_static("t")).keeping(Keep::default());
    for (url, family, peer) in [
        ("http://both:81/x", Some(Family::V6), "[2a00::2]:81"),
        ("http://both/x", Some(Family::V4), "60.0.0.1:80"),
        ("http://old/x", Some(Family::V6), "60.0.0.1:80"),
        ("http://both:81/x", Some(Family::V6), "[2a00::2]:81"),
    ] {
        let mut request = Request::new(Url::parse(url).unwrap());
        request.family = family;
        assert_eq!(client.get(&request).await.unwrap().peer, at(peer), "{url}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_to_a_server_that_has_come_onto_the_list_is_used_no_more() {
    let mut scene = scene(Keep::default());
    let filter = Filter::default();
    scene.client.network = scene.client.network.filtered(&filter);
    let url = "http://tracker.example/x";
    let list = || IpFilter::parse(b"60.0.0.1\n").unwrap();
    scene.get(url).await.unwrap();
    filter.set(list());
    let error = scene.get(url).await.unwrap_err();
    assert!(matches!(error, Error::Connect(_)), "{error:?}");

    filter.set(IpFilter::default());
    scene.get(url).await.unwrap();
    assert_eq!((scene.server.connections(), scene.client.kept()), (2, 1));
    scene.client.sift();
    assert_eq!(scene.client.kept(), 1, "it is not on the list");
    filter.set(list());
    scene.client.sift();
    assert_eq!(scene.client.kept(), 0);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(scene.server.open(), 0);
}
