//! A peer that a test plays.

use std::sync::Arc;

use net::sim::{HostOptions, Sim};
use protocol::id::PeerId;
use protocol::metainfo::Metainfo;
use protocol::peer::{Event, Session, SessionConfig, TorrentParams};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::common::sim::{addr, ip};

/// A peer that gives the metadata, and for hashes what `answer` makes of the right ones; none refuses.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a played peer heeds what it plays"
)]
pub(crate) async fn play(
    sim: Sim,
    number: u32,
    metainfo: Arc<Metainfo>,
    answer: impl Fn(usize, usize) -> Option<Vec<u8>>,
) -> usize {
    let host = sim.host(HostOptions::at(ip(number)));
    let mut door = host.network().listen(addr(number)).expect("a door");
    let mut told = 0;
    while let Ok((mut stream, _)) = door.accept().await {
        let now = || tokio::time::Instant::now().into_std();
        let config = SessionConfig::new(PeerId(*b"-XX0001-played-peer-"));
        let mut session = Session::acceptor(config, now());
        let info = metainfo.info_bytes();
        let mut torrent = Some(TorrentParams {
            metadata_size: Some(info.len() as u32),
            geometry: Some(metainfo.geometry()),
            ..TorrentParams::new(metainfo.hashes())
        });
        let mut buffer = vec![0; 65_536];
        loop {
            let output = session.output().to_vec();
            if stream.write_all(&output).await.is_err() {
                break;
            }
            session.consume_output(output.len());
            let Ok(got @ 1..) = stream.read(&mut buffer).await else {
                break;
            };
            let mut input = &buffer[..got];
            while let Ok(Some(event)) = session.handle(now(), &mut input) {
                match event {
                    Event::Handshake(_) => {
                        let torrent = torrent.take().expect("one handshake");
                        session.accept(torrent).expect("our torrent");
                        session.have_all();
                    }
                    Event::MetadataRequest { piece } => {
                        let from = piece as usize * 16_384;
                        let to = info.len().min(from + 16_384);
                        session.metadata_data(piece, info.len() as u32, &info[from..to]);
                    }
                    Event::HashRequest(request) => {
                        told += 1;
                        let uncles = request.span().uncles() as usize;
                        match answer(request.length as usize, uncles) {
                            Some(hashes) => _ = session.hashes(request, &hashes),
                            None => session.hash_reject(request),
                        }
                    }
                    _ => {}
                }
            }
        }
        if told > 0 {
            break;
        }
    }
    told
}
