//! Attacks on a downloader: seeds that lie about blocks and metadata.

use std::time::{Duration, Instant};

use support::clients::{Running as _, finish};
use support::ours::Ours;
use support::{Need, isolated_test};

use crate::liar::{self, Liar};
use crate::scene::{MIB, Scene, assert_bounded, watching};

isolated_test! {
    fn bad_blocks_are_thrown_away_and_their_senders_with_them(lab, limit = 120, needs = [Need::Ours]) {
        let scene = Scene::new(lab, 12 * MIB);
        let (_seeder, honest) = scene.seed(&["--max-up", "3MiB/s"]);
        let liars: Vec<Liar> = (0..3).map(|_| Liar::start(lab, &scene.torrent, liar::rotten_seed)).collect();
        let peers = liars.iter().map(Liar::address).chain([honest]).collect();
        let (mut download, output) = scene.download(peers, &[]);
        let peak = finish_watched(&mut download);
        scene.complete(download, &output, Duration::from_secs(1));
        assert_bounded(lab, "downloader among rotten seeds", peak);
        let blocks = scene.payload.len / (16 * 1024);
        for liar in &liars {
            let bad = liar.sent();
            lab.report(&format!("a rotten seed was asked for {bad} of {blocks} blocks before it was banned"));
            assert!(bad > 0, "the liar was never asked");
            assert!(bad < blocks / 2, "a liar was still asked after {bad} bad blocks");
        }
    }
}

isolated_test! {
    fn seeds_that_never_answer_do_not_hold_a_download_up(lab, limit = 120, needs = [Need::Ours]) {
        let scene = Scene::new(lab, 12 * MIB);
        let (_seeder, honest) = scene.seed(&["--max-up", "3MiB/s"]);
        let timed = |peers| {
            let begin = Instant::now();
            let (mut download, output) = scene.download(peers, &[]);
            let peak = finish_watched(&mut download);
            (begin.elapsed(), peak, download, output)
        };
        let (alone, _, download, output) = timed(vec![honest]);
        scene.complete(download, &output, Duration::from_secs(1));
        let liars: Vec<Liar> = (0..3).map(|_| Liar::start(lab, &scene.torrent, liar::stalled_seed)).collect();
        let peers = liars.iter().map(Liar::address).chain([honest]).collect();
        let (took, peak, download, output) = timed(peers);
        scene.complete(download, &output, Duration::from_secs(1));
        assert_bounded(lab, "downloader among silent seeds", peak);
        lab.report(&format!("among silent seeds: {:.1} s, without them {:.1} s", took.as_secs_f64(), alone.as_secs_f64()));
        assert!(liars.iter().all(|liar| liar.sent() > 0), "a liar was never asked");
        assert!(took < 7 * alone, "took {took:?}, without them {alone:?}");
    }
}

isolated_test! {
    fn answers_that_nobody_asked_for_change_nothing(lab, limit = 120, needs = [Need::Ours]) {
        let scene = Scene::new(lab, 8 * MIB);
        let (_seeder, honest) = scene.seed(&["--max-up", "3MiB/s"]);
        let liar = Liar::start(lab, &scene.torrent, liar::wrong_answers);
        let (mut download, output) = scene.download(vec![liar.address(), honest], &[]);
        let peak = finish_watched(&mut download);
        scene.complete(download, &output, Duration::from_secs(1));
        assert_bounded(lab, "downloader under wrong answers", peak);
        assert!(liar.sent() > 0, "the liar was never asked");
    }
}

isolated_test! {
    fn lies_about_metadata_do_not_stop_a_magnet_link(lab, limit = 150, needs = [Need::Ours]) {
        let scene = Scene::new(lab, 8 * MIB);
        let (_seeder, honest) = scene.seed(&[]);
        let lies = [
            liar::endless_metadata, liar::false_metadata, liar::huge_metadata, liar::refused_metadata,
            liar::silent_metadata,
        ];
        let liars: Vec<Liar> = lies.into_iter().map(|lie| Liar::start(lab, &scene.torrent, lie)).collect();
        let peers = liars.iter().map(Liar::address).chain([honest]).collect();
        let (mut download, output) = scene.download_magnet(peers);
        let peak = finish_watched(&mut download);
        scene.complete(download, &output, Duration::from_secs(1));
        assert_bounded(lab, "downloader under false metadata", peak);
    }
}

fn finish_watched(download: &mut Ours) -> u64 {
    let pid = download.process().pid();
    watching(pid, || {
        finish(download, Duration::from_secs(90), "the download");
    })
    .1
}
