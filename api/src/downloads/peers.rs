//! What a connected peer looks like.

use engine::PeerInfo;
use protocol::id::identify;
use serde::Serialize;

/// A connected peer. `u` is what goes to it, `d` what comes from it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "as front ends expect them")]
pub(super) struct Peer {
    id: String,
    extended_version: String,
    ip: String,
    port: u16,
    optimistic: bool,
    direction: &'static str,
    uprate: u64,
    uinterested: bool,
    uchoked: bool,
    uhasqueries: bool,
    uflushed: bool,
    downrate: u64,
    dinterested: bool,
    dchoked: bool,
    snubbed: bool,
    utotal: u64,
    dtotal: u64,
    completed: f64,
    speed: u64,
    connection_type: u8,
    seed: bool,
    upload_only: bool,
}

impl Peer {
    /// Of a torrent with so many pieces.
    pub(super) fn of(info: &PeerInfo, pieces: u32) -> Self {
        let id = info
            .id
            .map_or_else(String::new, |id| data_encoding::HEXLOWER.encode(&id.0));
        let completed = match info.pieces {
            None => 1.0,
            Some(_) if pieces == 0 => 0.0,
            Some(has) => f64::from(has) / f64::from(pieces),
        };
        let addr = info.listens.unwrap_or(info.addr);
        Self {
            id,
            extended_version: info.id.as_ref().map(identify).unwrap_or_default(),
            ip: addr.ip().to_string(),
            port: addr.port(),
            optimistic: info.by_chance,
            direction: begun_by(info.outgoing),
            uprate: info.up_rate,
            uinterested: info.interested,
            uchoked: !info.served,
            uhasqueries: info.interested && info.served,
            uflushed: info.up_rate > 0,
            downrate: info.down_rate,
            dinterested: info.we_are_interested,
            dchoked: !info.serves_us,
            snubbed: info.snubs,
            utotal: info.uploaded,
            dtotal: info.downloaded,
            completed,
            speed: info.down_rate,
            connection_type: 0,
            seed: info.pieces.is_none() || (pieces > 0 && info.pieces == Some(pieces)),
            upload_only: info.upload_only,
        }
    }
}

/// Which end has dialled: `L` is this one, `R` the other.
const fn begun_by(us: bool) -> &'static str {
    if us { "L" } else { "R" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_local_where_it_was_begun_here() {
        assert_eq!([true, false].map(begun_by), ["L", "R"]);
    }
}
