//! Each key shows what it does when it is changed while the engine runs.

mod dht;
mod dialling;
mod disk;
mod network;
mod picking;
mod servers;
mod transports;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use net::BoxStream;
use net::sim::{HostOptions, Link};
use protocol::id::PeerId;
use protocol::peer::handshake::Reserved;
use tokio::io::AsyncReadExt as _;
use tokio::time::{Instant, timeout};

use crate::scene::{Actor as Engine, Scene, addr, message, play, say};
use crate::settings::{Patch, SettingsError, Value};
use crate::{CommandError, Encryption, GetSettings, SetSettings, State, TorrentStatus};

const SOON: Duration = Duration::from_secs(3);

async fn set(engine: &Engine, path: &str, value: impl Into<Value>) {
    let patch = Patch::new().with(path, value);
    let done = engine.handle.set_settings(patch).await;
    done.expect("settings");
}

fn name(number: u32) -> PeerId {
    let mut id = *b"-XX0001-someplayer00";
    id[18] = b'a' + (number / 26) as u8;
    id[19] = b'a' + (number % 26) as u8;
    PeerId(id)
}

/// Peers that connect to the engine at [`addr`]`(0)`, from hosts of their own.
async fn peers(scene: &Scene, numbers: std::ops::RangeInclusive<u32>) -> Vec<BoxStream> {
    let mut all = Vec::new();
    for number in numbers {
        let host = scene.host(number);
        all.push(scene.connect(&host, addr(0), name(number)).await);
    }
    all
}

/// Whether the other side closes the connection within this time.
async fn ends(stream: &mut BoxStream, within: Duration) -> bool {
    let mut buffer = [0; 4096];
    let end = async { while !matches!(stream.read(&mut buffer).await, Ok(0) | Err(_)) {} };
    timeout(within, end).await.is_ok()
}

/// How many are closed within this time.
async fn closed_of(streams: &mut [BoxStream], within: Duration) -> usize {
    let mut count = 0;
    for stream in streams {
        count += usize::from(ends(stream, within).await);
    }
    count
}

/// Whether a message with this number comes within a time.
async fn hears(stream: &mut BoxStream, number: u8, within: Duration) -> bool {
    let heard = async {
        while let Some(body) = message(stream).await {
            if body.first() == Some(&number) {
                return true;
            }
        }
        false
    };
    timeout(within, heard).await.unwrap_or(false)
}

/// How often a message with this number comes within a time.
async fn count(stream: &mut BoxStream, number: u8, within: Duration) -> usize {
    let mut count = 0;
    let listen = async {
        while let Some(body) = message(stream).await {
            count += usize::from(body.first() == Some(&number));
        }
    };
    let _ = timeout(within, listen).await;
    count
}

const UNCHOKE: u8 = 1;
const INTERESTED: u8 = 2;
const REQUEST: u8 = 6;
const CANCEL: u8 = 8;

#[test]
fn they_are_changed_as_a_whole_or_not_at_all_by_either_door() {
    play(async {
        let scene = Scene::new(1, 100_000, 16 * 1024);
        let engine = scene.engine(0, true, &[]).await;
        let patch = Patch::new()
            .with("limits.up", Some(5_000))
            .with("choking.slots", 100_001_u32);
        let refused = engine.handle.set_settings(patch.clone()).await;
        let Err(CommandError::Settings(SettingsError { wrongs, .. })) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(wrongs[0].path, "choking.slots");
        assert_eq!(engine.handle.settings().limits.up, None);
        let refused = engine.supervisor.send(SetSettings(patch)).await;
        assert!(refused.expect("delivered").is_err());
        set(&engine, "limits.up", Some(5_000)).await;
        let told = engine.supervisor.send(GetSettings).await;
        assert_eq!(told.expect("delivered").limits.up, Some(5_000));
        let rates = crate::Limits {
            down: Some(7),
            up: None,
        };
        engine.handle.set_limits(None, rates).await.expect("set");
        let told = engine.handle.settings();
        assert_eq!((told.limits.down, told.limits.up), (Some(7), None));
    });
}

#[test]
fn an_engine_does_not_start_with_settings_out_of_range() {
    play(async {
        let scene = Scene::new(1, 100_000, 16 * 1024);
        let mut config = crate::EngineConfig::new(scene.host(0).network(), net::Pool::current());
        config.settings.connections.max = 0;
        let error = super::Supervisor::launch(config).expect_err("refused");
        assert_eq!(
            error.to_string(),
            "connections.max: 0 is not allowed: 1 to 1000000 connections"
        );
    });
}

#[test]
fn rates_hold_at_once_for_what_is_under_way() {
    for (engine_limited, path) in [(true, "limits.up"), (false, "limits.down")] {
        play(async {
            let scene = Scene::new(2, 2_000_000, 64 * 1024);
            let seed = scene.engine(0, true, &[]).await;
            let slow = |config: &mut crate::EngineConfig| {
                config.settings.limits.down = Some(1_000_000);
            };
            let leecher = scene.engine_with(1, false, &[addr(0)], slow).await;
            let limited = if engine_limited { &seed } else { &leecher };
            set(limited, path, Some(2_000)).await;
            tokio::time::sleep(Duration::from_secs(30)).await;
            let slow = leecher.status().done;
            assert!(slow < 1_500_000, "{path}: {slow}");
            set(limited, path, None).await;
            let before = Instant::now();
            leecher.completes(&scene).await;
            assert!(before.elapsed() < Duration::from_secs(10), "{path}");
        });
    }
}

#[test]
fn connections_beyond_a_lower_number_are_closed_and_a_higher_one_lets_more_in() {
    for path in ["connections.max", "connections.per_torrent"] {
        play(async {
            let scene = Scene::new(3, 100_000, 16 * 1024);
            let engine = scene.engine(0, true, &[]).await;
            let mut six = peers(&scene, 1..=6).await;
            engine.until(|status| status.peers == 6).await;
            set(&engine, path, 2_u32).await;
            engine.until(|status| status.peers == 2).await;
            assert_eq!(closed_of(&mut six, SOON).await, 4, "{path}");
            set(&engine, path, 5_u32).await;
            let _three = peers(&scene, 11..=13).await;
            engine.until(|status| status.peers == 5).await;
        });
    }
}

#[test]
fn one_address_gets_as_many_connections_as_is_said() {
    play(async {
        let scene = Scene::new(4, 100_000, 16 * 1024);
        let engine = scene.engine(0, true, &[]).await;
        let far: IpAddr = "50.0.0.1".parse().unwrap();
        let host = scene.sim.host(HostOptions::at(far));
        let mut streams = Vec::new();
        for number in 1..=2 {
            streams.push(scene.connect(&host, addr(0), name(number)).await);
        }
        set(&engine, "connections.per_host", 2_u32).await;
        let mut third = host.network().dial(addr(0)).await.unwrap();
        scene.say_hello(&mut third, name(3)).await;
        assert!(ends(&mut third, SOON).await);
        set(&engine, "connections.per_host", 3_u32).await;
        streams.push(scene.connect(&host, addr(0), name(4)).await);
        engine.until(|status| status.peers == 3).await;
    });
}

#[test]
fn as_many_dials_are_under_way_as_is_said_and_each_for_as_long() {
    play(async {
        let scene = Scene::new(5, 100_000, 16 * 1024);
        let hosts: Vec<_> = (1..=4).map(|number| scene.host(number)).collect();
        let at: SocketAddr = "0.0.0.0:6881".parse().unwrap();
        let mut doors: Vec<_> = hosts
            .iter()
            .map(|host| host.network().listen(at).unwrap())
            .collect();
        let all: Vec<SocketAddr> = (1..=4).map(addr).collect();
        let engine = scene
            .engine_with(0, false, &all, |config| {
                config.settings.connections.half_open = 1;
                config.settings.connections.handshake_timeout = Duration::from_secs(600);
                config.settings.encryption.peers = Encryption::Off;
            })
            .await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        let mut dialled = 0;
        let mut silent = Vec::new();
        for door in &mut doors {
            if let Ok(Ok((stream, _))) = timeout(Duration::from_millis(1), door.accept()).await {
                dialled += 1;
                silent.push(stream);
            }
        }
        assert_eq!(dialled, 1, "one waits for a handshake");
        set(
            &engine,
            "connections.handshake_timeout",
            Duration::from_secs(2),
        )
        .await;
        set(&engine, "connections.half_open", 3_u32).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut dialled = 0;
        for door in &mut doors {
            if let Ok(Ok((stream, _))) = timeout(Duration::from_millis(1), door.accept()).await {
                dialled += 1;
                silent.push(stream);
            }
        }
        assert_eq!(dialled, 2, "three wait");
        let mut last = silent.pop().unwrap();
        assert!(ends(&mut last, SOON).await, "handshakes take two seconds");
    });
}

#[test]
fn a_dial_that_nothing_answers_is_given_up_after_the_time_that_is_said() {
    play(async {
        let scene = Scene::new(6, 100_000, 16 * 1024);
        // Nothing that is sent there arrives.
        let hole = addr(9);
        let _hidden = scene.sim.host(HostOptions {
            link: Link {
                loss: 1.0,
                ..Link::default()
            },
            ..HostOptions::at(hole.ip())
        });
        let engine = scene
            .engine_with(0, false, &[], |config| {
                config.settings.connections.half_open = 1;
                config.settings.connections.connect_timeout = Duration::from_secs(600);
            })
            .await;
        set(
            &engine,
            "connections.connect_timeout",
            Duration::from_secs(2),
        )
        .await;
        engine.handle.add_peer(engine.id, hole).await.unwrap();
        // The only place for a dial is free again after two seconds.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let door = scene.host(1).network();
        let mut door = door.listen("0.0.0.0:6881".parse().unwrap()).unwrap();
        engine.handle.add_peer(engine.id, addr(1)).await.unwrap();
        assert!(
            timeout(Duration::from_secs(1), door.accept())
                .await
                .is_err()
        );
        assert!(timeout(SOON, door.accept()).await.is_ok());
    });
}

#[test]
fn who_is_silent_for_the_time_that_is_said_is_let_go_of_now_too() {
    play(async {
        let scene = Scene::new(7, 100_000, 16 * 1024);
        let engine = scene.engine(0, true, &[]).await;
        let [mut peer] = <[_; 1]>::try_from(peers(&scene, 1..=1).await).ok().unwrap();
        assert!(!ends(&mut peer, Duration::from_secs(30)).await);
        set(&engine, "connections.idle_timeout", Duration::from_secs(5)).await;
        assert!(ends(&mut peer, SOON).await);
    });
}

#[test]
fn connections_that_are_of_no_use_are_closed_as_is_said() {
    play(async {
        let scene = Scene::new(8, 64 * 1024, 16 * 1024);
        let engine = scene
            .engine_with(0, true, &[], |config| {
                config.settings.connections.close_redundant = false;
                config.settings.connections.max = 2;
            })
            .await;
        let mut two = peers(&scene, 1..=2).await;
        // One has everything.
        say(&mut two[0], &[5, 0b1111_0000]).await;
        assert!(!ends(&mut two[0], Duration::from_secs(20)).await);
        set(&engine, "connections.close_redundant", true).await;
        assert!(ends(&mut two[0], SOON).await);
        // One wants nothing, and nobody else has room.
        let mut other = peers(&scene, 3..=3).await;
        assert!(!ends(&mut two[1], Duration::from_secs(20)).await);
        set(
            &engine,
            "connections.useless_after",
            Duration::from_secs(10),
        )
        .await;
        assert!(ends(&mut two[1], SOON).await);
        drop(other.pop());
    });
}

#[test]
fn as_many_are_served_as_is_said_and_decided_about_as_often() {
    play(async {
        let scene = Scene::new(9, 100_000, 16 * 1024);
        let engine = scene
            .engine_with(0, true, &[], |config| {
                config.settings.choking.slots = 0;
                config.settings.connections.idle_timeout = Duration::from_secs(86_400);
            })
            .await;
        let mut three = peers(&scene, 1..=3).await;
        for peer in &mut three {
            say(peer, &[INTERESTED]).await;
        }
        tokio::time::sleep(Duration::from_secs(40)).await;
        set(&engine, "choking.slots", 2_u32).await;
        let mut served = 0;
        for peer in &mut three {
            served += usize::from(hears(peer, UNCHOKE, Duration::from_secs(1)).await);
        }
        assert_eq!(served, 2);
        // With rounds an hour apart nobody's turn ends; with short ones the third has its turn.
        set(&engine, "choking.round_every", Duration::from_secs(3600)).await;
        let mut changes = 0;
        for peer in &mut three {
            changes += count(peer, UNCHOKE, Duration::from_secs(200)).await;
        }
        assert_eq!(changes, 0);
        set(&engine, "choking.round_every", Duration::from_secs(5)).await;
        for peer in &mut three {
            changes += count(peer, UNCHOKE, Duration::from_secs(200)).await;
        }
        assert!(changes > 0);
        let config = crate::torrent::choker::ChokerConfig::of(&engine.handle.settings().choking);
        assert_eq!(config.round_every, Duration::from_secs(5));
    });
}

/// Connects with extensions, and reads the extension handshake.
async fn introduced(scene: &Scene, number: u32) -> String {
    let host = scene.host(number);
    let mut stream = host.network().dial(addr(0)).await.unwrap();
    let reserved = Reserved::EXTENSIONS;
    scene.greet_with(&mut stream, name(number), reserved).await;
    loop {
        let body = message(&mut stream).await.expect("an extension handshake");
        if body.starts_with(&[20, 0]) {
            return String::from_utf8_lossy(&body).into_owned();
        }
    }
}

#[test]
fn peers_are_told_what_we_do_and_take_as_is_said() {
    play(async {
        let scene = Scene::new(10, 100_000, 16 * 1024);
        let engine = scene.engine(0, true, &[]).await;
        let hello = introduced(&scene, 1).await;
        assert!(
            hello.contains("6:ut_pex") && hello.contains("4:reqqi2000e"),
            "{hello}"
        );
        set(&engine, "peers.exchange", false).await;
        set(&engine, "peers.accept_requests", 77_u32).await;
        let hello = introduced(&scene, 2).await;
        assert!(
            !hello.contains("ut_pex") && hello.contains("4:reqqi77e"),
            "{hello}"
        );
    });
}

/// A peer that has everything, serves, and sends nothing.
async fn miser(scene: &Scene, number: u32) -> BoxStream {
    let host = scene.host(number);
    let mut stream = scene.connect(&host, addr(0), name(number)).await;
    say(&mut stream, &[&[5][..], &[0xff; 8]].concat()).await;
    say(&mut stream, &[UNCHOKE]).await;
    stream
}

#[test]
fn so_much_is_asked_of_a_peer_as_is_said_and_waited_for_as_long() {
    play(async {
        let scene = Scene::new(11, 64 * 16 * 1024, 16 * 1024);
        let engine = scene
            .engine_with(0, false, &[], |config| {
                config.settings.peers.max_requests = 2;
                config.settings.peers.request_timeout = Duration::from_secs(600);
            })
            .await;
        let mut peer = miser(&scene, 1).await;
        assert_eq!(count(&mut peer, REQUEST, Duration::from_secs(10)).await, 2);
        set(&engine, "peers.max_requests", 10_u32).await;
        assert_eq!(count(&mut peer, REQUEST, Duration::from_secs(10)).await, 8);
        assert!(!hears(&mut peer, CANCEL, Duration::from_secs(60)).await);
        // It is known at once that it snubs us, and its blocks go to another.
        set(&engine, "peers.request_timeout", Duration::from_secs(5)).await;
        let mut other = miser(&scene, 2).await;
        assert!(hears(&mut other, REQUEST, SOON).await);
        engine.until(|status| status.peers == 2).await;
    });
}

#[test]
fn streams_are_plain_or_not_as_is_said() {
    play(async {
        let scene = Scene::new(12, 100_000, 16 * 1024);
        let engine = scene.engine(0, true, &[]).await;
        let mut before = peers(&scene, 1..=1).await;
        set(&engine, "encryption.peers", "require").await;
        let mut plain = scene.host(2).network().dial(addr(0)).await.unwrap();
        scene.say_hello(&mut plain, name(2)).await;
        assert!(ends(&mut plain, SOON).await);
        set(&engine, "encryption.peers", "off").await;
        let _after = peers(&scene, 3..=3).await;
        assert!(!ends(&mut before[0], SOON).await, "it was there before");
    });
}

#[test]
fn the_local_networks_hear_of_torrents_as_is_said() {
    play(async {
        let scene = Scene::new(13, 100_000, 16 * 1024);
        let engine = scene
            .engine_with(0, true, &[], |config| {
                config.local_discovery = true;
                config.settings.local_discovery.enabled = false;
            })
            .await;
        let host = scene.host(1);
        let hour = Duration::from_secs(3600);
        assert_eq!(scene.announcements(&host, hour).await, 0);
        set(&engine, "local_discovery.enabled", true).await;
        let usual = scene.announcements(&host, hour).await;
        assert!((1..=13).contains(&usual), "{usual}");
        let often = Duration::from_secs(60);
        set(&engine, "local_discovery.announce_every", often).await;
        let often = scene.announcements(&host, hour).await;
        assert!(often > 2 * usual, "{often}, and {usual} before");
        set(&engine, "local_discovery.enabled", false).await;
        assert_eq!(scene.announcements(&host, hour).await, 0);
    });
}

#[test]
fn files_are_opened_as_is_said() {
    use std::os::unix::fs::MetadataExt as _;
    for full in [false, true] {
        play(async {
            let scene = Scene::new(14, 4_000_000, 64 * 1024);
            let dir = tempfile::TempDir::new().unwrap();
            let (_supervisor, handle) = scene.launch(0, |_| {});
            if full {
                let patch = Patch::new().with("disk.preallocate", "full");
                handle.set_settings(patch).await.unwrap();
            }
            let source = crate::Source::Metainfo(std::sync::Arc::clone(&scene.metainfo));
            let add = crate::AddTorrent::new(source, dir.path().into());
            let id = handle.add(add).await.unwrap();
            let mut snapshots = handle.snapshots();
            let opened =
                |status: &TorrentStatus| status.id == id && status.state == State::Downloading;
            let opened = snapshots.wait_for(|all| all.torrents.iter().any(|one| opened(one)));
            opened.await.unwrap();
            // The host has one block of the content, which makes the file come about.
            let room = std::fs::metadata(dir.path().join("payload"));
            let room = room.map_or(0, |data| data.blocks() * 512);
            assert_eq!(room >= 4_000_000, full, "{room}");
        });
    }
}

#[test]
fn the_bounds_of_all_files_are_those_that_are_said() {
    play(async {
        let scene = Scene::new(15, 100_000, 16 * 1024);
        let budget = storage::Budget::default();
        let shared = budget.clone();
        let engine = scene
            .engine_with(0, true, &[], |config| config.storage.budget = shared)
            .await;
        assert_eq!(budget.limits().open_files, 256);
        set(&engine, "disk.open_files", 3_u32).await;
        set(&engine, "disk.mapped", "1MiB").await;
        let limits = budget.limits();
        assert_eq!((limits.open_files, limits.mapped), (3, 1 << 20));
    });
}

#[test]
fn progress_is_noted_as_often_as_is_said() {
    play(async {
        let scene = Scene::new(16, 4_000_000, 16 * 1024);
        let state = tempfile::TempDir::new().unwrap();
        let at = state.path().to_owned();
        let _seed = scene.engine(0, true, &[]).await;
        let leecher = scene
            .engine_with(1, false, &[addr(0)], |config| {
                config.memory = crate::Memory::Files(at);
                config.settings.limits.down = Some(20_000);
                config.settings.disk.save_every = Duration::from_secs(3600);
            })
            .await;
        leecher.until(|status| status.done > 300_000).await;
        let before = contents(state.path());
        leecher.until(|status| status.done > 1_000_000).await;
        assert_eq!(contents(state.path()), before);
        set(&leecher, "disk.save_every", Duration::from_secs(1)).await;
        tokio::time::sleep(SOON).await;
        assert_ne!(contents(state.path()), before);
    });
}

/// What is in the files below a folder.
fn contents(dir: &std::path::Path) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap()) {
        if entry.file_type().unwrap().is_dir() {
            all.extend(contents(&entry.path()));
        } else {
            all.push(std::fs::read(entry.path()).unwrap());
        }
    }
    all
}

#[test]
fn a_torrent_that_failed_tries_again_after_the_time_that_is_said() {
    play(async {
        let scene = Scene::new(17, 100_000, 16 * 1024);
        let engine = scene
            .engine_with(0, true, &[], |config| {
                config.settings.disk.retry_after = Duration::from_secs(3600);
            })
            .await;
        engine.until(|status| status.state == State::Seeding).await;
        let content = engine.dir.path().join("payload");
        let away = engine.dir.path().join("away");
        std::fs::rename(&content, &away).unwrap();
        std::fs::create_dir(&content).unwrap();
        engine.handle.recheck(engine.id).await.unwrap();
        let failed = |status: &TorrentStatus| matches!(status.state, State::Error(_));
        engine.until(failed).await;
        std::fs::remove_dir(&content).unwrap();
        std::fs::rename(&away, &content).unwrap();
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert!(failed(&engine.status()));
        let before = Instant::now();
        set(&engine, "disk.retry_after", Duration::from_secs(4)).await;
        engine.until(|status| status.state == State::Seeding).await;
        assert!(before.elapsed() < Duration::from_secs(10));
    });
}

#[test]
fn content_is_read_as_is_said() {
    for (read, mapped) in [("pread", false), ("map", true)] {
        play(async {
            let scene = Scene::new(30, 4_000_000, 64 * 1024);
            let budget = storage::Budget::default();
            let shared = budget.clone();
            let seed = scene
                .engine_with(0, true, &[], |config| {
                    config.storage.budget = shared;
                    let patch = Patch::new().with("disk.read", read);
                    config.settings = config.settings.with(&patch).unwrap();
                })
                .await;
            let slow =
                |config: &mut crate::EngineConfig| config.settings.limits.down = Some(200_000);
            let leecher = scene.engine_with(1, false, &[addr(0)], slow).await;
            leecher.until(|status| status.done > 1_000_000).await;
            assert_eq!(budget.usage().mapped > 0, mapped, "{read}");
            drop(seed);
        });
    }
}
