//! Files get other paths while the torrent is at work, or at rest.
//!
//! A file has both names until its new one is kept: in the state directory by the job that gives it the name, and wherever else
//! the Supervisor keeps what it knows of torrents. So it is found whenever the process is killed.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use actix::{ActorFutureExt as _, AsyncContext as _, Context};
use actors::tell;
use protocol::metainfo::Metainfo;
use storage::{Renamed, Store};
use tokio::sync::oneshot;

use crate::torrent::actor::{Phase, Torrent};
use crate::torrent::files::{FileError, Reply};
use crate::torrent::messages::DiskReply;
use crate::{Choices, Event};

/// Files and the elements of their new paths, and the folder that must not be there before.
type Paths = (BTreeMap<usize, Vec<String>>, Option<String>);

/// Renames that are under way, one at a time.
#[derive(Debug, Default)]
pub(crate) struct Renames {
    under_way: Option<UnderWay>,
    waiting: VecDeque<(Paths, Reply<()>)>,
    /// The content is to be opened when none is under way.
    then_open: bool,
}

#[derive(Debug)]
struct UnderWay {
    paths: BTreeMap<usize, Vec<String>>,
    choices: Choices,
    reply: Reply<()>,
}

/// The Disk has given files their new names, beside the old ones.
pub(crate) type Outcome = Result<Renamed, FileError>;

impl Renames {
    /// Whether files have two names at the moment.
    pub(super) const fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Whether the content can be opened only when this is over: then it is told to be.
    pub(super) const fn then_open(&mut self) -> bool {
        self.then_open = self.is_under_way();
        self.then_open
    }
}

/// The elements of a path that a person has given.
pub(crate) fn elements(path: &Path) -> Result<Vec<String>, FileError> {
    let bad = || FileError::BadPath(path.to_path_buf());
    let element = |component: Component<'_>| match component {
        Component::Normal(name) => name.to_str().map(str::to_owned).ok_or_else(bad),
        Component::CurDir | Component::ParentDir | Component::Prefix(_) | Component::RootDir => {
            Err(bad())
        }
    };
    let elements: Vec<String> = path.components().map(element).collect::<Result<_, _>>()?;
    if elements.is_empty() {
        return Err(bad());
    }
    Ok(elements)
}

impl Torrent {
    /// Has metadata say where files lie.
    pub(super) fn placed(&self, metainfo: Arc<Metainfo>) -> Arc<Metainfo> {
        if self.add.choices.renamed.is_empty() {
            return metainfo;
        }
        let mut placed = Metainfo::clone(&metainfo);
        placed.set_paths(self.add.choices.renamed.clone());
        Arc::new(placed)
    }

    /// Gives the folder of the torrent another name, or its only file.
    pub(super) fn rename_top(&mut self, name: String, reply: Reply<()>, ctx: &mut Context<Self>) {
        let Some(metainfo) = &self.metainfo else {
            let _ = reply.send(Err(FileError::NoMetadata));
            return;
        };
        if elements(Path::new(&name)).is_ok_and(|elements| elements.len() != 1) {
            let _ = reply.send(Err(FileError::BadPath(name.into())));
            return;
        }
        let is_folder = metainfo
            .files()
            .iter()
            .any(|file| file.components().len() > 1);
        let files = metainfo.files().iter().enumerate();
        let stored = files.filter(|(_, file)| !file.attr.pad);
        let paths = stored.map(|(number, file)| {
            let rest = file.components().iter().skip(1).cloned();
            (number, std::iter::once(name.clone()).chain(rest).collect())
        });
        let paths = paths.collect();
        self.rename((paths, is_folder.then_some(name)), reply, ctx);
    }

    /// Has files lie at other paths, all or none of them.
    pub(super) fn rename(&mut self, paths: Paths, reply: Reply<()>, ctx: &mut Context<Self>) {
        if self.renames.is_under_way() {
            self.renames.waiting.push_back((paths, reply));
            return;
        }
        match self.prepare_renames(&paths.0) {
            Ok((store, candidate)) => self.begin_renames(paths, (store, candidate), reply, ctx),
            Err(error) => {
                let _ = reply.send(Err(error));
            }
        }
    }

    /// The store whose files get these paths, and the metadata as it is then.
    fn prepare_renames(
        &mut self,
        paths: &BTreeMap<usize, Vec<String>>,
    ) -> Result<(Option<Store>, Arc<Metainfo>), FileError> {
        let metainfo = self.metainfo.clone().ok_or(FileError::NoMetadata)?;
        for (file, path) in paths {
            let known = metainfo.files().get(*file).filter(|file| !file.attr.pad);
            known.ok_or(FileError::NoSuchFile(*file))?;
            elements(&path.iter().collect::<PathBuf>())?;
        }
        if self.relocating.is_under_way() {
            return Err(FileError::Busy);
        }
        let store = match &self.phase {
            Phase::Active(active) => Some(active.content.store.clone()),
            Phase::Checking(_) | Phase::Opening => return Err(FileError::Busy),
            Phase::Failed(..) | Phase::Layers(_) | Phase::Metadata(_) | Phase::Paused => None,
        };
        let mut candidate = Metainfo::clone(&metainfo);
        candidate.set_paths(paths.clone());
        let candidate = Arc::new(candidate);
        let claims = &self.setup.claims;
        let named = |file: usize| paths.contains_key(&file);
        let claim = claims.claim(self.id, &self.add.dir, &candidate, named);
        let claim = claim.map_err(FileError::Claimed)?;
        if let Some(active) = self.active() {
            active.claim = claim;
        }
        Ok((store, candidate))
    }

    fn begin_renames(
        &mut self,
        (paths, folder): Paths,
        (store, candidate): (Option<Store>, Arc<Metainfo>),
        reply: Reply<()>,
        ctx: &mut Context<Self>,
    ) {
        let mut choices = self.add.choices.clone();
        choices.renamed.extend(paths.clone());
        let keep = self.keeping(choices.clone());
        let spec = self.layout().and_then(Result::ok);
        let options = self.setup.storage();
        let me = ctx.address();
        let stored: Vec<(usize, Vec<String>)> = paths
            .iter()
            .filter(|(file, _)| {
                let file = candidate.files().get(**file);
                file.is_some_and(protocol::metainfo::FileEntry::is_stored)
            })
            .map(|(file, path)| (*file, path.clone()))
            .collect();
        self.renames.under_way = Some(UnderWay {
            paths,
            choices,
            reply,
        });
        self.setup.disk.short(move || {
            let go = || -> Outcome {
                let store = match (store, spec) {
                    (Some(store), _) => store,
                    (None, Some(spec)) => {
                        Store::open(spec, options).map_err(|error| FileError::from(&error))?
                    }
                    (None, None) => return Err(FileError::NoMetadata),
                };
                let renamed = store.rename(&stored, folder.as_deref());
                let renamed = renamed.map_err(|error| FileError::from(&error))?;
                if let Err(error) = keep() {
                    renamed.undo();
                    return Err(FileError::Storage {
                        kind: storage::ErrorKind::Other,
                        message: format!("the new name could not be kept: {error}").into(),
                    });
                }
                Ok(renamed)
            };
            tell(&me, DiskReply::Renamed(go()));
        });
    }

    /// Files have their new names, beside the old ones, or they could not be had.
    pub(super) fn on_renamed(&mut self, outcome: Outcome, ctx: &mut Context<Self>) {
        let renamed = match outcome {
            Ok(renamed) => renamed,
            Err(error) => {
                self.claim_again();
                return self.end_renames(Err(error), ctx);
            }
        };
        let Some(under_way) = &self.renames.under_way else {
            return renamed.undo();
        };
        self.add
            .choices
            .renamed
            .clone_from(&under_way.choices.renamed);
        if let Some(metainfo) = self.metainfo.take() {
            self.metainfo = Some(self.placed(metainfo));
        }
        self.show_files();
        let (done, kept) = oneshot::channel();
        self.tell_choices(done);
        let disk = self.setup.disk.clone();
        let finish = async move {
            // Where nobody answers nothing more is kept.
            let _ = kept.await;
            let (done, finished) = oneshot::channel();
            disk.short(move || {
                if let Err(error) = renamed.finish() {
                    tracing::warn!(%error, "a file keeps its old name as well");
                }
                let _ = done.send(());
            });
            let _ = finished.await;
        };
        let then = actix::fut::wrap_future(finish).map(
            |(), torrent: &mut Self, ctx: &mut Context<Self>| {
                torrent.tell_renamed();
                torrent.end_renames(Ok(()), ctx);
                torrent.drive(ctx);
            },
        );
        ctx.spawn(then);
    }

    fn tell_renamed(&self) {
        let Some(under_way) = &self.renames.under_way else {
            return;
        };
        let paths = under_way.paths.iter();
        let files = paths.map(|(file, path)| (*file, path.iter().collect()));
        self.event(Event::FilesRenamed {
            id: self.id,
            files: files.collect(),
        });
    }

    /// The files are where they were.
    fn claim_again(&mut self) {
        let Some(metainfo) = self.metainfo.clone() else {
            return;
        };
        let claims = self.setup.claims.clone();
        let (id, dir) = (self.id, self.add.dir.clone());
        if let Some(active) = self.active()
            && let Ok(claim) = claims.claim(id, &dir, &metainfo, |_| false)
        {
            active.claim = claim;
        }
    }

    fn end_renames(&mut self, outcome: Result<(), FileError>, ctx: &mut Context<Self>) {
        if let Some(under_way) = self.renames.under_way.take() {
            // Whoever asked may have gone.
            let _ = under_way.reply.send(outcome);
        }
        // One that is refused is over at once.
        while !self.renames.is_under_way()
            && let Some((paths, reply)) = self.renames.waiting.pop_front()
        {
            self.rename(paths, reply, ctx);
        }
        if !self.renames.is_under_way()
            && std::mem::take(&mut self.renames.then_open)
            && matches!(self.phase, Phase::Opening)
        {
            self.open(ctx);
        }
    }
}
