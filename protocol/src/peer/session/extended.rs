//! What comes from the peer by the extension protocol (BEP 10).

use std::borrow::Cow;

use super::receive::Outcome;
use super::{Event, Session, TorrentParams};
use crate::peer::custom;
use crate::peer::error::SessionError;
use crate::peer::extension::{Extension, ExtensionError, ExtensionHandshake};
use crate::peer::metadata::MetadataMessage;
use crate::peer::tally::MessageKind;

impl Session {
    pub(super) fn on_extended<'a>(&mut self, id: u8, payload: Cow<'a, [u8]>) -> Outcome<'a> {
        if id == 0 {
            self.tally.heard(MessageKind::ExtensionHandshake);
            let handshake = ExtensionHandshake::parse(&payload)?;
            if let Some(torrent) = &self.torrent
                && !torrent.customs().is_empty()
            {
                custom::update(&mut self.customs, torrent.customs(), &payload);
            }
            match &mut self.peer_extensions {
                Some(known) => known.update(&handshake),
                None => self.peer_extensions = Some(handshake.clone()),
            }
            return Ok(Some(Event::ExtensionHandshake(Box::new(handshake))));
        }
        let Some(extension) = Extension::from_local_id(id) else {
            let customs = self.torrent.as_ref().map(TorrentParams::customs);
            let mut all = customs.unwrap_or_default().iter();
            let at = all.position(|one| one.id == id);
            return Ok(at.map(|at| Event::Custom { at, payload }));
        };
        match extension {
            Extension::Metadata => {
                self.tally.heard(MessageKind::Metadata);
                self.on_metadata(payload)
            }
            Extension::DontHave => {
                let index = fixed(extension, &payload).map(u32::from_be_bytes)?;
                self.on_dont_have(index)
            }
            Extension::UploadOnly => {
                let [flag] = fixed(extension, &payload)?;
                if let Some(peer) = &mut self.peer_extensions {
                    peer.upload_only = Some(flag != 0);
                }
                Ok(Some(Event::UploadOnly(flag != 0)))
            }
            Extension::Holepunch | Extension::Pex => {
                if extension == Extension::Pex {
                    self.tally.heard(MessageKind::Pex);
                }
                Ok(Some(Event::Extended { extension, payload }))
            }
        }
    }

    fn on_dont_have<'a>(&mut self, index: u32) -> Outcome<'a> {
        if self.geometry().is_none() {
            return if self.pieces.early_change(index, false) {
                Ok(None)
            } else {
                Err(SessionError::EarlyHaves)
            };
        }
        let piece = self
            .piece(index)
            .ok_or(SessionError::PieceOutOfRange { index })?;
        Ok(self.pieces.remove(piece).then_some(Event::DontHave(piece)))
    }

    fn on_metadata<'a>(&mut self, payload: Cow<'a, [u8]>) -> Outcome<'a> {
        match MetadataMessage::parse(payload)? {
            None => Ok(None),
            Some(MetadataMessage::Request { piece }) => {
                if self.peer_id_of(Extension::Metadata).is_none() {
                    return Ok(None);
                }
                // A peer that asks faster than it reads is told so at once.
                if self.output_room() == 0 {
                    self.metadata_reject(piece);
                    return Ok(None);
                }
                Ok(Some(Event::MetadataRequest { piece }))
            }
            Some(MetadataMessage::Data {
                piece,
                total_size,
                data,
            }) => Ok(self
                .take_metadata_asked(piece)
                .then_some(Event::MetadataData {
                    piece,
                    total_size,
                    data,
                })),
            Some(MetadataMessage::Reject { piece }) => Ok(self
                .take_metadata_asked(piece)
                .then_some(Event::MetadataRejected { piece })),
        }
    }

    fn take_metadata_asked(&mut self, piece: u32) -> bool {
        let at = self.metadata_asked.iter().position(|p| *p == piece);
        at.is_some_and(|at| {
            self.metadata_asked.remove(at);
            true
        })
    }
}

fn fixed<const N: usize>(extension: Extension, payload: &[u8]) -> Result<[u8; N], ExtensionError> {
    payload.try_into().map_err(|_| ExtensionError::Length {
        extension,
        len: payload.len(),
    })
}
