//! Pieces that are due at a time.

use std::time::Duration;

use engine::{Categories, Category, Event, FileError, Priority};
use protocol::metainfo::Version;

use crate::common::sim::simulate;
use crate::scene::Scene;

const PIECE: usize = 64 * 1024;

async fn scene(seed: u64) -> Scene {
    let lens = [8_000_000, 192_000];
    Scene::new((Version::V1, seed), (&lens, PIECE), &[50_000; 4], |_| {}).await
}

/// The pieces whose arrival was told, in order, and by how much each was late.
fn told(events: &mut engine::Events) -> Vec<(u32, Duration)> {
    let mut told = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let Event::DuePiece { piece, late, .. } = event {
            told.push((piece, late));
        }
    }
    told
}

#[test]
fn what_is_due_comes_first_in_the_order_of_its_times_and_is_told_and_read() {
    simulate(async {
        let scene = scene(1).await;
        let (handle, id) = (&scene.handle, scene.id);
        let mut events = handle.events(Categories::from(Category::Pieces), 10_000);
        let seconds = Duration::from_secs;
        for (piece, within) in [(100, 18), (50, 12), (7, 8)] {
            let set = handle.set_piece_deadline(id, piece, seconds(within)).await;
            set.expect("set");
        }
        // Too soon by far.
        let set = handle.set_piece_deadline(id, 120, Duration::from_millis(1));
        set.await.expect("set");
        tokio::time::sleep(seconds(18)).await;
        let arrived = told(&mut events);
        let mut pieces: Vec<u32> = arrived.iter().map(|(piece, _)| *piece).collect();
        pieces.sort_unstable();
        assert_eq!(pieces, [7, 50, 100, 120], "{arrived:?}");
        for (piece, late) in arrived {
            assert_eq!(late > Duration::ZERO, piece == 120, "{piece}: {late:?}");
            let bytes = handle.read_piece(id, piece).await.expect("read");
            let from = piece as usize * PIECE;
            assert!(bytes == scene.folder.files[0][from..from + PIECE]);
        }
        // One that is there is told at once.
        handle
            .set_piece_deadline(id, 7, seconds(5))
            .await
            .expect("set");
        assert_eq!(told(&mut events), [(7, Duration::ZERO)]);
        scene.finished().await;
        scene.sim
    });
}

#[test]
fn what_is_not_due_any_more_is_not_hurried() {
    simulate(async {
        let scene = scene(2).await;
        let (handle, id) = (&scene.handle, scene.id);
        let mut events = handle.events(Categories::from(Category::Pieces), 10_000);
        // Nothing else moves, so that what is due is all that comes.
        let all = vec![Priority::new(1); 125];
        handle.set_piece_priorities(id, all).await.expect("set");
        for piece in 60..90 {
            let within = Duration::from_secs(5);
            handle
                .set_piece_deadline(id, piece, within)
                .await
                .expect("set");
        }
        for piece in 60..75 {
            handle
                .reset_piece_deadline(id, piece)
                .await
                .expect("taken back");
        }
        tokio::time::sleep(Duration::from_secs(8)).await;
        let arrived = told(&mut events);
        assert!(arrived.len() > 10, "{arrived:?}");
        assert!(arrived.iter().all(|(piece, _)| (75..90).contains(piece)));
        handle.clear_piece_deadlines(id).await.expect("taken back");
        scene.finished().await;
        assert!(told(&mut events).is_empty());
        scene.sim
    });
}

#[test]
fn what_cannot_be_due_or_read_is_said() {
    simulate(async {
        let scene = scene(3).await;
        let (handle, id) = (&scene.handle, scene.id);
        let second = Duration::from_secs(1);
        let beyond = handle.set_piece_deadline(id, 125, second).await;
        assert_eq!(beyond, Err(FileError::NoSuchPiece(125)));
        let set = handle.set_piece_priority(id, 3, Priority::SKIP).await;
        set.expect("set");
        let unwanted = handle.set_piece_deadline(id, 3, second).await;
        assert_eq!(unwanted, Err(FileError::NotWanted));
        let absent = handle.read_piece(id, 3).await;
        assert_eq!(absent, Err(FileError::NotThere(3)));
        let beyond = handle.read_piece(id, 125).await;
        assert_eq!(beyond, Err(FileError::NoSuchPiece(125)));
        // A pause is outlived.
        handle
            .set_piece_deadline(id, 99, second)
            .await
            .expect("set");
        handle.pause(id).await.expect("pauses");
        tokio::time::sleep(Duration::from_secs(10)).await;
        let mut events = handle.events(Categories::from(Category::Pieces), 10_000);
        handle.resume(id).await.expect("goes on");
        tokio::time::sleep(Duration::from_secs(15)).await;
        let arrived = told(&mut events);
        assert_eq!(arrived.first().map(|(piece, _)| *piece), Some(99));
        scene.sim
    });
}
