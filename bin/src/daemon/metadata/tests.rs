use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use engine::{Memory, State};
use net::{OwnedPool, RealOptions, Scope};
use protocol::metainfo::LoadLimits;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;
use crate::wire::run;

/// How long what has to happen may take.
const SOON: Duration = Duration::from_secs(60);

/// How long what must not happen is waited for.
const NEVER: Duration = Duration::from_millis(700);

fn plain() -> Network {
    Network::real(RealOptions::default())
}

/// A torrent of one file, which an engine on this machine seeds, and where that is.
async fn seed(dir: &Path, pool: &Pool) -> (EngineHandle, Arc<Metainfo>, SocketAddr) {
    let content = dir.join("seed");
    std::fs::create_dir_all(&content).unwrap();
    std::fs::write(content.join("film"), vec![7; 40_000]).unwrap();
    let pieces: Vec<u8> = [&[7; 16384][..], &[7; 16384], &[7; 7232]]
        .iter()
        .flat_map(|piece| hash::sha1(piece))
        .collect();
    let mut torrent =
        b"d4:infod6:lengthi40000e4:name4:film12:piece lengthi16384e6:pieces60:".to_vec();
    torrent.extend_from_slice(&pieces);
    torrent.extend_from_slice(b"ee");
    let metainfo = Metainfo::from_bytes(&torrent, &LoadLimits::default()).unwrap();
    let metainfo = Arc::new(metainfo);
    let mut config = EngineConfig::new(plain(), pool.clone());
    config.listen = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    config.memory = Memory::None;
    let (_, engine) = Supervisor::launch(config).unwrap();
    let add = AddTorrent::new(Source::Metainfo(Arc::clone(&metainfo)), content);
    let id = engine.add(add).await.unwrap();
    let mut snapshots = engine.snapshots();
    let seeds = snapshots.wait_for(|snapshot| {
        let mut torrents = snapshot.torrents.iter();
        torrents.any(|torrent| torrent.id == id && torrent.state == State::Seeding)
    });
    timeout(SOON, seeds).await.unwrap().unwrap();
    let at = engine.snapshot().listen.unwrap();
    (engine, metainfo, at)
}

fn outfit(pool: &Pool, dir: &Path, local: bool) -> Outfit {
    Outfit {
        network: plain(),
        pool: pool.clone(),
        dht: None,
        routes: None,
        settings: Settings::default(),
        dir: dir.join("look"),
        local,
        trackers: true,
    }
}

#[test]
fn metadata_comes_from_a_peer_and_leaves_nothing_behind() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let pool = OwnedPool::start("test", 1).unwrap();
        let (_seed, metainfo, at) = seed(dir.path(), pool.pool()).await;
        let mut magnet = Magnet::new(metainfo.hashes());
        magnet.peers.push(at);
        let outfit = outfit(pool.pool(), dir.path(), true);
        let found = fetch(outfit, magnet, 0, SOON).await.unwrap();
        assert_eq!(found.to_bytes().unwrap(), metainfo.to_bytes().unwrap());
        assert!(!dir.path().join("look").exists());
    });
}

#[test]
fn who_names_addresses_of_this_machine_has_nobody_asked_there() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let pool = OwnedPool::start("test", 1).unwrap();
        let (seed, metainfo, at) = seed(dir.path(), pool.pool()).await;
        let mut connections = seed.events(Category::Connections.into(), WAITING);
        let mut magnet = Magnet::new(metainfo.hashes());
        magnet.peers.push(at);
        let outfit = outfit(pool.pool(), dir.path(), false);
        let hash = metainfo.hashes().wire();
        let found = fetch(outfit, magnet, 0, NEVER).await;
        assert_eq!(found, Err(NotFound::Nobody(hash, NEVER)));
        let met = connections.try_recv();
        assert!(matches!(met, Err(engine::NoEvent::Empty)), "{met:?}");
    });
}

#[test]
fn a_link_without_a_way_by_so_many_hops_has_no_metadata_at_once() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let pool = OwnedPool::start("test", 1).unwrap();
        let hashes = "ab".repeat(20).parse::<InfoHash>().unwrap();
        let magnet = Magnet::parse(&format!("magnet:?xt=urn:btih:{hashes}")).unwrap();
        let outfit = outfit(pool.pool(), dir.path(), true);
        let found = fetch(outfit, magnet, 2, SOON).await;
        let Err(NotFound::Failed(why)) = found else {
            panic!("{found:?}");
        };
        assert!(why.contains('2'), "{why}");
    });
}

#[test]
fn the_list_has_all_addresses_that_are_not_in_the_open_net_and_hardly_others() {
    let filter = open_net();
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut open = 0;
    for _ in 0..200_000 {
        let v6: [u8; 16] = rng.random();
        let mut segments = Ipv6Addr::from(v6).segments();
        // Most of the space is nobody's: the parts with the borders are looked at more.
        segments[0] =
            [segments[0], 0x2001, 0x2002, 0x3fff, 0x64, 0x200, 0x400][rng.random_range(0..7)];
        segments[1] = [segments[1], 0, 2, 0x10, 0x2f, 0xdb8, 0xff9b][rng.random_range(0..7)];
        let v4 = Ipv4Addr::from(rng.random::<u32>());
        for ip in [IpAddr::V6(segments.into()), IpAddr::V4(v4)] {
            let global = Scope::of(ip) == Some(Scope::Global);
            assert!(global || filter.blocks(ip), "{ip} is let through");
            open += usize::from(!filter.blocks(ip));
            // 6to4 and Teredo are left out altogether.
            let embeds = matches!(ip, IpAddr::V6(ip) if matches!(ip.segments(), [0x2002 | 0x2001 | 0x64, ..]));
            assert!(!global || embeds || !filter.blocks(ip), "{ip} is refused");
        }
    }
    assert!(open > 100_000, "{open}");
    for ip in ["1.1.1.1", "2606:4700:4700::1111", "200::1", "2001:41d0::1"] {
        assert!(!filter.blocks(ip.parse().unwrap()), "{ip}");
    }
}
