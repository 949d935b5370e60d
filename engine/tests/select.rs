//! A magnet link that selects files (BEP 53).

mod common;

use std::fs;
use std::sync::Arc;

use common::{Node, finished, in_system};
use engine::{AddTorrent, Event, Source, State, TorrentError, TorrentId};
use protocol::magnet::{Magnet, SelectOnly};
use protocol::metainfo::{LoadLimits, Metainfo};

const PIECE: usize = 16 * 1024;

/// A seeder of a torrent of four files, each of one piece and named by its number.
async fn seeder() -> (Node, Arc<Metainfo>) {
    let node = Node::start().await;
    let folder = node.dir().join("payload");
    fs::create_dir_all(&folder).expect("a folder");
    let (mut files, mut pieces) = (Vec::new(), Vec::new());
    for number in 0..4_u8 {
        let content = [number + 1; PIECE];
        fs::write(folder.join(number.to_string()), content).expect("written");
        files.push(format!("d6:lengthi{PIECE}e4:pathl1:{number}ee"));
        pieces.extend(hash::sha1(&content));
    }
    let files = files.concat();
    let head =
        format!("d4:infod5:filesl{files}e4:name7:payload12:piece lengthi{PIECE}e6:pieces80:");
    let torrent = [head.as_bytes(), &pieces, b"ee"].concat();
    let metainfo = Metainfo::from_bytes(&torrent, &LoadLimits::default()).expect("a torrent");
    let metainfo = Arc::new(metainfo);
    let add = AddTorrent::new(Source::Metainfo(Arc::clone(&metainfo)), node.dir());
    let id = node.handle.add(add).await.expect("added");
    finished(&node, id).await;
    (node, metainfo)
}

async fn fetch(
    node: &Node,
    from: &(Node, Arc<Metainfo>),
    select: &str,
    files: Option<Vec<usize>>,
) -> TorrentId {
    let mut magnet = Magnet::new(from.1.hashes());
    magnet.select_only = Some(SelectOnly::parse(select).expect("a list"));
    let mut add = AddTorrent::new(Source::Magnet(Box::new(magnet)), node.dir());
    add.peers = vec![from.0.addr()];
    add.files = files;
    node.handle.add(add).await.expect("added")
}

/// The numbers of the files that are there.
fn there(node: &Node) -> Vec<usize> {
    let path = |number: &usize| node.dir().join("payload").join(number.to_string());
    (0..4).filter(|number| path(number).exists()).collect()
}

#[test]
fn what_the_link_selects_is_fetched_and_nothing_else() {
    in_system(async {
        let from = seeder().await;
        let node = Node::start().await;
        let id = fetch(&node, &from, "1,3,77-9999", None).await;
        finished(&node, id).await;
        assert_eq!(there(&node), [1, 3]);
        assert_eq!(node.status(id).wanted, 2 * PIECE as u64);
    });
}

#[test]
fn a_choice_of_the_user_goes_before_that_of_the_link() {
    in_system(async {
        let from = seeder().await;
        let node = Node::start().await;
        let id = fetch(&node, &from, "1,3", Some(vec![0])).await;
        finished(&node, id).await;
        assert_eq!(there(&node), [0]);
    });
}

#[test]
fn an_empty_list_selects_everything() {
    in_system(async {
        let from = seeder().await;
        let node = Node::start().await;
        let id = fetch(&node, &from, "", None).await;
        finished(&node, id).await;
        assert_eq!(there(&node), [0, 1, 2, 3]);
    });
}

#[test]
fn a_link_that_selects_no_file_of_the_torrent_is_an_error_and_fetches_nothing() {
    in_system(async {
        let from = seeder().await;
        let node = Node::start().await;
        let mut events = node.handle.events(engine::Categories::USUAL, 1024);
        let id = fetch(&node, &from, "4-9999", None).await;
        node.until(id, |status| {
            status.state == State::Error(TorrentError::NothingSelected)
        })
        .await;
        assert!(there(&node).is_empty());
        let told = |event| matches!(event, Event::Error { error, .. } if error == TorrentError::NothingSelected);
        assert!(std::iter::from_fn(|| events.try_recv().ok()).any(told));
    });
}
