//! How the metadata of a v2 torrent becomes content that can be checked: the piece layers come from peers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::Context;
use bytes::Bytes;
use protocol::merkle::Proof;
use protocol::metainfo::Metainfo;
use protocol::peer::HashRequest;

use crate::Source;
use crate::peer::driver::now;
use crate::peer::key::PeerKey;
use crate::peer::messages::Order;
use crate::torrent::actor::{Phase, Torrent};
use crate::torrent::layers::{LayerFetch, Progress};

/// How long a hybrid that was named by its v2 hash alone waits for its piece layers, before it is checked by its v1
/// hashes alone.
const HYBRID_PATIENCE: Duration = Duration::from_secs(20);

/// Fetching piece layers.
#[derive(Debug)]
pub(crate) struct Layers {
    fetch: LayerFetch,
    /// When to go on without them.
    until: Option<Instant>,
}

impl Layers {
    /// What is to be fetched before the content can be opened; nothing where all can be checked. `by_v2` says that the
    /// torrent was named by its v2 hash alone.
    fn due(metainfo: &Metainfo, by_v2: bool, now: Instant) -> Option<Self> {
        if metainfo.has_v1() && !by_v2 {
            return None;
        }
        let until = metainfo.has_v1().then(|| now + HYBRID_PATIENCE);
        let fetch = LayerFetch::of(metainfo)?;
        Some(Self { fetch, until })
    }

    pub(crate) fn peer_gone(&mut self, key: PeerKey) {
        self.fetch.peer_gone(key);
    }
}

impl Torrent {
    /// Goes on with metadata that is known: opens the content, or first fetches the hashes of its pieces.
    pub(super) fn begin_content(&mut self, ctx: &mut Context<Self>) {
        let by_v2 = match &self.add.source {
            Source::Magnet(magnet) => magnet.hashes.is_some_and(|it| it.get_v1().is_none()),
            Source::Metainfo(_) => false,
        };
        let now = now();
        let due = |metainfo: &Arc<Metainfo>| Layers::due(metainfo, by_v2, now);
        match self.metainfo.as_ref().and_then(due) {
            // There is nothing to check it by.
            Some(_) if self.stands_still() => self.phase = Phase::Paused,
            Some(layers) => {
                self.phase = Phase::Layers(Box::new(layers));
                self.go_online(ctx);
                self.ask_layers(now, ctx);
            }
            None => self.open(ctx),
        }
    }

    /// Asks peers of the v2 swarm for what is missing of the piece layers.
    pub(super) fn ask_layers(&mut self, now: Instant, ctx: &mut Context<Self>) {
        let Phase::Layers(layers) = &mut self.phase else {
            return;
        };
        if layers.until.is_some_and(|until| until <= now) {
            tracing::warn!(
                "no peer has the v2 hashes of pieces: the hybrid is checked by v1 alone"
            );
            self.open(ctx);
            return;
        }
        layers.fetch.handle_timeout(now);
        for (key, peer) in self.peers.iter().filter(|(_, peer)| peer.v2) {
            let requests = layers.fetch.next_requests(now, key);
            if !requests.is_empty() {
                peer.order(Order::AskHashes(requests.into_vec()));
            }
        }
    }

    /// Hashes came that were asked for.
    pub(super) fn on_hashes(
        &mut self,
        key: PeerKey,
        request: &HashRequest,
        hashes: &Bytes,
        ctx: &mut Context<Self>,
    ) {
        let proof = Proof::parse(hashes, request.length);
        let now = now();
        if self.is_late(key, request) {
            return self.on_late_layers(key, request, proof);
        }
        let Phase::Layers(layers) = &mut self.phase else {
            self.on_leaves(key, request, proof);
            return;
        };
        let progress = match proof {
            Some(proof) => layers.fetch.answered(key, request, &proof),
            None => Progress::PeerLied,
        };
        match progress {
            Progress::More => self.ask_layers(now, ctx),
            Progress::PeerLied => {
                self.ban(key);
                self.ask_layers(now, ctx);
            }
            Progress::Complete => self.on_layers_complete(ctx),
        }
    }

    /// A peer does not give hashes that it was asked for.
    pub(super) fn on_hashes_rejected(
        &mut self,
        key: PeerKey,
        request: &HashRequest,
        ctx: &mut Context<Self>,
    ) {
        let now = now();
        if let Some(fetch) = &mut self.late_layers
            && fetch.awaits(key, request)
        {
            fetch.rejected(key, request, now);
        } else if let Phase::Layers(layers) = &mut self.phase {
            layers.fetch.rejected(key, request, now);
            self.ask_layers(now, ctx);
        } else {
            self.on_leaves_rejected(key, request);
        }
    }

    fn on_layers_complete(&mut self, ctx: &mut Context<Self>) {
        let phase = std::mem::replace(&mut self.phase, Phase::Paused);
        if let Phase::Layers(layers) = phase {
            self.take_layers(layers.fetch);
        }
        self.begin_content(ctx);
    }

    /// Adds layers that are complete to the metadata, and keeps it.
    fn take_layers(&mut self, fetch: LayerFetch) {
        let Some(metainfo) = &self.metainfo else {
            return;
        };
        let mut metainfo = Metainfo::clone(metainfo);
        for (root, layer) in fetch.into_layers() {
            // Each part led to the root, so that the whole does.
            let fits = metainfo.set_piece_layer(&root, layer);
            debug_assert!(fits, "parts that lead to the root make a layer that does");
        }
        self.metainfo = Some(Arc::new(metainfo));
        self.remember_metadata();
    }

    /// Asks peers of the v2 swarm for the piece layers of a hybrid that is at work without them: they are of use the next
    /// time that it begins, to check by both hashes and to serve those who have only the v2 one.
    pub(super) fn ask_late_layers(&mut self, now: Instant) {
        if !matches!(self.phase, Phase::Active(_)) {
            self.late_layers = None;
            return;
        }
        self.meet_by_v2(now);
        let Some(fetch) = &mut self.late_layers else {
            return;
        };
        fetch.handle_timeout(now);
        for (key, peer) in self.peers.iter().filter(|(_, peer)| peer.v2) {
            let requests = fetch.next_requests(now, key);
            if !requests.is_empty() {
                peer.order(Order::AskHashes(requests.into_vec()));
            }
        }
    }

    fn is_late(&self, key: PeerKey, request: &HashRequest) -> bool {
        let fetch = self.late_layers.as_ref();
        fetch.is_some_and(|fetch| fetch.awaits(key, request))
    }

    fn on_late_layers(&mut self, key: PeerKey, request: &HashRequest, proof: Option<Proof>) {
        let Some(fetch) = &mut self.late_layers else {
            return;
        };
        let progress = match proof {
            Some(proof) => fetch.answered(key, request, &proof),
            None => Progress::PeerLied,
        };
        match progress {
            Progress::More => self.ask_late_layers(now()),
            Progress::PeerLied => self.ban(key),
            Progress::Complete => {
                if let Some(fetch) = self.late_layers.take() {
                    self.take_layers(*fetch);
                }
            }
        }
    }

    /// Why nothing moves while piece layers are fetched.
    pub(super) fn reason_of_layers(&self) -> String {
        let able = self.peers.iter().filter(|(_, peer)| peer.v2).count();
        if let Phase::Layers(layers) = &self.phase
            && able > 0
        {
            let (done, all) = layers.fetch.progress();
            let percent = 100 * done / all.max(1);
            return format!("fetching the hashes of pieces, {percent} %");
        }
        "no peer has the hashes of pieces".to_owned()
    }
}
