//! Which peers exchange which kinds of torrents.

use std::sync::Arc;

use engine::{Source, State, TorrentError};
use net::sim::Sim;
use protocol::id::InfoHashes;
use protocol::metainfo::Version;

use crate::common::folder::Folder;
use crate::common::sim::simulate;
use crate::member::{LENS, Member, PIECE};

fn of(folder: &Folder) -> Source {
    Source::Metainfo(Arc::clone(&folder.metainfo))
}

#[test]
fn a_v2_torrent_passes_from_one_to_the_other() {
    simulate(async {
        let sim = Sim::new(1);
        let folder = Folder::new(Version::V2, 1, &LENS, PIECE);
        let _seed = Member::seed(&sim, 0, &folder).await;
        let first = Member::fetch(&sim, 1, of(&folder), &[0]).await;
        first.completes(&folder).await;
        let status = first.status();
        assert_eq!((status.done, status.wasted), (folder.len(), 0));
        assert_eq!(status.downloaded, folder.len(), "no byte of padding");
        let second = Member::fetch(&sim, 2, of(&folder), &[1]).await;
        second.completes(&folder).await;
        sim.clone()
    });
}

#[test]
fn every_file_of_a_v2_torrent_can_be_had_alone() {
    for (chosen, len) in LENS.into_iter().enumerate() {
        simulate(async {
            let sim = Sim::new(2);
            let folder = Folder::new(Version::V2, 2, &LENS, PIECE);
            let number = folder
                .metainfo
                .files()
                .iter()
                .position(|file| file.components().last() == Some(&chosen.to_string()));
            let number = number.expect("the file is listed");
            let _seed = Member::seed(&sim, 0, &folder).await;
            let one = Member::start(&sim, 1, of(&folder), |add, _| {
                add.peers = vec![crate::common::sim::addr(0)];
                add.files = Some(vec![number]);
            })
            .await;
            one.until(|status| status.state == State::Seeding).await;
            let got = std::fs::read(one.dir.path().join(format!("t/{chosen}"))).unwrap();
            assert!(got == folder.files[chosen]);
            assert_eq!(one.status().wanted, len as u64);
            sim.clone()
        });
    }
}

#[test]
fn a_hybrid_is_joined_from_either_side() {
    simulate(async {
        let sim = Sim::new(3);
        let folder = Folder::new(Version::Hybrid, 3, &LENS, PIECE);
        let hashes = folder.metainfo.hashes();
        let seed = Member::seed(&sim, 0, &folder).await;
        let whole = Member::fetch(&sim, 1, of(&folder), &[0]).await;
        let v1 = Folder::magnet(InfoHashes::v1(hashes.get_v1().unwrap()));
        let v1 = Member::fetch(&sim, 2, Source::Magnet(v1), &[0]).await;
        let v2 = Folder::magnet(InfoHashes::v2(hashes.get_v2().unwrap()));
        let v2 = Member::fetch(&sim, 3, Source::Magnet(v2), &[0]).await;
        let both = Member::fetch(&sim, 4, Source::Magnet(Folder::magnet(hashes)), &[0]).await;
        for member in [&whole, &v1, &v2, &both] {
            member.completes(&folder).await;
            assert_eq!(member.status().hashes, hashes, "metadata shows both hashes");
        }
        assert_eq!(seed.status().hashes, hashes);
        sim.clone()
    });
}

#[test]
fn those_who_came_from_one_side_serve_those_of_the_other() {
    simulate(async {
        let sim = Sim::new(4);
        let folder = Folder::new(Version::Hybrid, 4, &LENS, PIECE);
        let hashes = folder.metainfo.hashes();
        let v1 = InfoHashes::v1(hashes.get_v1().unwrap());
        let v2 = InfoHashes::v2(hashes.get_v2().unwrap());
        for (turn, (first, then)) in [(v1, v2), (v2, v1)].into_iter().enumerate() {
            let base = 10 * turn as u32;
            let seed = Member::seed(&sim, base, &folder).await;
            let link = Source::Magnet(Folder::magnet(first));
            let between = Member::fetch(&sim, base + 1, link, &[base]).await;
            between.completes(&folder).await;
            seed.handle
                .shutdown(std::time::Duration::from_secs(1))
                .await;
            let link = Source::Magnet(Folder::magnet(then));
            let last = Member::fetch(&sim, base + 2, link, &[base + 1]).await;
            last.completes(&folder).await;
        }
        sim.clone()
    });
}

#[test]
fn a_hybrid_that_contradicts_itself_is_given_up() {
    for kind in 0..2 {
        simulate(async {
            let sim = Sim::new(5);
            let folder = Folder::with(Version::Hybrid, 5, &LENS, PIECE, |hashes| {
                if kind == 0 {
                    hashes.pieces[2][0] ^= 1;
                } else {
                    // The file of one piece.
                    hashes.files[2].root[0] ^= 1;
                }
            });
            let _seed = Member::seed(&sim, 0, &folder).await;
            let member = Member::fetch(&sim, 1, of(&folder), &[0]).await;
            let given_up = State::Error(TorrentError::Inconsistent);
            member.until(|status| status.state == given_up).await;
            tokio::time::sleep(std::time::Duration::from_secs(60)).await;
            assert_eq!(member.status().state, given_up, "for good");
            sim.clone()
        });
    }
}

#[test]
fn the_same_torrent_by_its_other_hash_is_found_out() {
    simulate(async {
        let sim = Sim::new(6);
        let folder = Folder::new(Version::Hybrid, 6, &LENS, PIECE);
        let hashes = folder.metainfo.hashes();
        let _seed = Member::seed(&sim, 0, &folder).await;
        let v1 = Folder::magnet(InfoHashes::v1(hashes.get_v1().unwrap()));
        let member = Member::fetch(&sim, 1, Source::Magnet(v1), &[0]).await;
        let v2 = Folder::magnet(InfoHashes::v2(hashes.get_v2().unwrap()));
        let other = tempfile::TempDir::new().unwrap();
        let mut add = engine::AddTorrent::new(Source::Magnet(v2), other.path().into());
        add.peers = vec![crate::common::sim::addr(0)];
        let twin = member.handle.add(add).await.expect("nobody knows yet");
        let given_up = State::Error(TorrentError::Duplicate);
        let either = |status: &engine::TorrentStatus| status.state == given_up;
        member.until(either).await;
        member.until(|status| status.state == State::Seeding).await;
        let snapshot = member.handle.snapshot();
        assert_eq!(snapshot.torrents.len(), 2);
        assert!(snapshot.torrents.iter().any(|status| status.id == twin));
        sim.clone()
    });
}

#[test]
fn a_peer_that_knows_only_one_hash_is_dialled_with_it_in_the_end() {
    for kind in 0..2 {
        simulate(async {
            let sim = Sim::new(7);
            let folder = Folder::new(Version::Hybrid, 7, &LENS, PIECE);
            let hashes = folder.metainfo.hashes();
            let link = match kind {
                0 => InfoHashes::v1(hashes.get_v1().unwrap()),
                _ => InfoHashes::v2(hashes.get_v2().unwrap()),
            };
            let link = Source::Magnet(Folder::magnet(link));
            let waits = Member::fetch(&sim, 0, link, &[]).await;
            let _seed = Member::start(&sim, 1, of(&folder), |add, dir| {
                folder.put(dir);
                add.trust_data = true;
                add.peers = vec![crate::common::sim::addr(0)];
            })
            .await;
            waits.completes(&folder).await;
            sim.clone()
        });
    }
}
