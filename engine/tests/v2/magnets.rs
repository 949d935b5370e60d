//! v2 magnet links: the hashes of pieces come from peers.

use std::sync::Arc;
use std::time::Duration;

use engine::{Source, State};
use net::sim::Sim;
use protocol::id::InfoHashes;
use protocol::metainfo::{LoadLimits, Metainfo, Version};

use crate::common::folder::Folder;
use crate::common::sim::{addr, simulate};
use crate::member::{LENS, Member, PIECE};
use crate::played::play;

fn link(folder: &Folder) -> Source {
    let v2 = folder.metainfo.hashes().get_v2().expect("a v2 torrent");
    Source::Magnet(Folder::magnet(InfoHashes::v2(v2)))
}

#[test]
fn a_v2_link_leads_to_the_torrent_and_on_to_others() {
    simulate(async {
        let sim = Sim::new(1);
        let folder = Folder::new(Version::V2, 1, &LENS, PIECE);
        let seed = Member::seed(&sim, 0, &folder).await;
        let first = Member::fetch(&sim, 1, link(&folder), &[0]).await;
        first.completes(&folder).await;
        seed.handle.shutdown(Duration::from_secs(1)).await;
        // Who has the hashes from others gives them to others.
        let second = Member::fetch(&sim, 2, link(&folder), &[1]).await;
        second.completes(&folder).await;
        sim.clone()
    });
}

#[test]
fn many_parts_of_a_layer_come_from_several_peers() {
    simulate(async {
        let sim = Sim::new(2);
        // 2,001 pieces in two files.
        let folder = Folder::new(Version::V2, 2, &[1500 * 16_384 + 1, 500 * 16_384], 16_384);
        let _seeds = [
            Member::seed(&sim, 0, &folder).await,
            Member::seed(&sim, 1, &folder).await,
        ];
        let member = Member::fetch(&sim, 2, link(&folder), &[0, 1]).await;
        member.completes(&folder).await;
        assert_eq!(member.status().wasted, 0);
        sim.clone()
    });
}

#[test]
fn what_a_link_led_to_is_known_the_next_time() {
    simulate(async {
        let sim = Sim::new(3);
        let folder = Folder::new(Version::V2, 3, &LENS, PIECE);
        let seed = Member::seed(&sim, 0, &folder).await;
        let first = Member::fetch(&sim, 1, link(&folder), &[0]).await;
        first.completes(&folder).await;
        seed.handle.shutdown(Duration::from_secs(1)).await;
        first.handle.shutdown(Duration::from_secs(1)).await;
        let state = first.dir.path().join("state");
        let second = Member::start(&sim, 2, link(&folder), |_, dir| {
            let (from, to) = (first.dir.path(), dir);
            std::fs::create_dir_all(to.join("state")).expect("a folder");
            for entry in std::fs::read_dir(state).expect("the folder is there") {
                let name = entry.expect("an entry").file_name();
                let at = std::path::Path::new("state").join(name);
                std::fs::copy(from.join(&at), to.join(&at)).expect("a copy");
            }
            folder.put(to);
        })
        .await;
        second.until(|status| status.state == State::Seeding).await;
        sim.clone()
    });
}

#[test]
fn a_peer_with_wrong_hashes_is_banned_and_the_right_ones_are_had_from_another() {
    simulate(async {
        let sim = Sim::new(4);
        let folder = Folder::new(Version::V2, 4, &LENS, PIECE);
        let liar = tokio::task::spawn_local(play(
            sim.clone(),
            0,
            Arc::clone(&folder.metainfo),
            |hashes, uncles| Some(vec![7; 32 * (hashes + uncles)]),
        ));
        let mut member = Member::fetch(&sim, 1, link(&folder), &[0]).await;
        let told = liar.await.expect("the liar ended");
        assert!(told > 0, "it was asked");
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(member.status().state, State::FetchingMetadata);
        assert_eq!(member.banned(), 1);
        let _seed = Member::seed(&sim, 2, &folder).await;
        let added = member.handle.add_peer(member.id, addr(2)).await;
        added.expect("the torrent is there");
        member.completes(&folder).await;
        assert_eq!(member.banned(), 0);
        sim.clone()
    });
}

#[test]
fn a_peer_without_hashes_is_no_liar() {
    simulate(async {
        let sim = Sim::new(5);
        let folder = Folder::new(Version::V2, 5, &LENS, PIECE);
        let poor = tokio::task::spawn_local(play(
            sim.clone(),
            0,
            Arc::clone(&folder.metainfo),
            |_, _| None,
        ));
        let mut member = Member::fetch(&sim, 1, link(&folder), &[0]).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        let status = member.status();
        assert_eq!(status.state, State::FetchingMetadata);
        let reason = status.reason.clone().expect("it says why nothing moves");
        assert!(reason.contains("hashes of pieces"), "{reason}");
        let _seed = Member::seed(&sim, 2, &folder).await;
        let added = member.handle.add_peer(member.id, addr(2)).await;
        added.expect("the torrent is there");
        member.completes(&folder).await;
        assert_eq!(member.banned(), 0);
        poor.abort();
        sim.clone()
    });
}

#[test]
fn what_lacks_its_piece_layers_says_that_web_seeds_cannot_give_them() {
    simulate(async {
        let sim = Sim::new(9);
        let folder = Folder::new(Version::V2, 9, &LENS, PIECE);
        let bare = Metainfo::from_info(folder.metainfo.info_bytes(), &LoadLimits::default());
        let mut bare = bare.expect("a torrent");
        bare.set_web_seeds(vec!["http://10.1.0.9/".to_owned()]);
        let member = Member::fetch(&sim, 0, Source::Metainfo(Arc::new(bare)), &[]).await;
        let said = |status: &engine::TorrentStatus| {
            let reason = status.reason.as_deref().unwrap_or_default();
            reason.contains("hashes of pieces") && reason.contains("not from web seeds")
        };
        member.until(said).await;
        sim.clone()
    });
}

/// The .torrent file that a member keeps beside its resume data.
fn kept(member: &Member, wire: protocol::id::InfoHash) -> Option<Metainfo> {
    let path = member.dir.path().join(format!("state/{wire}.torrent"));
    let bytes = std::fs::read(path).ok()?;
    Metainfo::from_bytes(&bytes, &LoadLimits::default()).ok()
}

/// Copies what an engine knows, but not its resume data.
fn hand_on(from: &Member, to: &std::path::Path) {
    std::fs::create_dir_all(to.join("state")).expect("a folder");
    for entry in std::fs::read_dir(from.dir.path().join("state")).expect("the folder is there") {
        let entry = entry.expect("an entry");
        if entry
            .path()
            .extension()
            .is_some_and(|kind| kind == "torrent")
        {
            let at = to.join("state").join(entry.file_name());
            std::fs::copy(entry.path(), at).expect("a copy");
        }
    }
}

#[test]
fn a_torrent_file_without_its_piece_layers_gets_them_from_peers_and_keeps_them() {
    simulate(async {
        let sim = Sim::new(6);
        let folder = Folder::new(Version::V2, 6, &LENS, PIECE);
        let bare = Metainfo::from_info(folder.metainfo.info_bytes(), &LoadLimits::default());
        let bare = Arc::new(bare.expect("a torrent"));
        assert!(!bare.has_piece_layers());
        let source = || Source::Metainfo(Arc::clone(&bare));
        let seed = Member::seed(&sim, 0, &folder).await;
        let first = Member::fetch(&sim, 1, source(), &[0]).await;
        first.completes(&folder).await;
        seed.handle.shutdown(Duration::from_secs(1)).await;
        first.handle.shutdown(Duration::from_secs(1)).await;
        let kept = kept(&first, bare.hashes().wire()).expect("it is kept");
        assert!(kept.has_piece_layers());
        let second = Member::start(&sim, 2, source(), |_, dir| {
            hand_on(&first, dir);
            folder.put(dir);
        })
        .await;
        second.until(|status| status.state == State::Seeding).await;
        sim.clone()
    });
}

#[test]
fn a_hybrid_that_was_joined_by_its_v1_hash_gets_the_v2_layers_too() {
    simulate(async {
        let sim = Sim::new(7);
        let folder = Folder::new(Version::Hybrid, 7, &LENS, PIECE);
        let hashes = folder.metainfo.hashes();
        let _seeds = [
            Member::seed(&sim, 0, &folder).await,
            Member::seed(&sim, 1, &folder).await,
        ];
        let v1 = hashes.get_v1().expect("a hybrid");
        let link = Source::Magnet(Folder::magnet(InfoHashes::v1(v1)));
        let member = Member::start(&sim, 2, link, |add, _| {
            add.peers = vec![addr(0)];
            add.limits.down = Some(50_000);
        })
        .await;
        member
            .until(|status| status.state == State::Downloading)
            .await;
        // Who is met now learns that we know both hashes.
        let added = member.handle.add_peer(member.id, addr(1)).await;
        added.expect("the torrent is there");
        member.completes(&folder).await;
        let kept = kept(&member, v1).expect("it is kept");
        assert!(kept.has_piece_layers());
        assert_eq!(kept.hashes(), hashes);
        sim.clone()
    });
}

#[test]
fn a_hybrid_joined_by_its_v1_hash_gets_the_v2_layers_from_the_peer_that_gave_the_metadata() {
    simulate(async {
        let sim = Sim::new(8);
        let folder = Folder::new(Version::Hybrid, 8, &LENS, PIECE);
        let v1 = folder.metainfo.hashes().get_v1().expect("a hybrid");
        let link = Source::Magnet(Folder::magnet(InfoHashes::v1(v1)));
        let seed = Member::seed(&sim, 0, &folder).await;
        let mut member = Member::fetch(&sim, 1, link, &[0]).await;
        member.completes(&folder).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(member.banned(), 0);
        assert_eq!(member.status().wasted, 0, "nothing was under way");
        member.handle.shutdown(Duration::from_secs(1)).await;
        let kept = kept(&member, v1).expect("it is kept");
        assert!(kept.has_piece_layers());
        drop(seed);
        sim.clone()
    });
}
