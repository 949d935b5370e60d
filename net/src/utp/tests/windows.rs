//! What streams may keep of what comes in.

use super::*;
use crate::utp::conn::Conn;

/// Bytes that the receive windows of a node have grown by.
fn grown(node: &Node) -> usize {
    let all = node.dialer.handle.shared.table.lock().all();
    let by = |conn: &Arc<Conn>| conn.state.lock().machine.receive_capacity() - 256 * 1024;
    all.iter().map(by).sum()
}

#[tokio::test(start_paused = true)]
async fn the_windows_of_all_streams_grow_within_one_budget_and_leave_it_to_others_in_the_end() {
    const BUDGET: usize = 1 << 20;
    let sim = Sim::new(SEED);
    let link = Link::with_latency(Duration::from_millis(50));
    let a = host(&sim, "1.0.0.1", link).network();
    let a = node(&a, "1.0.0.1:10", 1);
    let network = host(&sim, "2.0.0.2", link).network();
    let socket = network.datagram("2.0.0.2:20".parse().unwrap()).unwrap();
    let options = UtpOptions {
        seed: Some(2),
        windows: Some(BUDGET),
        ..UtpOptions::default()
    };
    let addr = socket.local_addr();
    let (dialer, listener, others) = start(socket, &Pool::current(), &options);
    let mut b = Node {
        dialer,
        listener,
        others,
        addr,
    };
    for _ in 0..2 {
        let mut streams = Vec::new();
        for _ in 0..4 {
            let (mut ours, mut theirs) = pair(&a, &mut b).await;
            let bytes = content(3_000_000);
            let mut got = vec![0; bytes.len()];
            let (wrote, read) = tokio::join!(ours.write_all(&bytes), theirs.read_exact(&mut got));
            assert!(wrote.is_ok() && read.is_ok() && got == bytes);
            streams.push((ours, theirs));
        }
        assert_eq!(grown(&b), BUDGET, "all of it is made use of, and no more");
        drop(streams);
        tokio::time::sleep(Duration::from_mins(1)).await;
    }
}
