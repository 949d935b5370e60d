//! A bad block is found by the hash of its own: it alone is fetched again, and its sender banned.

use std::sync::Arc;
use std::time::Duration;

use engine::{Limits, Source, State};
use net::sim::Sim;
use protocol::metainfo::Version;

use crate::common::folder::{BLOCK, Folder};
use crate::common::sim::{addr, simulate};
use crate::member::{Member, PIECE};
use crate::played::play;

/// Twenty pieces of four blocks, the last one short; a small file beside it makes a folder of the torrent.
const LEN: usize = 20 * PIECE - 1000;

/// A seed that has everything but one block, and does not know it.
async fn rotten(sim: &Sim, number: u32, folder: &Folder) -> Member {
    let source = Source::Metainfo(Arc::clone(&folder.metainfo));
    Member::start(sim, number, source, |add, dir| {
        folder.put(dir);
        let path = dir.join("t/0");
        let mut bytes = std::fs::read(&path).expect("the file");
        bytes[3 * PIECE + 2 * BLOCK + 77] ^= 1;
        std::fs::write(path, bytes).expect("written");
        add.trust_data = true;
    })
    .await
}

/// A seed that has everything, and a slow line.
async fn honest(sim: &Sim, number: u32, folder: &Folder) -> Member {
    let member = Member::seed(sim, number, folder).await;
    let limits = Limits {
        up: Some(20_000),
        down: None,
    };
    let limited = member.handle.set_limits(None, limits).await;
    limited.expect("limited");
    member
}

fn of(folder: &Folder) -> Source {
    Source::Metainfo(Arc::clone(&folder.metainfo))
}

#[test]
fn a_bad_block_alone_is_fetched_again_and_its_sender_banned() {
    for version in [Version::V2, Version::Hybrid] {
        simulate(async {
            let sim = Sim::new(1);
            let folder = Folder::new(version, 1, &[LEN, 5], PIECE);
            let _seeds = [
                rotten(&sim, 0, &folder).await,
                honest(&sim, 1, &folder).await,
            ];
            let mut member = Member::fetch(&sim, 2, of(&folder), &[0, 1]).await;
            member.completes(&folder).await;
            assert_eq!(member.banned(), 1);
            assert_eq!(member.status().wasted, BLOCK as u64, "{version:?}");
            sim.clone()
        });
    }
}

#[test]
fn where_nobody_has_the_hashes_of_blocks_the_piece_is_fetched_again() {
    simulate(async {
        let sim = Sim::new(2);
        let folder = Folder::new(Version::V2, 2, &[LEN, 5], PIECE);
        let _rotten = rotten(&sim, 0, &folder).await;
        let mut member = Member::fetch(&sim, 1, of(&folder), &[0]).await;
        // The one that sent the piece is all there is, and knows no better than its own bytes.
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(member.status().state, State::Downloading);
        assert_eq!(member.banned(), 1);
        assert_eq!(member.status().wasted, PIECE as u64);
        let _honest = honest(&sim, 2, &folder).await;
        let added = member.handle.add_peer(member.id, addr(2)).await;
        added.expect("the torrent is there");
        member.completes(&folder).await;
        assert_eq!(member.status().wasted, PIECE as u64);
        sim.clone()
    });
}

#[test]
fn who_lies_about_the_hashes_of_blocks_is_banned_and_another_is_asked() {
    simulate(async {
        let sim = Sim::new(3);
        let folder = Folder::new(Version::V2, 3, &[LEN, 5], PIECE);
        let liar = tokio::task::spawn_local(play(
            sim.clone(),
            0,
            Arc::clone(&folder.metainfo),
            |hashes, uncles| Some(vec![7; 32 * (hashes + uncles)]),
        ));
        let _seeds = [
            rotten(&sim, 1, &folder).await,
            honest(&sim, 2, &folder).await,
        ];
        let mut member = Member::fetch(&sim, 3, of(&folder), &[0, 1, 2]).await;
        member.completes(&folder).await;
        assert_eq!(liar.await.expect("it ended"), 1, "it was asked once");
        assert_eq!(member.banned(), 2);
        assert_eq!(member.status().wasted, BLOCK as u64);
        sim.clone()
    });
}
