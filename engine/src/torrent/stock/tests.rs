use crate::Limits;
use crate::scene::{Scene, addr, play, trip_at, trip_is_set};

#[test]
fn a_piece_whose_writer_panicked_before_it_told_is_not_lost() {
    for piece in [0, 3, 6] {
        play(async {
            let scene = Scene::new(2, 400_000, 64 * 1024);
            let _seed = scene.engine(0, true, &[]).await;
            trip_at(piece);
            // Slow enough for each block to be told by itself: but for the last, the torrent knows the piece.
            let slow = |config: &mut crate::EngineConfig| {
                config.settings.limits = Limits {
                    down: Some(500_000),
                    up: None,
                }
                .into();
            };
            let leecher = scene.engine_with(1, false, &[addr(0)], slow).await;
            leecher.completes(&scene).await;
            assert!(!trip_is_set(), "no driver panicked at piece {piece}");
            let fetched = leecher.status().downloaded;
            // The block that was arriving is lost.
            assert!(
                fetched < 400_000 + 16 * 1024,
                "{fetched} bytes were fetched"
            );
        });
    }
}
