use protocol::metainfo::LoadLimits;
use serde_json::{Value, json};

use super::*;
use crate::testing::{Reply, Scene, torrent_of};

/// Bytes of a piece of what [`torrent_of`] makes.
const PIECE: usize = 16384;

const MIB: usize = 1 << 20;

fn near(is: f64, due: f64) -> bool {
    (is - due).abs() < 1e-9
}

#[test]
fn what_players_begin_with_is_the_start_and_the_end_of_their_file() {
    let dir = tempfile::tempdir().unwrap();
    // The film begins in the middle of the first piece.
    let files = [("a", PIECE / 2), ("film", 8 * MIB), ("z", 2 * PIECE)];
    let (torrent, _) = torrent_of(dir.path(), "content", &files);
    let metainfo = Metainfo::from_bytes(&torrent, &LoadLimits::default()).unwrap();
    let geometry = metainfo.geometry();
    let with = |is_there: &dyn Fn(u32) -> bool| {
        let mut pieces = Bitfield::new(geometry.pieces());
        for piece in geometry.iter().filter(|piece| is_there(piece.get())) {
            pieces.insert(piece);
        }
        Begun::told_by(&metainfo, &pieces, 1).unwrap()
    };
    assert_eq!(with(&|_| false), Begun::NOTHING);
    assert_eq!(with(&|_| true), Begun::WHOLE);
    // Half of its first piece is of the file before it.
    let first = with(&|piece| piece == 0);
    let half = (PIECE / 2) as f64 / (5 * MIB) as f64;
    assert!(
        near(first.header, half) && near(first.before, half),
        "{first:?}"
    );
    assert!(
        near(first.in_row, half) && near(first.footer, 0.0),
        "{first:?}"
    );
    // Behind a gap nothing counts of what is there in a row.
    let gap = with(&|piece| piece != 1);
    let (rest, there) = (PIECE as f64 / (5 * MIB) as f64, gap.in_row);
    assert!(near(gap.header, 1.0 - rest) && near(there, half), "{gap:?}");
    assert!(near(gap.footer, 1.0), "{gap:?}");
    let last = with(&|piece| piece > 7 * 64);
    assert!(near(last.header, 0.0), "{last:?}");
    assert!(near(last.footer, 1.0 - half * 5.0), "{last:?}");
    // A file that is shorter than all that, and one that is none.
    let whole = Bitfield::full(geometry.pieces());
    assert_eq!(Begun::told_by(&metainfo, &whole, 2), Some(Begun::WHOLE));
    assert_eq!(Begun::told_by(&metainfo, &whole, 3), None);
}

/// How a download is listed.
async fn listed(scene: &Scene, hash: &str) -> Value {
    let list = scene.ask("GET", "/downloads?get_files=1", b"").await;
    let all = list.json["downloads"].as_array().unwrap();
    let one = all.iter().find(|one| one["infohash"] == hash);
    one.unwrap().clone()
}

fn begun(one: &Value) -> [f64; 4] {
    let names = [
        "vod_prebuffering_progress",
        "vod_prebuffering_progress_consec",
        "vod_header_progress",
        "vod_footer_progress",
    ];
    names.map(|name| one[name].as_f64().unwrap())
}

async fn change(scene: &Scene, hash: &str, said: Value) -> Reply {
    let path = format!("/downloads/{hash}");
    scene.ask("PATCH", &path, said.to_string().as_bytes()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_to_be_watched_is_wanted_and_how_much_of_it_is_there_is_told() {
    let scene = Scene::start().await;
    let files = [("a", PIECE), ("film", 6 * MIB)];
    let (torrent, hash) = torrent_of(scene.dir.path(), "content", &files);
    // Its second piece is wrong.
    let film = scene.dir.path().join("content/film");
    let mut bytes = std::fs::read(&film).unwrap();
    bytes[PIECE] ^= 1;
    std::fs::write(&film, bytes).unwrap();
    let kind = "Content-Type: application/x-bittorrent\r\n";
    let path = "/downloads?selected_files=0";
    let added = scene.ask_with("PUT", path, kind, &torrent).await;
    assert_eq!(added.json["started"], true, "{added:?}");
    scene.until(&hash, "DLSTATUS_SEEDING").await;
    let before = listed(&scene, &hash).await;
    assert_eq!(
        (&before["vod_mode"], begun(&before)),
        (&json!(false), [0.0; 4])
    );
    assert_eq!(before["files"][1]["included"], false);

    let watched = change(&scene, &hash, json!({"vod_mode": true, "fileindex": 1})).await;
    let told = |answer: &Reply, modified: bool| {
        let json = &answer.json;
        assert_eq!(
            (answer.status, &json["infohash"]),
            (200, &json!(hash)),
            "{json}"
        );
        assert_eq!(json["modified"], modified, "{json}");
        (json["vod_mode"].as_bool(), begun(json))
    };
    assert_eq!(told(&watched, true).0, Some(true));
    let one = scene.until(&hash, "DLSTATUS_DOWNLOADING").await;
    assert_eq!(one["vod_mode"], true);
    let missing = PIECE as f64 / (5 * MIB) as f64;
    let due = [1.0 - missing, missing, 1.0 - missing, 1.0];
    let again = change(&scene, &hash, json!({"vod_mode": true, "fileindex": 1})).await;
    for begun_now in [begun(&one), told(&again, false).1] {
        let as_due = begun_now.iter().zip(due).all(|(is, due)| near(*is, due));
        assert!(as_due, "{begun_now:?}");
    }
    assert_eq!(listed(&scene, &hash).await["files"][1]["included"], true);

    for modified in [true, false] {
        let over = change(&scene, &hash, json!({"vod_mode": false})).await;
        assert_eq!(told(&over, modified), (Some(false), [0.0; 4]));
    }
    let after = listed(&scene, &hash).await;
    assert_eq!(
        (&after["vod_mode"], begun(&after)),
        (&json!(false), [0.0; 4])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_watched_is_refused_with_the_reason() {
    let scene = Scene::start().await;
    let hash = scene.seed(&[("a", 100), ("b", 100)]).await;
    for (said, status, why) in [
        (
            json!({"vod_mode": true}),
            400,
            "fileindex is necessary to enable vod_mode",
        ),
        (json!({"vod_mode": "x"}), 400, "vod_mode must be bool flag"),
        (
            json!({"vod_mode": true, "fileindex": 2}),
            404,
            "Selected file out of range",
        ),
        (
            json!({"vod_mode": true, "fileindex": u64::MAX}),
            404,
            "Selected file out of range",
        ),
    ] {
        let refused = change(&scene, &hash, said.clone()).await;
        assert_eq!(
            (refused.status, &refused.json["error"]),
            (status, &json!(why)),
            "{said}"
        );
    }
    assert_eq!(listed(&scene, &hash).await["vod_mode"], false);
    let whole = change(&scene, &hash, json!({"vod_mode": true, "fileindex": 1})).await;
    assert_eq!(whole.status, 200);
    let one = listed(&scene, &hash).await;
    assert_eq!((&one["vod_mode"], begun(&one)), (&json!(true), [1.0; 4]));
    // Who reads another file meanwhile changes nothing, and goes.
    let id = scene.engine().snapshot().torrents[0].id;
    let watchers = &scene.shared().0.watchers;
    let chosen = watchers.choose(scene.shared(), id, 1).await;
    assert!(chosen.is_ok());
    drop(watchers.enter(id, 0));
    assert_eq!(watchers.among([id].into_iter()), [(id, 1)]);
    watchers.let_go(id);
    let reader = watchers.enter(id, 0);
    assert_eq!(watchers.among([id].into_iter()), [(id, 0)]);
    drop(reader);
    assert_eq!(watchers.among([id].into_iter()), []);
}
