//! Downloads are changed and removed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::extract::{Path as Place, Request, State};
use control::{Ask, Existing, HopsOf, MoveOf, Removal, Which};
use engine::{Category, EngineHandle, Events, NoEvent, Priority, TorrentId};
use serde_json::json;
use tokio::time::timeout;

use super::adding;
use crate::asked::{self, Era, Object};
use crate::describe::About;
use crate::describe::shapes::{count, flag, list, number, object, text};
use crate::problem::{Answer, Problem};
use crate::shared::Shared;
use crate::stream::watching::Begun;

/// What [`remove`] is.
pub(super) fn remove_about() -> About {
    About::new("Removes a download, with its content or without")
        .takes(object(&[("remove_data", flag())]))
        .answers(object(&[("removed", flag()), ("infohash", text())]))
        .refuses(&[404, 500])
}

/// What [`change`] is.
pub(super) fn change_about() -> About {
    let said = object(&[
        ("state?", text()),
        ("dest_dir?", text()),
        ("selected_files?", list(count())),
        ("anon_hops?", count()),
        ("vod_mode?", flag()),
        ("fileindex?", count()),
    ]);
    let mut changed = vec![
        ("modified", flag()),
        ("infohash", text()),
        ("vod_mode?", flag()),
    ];
    changed.extend(VOD.map(|name| (name, number())));
    About::new("Resumes, stops, checks or moves a download, or chooses its files, its hops or what is watched")
        .takes(said)
        .such_as(json!({"state": "resume"}))
        .answers(object(&changed))
        .refuses(&[404, 409, 500])
}

/// How much is there of what players begin with, where `vod_mode` was said.
const VOD: [&str; 4] = [
    "vod_prebuffering_progress?",
    "vod_prebuffering_progress_consec?",
    "vod_header_progress?",
    "vod_footer_progress?",
];

/// How long it is waited for that a download is no longer in the list.
const WAIT: Duration = Duration::from_secs(5);

/// Events that may wait meanwhile; it is looked again where there were more.
const EVENTS: usize = 64;

/// Removes a download.
pub(super) async fn remove(
    State(shared): State<Shared>,
    Place(hash): Place<String>,
    request: Request,
) -> Result<Answer, Problem> {
    let said = asked::object(request).await?;
    let data = said.flag("remove_data")?;
    let data = data.ok_or_else(|| Problem::wrong("remove_data parameter missing"))?;
    let (id, hash) = super::find(&shared, &hash).await?;
    let events = shared.engine().events(Category::Status.into(), EVENTS);
    let removal = Removal {
        torrents: vec![hash.to_string()],
        data,
        ..Removal::default()
    };
    shared.daemon().ask(Ask::Remove(removal)).await?;
    // There may be much to delete: that goes on.
    let _ = timeout(WAIT, gone(shared.engine(), id, events)).await;
    shared.0.watchers.let_go(id);
    Ok(Answer(
        json!({"removed": true, "infohash": hash.to_string()}),
    ))
}

/// Waits until a torrent is no longer in the list, or nobody can say.
async fn gone(engine: &EngineHandle, id: TorrentId, mut events: Events) {
    while engine.status(id).is_some() {
        if let Err(NoEvent::Closed) = events.recv().await {
            return;
        }
    }
}

/// Changes a download.
pub(super) async fn change(
    State(shared): State<Shared>,
    Place(hash): Place<String>,
    request: Request,
) -> Result<Answer, Problem> {
    let (id, hash) = super::find(&shared, &hash).await?;
    let era = asked::era(&request);
    let said = asked::object(request).await?;
    let hops = adding::hops(&said)?;
    if hops.is_some() && said.0.len() > 1 {
        let why = "anon_hops must be the only parameter in this request";
        return Err(Problem::wrong(why));
    }
    let hash = hash.to_string();
    let order = order(&hash, &said)?;
    let watch = watch(&said)?;
    if let Some(Ask::Move(MoveOf { dir: Some(dir), .. })) = &order {
        must_be_there(dir).await?;
    }
    if let Some(chosen) = said.numbers("selected_files")? {
        choose(&shared, id, &chosen, era).await?;
    }
    if let Some(hops) = hops {
        let torrents = vec![hash.clone()];
        shared
            .daemon()
            .ask(Ask::Hops(HopsOf { torrents, hops }))
            .await?;
    }
    if let Some(order) = order {
        shared.daemon().ask(order).await?;
    }
    if let Some(watch) = watch {
        let modified = match watch {
            Watch::File(file) => shared.0.watchers.choose(&shared, id, file).await?,
            Watch::Nothing => shared.0.watchers.let_go(id),
        };
        let answer = Begun::answer(&shared, (id, &hash), modified).await;
        return answer.map(Answer);
    }
    Ok(Answer(json!({"modified": true, "infohash": hash})))
}

/// What `vod_mode` stands for.
enum Watch {
    /// This file is to come before all else.
    File(usize),
    /// None is any more.
    Nothing,
}

/// What was said of `vod_mode`.
fn watch(said: &Object) -> Result<Option<Watch>, Problem> {
    let file = said.number("fileindex")?;
    let on = said.flag("vod_mode");
    match on.map_err(|_| Problem::wrong("vod_mode must be bool flag"))? {
        None => Ok(None),
        Some(false) => Ok(Some(Watch::Nothing)),
        Some(true) => {
            let file =
                file.ok_or_else(|| Problem::wrong("fileindex is necessary to enable vod_mode"))?;
            // No torrent has so many files as a number that is none here.
            let file = usize::try_from(file).unwrap_or(usize::MAX);
            Ok(Some(Watch::File(file)))
        }
    }
}

/// What `state` stands for.
fn order(hash: &str, said: &Object) -> Result<Option<Ask>, Problem> {
    let which = || Which {
        torrents: vec![hash.to_owned()],
        all: false,
    };
    let order = match said.text("state")? {
        None => return Ok(None),
        Some("resume") => Ask::Resume(which()),
        Some("stop") => Ask::Pause(which()),
        Some("recheck") => Ask::Check(which()),
        Some("move_storage") => {
            let dir = said.text("dest_dir")?;
            let dir = dir.ok_or_else(|| Problem::wrong("dest_dir parameter missing"))?;
            if !Path::new(dir).is_absolute() {
                return Err(Problem::wrong(format!(
                    "dest_dir: {dir}: a folder is named from the root"
                )));
            }
            Ask::Move(MoveOf {
                torrents: vec![hash.to_owned()],
                dir: Some(dir.to_owned()),
                existing: Existing::Adopt,
                cancel: false,
            })
        }
        Some(_) => {
            let why = "unknown state parameter: it is resume, stop, recheck or move_storage";
            return Err(Problem::wrong(why));
        }
    };
    Ok(Some(order))
}

/// Refuses a folder that is not there.
async fn must_be_there(dir: &str) -> Result<(), Problem> {
    let path = PathBuf::from(dir);
    if Shared::apart(move || path.is_dir()).await? {
        return Ok(());
    }
    let why = format!("Target directory ({dir}) does not exist");
    Err(Problem::wrong(why))
}

/// Has these files wanted, and no others; all where none is named, as when it is added.
async fn choose(shared: &Shared, id: TorrentId, chosen: &[u64], era: Era) -> Result<(), Problem> {
    let engine = shared.engine();
    let Some(metainfo) = engine.metainfo(id).await? else {
        return Err(Problem::wrong("its files are not known yet"));
    };
    let files = metainfo.files();
    let chosen: BTreeSet<u64> = chosen.iter().copied().collect();
    let is_file = |index: &u64| {
        let file = usize::try_from(*index).ok().and_then(|at| files.get(at));
        file.is_some_and(|file| !file.attr.pad)
    };
    if let Some(none) = chosen.iter().find(|index| !is_file(index)) {
        let why = match era {
            Era::Now => "index out of range".to_owned(),
            Era::V70 => format!("index {none} out of range"),
        };
        return Err(Problem::wrong(why));
    }
    let mut priorities = engine.file_priorities(id).await?;
    for (index, of) in (0..).zip(&mut priorities) {
        if !chosen.is_empty() && !chosen.contains(&index) {
            *of = Priority::SKIP;
        } else if !of.is_wanted() {
            *of = Priority::NORMAL;
        }
    }
    engine.set_file_priorities(id, priorities).await?;
    Ok(())
}
