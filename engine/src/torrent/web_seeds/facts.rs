//! What web seeds tell their torrent.

use actix::{Context, Handler};
use protocol::bitfield::Bitfield;
use protocol::geometry::PieceIndex;

use crate::Event;
use crate::content::Traffic;
use crate::peer::driver::now;
use crate::peer::key::PeerKey;
use crate::peer::messages::Fact;
use crate::torrent::actor::{Active, Phase, Torrent};
use crate::torrent::web_seeds::AtWork;
use crate::web::messages::{WebEnded, WebReport};

impl AtWork {
    /// Pieces cannot be had from it after all: as many steps as there are of these, but the first time.
    fn lose(&mut self, active: &mut Active, key: PeerKey, pieces: &[PieceIndex]) {
        if self.has.is_none() {
            self.count(active, false);
            self.has = Some(Bitfield::full(active.content.geometry.pieces()));
            self.count(active, true);
        }
        let Some(has) = &mut self.has else { return };
        for piece in pieces {
            if has.remove(*piece) && active.run == self.run {
                active.picker.peer_lost(key, *piece);
            }
        }
    }
}

impl Torrent {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "most facts are those of connections"
    )]
    fn on_web_fact(&mut self, key: PeerKey, fact: Fact) {
        match fact {
            Fact::Written { piece, from, to } => {
                if let Some(seed) = self.web_seeds.at_work.get(&key)
                    && let Some(list) = &mut self.web_seeds.list
                {
                    list.served(seed.number);
                }
                self.note_written(key, piece, from..to);
            }
            Fact::Found { piece, from, to } => self.on_found(key, piece, from..to),
            Fact::PieceFull(piece) => self.on_piece_full(piece),
            Fact::Returned { piece, blocks } => self.on_returned(key, piece, blocks),
            Fact::Storage(error) => self.fail_storage(&error),
            Fact::Gone(pieces) => {
                if let (Some(seed), Phase::Active(active)) =
                    (self.web_seeds.at_work.get_mut(&key), &mut self.phase)
                {
                    seed.lose(active, key, &pieces);
                    if let Some(list) = &mut self.web_seeds.list {
                        list.lacks(seed.number, now());
                    }
                }
            }
            other => tracing::debug!(?other, "no web seed says that"),
        }
    }

    fn on_web_ended(&mut self, key: PeerKey, ended: &WebEnded) {
        self.take_stock(key);
        let Some(seed) = self.web_seeds.at_work.remove(&key) else {
            return;
        };
        tracing::debug!(number = seed.number, ?ended, "the work of a web seed ended");
        if let Phase::Active(active) = &mut self.phase {
            seed.count(active, false);
            active.picker.peer_gone(key);
        }
        let bytes = Traffic::get(&seed.traffic.down);
        if let Some(list) = &mut self.web_seeds.list {
            if let Some(has) = seed.has {
                list.found(seed.number, has);
            }
            list.ended(seed.number, ended, bytes, now());
            if let (Some(known), WebEnded::Failed { reason, .. } | WebEnded::Useless(reason)) =
                (list.get_mut(seed.number), ended)
            {
                let url = known.seed.shown();
                let reason = reason.to_string();
                self.event(Event::WebSeedError {
                    id: self.id,
                    url,
                    reason,
                });
            }
        }
        self.feed_hungry();
    }
}

impl Handler<WebReport> for Torrent {
    type Result = ();

    fn handle(&mut self, report: WebReport, ctx: &mut Context<Self>) {
        let _in = self.span.clone().entered();
        for fact in report.facts {
            self.on_web_fact(report.key, fact);
        }
        if let Some(hungry) = report.hungry
            && let Some(seed) = self.web_seeds.at_work.get_mut(&report.key)
        {
            seed.hungry = Some(hungry);
            if let Some(list) = &mut self.web_seeds.list
                && let Some(known) = list.get_mut(seed.number)
            {
                known.whole_files |= hungry.whole_files;
            }
            self.assign_stretch(report.key);
        }
        if let Some(ended) = report.ended {
            self.on_web_ended(report.key, &ended);
        }
        self.drive(ctx);
    }
}
