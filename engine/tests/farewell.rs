//! An engine ends in time, whatever its trackers do.

mod common;

use std::fs;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use common::Payload;
use common::sim::{self, addr, ip, simulate};
use engine::{AddTorrent, EngineHandle, Event, Source, Supervisor};
use net::BoxStream;
use net::sim::{Host, HostOptions, Link, Sim};
use storage::resume::Record;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep, timeout};

/// How long the command lets a finished download take to end.
const DEADLINE: Duration = Duration::from_millis(30);

/// Timers of the runtime have this grain.
const GRAIN: Duration = Duration::from_millis(1);

const TRACKER: u32 = 9;

/// What the tracker does with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tracker {
    /// There is none.
    Absent,
    /// Nobody is at its address.
    Deaf,
    /// It takes connections and says nothing.
    Silent,
    /// It answers after this time.
    Slow(Duration),
}

async fn serve(mut stream: BoxStream, tracker: Tracker) {
    let mut request = Vec::new();
    while let Ok(1..) = stream.read_buf(&mut request).await {
        if let (true, Tracker::Slow(wait)) = (request.ends_with(b"\r\n\r\n"), tracker) {
            sleep(wait).await;
            request.clear();
            let body = "d8:intervali1800e5:peers0:e";
            let reply = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            if stream.write_all(reply.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

/// A host from which it takes 2 ms to another and back.
fn near(sim: &Sim, at: IpAddr) -> Host {
    sim.host(HostOptions {
        link: Link::with_latency(Duration::from_micros(500)),
        ..HostOptions::at(at)
    })
}

fn set_up(sim: &Sim, tracker: Tracker) -> Vec<Vec<String>> {
    let at = ip(TRACKER);
    if tracker == Tracker::Absent {
        return Vec::new();
    }
    let host = near(sim, at);
    if tracker != Tracker::Deaf {
        let mut door = host.network().listen((at, 80).into()).expect("a door");
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = door.accept().await {
                tokio::task::spawn_local(serve(stream, tracker));
            }
        });
    }
    let mut tiers = vec![vec![format!("http://{at}/announce")]];
    if !matches!(tracker, Tracker::Slow(_)) {
        tiers.push(vec![format!("udp://{at}:80")]);
    }
    tiers
}

/// Downloads, and returns how long the engine took to end then.
async fn end_after_download(sim: &Sim, tracker: Tracker) -> Duration {
    let payload = Payload::new(1, 2_000_000, 64 * 1024);
    let mut metainfo = (*payload.metainfo()).clone();
    metainfo.set_trackers(set_up(sim, tracker));
    let metainfo = Arc::new(metainfo);
    let dirs = [(); 2].map(|()| TempDir::new().expect("a folder"));
    fs::write(dirs[0].path().join("payload"), payload.bytes()).expect("written");
    let mut engines: Vec<EngineHandle> = Vec::new();
    let mut events = None;
    for (number, dir) in (0_u32..).zip(&dirs) {
        let host = near(sim, ip(number));
        let mut config = sim::config(&host, u64::from(number));
        config.memory = engine::Memory::Files(dir.path().join("state"));
        let (_, handle) = Supervisor::launch(config).expect("an engine");
        events = Some(handle.events(engine::Categories::USUAL, 1024));
        let source = Source::Metainfo(Arc::clone(&metainfo));
        let mut add = AddTorrent::new(source, dir.path().into());
        add.trust_data = number == 0;
        add.use_trackers = number == 1;
        if number == 1 {
            add.peers = vec![addr(0)];
        }
        handle.add(add).await.expect("added");
        engines.push(handle);
    }
    let mut events = events.expect("two engines");
    let finish = async {
        while !matches!(
            events.recv().await.expect("it runs"),
            Event::Finished { .. }
        ) {}
    };
    timeout(Duration::from_secs(60), finish)
        .await
        .expect("it finishes");
    let start = Instant::now();
    engines[1].shutdown(DEADLINE).await;
    let took = start.elapsed();
    let path = dirs[1]
        .path()
        .join(format!("state/{}.resume", metainfo.hashes().wire()));
    let record = Record::load(&path).expect("readable").expect("there");
    assert!(
        record.clean && record.have.is_full(),
        "{tracker:?}: {record:?}"
    );
    took
}

#[test]
fn a_finished_download_ends_in_time_whatever_its_trackers_do() {
    let slow = |ms| Tracker::Slow(Duration::from_millis(ms));
    for (tracker, most) in [
        (Tracker::Absent, Duration::ZERO),
        (Tracker::Deaf, DEADLINE),
        (Tracker::Silent, DEADLINE),
        // It is told of the completion and of the end, and answers both.
        (slow(0), Duration::from_millis(10)),
        (slow(5), Duration::from_millis(20)),
        (slow(10_000), DEADLINE),
    ] {
        simulate(async {
            let sim = Sim::new(1);
            let took = end_after_download(&sim, tracker).await;
            assert!(took <= most + GRAIN, "{tracker:?}: it took {took:?}");
            sim
        });
    }
}
