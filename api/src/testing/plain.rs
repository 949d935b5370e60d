//! A daemon for tests.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use control::{Added, Ask, Code, Origin, Refusal};
use engine::settings::{Patch, Value as Setting};
use engine::{AddTorrent, CommandError, EngineConfig, EngineHandle, Settings, Source, Supervisor};
use net::{Network, OwnedPool};
use parking_lot::Mutex;
use protocol::id::InfoHash;
use protocol::magnet::Magnet;
use protocol::metainfo::{LoadLimits, Metainfo};
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, oneshot};

use super::part::Shown;
use crate::part::Part;
use crate::{Circuit, Daemon, Follow, Made, Make, News, OverlayFigures, Promise};

/// Where somebody waits who says that it has come.
pub(crate) type Gate = (oneshot::Sender<()>, oneshot::Receiver<()>);

/// A daemon that does of what is asked what an engine can.
pub(super) struct Plain {
    pub(super) engine: EngineHandle,
    dir: PathBuf,
    kept: Mutex<Map<String, Value>>,
    /// What is asked for of settings waits for this, where there is one; who asks is told that it has come.
    pub(super) gate: Mutex<Option<Gate>>,
    /// What is made next; else the words of what was asked for.
    pub(super) made: Mutex<Option<Vec<u8>>>,
    /// What is made next waits for this, where there is one.
    pub(super) gate_of_made: Mutex<Option<Gate>>,
    pub(super) circuits: Mutex<Vec<Circuit>>,
    profiling: Mutex<bool>,
    pub(super) part: Mutex<Option<Shown>>,
    pub(super) guests: Mutex<Vec<mpsc::Sender<News>>>,
    system: actix_rt::System,
    _pool: OwnedPool,
}

impl Drop for Plain {
    fn drop(&mut self) {
        self.system.stop();
    }
}

impl Plain {
    pub(super) fn start(dir: &Path) -> Self {
        let pool = OwnedPool::start("peers", 1).unwrap();
        let mut config = EngineConfig::new(Network::none(), pool.pool().clone());
        (config.torrent_threads, config.seed) = (0, Some(7));
        let (told, started) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let system = actix_rt::System::new();
            let launched = system.block_on(async { Supervisor::launch(config).unwrap() });
            told.send((launched.1, actix_rt::System::current()))
                .unwrap();
            system.run().unwrap();
        });
        let (engine, system) = started.recv().unwrap();
        Self {
            engine,
            dir: dir.to_owned(),
            kept: Mutex::default(),
            gate: Mutex::default(),
            made: Mutex::default(),
            gate_of_made: Mutex::default(),
            circuits: Mutex::default(),
            profiling: Mutex::default(),
            part: Mutex::default(),
            guests: Mutex::default(),
            system,
            _pool: pool,
        }
    }

    async fn add(&self, add: control::Add) -> Result<Value, Refusal> {
        let wrong = |error: String| Refusal::new(Code::Wrong, error);
        let [origin] = <[Origin; 1]>::try_from(add.torrents).unwrap();
        let (source, hash) = match origin {
            Origin::File(bytes) => {
                let read = Metainfo::from_bytes(&bytes.0, &LoadLimits::default());
                let metainfo = read.map_err(|error| wrong(error.to_string()))?;
                let hash = metainfo.hashes().wire();
                (Source::Metainfo(Arc::new(metainfo)), hash)
            }
            Origin::Link(link) => {
                let magnet = Magnet::parse(&link).map_err(|error| wrong(error.to_string()))?;
                let hash = magnet.hashes.unwrap().wire();
                (Source::Magnet(Box::new(magnet)), hash)
            }
            Origin::Url(url) => return Err(wrong(url)),
        };
        let dir = add.dir.map_or_else(|| self.dir.clone(), PathBuf::from);
        let mut torrent = AddTorrent::new(source, dir);
        if let Some(files) = add.files.first() {
            torrent.files = Some(files.split(',').map(|it| it.parse().unwrap()).collect());
        }
        let error = match self.engine.add(torrent).await {
            Ok(id) => {
                // It is in the list before this is answered: it tells how it stands before it answers a question, and who keeps the
                // list has heard that before it answers the next.
                let _ = self.engine.metainfo(id).await;
                let _ = self.engine.find(hash).await;
                None
            }
            Err(error @ CommandError::Duplicate(_)) => {
                Some(Refusal::new(Code::Duplicate, error.to_string()))
            }
            Err(error) => Some(Refusal::new(Code::Failed, error.to_string())),
        };
        let added = Added {
            info_hash: Some(hash.to_string()),
            name: None,
            error,
        };
        Ok(json!({"torrents": [added]}))
    }

    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "it does what tests ask of it"
    )]
    async fn each(&self, ask: Ask) -> Result<Value, Refusal> {
        let failed = |error: CommandError| Refusal::new(Code::Failed, error.to_string());
        let words = match &ask {
            Ask::Check(which) | Ask::Pause(which) | Ask::Resume(which) => &which.torrents,
            Ask::Remove(removal) => &removal.torrents,
            Ask::Move(of) => &of.torrents,
            Ask::Hops(of) => &of.torrents,
            other => panic!("{other:?}"),
        };
        let hash = words[0].parse().unwrap();
        let id = self.engine.find(hash).await.map_err(failed)?.unwrap();
        let done = match ask {
            Ask::Check(_) => self.engine.recheck(id).await,
            Ask::Pause(_) => self.engine.pause(id).await,
            Ask::Resume(_) => self.engine.resume(id).await,
            Ask::Remove(removal) => self.engine.remove(id, removal.data).await,
            Ask::Hops(of) => self.engine.set_hops(id, of.hops).await,
            Ask::Move(of) => {
                let dir = PathBuf::from(of.dir.unwrap());
                let existing = storage::MoveExisting::Adopt;
                self.engine.move_storage(id, dir, existing).await
            }
            other => panic!("{other:?}"),
        };
        done.map(|()| json!({})).map_err(failed)
    }

    async fn set(&self, change: control::SettingsChange) -> Result<Value, Refusal> {
        let mut patch = Patch::new();
        for (key, value) in change.set {
            let value: Setting = serde_json::from_value(value).unwrap();
            patch = patch.with(&key, value);
        }
        for key in change.reset {
            patch = patch.with(&key, Settings::key(&key).unwrap().default());
        }
        let set = self.engine.set_settings(patch).await;
        let set = set.map_err(|error| Refusal::new(Code::Wrong, error.to_string()));
        set.map(|_| json!({"settings": [], "unsaved": null}))
    }
}

impl Daemon for Plain {
    fn engine(&self) -> &EngineHandle {
        &self.engine
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "the rest is one torrent's")]
    fn ask(&self, ask: Ask) -> Promise<'_, Result<Value, Refusal>> {
        Box::pin(async move {
            match ask {
                Ask::Add(add) => self.add(add).await,
                Ask::Settings(change) => {
                    let gate = self.gate.lock().take();
                    if let Some((come, open)) = gate {
                        come.send(()).unwrap();
                        open.await.unwrap();
                    }
                    self.set(change).await
                }
                Ask::Resources(_) => Ok(json!({"samples": [
                    {"time": 1.5, "memory": 4096},
                    {"time": 6.5, "memory": 8192, "cpu": 12.5},
                ]})),
                Ask::Shutdown(_) => Ok(json!({})),
                other => self.each(other).await,
            }
        })
    }

    fn follow(&self) -> Box<dyn Follow> {
        let (guest, news) = mpsc::channel(64);
        self.guests.lock().push(guest);
        Box::new(Guest(news))
    }

    fn content_dir(&self) -> PathBuf {
        self.dir.clone()
    }

    fn state_size(&self) -> u64 {
        7
    }

    fn overlay(&self) -> Option<OverlayFigures> {
        let any = !self.circuits.lock().is_empty();
        any.then(OverlayFigures::default)
    }

    fn circuits(&self) -> Vec<Circuit> {
        self.circuits.lock().clone()
    }

    fn part(&self) -> Option<Box<dyn Part>> {
        let part = self.part.lock().clone()?;
        Some(Box::new(part))
    }

    fn fetch<'a>(&'a self, url: &'a str, _: Option<u8>) -> Promise<'a, Result<Vec<u8>, Refusal>> {
        Box::pin(std::future::ready(Err(Refusal::new(Code::Wrong, url))))
    }

    /// Of what is made next, and of nothing else.
    fn metadata(
        &self,
        link: Magnet,
        hops: Option<u8>,
    ) -> Promise<'_, Result<Arc<Metainfo>, Refusal>> {
        let made = self.made.lock().clone().unwrap_or_default();
        let made = Metainfo::from_bytes(&made, &LoadLimits::default()).ok();
        let made = made.filter(|made| link.hashes == Some(made.hashes()));
        let found = match made {
            Some(made) if hops != Some(3) => Ok(Arc::new(made)),
            _ => Err(Refusal::new(
                Code::Failed,
                format!("metainfo error: {hops:?}"),
            )),
        };
        Box::pin(std::future::ready(found))
    }

    fn count_in_dht(&self, hash: InfoHash) -> Promise<'_, Result<[u64; 2], String>> {
        let counted = if hash == InfoHash([0x77; 20]) {
            Ok([7, 3])
        } else {
            Err("nobody knows it".to_owned())
        };
        Box::pin(std::future::ready(counted))
    }

    fn make(&self, of: Make) -> Promise<'_, Result<Made, Refusal>> {
        if let Some(missing) = of
            .paths
            .iter()
            .find(|path| path.starts_with("/nonexistent"))
        {
            let why = format!("{} does not exist", missing.display());
            return Box::pin(std::future::ready(Err(Refusal::new(Code::NotFound, why))));
        }
        let made = self.made.lock().clone();
        let made = Made {
            torrent: made.unwrap_or_else(|| format!("{of:?}").into_bytes()),
            dir: self.dir.clone(),
        };
        let gate = self.gate_of_made.lock().take();
        Box::pin(async move {
            if let Some((come, opens)) = gate {
                come.send(()).unwrap();
                opens.await.unwrap();
            }
            Ok(made)
        })
    }

    fn log(&self, lines: usize) -> String {
        let lines: Vec<String> = (0..lines.min(200)).map(|line| line.to_string()).collect();
        lines.join("\n")
    }

    fn is_profiling(&self) -> bool {
        *self.profiling.lock()
    }

    fn start_profiling(&self) -> Result<(), Refusal> {
        if std::mem::replace(&mut *self.profiling.lock(), true) {
            let why = "Profiler is already running";
            return Err(Refusal::new(Code::Duplicate, why));
        }
        Ok(())
    }

    fn stop_profiling(&self) -> Promise<'_, Result<PathBuf, Refusal>> {
        let was = std::mem::take(&mut *self.profiling.lock());
        let refused = || Refusal::new(Code::NotFound, "Profiler is not running");
        let file = was.then(|| self.dir.join("profile")).ok_or_else(refused);
        Box::pin(std::future::ready(file))
    }

    fn figures(&self) -> Promise<'_, String> {
        Box::pin(async {
            let mut page = engine::metrics::Exposition::new("tribler");
            self.engine.metrics().await.unwrap().write(&mut page);
            page.finish()
        })
    }

    fn remembered(&self) -> Map<String, Value> {
        self.kept.lock().clone()
    }

    fn remember(&self, values: Map<String, Value>) -> Promise<'_, Result<(), String>> {
        let mut kept = self.kept.lock();
        kept.extend(values);
        kept.retain(|_, value| !value.is_null());
        Box::pin(std::future::ready(Ok(())))
    }
}

struct Guest(mpsc::Receiver<News>);

impl Follow for Guest {
    fn next<'a>(&'a mut self, words: &'a [&'a str]) -> Promise<'a, News> {
        Box::pin(async move {
            loop {
                match self.0.recv().await {
                    Some(News::Told(word, _)) if !words.contains(&word) => {}
                    Some(news) => return news,
                    None => return std::future::pending().await,
                }
            }
        })
    }
}
