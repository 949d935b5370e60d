//! Torrents whose links have only their publisher's key (BEP 46): looked up until it is known which they are.

use std::fmt::Write as _;
use std::time::Duration;

use engine::{AddTorrent, CommandError, EngineHandle, Published, ResolveError, Source, TorrentId};
use protocol::id::InfoHashes;
use protocol::magnet::{Magnet, MutableItem};
use tokio::sync::mpsc;

use super::Transfer;
use super::tracked::{Tracked, tell_error};
use crate::failure::Failure;
use crate::json::Line;
use crate::screen::Style;
use crate::text::printable;

/// Between two look-ups.
const AGAIN: Duration = Duration::from_secs(30);

/// What is looked up, and what comes of it.
#[derive(Debug)]
pub(crate) struct Seeking {
    told: mpsc::Sender<Told>,
    heard: mpsc::Receiver<Told>,
    /// How many are not known yet.
    pub(super) left: usize,
    /// How many never will be.
    pub(super) failed: usize,
}

/// News of a look-up.
#[derive(Debug)]
pub(super) enum Told {
    /// It is known which torrent it is.
    Found(Box<(AddTorrent, Tracked)>, Published),
    /// It is not known, and looked up again.
    NotYet(String, ResolveError),
    /// It is not, and never will be.
    Never(String, ResolveError),
}

impl Default for Seeking {
    fn default() -> Self {
        let (told, heard) = mpsc::channel(16);
        Self {
            told,
            heard,
            left: 0,
            failed: 0,
        }
    }
}

impl Seeking {
    /// The next news; waits for ever where there is none to come.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(super) async fn next(&mut self) -> Option<Told> {
        self.heard.recv().await
    }
}

impl Transfer {
    /// Looks a torrent up, and adds it when it is known.
    pub(crate) fn seek(
        &mut self,
        named: MutableItem,
        (add, torrent): (AddTorrent, Tracked),
    ) -> Result<(), Failure> {
        self.seeking.left += 1;
        let key = key_of(&named);
        match self.screen.style() {
            Style::Json => self.screen.json(&Line::Resolving { key: &key })?,
            Style::Bars | Style::Lines => {
                let name = printable(&torrent.name);
                self.screen
                    .say(format_args!("looking up which torrent {name} is"))?;
            }
        }
        let (engine, told) = (self.engine.clone(), self.seeking.told.clone());
        let look_up = look_up(engine, named, (add, torrent), told);
        tokio::task::spawn_local(look_up);
        Ok(())
    }

    pub(super) async fn on_sought(&mut self, told: Told) -> Result<(), Failure> {
        match told {
            Told::Found(found, published) => {
                self.seeking.left -= 1;
                let (add, torrent) = *found;
                self.found(add, torrent, published).await
            }
            Told::NotYet(name, why) => {
                let line = format_args!("{}: {why}; looking again", printable(&name));
                self.screen.warn("warning", line);
                Ok(())
            }
            Told::Never(name, why) => {
                self.seeking.left -= 1;
                self.seeking.failed += 1;
                tell_error(&self.screen, &format!("{}: {why}", printable(&name)))
            }
        }
    }

    async fn found(
        &mut self,
        add: AddTorrent,
        torrent: Tracked,
        published: Published,
    ) -> Result<(), Failure> {
        let name = printable(&torrent.name);
        match self.screen.style() {
            Style::Json => self.screen.json(&Line::Resolved {
                info_hash: &torrent.info_hash,
                seq: published.seq,
            })?,
            Style::Bars | Style::Lines => self.screen.say(format_args!(
                "{name} is {}, version {}",
                torrent.info_hash, published.seq
            ))?,
        }
        match self.engine.add(add).await {
            Ok(id) => {
                torrent.tell_added(Some(&torrent.name), &self.screen)?;
                self.track(id, torrent);
                Ok(())
            }
            Err(CommandError::Duplicate(_)) => {
                let line = format_args!("{name} was named twice");
                self.screen.warn("warning", line);
                Ok(())
            }
            Err(error) => {
                self.seeking.failed += 1;
                tell_error(&self.screen, &format!("{name}: {error}"))
            }
        }
    }

    /// A publisher has signed a newer version.
    pub(super) fn newer(&mut self, id: TorrentId, published: Published) -> Result<(), Failure> {
        let Some(torrent) = self.torrents.get(&id) else {
            return Ok(());
        };
        let hash = published.info_hash.to_string();
        let magnet = Magnet::new(InfoHashes::v1(published.info_hash)).to_string();
        if self.screen.style() == Style::Json {
            return self.screen.json(&Line::Newer {
                info_hash: &torrent.info_hash,
                newer: &hash,
                seq: published.seq,
                magnet: &magnet,
            });
        }
        let (name, seq) = (printable(&torrent.name), published.seq);
        self.screen.say(format_args!(
            "{name}: there is a newer version ({seq}): {magnet}; this one stays as it is"
        ))
    }
}

/// Looks up until something is found.
async fn look_up(
    engine: EngineHandle,
    named: MutableItem,
    (mut add, mut torrent): (AddTorrent, Tracked),
    told: mpsc::Sender<Told>,
) {
    let mut silent = true;
    let hops = add.hops.unwrap_or_default();
    loop {
        let news = match engine.resolve(&named, hops).await {
            Ok(published) => {
                let hashes = InfoHashes::v1(published.info_hash);
                if let Source::Magnet(magnet) = &mut add.source {
                    magnet.hashes = Some(hashes);
                }
                if let Some((_, chosen)) = &mut torrent.choose {
                    chosen.source = add.source.clone();
                }
                torrent.info_hash = published.info_hash.to_string();
                let _ = told
                    .send(Told::Found(Box::new((add, torrent)), published))
                    .await;
                return;
            }
            Err(why @ (ResolveError::NoDht | ResolveError::NoTorrent)) => {
                let _ = told.send(Told::Never(torrent.name, why)).await;
                return;
            }
            Err(why) => Told::NotYet(torrent.name.clone(), why),
        };
        if std::mem::take(&mut silent) && told.send(news).await.is_err() {
            return;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// A publisher's key in hex.
pub(crate) fn key_of(named: &MutableItem) -> String {
    named
        .public_key
        .iter()
        .fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}
