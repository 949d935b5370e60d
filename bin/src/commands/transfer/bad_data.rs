//! Peers that send what was not asked for: pieces that fail their hash, and who is dropped for it.

use std::net::IpAddr;

use engine::TorrentId;

use super::Transfer;
use crate::failure::Failure;
use crate::json::Line;
use crate::screen::Style;
use crate::text::printable;

/// Bad pieces of a torrent that people are told of one by one.
const MOST_TOLD: u32 = 5;

impl Transfer {
    /// Says that a piece failed its hash; programs hear of each one, people of the first few.
    pub(super) fn piece_failed(&mut self, id: TorrentId, piece: u32) -> Result<(), Failure> {
        let Some(torrent) = self.torrents.get_mut(&id) else {
            return Ok(());
        };
        if self.screen.style() == Style::Json {
            let info_hash = torrent.info_hash.as_str();
            return self.screen.json(&Line::PieceFailed { info_hash, piece });
        }
        torrent.bad_pieces = torrent.bad_pieces.saturating_add(1);
        let name = printable(&torrent.name);
        let again = "failed its hash; what is bad of it is fetched again";
        if torrent.bad_pieces < MOST_TOLD {
            let line = format_args!("{name}: piece {piece} {again}");
            self.screen.warn("warning", line);
        } else if torrent.bad_pieces == MOST_TOLD {
            let line = format_args!("{name}: piece {piece} {again}; further ones are not told");
            self.screen.warn("warning", line);
        }
        Ok(())
    }

    /// Says that a peer was dropped for bad data.
    pub(super) fn banned(&self, id: TorrentId, ip: IpAddr) -> Result<(), Failure> {
        let Some(torrent) = self.torrents.get(&id) else {
            return Ok(());
        };
        if self.screen.style() == Style::Json {
            let (info_hash, ip) = (torrent.info_hash.as_str(), ip.to_string());
            return self.screen.json(&Line::PeerBanned { info_hash, ip });
        }
        let name = printable(&torrent.name);
        let line = format_args!("{name}: dropped peer {ip}, which sent bad data");
        self.screen.warn("warning", line);
        Ok(())
    }
}
