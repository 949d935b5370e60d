use futures_util::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::*;
use crate::http;

async fn send(mut stream: BoxStream, data: Vec<u8>) -> BoxStream {
    stream.write_all(&data).await.unwrap();
    stream.shutdown().await.unwrap();
    stream
}

async fn receive(mut stream: BoxStream) -> Vec<u8> {
    let mut data = Vec::new();
    stream.read_to_end(&mut data).await.unwrap();
    data
}

/// Moves so many bytes from one host to the other, and says how long it took.
async fn transfer(from: &Host, to: &Host, len: usize) -> Duration {
    let (ours, theirs) = connect(from, to).await;
    let start = Instant::now();
    let data = bytes(len);
    let (_open, got) = tokio::join!(send(ours, data.clone()), receive(theirs));
    assert!(got == data, "what arrives is what was sent");
    start.elapsed()
}

fn assert_between(time: Duration, low: f64, high: f64) {
    let time = time.as_secs_f64();
    assert!(
        (low..=high).contains(&time),
        "{time} s is not in {low}..={high}"
    );
}

#[tokio::test(start_paused = true)]
async fn connecting_takes_a_round_trip_and_a_byte_half_of_one() {
    let sim = Sim::new(1);
    let (a, b) = (host(&sim, 1, slow(20)), host(&sim, 2, slow(30)));
    let start = Instant::now();
    let (mut ours, mut theirs) = connect(&a, &b).await;
    assert_eq!(start.elapsed(), Duration::from_millis(100));
    assert_eq!(ours.peer_addr(), addr("1.0.0.2:80"));
    assert_eq!(theirs.local_addr(), ours.peer_addr());
    assert_eq!(theirs.peer_addr(), ours.local_addr());
    assert_eq!(ours.local_addr().ip(), a.ip());

    ours.write_all(b"x").await.unwrap();
    assert_eq!(theirs.read_u8().await.unwrap(), b'x');
    assert_eq!(start.elapsed(), Duration::from_millis(150));
    theirs.write_all(b"y").await.unwrap();
    assert_eq!(ours.read_u8().await.unwrap(), b'y');
    assert_eq!(start.elapsed(), Duration::from_millis(200));
}

#[tokio::test(start_paused = true)]
async fn each_direction_ends_on_its_own() {
    let sim = Sim::new(1);
    let (a, b) = (host(&sim, 1, slow(5)), host(&sim, 2, slow(5)));
    let (mut ours, mut theirs) = connect(&a, &b).await;
    ours.write_all(b"last words").await.unwrap();
    ours.shutdown().await.unwrap();
    let error = ours.write_all(b"more").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    let mut heard = Vec::new();
    theirs.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"last words");
    theirs.write_all(b"still here").await.unwrap();
    drop(theirs);
    heard.clear();
    ours.read_to_end(&mut heard).await.unwrap();
    assert_eq!(
        heard, b"still here",
        "what was written before the drop arrives"
    );
}

#[tokio::test(start_paused = true)]
async fn dropping_an_end_with_unread_bytes_resets_the_stream() {
    let sim = Sim::new(1);
    let (a, b) = (host(&sim, 1, slow(5)), host(&sim, 2, slow(5)));
    let (mut ours, mut theirs) = connect(&a, &b).await;
    ours.write_all(b"unread").await.unwrap();
    theirs.read_u8().await.unwrap();
    drop(theirs);
    let error = ours.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn writing_to_a_closed_end_resets_the_stream() {
    let sim = Sim::new(1);
    let (a, b) = (host(&sim, 1, slow(5)), host(&sim, 2, slow(5)));
    let (mut ours, theirs) = connect(&a, &b).await;
    drop(theirs);
    assert_eq!(ours.read(&mut [0]).await.unwrap(), 0);
    ours.write_all(b"into the void").await.unwrap();
    sleep(Duration::from_secs(1)).await;
    let error = ours.write_all(b"x").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn nobody_listening_is_refused_and_nobody_at_all_times_out() {
    let sim = Sim::new(1);
    let (a, b) = (host(&sim, 1, slow(10)), host(&sim, 2, slow(10)));
    let start = Instant::now();
    let error = a.network().dial(addr("1.0.0.2:80")).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    assert_eq!(start.elapsed(), Duration::from_millis(40));

    for silence in ["9.9.9.9:80", "1.0.0.2:80"] {
        sim.set_path(&a, &b, Some(Path::BROKEN));
        let start = Instant::now();
        let error = a.network().dial(addr(silence)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(start.elapsed(), Duration::from_secs(127));
    }
    let error = a.network().dial(addr("[2001::1]:80")).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NetworkUnreachable);
}

#[tokio::test(start_paused = true)]
async fn a_host_behind_a_nat_dials_out_and_is_refused_to_others() {
    let sim = Sim::new(1);
    let nat = sim.nat(NatKind::FullCone, ip("5.5.5.5"));
    let inside = behind(&sim, nat, "10.0.0.1");
    let neighbour = behind(&sim, nat, "10.0.0.2");
    let outside = host(&sim, 1, slow(10));
    let (ours, theirs) = connect(&inside, &outside).await;
    assert_eq!(ours.local_addr().ip(), ip("10.0.0.1"));
    assert_eq!(theirs.peer_addr().ip(), ip("5.5.5.5"));

    let mut listener = inside.network().listen(addr("[::]:7")).unwrap();
    let port = theirs.peer_addr().port();
    for target in ["5.5.5.5:7".to_owned(), format!("5.5.5.5:{port}")] {
        let error = outside.network().dial(addr(&target)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "{target}");
    }
    let error = outside
        .network()
        .dial(addr("10.0.0.1:7"))
        .await
        .unwrap_err();
    assert_eq!(
        error.kind(),
        io::ErrorKind::TimedOut,
        "private addresses lead nowhere"
    );
    let network = neighbour.network();
    let (near, _) = tokio::join!(network.dial(addr("10.0.0.1:7")), listener.accept());
    assert_eq!(near.unwrap().local_addr().ip(), ip("10.0.0.2"));
}

#[tokio::test(start_paused = true)]
async fn a_host_reaches_itself_by_loopback_and_by_its_address() {
    let sim = Sim::new(1);
    let a = host(&sim, 1, slow(10));
    let network = a.network();
    let mut listener = network.listen(addr("0.0.0.0:80")).unwrap();
    for target in ["127.0.0.1:80", "1.0.0.1:80"] {
        let (dialled, accepted) = tokio::join!(network.dial(addr(target)), listener.accept());
        assert_eq!(dialled.unwrap().local_addr().ip(), addr(target).ip());
        assert_eq!(accepted.unwrap().1.ip(), addr(target).ip());
    }
    assert_eq!(sim.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_stream_fills_the_slowest_link_on_its_way() {
    for (up, down) in [
        (Some(1_000_000), None),
        (None, Some(1_000_000)),
        (Some(1_000_000), Some(1_200_000)),
    ] {
        let sim = Sim::new(1);
        let a = host(&sim, 1, slow(20).with_rates(up, None));
        let b = host(&sim, 2, slow(20).with_rates(None, down));
        let time = transfer(&a, &b, 10_000_000).await;
        // Headers take 3 %, and the first seconds and losses from full queues a little more.
        assert_between(time, 10.2, 11.5);
    }
}

#[tokio::test(start_paused = true)]
async fn without_limits_the_window_and_the_latency_decide() {
    let sim = Sim::new(1);
    let (a, b) = (host(&sim, 1, slow(25)), host(&sim, 2, slow(25)));
    // One window of 1 MiB each 100 ms, after six doublings of the first one.
    assert_between(transfer(&a, &b, 10 << 20).await, 1.0, 1.8);
}

#[tokio::test(start_paused = true)]
async fn several_streams_share_a_downlink() {
    let sim = Sim::new(1);
    let sink = host(&sim, 1, slow(10).with_rates(None, Some(2_000_000)));
    let mut listener = sink.network().listen(addr("[::]:80")).unwrap();
    let received = tokio::spawn(async move {
        let mut reading = Vec::new();
        for _ in 0..4 {
            let (stream, _) = listener.accept().await.unwrap();
            reading.push(tokio::spawn(async move {
                let len = receive(stream).await.len();
                (len, Instant::now())
            }));
        }
        let mut ends = Vec::new();
        for task in reading {
            ends.push(task.await.unwrap());
        }
        ends
    });
    let start = Instant::now();
    for n in 2..6 {
        let source = host(&sim, n, slow(10));
        tokio::spawn(async move {
            let stream = source.network().dial(addr("1.0.0.1:80")).await.unwrap();
            let mut open = send(stream, vec![7; 5_000_000]).await;
            open.read_u8().await
        });
    }
    for (len, end) in received.await.unwrap() {
        assert_eq!(len, 5_000_000);
        assert_between(end - start, 6.0, 12.0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_does_not_read_stops_the_writer() {
    let sim = Sim::new(1);
    let (a, b) = (host(&sim, 1, slow(5)), host(&sim, 2, slow(5)));
    let (mut ours, mut theirs) = connect(&a, &b).await;
    let mut written = 0;
    let chunk = [7; 10_000];
    while let Ok(n) = timeout(Duration::from_secs(5), ours.write(&chunk)).await {
        written += n.unwrap();
    }
    assert!((1 << 20..=2 << 20).contains(&written), "{written}");
    let mut taken = vec![0; 100_000];
    theirs.read_exact(&mut taken).await.unwrap();
    assert!(
        timeout(Duration::from_secs(5), ours.write(&chunk))
            .await
            .is_ok()
    );
}

#[tokio::test(start_paused = true)]
async fn losses_and_jitter_cost_time_but_no_bytes() {
    let clean = Sim::new(1);
    let (a, b) = (host(&clean, 1, slow(10)), host(&clean, 2, slow(10)));
    let good = transfer(&a, &b, 3_000_000).await;
    for seed in 1..6 {
        let sim = Sim::new(seed);
        let bad = Link {
            loss: 0.02,
            jitter: Duration::from_millis(15),
            ..slow(10)
        };
        let (a, b) = (host(&sim, 1, bad), host(&sim, 2, bad));
        let time = transfer(&a, &b, 3_000_000).await;
        assert!(
            time > good.mul_f64(1.5) && time < Duration::from_secs(30),
            "{time:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_is_survived_and_a_long_one_is_not() {
    let sim = Sim::new(1);
    let (a, b) = (host(&sim, 1, slow(10)), host(&sim, 2, slow(10)));
    let (mut ours, mut theirs) = connect(&a, &b).await;
    b.set_online(false);
    ours.write_all(b"patience").await.unwrap();
    sleep(Duration::from_secs(20)).await;
    assert_eq!(theirs.read_u8().now_or_never().map(drop), None);
    b.set_online(true);
    let start = Instant::now();
    let mut heard = [0; 8];
    theirs.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"patience");
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "waits double, no more"
    );

    b.set_online(false);
    ours.write_all(b"too late").await.unwrap();
    let error = ours.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_between(start.elapsed(), 200.0, 500.0);
}

#[tokio::test(start_paused = true)]
async fn a_crash_resets_every_stream_and_ends_every_socket() {
    let sim = Sim::new(1);
    let (a, b) = (host(&sim, 1, slow(10)), host(&sim, 2, slow(10)));
    let (mut ours, mut theirs) = connect(&a, &b).await;
    let network = b.network();
    let mut listener = network.listen(addr("[::]:81")).unwrap();
    let waiting = a.network().dial(addr("1.0.0.2:81")).await.unwrap();
    let socket = network.datagram(addr("[::]:81")).unwrap();
    b.crash();
    for stream in [&mut ours, &mut theirs] {
        let error = stream.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
    assert_eq!(receive_error(waiting).await, io::ErrorKind::ConnectionReset);
    assert!(listener.accept().await.is_err());
    assert!(socket.recv_from(&mut [0]).await.is_err());
    let error = a.network().dial(addr("1.0.0.2:81")).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    drop((listener, socket));
    network.listen(addr("[::]:81")).unwrap();
    network.datagram(addr("[::]:81")).unwrap();
}

async fn receive_error(mut stream: BoxStream) -> io::ErrorKind {
    stream.read_u8().await.unwrap_err().kind()
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_is_dropped_leaves_nothing_to_accept() {
    let sim = Sim::new(1);
    let (a, b) = (host(&sim, 1, slow(10)), host(&sim, 2, slow(10)));
    let mut listener = b.network().listen(addr("[::]:80")).unwrap();
    for given_up_after in [5, 25, 39] {
        let network = a.network();
        let dial = network.dial(addr("1.0.0.2:80"));
        assert!(
            timeout(Duration::from_millis(given_up_after), dial)
                .await
                .is_err()
        );
        sleep(Duration::from_secs(1)).await;
    }
    assert!(
        timeout(Duration::from_secs(1), listener.accept())
            .await
            .is_err()
    );
}

#[tokio::test(start_paused = true)]
async fn dropping_a_listener_resets_who_waits() {
    let sim = Sim::new(1);
    let (a, b) = (host(&sim, 1, slow(10)), host(&sim, 2, slow(10)));
    let listener = b.network().listen(addr("[::]:80")).unwrap();
    let waiting = a.network().dial(addr("1.0.0.2:80")).await.unwrap();
    drop(listener);
    assert_eq!(receive_error(waiting).await, io::ErrorKind::ConnectionReset);
}

#[tokio::test(start_paused = true)]
async fn http_works_and_its_deadline_holds_in_virtual_time() {
    let sim = Sim::new(1);
    let (a, b) = (host(&sim, 1, slow(10)), host(&sim, 2, slow(10)));
    sim.name("tracker.example", vec![b.ip()]);
    let mut listener = b.network().listen(addr("[::]:80")).unwrap();
    tokio::spawn(async move {
        for drip in [false, true] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 10];
            stream.read_exact(&mut head).await.unwrap();
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
                .await
                .unwrap();
            // A slow loris sends a byte each second.
            for _ in 0..100 {
                if stream.write_all(b"x").await.is_err() {
                    break;
                }
                sleep(Duration::from_secs(u64::from(drip))).await;
            }
        }
    });
    let agent = http::HeaderValue::from_static("tests/1");
    let client = http::Client::new(a.network(), agent);
    let url = http::Url::parse("http://tracker.example/announce").unwrap();
    let request = http::Request::new(url);
    let response = client.get(&request).await.unwrap();
    assert_eq!(response.body, [b'x'; 100][..]);
    assert!(sim.elapsed() < Duration::from_secs(1));

    let start = Instant::now();
    let error = client.get(&request).await.unwrap_err();
    let at_body = matches!(
        error,
        http::Error::Deadline {
            stage: http::Stage::Body
        }
    );
    assert!(at_body, "{error:?}");
    assert_eq!(start.elapsed(), request.deadline);
}
