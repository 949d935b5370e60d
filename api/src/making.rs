//! Torrents are made of files of this machine.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::routing::post;
use control::{Add, Ask, Blob, Origin};
use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::asked::{self, Object, Query};
use crate::daemon::Make;
use crate::describe::About;
use crate::describe::shapes::{either, list, object, text};
use crate::problem::{Answer, Problem};
use crate::routes::{Served, route};
use crate::shared::Shared;
use crate::works::Presence;

pub(crate) fn routes() -> Vec<Served> {
    let said = object(&[
        ("files", list(text())),
        ("name?", text()),
        ("description?", text()),
        ("trackers?", either(&[text(), list(text())])),
        ("export_dir?", text()),
    ]);
    let about = About::new("Makes a torrent of files and folders of this machine")
        .flag("download", "Has it seeded")
        .takes(said)
        .such_as(json!({"files": ["/home/me/film.mp4"], "trackers": ["udp://tracker.example:6969/announce"]}))
        .answers(object(&[("torrent", text())]))
        .refuses(&[404, 500, 507]);
    vec![route("POST", "/createtorrent", post(make), about)]
}

/// The name of the file that is written where nothing is said.
const UNNAMED: &str = "unknown";

/// Makes a torrent; with `download=1` it is seeded from where its content is. Without, nothing has changed before it is made, and it
/// is broken off where whoever asked for it leaves.
async fn make(State(shared): State<Shared>, mut request: Request) -> Result<Answer, Problem> {
    let seeds = Query::of(request.uri()).flag("download");
    let asker = request.extensions_mut().remove::<Presence>();
    let said = asked::object(request).await?;
    let place = place(&said)?;
    let of = Make {
        paths: texts(&said, "files")?
            .ok_or_else(|| Problem::wrong("files parameter missing"))?
            .into_iter()
            .map(PathBuf::from)
            .collect(),
        comment: said.text("description")?.map(str::to_owned),
        trackers: tiers(&said)?,
    };
    let made = shared.daemon().make(of);
    let made = match asker.filter(|_| !seeds) {
        Some(asker) => tokio::select! {
            made = made => made?,
            () = asker.left() => return Err(Problem::failed("nobody waits for it any more")),
        },
        None => made.await?,
    };
    if let Some(place) = place {
        let bytes = made.torrent.clone();
        Shared::apart(move || write(&place, &bytes)).await??;
    }
    let torrent = BASE64.encode(&made.torrent);
    if seeds {
        let add = Add {
            torrents: vec![Origin::File(Blob(made.torrent))],
            dir: Some(made.dir.display().to_string()),
            ..Add::default()
        };
        let added = shared.daemon().ask(Ask::Add(add)).await?;
        crate::downloads::hash_of(added)?;
    }
    Ok(Answer(json!({"torrent": torrent})))
}

/// A list of texts.
fn texts(said: &Object, name: &str) -> Result<Option<Vec<String>>, Problem> {
    let Some(value) = said.get(name) else {
        return Ok(None);
    };
    let list = value.as_array().map(|list| {
        let texts = list.iter().map(|text| text.as_str().map(str::to_owned));
        texts.collect::<Option<Vec<_>>>()
    });
    let wrong = || Problem::wrong(format!("{name} is a list of texts"));
    list.flatten().map(Some).ok_or_else(wrong)
}

/// Each tracker is a tier of its own.
pub(crate) fn tiers(said: &Object) -> Result<Vec<Vec<String>>, Problem> {
    let trackers = match said.get("trackers") {
        Some(Value::String(none)) if none.is_empty() => Vec::new(),
        Some(Value::String(one)) => vec![one.clone()],
        _ => texts(said, "trackers")?.unwrap_or_default(),
    };
    Ok(trackers.into_iter().map(|url| vec![url]).collect())
}

/// Where the torrent is written, if anywhere.
pub(crate) fn place(said: &Object) -> Result<Option<PathBuf>, Problem> {
    let name = said.text("name")?.unwrap_or(UNNAMED);
    let Some(dir) = said.text("export_dir")?.filter(|dir| !dir.is_empty()) else {
        return Ok(None);
    };
    let dir = Path::new(dir);
    if !dir.is_absolute() {
        let dir = dir.display();
        let why = format!("export_dir: {dir}: a folder is named from the root");
        return Err(Problem::wrong(why));
    }
    let is_name = !name.is_empty() && !name.contains(['/', '\0']) && name != "." && name != "..";
    if !is_name {
        return Err(Problem::wrong(format!(
            "name: {name}: this is no name of a file"
        )));
    }
    Ok(Some(dir.join(format!("{name}.torrent"))))
}

/// Files that were written in this process.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// Writes a file in one step, so that no half of it is ever seen; nothing where its folder is not there.
fn write(place: &Path, bytes: &[u8]) -> Result<(), Problem> {
    let Some(dir) = place.parent().filter(|dir| dir.is_dir()) else {
        return Ok(());
    };
    let failed = |error: std::io::Error| {
        use std::io::ErrorKind as Kind;
        let why = format!("{}: {error}", place.display());
        let is_of_place = matches!(
            error.kind(),
            Kind::InvalidFilename
                | Kind::InvalidInput
                | Kind::IsADirectory
                | Kind::NotFound
                | Kind::PermissionDenied
                | Kind::ReadOnlyFilesystem
        );
        let is_full = matches!(error.kind(), Kind::QuotaExceeded | Kind::StorageFull);
        if is_of_place {
            // Whoever names another place is served.
            Problem::wrong(why)
        } else if is_full {
            Problem::new(StatusCode::INSUFFICIENT_STORAGE, why)
        } else {
            Problem::failed(why)
        }
    };
    // Nobody else has this name, not even who writes the same file now.
    let (process, count) = (std::process::id(), WRITTEN.fetch_add(1, Ordering::Relaxed));
    let beside = dir.join(format!(".tribler-{process}-{count}.tmp"));
    let mut new = std::fs::File::options();
    let file = new.write(true).create_new(true).open(&beside);
    let written = file
        .map_err(failed)?
        .write_all(bytes)
        .and_then(|()| std::fs::rename(&beside, place));
    written.map_err(|error| {
        // What is left of the attempt is of no use; that it may not be there is no matter.
        let _ = std::fs::remove_file(&beside);
        failed(error)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;
    use tokio::time::timeout;

    use super::*;
    use crate::testing::Scene;

    const SOON: Duration = Duration::from_secs(60);

    #[tokio::test(flavor = "multi_thread")]
    async fn a_torrent_is_made_written_and_seeded_as_it_is_asked_for() {
        let scene = Scene::start().await;
        let dir = scene.dir.path().display().to_string();
        let body = json!({
            "files": ["/content/a", "/content/b"], "description": "words", "export_dir": dir, "name": "made",
            "trackers": ["http://t.example/a", "udp://t.example:1"],
        });
        let reply = scene
            .ask("POST", "/createtorrent", body.to_string().as_bytes())
            .await;
        assert_eq!(reply.status, 200);
        let torrent = BASE64
            .decode(reply.json["torrent"].as_str().unwrap().as_bytes())
            .unwrap();
        let written = std::fs::read(scene.dir.path().join("made.torrent")).unwrap();
        assert_eq!(written, torrent);
        // The daemon of these tests answers with what it was asked for.
        let asked = String::from_utf8(torrent).unwrap();
        for part in [
            "/content/a",
            "/content/b",
            "words",
            "http://t.example/a",
            "udp://t.example:1",
        ] {
            assert!(asked.contains(part), "{part}: {asked}");
        }
        let list = scene.ask("GET", "/downloads", b"").await.json;
        assert_eq!(list["downloads"], json!([]));
        let (content, hash) = crate::testing::torrent_of(scene.dir.path(), "x", &[("a", 20_000)]);
        *scene.made().lock() = Some(content.clone());
        let body = json!({"files": [scene.dir.path().join("x")]}).to_string();
        let reply = scene
            .ask("POST", "/createtorrent?download=1", body.as_bytes())
            .await;
        assert_eq!(reply.json["torrent"], BASE64.encode(&content));
        let seeded = scene.until(&hash, "DLSTATUS_SEEDING").await;
        assert_eq!(seeded["destination"], dir);
        // Once more it is there already, which is as it should be.
        let again = scene
            .ask("POST", "/createtorrent?download=1", body.as_bytes())
            .await;
        assert_eq!(again.status, 200);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_cannot_be_made_is_refused_and_nothing_is_written_elsewhere() {
        let scene = Scene::start().await;
        let dir = scene.dir.path().join("in");
        std::fs::create_dir(&dir).unwrap();
        for (body, why) in [
            (json!({}), "files parameter missing"),
            (json!({"files": "a"}), "files is a list of texts"),
            (json!({"files": [7]}), "files is a list of texts"),
            (
                json!({"files": ["/a"], "trackers": [7]}),
                "trackers is a list",
            ),
            (
                json!({"files": ["/a"], "export_dir": "x"}),
                "named from the root",
            ),
            (
                json!({"files": ["/a"], "export_dir": dir, "name": "../x"}),
                "no name of a file",
            ),
            (
                json!({"files": ["/a"], "export_dir": dir, "name": ".."}),
                "no name of a file",
            ),
        ] {
            let reply = scene
                .ask("POST", "/createtorrent", body.to_string().as_bytes())
                .await;
            let error = reply.json["error"].as_str().unwrap();
            assert!(
                reply.status == 400 && error.contains(why),
                "{body}: {error}"
            );
        }
        let long = json!({"files": ["/a"], "export_dir": dir, "name": "x".repeat(300)});
        let reply = scene
            .ask("POST", "/createtorrent", long.to_string().as_bytes())
            .await;
        let error = reply.json["error"].as_str().unwrap();
        assert!(reply.status == 400 && error.contains("too long"), "{error}");
        // The longest name that a file can have.
        let name = "x".repeat(255 - ".torrent".len());
        let longest = json!({"files": ["/a"], "export_dir": scene.dir.path(), "name": name});
        let reply = scene
            .ask("POST", "/createtorrent", longest.to_string().as_bytes())
            .await;
        assert_eq!(reply.status, 200, "{}", reply.json);
        assert!(scene.dir.path().join(format!("{name}.torrent")).exists());
        let elsewhere = json!({"files": ["/a"], "export_dir": dir.join("gone")});
        let reply = scene
            .ask("POST", "/createtorrent", elsewhere.to_string().as_bytes())
            .await;
        assert_eq!(reply.status, 200);
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
        assert!(!scene.dir.path().join("x.torrent").exists());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_nobody_waits_for_is_broken_off_but_what_is_to_be_seeded_is_made() {
        let scene = Scene::start().await;
        let (content, hash) = crate::testing::torrent_of(scene.dir.path(), "x", &[("a", 20_000)]);
        *scene.made().lock() = Some(content);
        let body = json!({"files": [scene.dir.path().join("x")]}).to_string();
        for (path, seeds) in [
            ("/createtorrent", false),
            ("/createtorrent?download=1", true),
        ] {
            let ((come, has_come), (mut open, opens)) = (oneshot::channel(), oneshot::channel());
            scene.hold_making((come, opens));
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n{body}",
                scene.at,
                body.len()
            );
            let mut stream = TcpStream::connect(scene.at).await.unwrap();
            stream.write_all(head.as_bytes()).await.unwrap();
            timeout(SOON, has_come).await.unwrap().unwrap();
            assert!(!open.is_closed(), "its client is there");
            drop(stream);
            if !seeds {
                let broken_off = timeout(SOON, open.closed()).await;
                broken_off.expect("it is broken off");
                continue;
            }
            // Meanwhile the server has much time to hear that the client is gone.
            for _ in 0..50 {
                assert_eq!(scene.ask("GET", "/state", b"").await.status, 200);
            }
            open.send(()).expect("somebody who makes it");
            scene.until(&hash, "DLSTATUS_SEEDING").await;
        }
    }
}
