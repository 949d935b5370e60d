//! The announce request and its options (BEP 41).

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::net::IpAddr;

use super::fields::Fields;
use super::{DecodeError, MAX_URL_DATA};
use crate::id::{InfoHash, PeerId};
use crate::tracker::{Announce, AnnounceEvent, UNKNOWN_LEFT};

const OPTION_END: u8 = 0;
const OPTION_NOP: u8 = 1;
const OPTION_URL_DATA: u8 = 2;

pub(super) fn write_announce(out: &mut Vec<u8>, announce: &Announce) {
    out.extend_from_slice(&announce.info_hash.0);
    out.extend_from_slice(announce.peer_id.as_bytes());
    let left = announce.left.unwrap_or(UNKNOWN_LEFT);
    for number in [announce.downloaded, left, announce.uploaded] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    let event: u32 = match announce.event {
        AnnounceEvent::None | AnnounceEvent::Paused => 0,
        AnnounceEvent::Completed => 1,
        AnnounceEvent::Started => 2,
        AnnounceEvent::Stopped => 3,
    };
    let told = match announce.ip {
        Some(IpAddr::V4(ip)) => Some(ip),
        Some(IpAddr::V6(_)) | None => announce.ipv4,
    };
    let ip = told.map_or(0, u32::from);
    let num_want = announce.num_want.unwrap_or(u32::MAX);
    for number in [event, ip, announce.key, num_want] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(&announce.port.to_be_bytes());
}

pub(super) fn read_announce(fields: &mut Fields<'_>) -> Result<Announce, DecodeError> {
    let info_hash = InfoHash(fields.array()?);
    let peer_id = PeerId(fields.array()?);
    let downloaded = fields.u64()?;
    let left = fields.u64()?;
    let uploaded = fields.u64()?;
    let event = match fields.u32()? {
        0 => AnnounceEvent::None,
        1 => AnnounceEvent::Completed,
        2 => AnnounceEvent::Started,
        3 => AnnounceEvent::Stopped,
        _ => return Err(DecodeError::Field("event")),
    };
    let ip = fields.u32()?;
    let key = fields.u32()?;
    let num_want = fields.u32()?;
    let port = u16::from_be_bytes(fields.array()?);
    if port == 0 {
        return Err(DecodeError::Field("port"));
    }
    Ok(Announce {
        uploaded,
        downloaded,
        // -1 is said by clients that do not know it.
        left: Some(left).filter(|left| *left != u64::MAX),
        event,
        key,
        // Negative numbers leave it to the tracker.
        num_want: i32::try_from(num_want).is_ok().then_some(num_want),
        ipv4: (ip != 0).then(|| ip.into()),
        ..Announce::new(info_hash, peer_id, port)
    })
}

pub(super) fn write_options(out: &mut Vec<u8>, url_data: &[u8]) {
    let url_data = url_data.get(..MAX_URL_DATA).unwrap_or(url_data);
    for part in url_data.chunks(255) {
        out.push(OPTION_URL_DATA);
        out.push(part.len() as u8);
        out.extend_from_slice(part);
    }
}

/// The URL data of the options (BEP 41), cut to what a client sends at most. Unknown options are skipped; one that ends
/// too early ends the list.
pub fn read_options(mut bytes: &[u8]) -> Vec<u8> {
    let mut url_data = Vec::new();
    while let Some((&option, rest)) = bytes.split_first() {
        bytes = match option {
            OPTION_NOP => rest,
            OPTION_URL_DATA => {
                let Some((&len, rest)) = rest.split_first() else {
                    break;
                };
                let Some((part, rest)) = rest.split_at_checked(len.into()) else {
                    break;
                };
                url_data.extend_from_slice(part);
                rest
            }
            OPTION_END => break,
            // Any other option has a length, too.
            _ => {
                let skip = rest.first().map(|len| usize::from(*len).saturating_add(1));
                match skip.and_then(|skip| rest.get(skip..)) {
                    Some(rest) => rest,
                    None => break,
                }
            }
        };
    }
    url_data.truncate(MAX_URL_DATA);
    url_data
}
