//! How a magnet link becomes a torrent: the metadata comes from several peers at once.

use std::sync::Arc;
use std::time::Instant;

use actix::Context;
use actors::tell_recipient;
use bytes::Bytes;
use protocol::metainfo::{LoadLimits, Metainfo};

use crate::peer::driver::now;
use crate::peer::key::PeerKey;
use crate::peer::messages::{Ended, Greeting, Order};
use crate::torrent::actor::{Phase, Torrent};
use crate::torrent::files::FileError;
use crate::torrent::messages::News;
use crate::torrent::metadata::Progress;
use crate::{Category, CommandError, Event, Source, TorrentError};

impl Torrent {
    pub(crate) fn on_handshaken(
        &mut self,
        key: PeerKey,
        greeting: Greeting,
        ctx: &mut Context<Self>,
    ) {
        let ours = self.peers.is_ours(&greeting.peer_id);
        let now = now();
        if ours {
            if let Some(peer) = self.peers.get(key) {
                peer.order(Order::Close(Ended::OurOwn));
            }
            return;
        }
        let Some(peer) = self.peers.opened(key, greeting, now) else {
            return;
        };
        let (addr, outgoing) = (peer.addr, peer.outgoing);
        if outgoing {
            self.candidates.connected(addr, now);
        }
        let (utp, wire) = (greeting.utp, greeting.wire);
        self.tell_of(Category::Connections, |id| Event::PeerConnected {
            id,
            addr,
            outgoing,
            utp,
            wire,
        });
        self.judge_twins(key);
        self.ask_layers(now, ctx);
        self.ask_late_layers(now);
    }

    pub(crate) fn on_metadata_size(&mut self, key: PeerKey, size: u32) {
        let most = self.setup.settings.get().metadata.most.0;
        if u64::from(size) > most {
            tracing::debug!(
                size,
                most,
                "the metadata of this peer is larger than is taken"
            );
            return;
        }
        if let Phase::Metadata(fetch) = &mut self.phase {
            let now = now();
            fetch.peer_offers(key, size, now);
            self.ask_metadata(now);
        }
    }

    /// Asks peers for what is missing of the metadata.
    pub(crate) fn ask_metadata(&mut self, now: Instant) {
        let Phase::Metadata(fetch) = &mut self.phase else {
            return;
        };
        fetch.handle_timeout(now);
        for (key, peer) in self.peers.iter().filter(|(_, peer)| peer.since.is_some()) {
            for piece in fetch.next_requests(now, key) {
                peer.order(Order::Metadata(piece));
            }
        }
    }

    pub(crate) fn on_metadata(
        &mut self,
        key: PeerKey,
        piece: u32,
        total: u32,
        data: &Bytes,
        ctx: &mut Context<Self>,
    ) {
        let now = now();
        let Phase::Metadata(fetch) = &mut self.phase else {
            return;
        };
        match fetch.data(key, piece, total, data, now) {
            Progress::More => {}
            Progress::Complete(info) => {
                let culprits = fetch.culprits().to_vec();
                for key in culprits {
                    self.ban(key);
                }
                self.on_metadata_complete(&info, ctx);
                return;
            }
            Progress::Mismatch { blame } => {
                let about = Category::Status.and_errors();
                self.tell_of(about, |id| Event::MetadataFailed { id });
                for key in blame {
                    self.ban(key);
                }
            }
            Progress::PeerLied(key) => self.ban(key),
        }
        self.ask_metadata(now);
    }

    pub(crate) fn on_metadata_rejected(&mut self, key: PeerKey, piece: u32) {
        let now = now();
        if let Phase::Metadata(fetch) = &mut self.phase {
            fetch.reject(key, piece, now);
            self.ask_metadata(now);
        }
    }

    /// What is taken from peers as metadata.
    fn metadata_limits(&self) -> LoadLimits {
        let settings = self.setup.settings.get();
        let usual = LoadLimits::metadata();
        LoadLimits {
            bencode: protocol::bencode::Limits {
                tokens: settings.metadata.values as usize,
                ..usual.bencode
            },
            pieces: settings.metadata.pieces,
            ..usual
        }
    }

    /// Takes the info dictionary from somebody who has it.
    pub(super) fn be_given_metadata(
        &mut self,
        info: &[u8],
        ctx: &mut Context<Self>,
    ) -> Result<(), FileError> {
        if !matches!(self.phase, Phase::Metadata(_)) || !self.hashes.describe(info) {
            return Err(FileError::NotMetadata);
        }
        self.on_metadata_complete(info, ctx);
        Ok(())
    }

    fn on_metadata_complete(&mut self, info: &[u8], ctx: &mut Context<Self>) {
        match Metainfo::from_info(info, &self.metadata_limits()) {
            Ok(metainfo) if metainfo.ssl_cert().is_some() => {
                let why = CommandError::SslTorrent.to_string();
                self.fail(TorrentError::Metadata(why.into()));
            }
            Ok(metainfo) => {
                self.take_metadata(Arc::new(metainfo), ctx);
                self.remember_metadata();
            }
            Err(error) => self.fail(TorrentError::Metadata(error.to_string().into())),
        }
    }

    /// Takes metadata that has the hashes of the link. It may show that the torrent has a hash that the link does not
    /// name.
    pub(super) fn take_metadata(&mut self, metainfo: Arc<Metainfo>, ctx: &mut Context<Self>) {
        self.hashes = metainfo.hashes();
        tell_recipient(
            &self.setup.supervisor,
            News::Hashes(self.id, metainfo.hashes()),
        );
        let metainfo = self.placed(metainfo);
        self.metainfo = Some(Arc::clone(&metainfo));
        self.heed_privacy();
        let chosen = self.choose_as_linked(&metainfo);
        self.event(Event::MetadataReceived {
            id: self.id,
            metainfo,
        });
        match chosen {
            Ok(()) => self.begin_content(ctx),
            Err(error) => self.fail(error),
        }
    }

    /// Takes the files that the magnet link selects (BEP 53), where it selects any and nobody chose otherwise. Numbers
    /// that no file has are of no effect.
    pub(super) fn choose_as_linked(&mut self, metainfo: &Metainfo) -> Result<(), TorrentError> {
        let Source::Magnet(magnet) = &self.add.source else {
            return Ok(());
        };
        let selection = magnet.select_only.as_ref();
        let Some(selection) = selection.filter(|selection| !selection.is_empty()) else {
            return Ok(());
        };
        if self.add.files.is_some() || !self.add.choices.wants_as_usual() {
            return Ok(());
        }
        let files = metainfo.files();
        let beyond = selection.iter().filter(|at| *at as usize >= files.len());
        let beyond = beyond.count();
        if beyond > 0 {
            tracing::warn!(
                beyond,
                files = files.len(),
                "the magnet link selects files that the torrent lacks"
            );
        }
        let chosen: Vec<usize> = (0_u32..)
            .zip(files)
            .filter(|(at, file)| file.is_stored() && selection.contains(*at))
            .map(|(at, _)| at as usize)
            .collect();
        let any = !chosen.is_empty();
        self.add.files = Some(chosen);
        if any {
            Ok(())
        } else {
            Err(TorrentError::NothingSelected)
        }
    }
}
