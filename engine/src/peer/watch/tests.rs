use protocol::geometry::Geometry;
use protocol::peer::message::RawRequest;

use super::*;
use crate::Categories;

#[test]
fn each_thing_that_happens_is_told_as_what_it_is_and_counted() {
    let hub = Hub::default();
    let mut events = hub.listen(Categories::ALL, 100);
    let addr: SocketAddr = "10.0.0.1:5".parse().unwrap();
    let mut watch = Watch::new(hub.clone(), (TorrentId(3), addr));
    let geometry = Geometry::new(100_000, 32_768).unwrap();
    let block = geometry.block(geometry.piece(2).unwrap(), 1).unwrap();
    let raw = RawRequest {
        piece: 1,
        begin: 100,
        len: 200,
    };
    let request = PeerRequest::check(raw, &geometry).unwrap();
    watch.requested(block);
    watch.received(block);
    watch.sends();
    watch.timed_out(&[block]);
    watch.timed_out(&[]);
    watch.sends();
    watch.dropped(block);
    watch.unwanted(7);
    watch.asked(&request);
    watch.sent(&request);
    watch.read(10);
    watch.written(20);
    watch.settle(None, [true, false]);
    let told: Vec<Event> = std::iter::from_fn(|| events.try_recv().ok()).collect();
    let words: Vec<&str> = told.iter().map(Event::word).collect();
    assert_eq!(
        words,
        [
            "block_requested",
            "block_received",
            "peer_snubs",
            "block_timed_out",
            "peer_sends",
            "block_dropped",
            "block_unwanted",
            "block_asked",
            "block_sent",
        ]
    );
    for event in &told {
        let text = format!("{event:?}");
        assert!(
            text.contains("TorrentId(3)") && text.contains("10.0.0.1:5"),
            "{text}"
        );
    }
    assert!(matches!(
        told[0],
        Event::BlockRequested {
            piece: 2,
            block: 1,
            ..
        }
    ));
    assert!(matches!(
        told[7],
        Event::BlockAsked {
            piece: 1,
            begin: 100,
            len: 200,
            ..
        }
    ));
    let mut metrics = crate::Metrics::default();
    metrics.count(hub.counters());
    for (name, count) in [
        ("net.recv_bytes", 10),
        ("net.sent_bytes", 20),
        ("peer.piece_requests", 1),
        ("disk.num_blocks_read", 1),
        ("peer.num_peers_up_requests", 1),
        ("peer.num_peers_down_requests", 0),
        ("net.recv_tcp_overhead_bytes", 0),
    ] {
        assert_eq!(metrics.get(name), Some(count), "{name}");
    }
}

#[test]
fn headers_are_estimated_by_segments_and_what_a_connection_has_goes_with_it() {
    let hub = Hub::default();
    let figure = |name| {
        let mut metrics = crate::Metrics::default();
        metrics.count(hub.counters());
        metrics.get(name).unwrap()
    };
    let mut watch = Watch::new(hub.clone(), (TorrentId(3), "10.0.0.1:5".parse().unwrap()));
    watch.is_tcp();
    watch.read(14_480);
    watch.written(100);
    watch.settle(None, [true, true]);
    // Ten segments and an acknowledgement of one came; one segment and five acknowledgements went.
    assert_eq!(figure("net.recv_tcp_overhead_bytes"), 11 * 52);
    assert_eq!(figure("net.sent_tcp_overhead_bytes"), 6 * 52);
    assert_eq!(figure("net.recv_bytes"), 14_480);
    watch.settle(None, [true, false]);
    assert_eq!(figure("net.recv_tcp_overhead_bytes"), 11 * 52);
    assert_eq!(figure("peer.num_peers_up_requests"), 1);
    assert_eq!(figure("peer.num_peers_down_requests"), 0);
    drop(watch);
    assert_eq!(figure("peer.num_peers_up_requests"), 0);
}

#[test]
fn failures_of_streams_are_counted_by_their_kind() {
    use io::ErrorKind as Kind;
    let hub = Hub::default();
    let watch = Watch::new(hub.clone(), (TorrentId(3), "10.0.0.1:5".parse().unwrap()));
    let kinds = [
        (Kind::ConnectionReset, "peer.connreset_peers"),
        (Kind::ConnectionAborted, "peer.connaborted_peers"),
        (Kind::BrokenPipe, "peer.broken_pipe_peers"),
        (Kind::NotConnected, "peer.notconnected_peers"),
        (Kind::TimedOut, "peer.transport_timeout_peers"),
        (Kind::PermissionDenied, "peer.no_access_peers"),
        (Kind::AddrNotAvailable, "peer.addrinuse_peers"),
        (Kind::InvalidInput, "peer.invalid_arg_peers"),
        (Kind::OutOfMemory, "peer.buffer_peers"),
    ];
    for (kind, _) in kinds {
        watch.broke(&kind.into());
    }
    watch.broke(&io::Error::from_raw_os_error(24));
    watch.broke(&Kind::Other.into());
    let mut metrics = crate::Metrics::default();
    metrics.count(hub.counters());
    for (kind, name) in kinds {
        let times = if kind == Kind::OutOfMemory { 2 } else { 1 };
        assert_eq!(metrics.get(name), Some(times), "{name}");
    }
}
