//! v2 magnet links: the hashes of pieces come from peers.

use std::sync::Arc;
use std::time::Duration;

use engine::{Source, State};
use net::sim::Sim;
use protocol::id::InfoHashes;
use protocol::metainfo::Version;

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
