//! The same seed makes the same world.

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::{JoinSet, LocalSet};

use super::super::rng::Rng;
use super::*;

fn run<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, future)
}

/// Hosts that all send streams and datagrams to one another over bad links: what happened.
async fn turmoil(seed: u64, hosts: u16) -> Trace {
    let sim = Sim::new(seed);
    sim.record(100_000);
    let link = Link {
        loss: 0.01,
        jitter: Duration::from_millis(7),
        duplicate: 0.01,
        reorder: 0.01,
        ..slow(20).with_rates(Some(300_000), Some(500_000))
    };
    let all: Vec<_> = (1..=hosts).map(|n| host(&sim, n, link)).collect();
    let mut work = JoinSet::new();
    for (n, host) in all.iter().enumerate() {
        let mut listener = host.network().listen(addr("[::]:80")).unwrap();
        work.spawn_local(async move {
            let mut reading = JoinSet::new();
            for _ in 0..3 {
                let (mut stream, _) = listener.accept().await.unwrap();
                reading.spawn_local(async move {
                    let mut data = Vec::new();
                    // Losses may have ended it, which is part of what happened.
                    let _ = stream.read_to_end(&mut data).await;
                });
            }
            while reading.join_next().await.is_some() {}
        });
        let socket = host.network().datagram(addr("[::]:80")).unwrap();
        for step in 1..=3 {
            let to = SocketAddr::new(all[(n + step) % all.len()].ip(), 80);
            let (network, socket) = (host.network(), Arc::clone(&socket));
            work.spawn_local(async move {
                for _ in 0..20 {
                    socket.send_to(&[7; 1000], to).await.unwrap();
                    sleep(Duration::from_millis(10)).await;
                }
                if let Ok(mut stream) = network.dial(to).await {
                    let _ = stream.write_all(&bytes(50_000 * step)).await;
                    let _ = stream.shutdown().await;
                    let _ = stream.read_u8().await;
                }
            });
        }
    }
    while let Some(done) = work.join_next().await {
        done.unwrap();
    }
    sim.trace()
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_seed_another() {
    let first = run(turmoil(42, 20));
    assert!(first.count > 5_000, "{}", first.count);
    assert_eq!(run(turmoil(42, 20)), first);
    assert_ne!(run(turmoil(43, 20)).digest, first.digest);
}

/// Hosts that tell three others, picked by chance, of a rumour when they hear it: how many have heard it.
async fn gossip(hosts: u16) -> usize {
    let sim = Sim::new(11);
    let mut hearing = JoinSet::new();
    for n in 1..=hosts {
        let socket = host(&sim, n, slow(5 + u64::from(n % 50)))
            .network()
            .datagram(addr("[::]:1"))
            .unwrap();
        hearing.spawn_local(async move {
            let mut rng = Rng::new(u64::from(n));
            let first = n == 1;
            if !first
                && tokio::time::timeout(Duration::from_mins(1), socket.recv_from(&mut [0]))
                    .await
                    .is_err()
            {
                return false;
            }
            for _ in 0..8 {
                let pick = rng
                    .part_of(Duration::from_nanos(u64::from(hosts)))
                    .as_nanos() as u16
                    + 1;
                let [high, low] = pick.to_be_bytes();
                let to = SocketAddr::from(([1, 0, high, low], 1));
                socket.send_to(b"rumour", to).await.unwrap();
            }
            true
        });
    }
    let mut heard = 0;
    while let Some(done) = hearing.join_next().await {
        heard += usize::from(done.unwrap());
    }
    heard
}

#[test]
fn thousands_of_hosts_fit_into_one_thread() {
    let heard = run(gossip(5_000));
    assert!(heard > 4_950, "{heard}");
}

#[derive(Clone, Debug)]
struct Weather {
    seed: u64,
    loss: f64,
    jitter: u64,
    latency: u64,
    rate: Option<u64>,
    queue: usize,
}

fn weather() -> impl Strategy<Value = Weather> {
    let rate = prop_oneof![Just(None), (20_000u64..5_000_000).prop_map(Some)];
    (
        any::<u64>(),
        0.0..0.1,
        0u64..50,
        0u64..100,
        rate,
        2_000usize..200_000,
    )
        .prop_map(|(seed, loss, jitter, latency, rate, queue)| Weather {
            seed,
            loss,
            jitter,
            latency,
            rate,
            queue,
        })
}

fn two_hosts(sim: &Sim, weather: &Weather) -> (Host, Host) {
    let link = Link {
        loss: weather.loss,
        jitter: Duration::from_millis(weather.jitter),
        queue: weather.queue,
        ..slow(weather.latency).with_rates(weather.rate, weather.rate)
    };
    (host(sim, 1, link), host(sim, 2, link))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_stream_brings_every_byte_in_order_in_any_weather(
        weather in weather(),
        writes in proptest::collection::vec(0usize..40_000, 1..12),
        read in 1usize..50_000,
    ) {
        let sent = bytes(writes.iter().sum());
        let expected = sent.clone();
        let got = run(async move {
            let sim = Sim::new(weather.seed);
            let (a, b) = two_hosts(&sim, &weather);
            let (mut ours, mut theirs) = connect(&a, &b).await;
            let writing = tokio::task::spawn_local(async move {
                let mut rest = &sent[..];
                for len in writes {
                    let (now, later) = rest.split_at(len);
                    ours.write_all(now).await.unwrap();
                    rest = later;
                }
                ours.shutdown().await.unwrap();
                ours
            });
            let mut got = Vec::new();
            let mut buf = vec![0; read];
            loop {
                match theirs.read(&mut buf).await.unwrap() {
                    0 => break,
                    n => got.extend_from_slice(&buf[..n]),
                }
            }
            drop(writing.await.unwrap());
            got
        });
        prop_assert!(got == expected);
    }

    #[test]
    fn every_datagram_either_arrives_or_is_lost(
        weather in weather(),
        sizes in proptest::collection::vec(0usize..3_000, 1..100),
    ) {
        let count = sizes.len();
        let log = run(async move {
            let sim = Sim::new(weather.seed);
            sim.record(1_000);
            let (a, b) = two_hosts(&sim, &weather);
            let ours = a.network().datagram(addr("[::]:1")).unwrap();
            let _theirs = b.network().datagram(addr("[::]:2")).unwrap();
            for size in sizes {
                ours.try_send_to(&vec![7; size], addr("1.0.0.2:2")).unwrap();
            }
            sleep(Duration::from_mins(10)).await;
            sim.trace().log
        });
        let arrived = log.iter().filter(|(_, what)| matches!(what, Happening::Datagram { .. }));
        let lost = log.iter().filter(|(_, what)| matches!(what, Happening::DatagramLost { .. }));
        prop_assert_eq!(arrived.count() + lost.count(), count);
    }
}
