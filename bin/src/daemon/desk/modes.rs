//! What torrents are told to do and not to do, the queue, and web seeds.

use std::collections::BTreeMap;

use control::{Code, ModesOf, QueueOf, Queued, Refusal, WebSeedsOf};
use engine::{CommandError, Mode, Modes, Place, SeedingRule, TorrentId};
use serde_json::{Value, json};

use super::{Desk, refused};
use crate::daemon::told::hash_of;

impl Desk {
    /// Turns switches of torrents, and says until when they are seeded.
    pub(super) async fn set_modes(&self, of: ModesOf) -> Result<Value, Refusal> {
        let (on, off) = (modes(&of.on)?, modes(&of.off)?);
        if on == Modes::NONE && off == Modes::NONE && of.seeding.is_none() {
            let why = "say what to turn on or off, or until when to seed";
            return Err(Refusal::new(Code::Wrong, why));
        }
        let rule = of.seeding.map(|seeding| SeedingRule {
            forever: seeding.forever,
            ratio_per_mille: seeding.ratio_per_mille,
            seconds: seeding.seconds,
            idle_seconds: seeding.idle_seconds,
        });
        let torrents = self.which(of.torrents, of.all)?;
        self.each(torrents, |id| self.set_mode(id, (on, off), rule))
            .await
    }

    async fn set_mode(
        &self,
        id: TorrentId,
        (on, off): (Modes, Modes),
        rule: Option<SeedingRule>,
    ) -> Result<(), CommandError> {
        if on != Modes::NONE || off != Modes::NONE {
            self.engine.set_modes(id, on, off).await?;
        }
        if let Some(rule) = rule {
            self.engine.set_seeding(id, rule).await?;
        }
        Ok(())
    }

    /// The torrents of the queue, in order; some are moved first where that is asked for.
    pub(super) async fn queue(&self, of: QueueOf) -> Result<Value, Refusal> {
        match &of.to {
            None if of.torrents.is_empty() => {}
            None => return Err(Refusal::new(Code::Wrong, "say where to")),
            Some(_) if of.torrents.is_empty() => {
                return Err(Refusal::new(Code::Wrong, "say which torrents"));
            }
            Some(to) => self.shift(of.torrents, to).await?,
        }
        let queue = self.engine.queue().await.map_err(|error| refused(&error))?;
        let rows = queue.iter().enumerate().filter_map(|(position, id)| {
            let status = self.engine.status(*id)?;
            Some(Queued {
                position,
                info_hash: hash_of(&self.engine, *id)?,
                name: status.name.clone(),
                state: status.state.word().to_owned(),
            })
        });
        Ok(json!({"queue": rows.collect::<Vec<_>>()}))
    }

    async fn shift(&self, torrents: Vec<String>, to: &str) -> Result<(), Refusal> {
        let first = match to {
            "top" => Place::Top,
            "bottom" => Place::Bottom,
            "up" => Place::Up,
            "down" => Place::Down,
            number => number.parse().map(Place::At).map_err(|_| {
                let why = format!("{number}: use top, bottom, up, down, or a number from 0");
                Refusal::new(Code::Wrong, why)
            })?,
        };
        let mut ids = self.which(torrents, false)?;
        let queue = self.engine.queue().await.map_err(|error| refused(&error))?;
        let at: BTreeMap<TorrentId, usize> = (0..).zip(queue).map(|(at, id)| (id, at)).collect();
        // In an order in which each finds its place behind the one before it.
        ids.sort_by_key(|id| at.get(id).copied().unwrap_or(usize::MAX));
        if matches!(first, Place::Top | Place::Down) {
            ids.reverse();
        }
        for (moved, id) in (0..).zip(ids) {
            let to = if let Place::At(at) = first {
                Place::At(at + moved)
            } else {
                first
            };
            let shifted = self.engine.queue_shift(id, to).await;
            shifted.map_err(|error| refused(&error))?;
        }
        Ok(())
    }

    /// The web seeds of a torrent, changed first where that is asked for.
    pub(super) async fn web_seeds(&self, of: WebSeedsOf) -> Result<Value, Refusal> {
        let id = self.one(of.torrent)?;
        for url in &of.remove {
            let removed = self.engine.remove_web_seed(id, url).await;
            removed.map_err(|error| refused(&error))?;
        }
        for url in &of.add {
            let added = self.engine.add_web_seed(id, url).await;
            added.map_err(|error| refused(&error))?;
        }
        let urls = self
            .engine
            .web_seeds(id)
            .await
            .map_err(|error| refused(&error))?;
        Ok(json!({"web_seeds": urls}))
    }
}

fn modes(words: &[String]) -> Result<Modes, Refusal> {
    let known = |word: &String| {
        Mode::of_word(word).ok_or_else(|| {
            let words = Mode::EACH.map(Mode::word).join(", ");
            Refusal::new(Code::Wrong, format!("{word}: use one of {words}"))
        })
    };
    words.iter().map(known).collect()
}
