//! Datagrams on the simulated network, in virtual time.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::time::Duration;

use net::DatagramSocket;
use tokio::io::ReadBuf;
use tokio::task::LocalSet;
use tokio::time::{Instant, timeout};

/// Runs a test whose time passes only while all wait.
pub(crate) fn simulate(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, test);
}

/// The next datagram, and where it comes from.
pub(crate) async fn receive(socket: &dyn DatagramSocket) -> (Vec<u8>, SocketAddr) {
    let mut bytes = [0; 2048];
    let mut buf = ReadBuf::new(&mut bytes);
    let from = poll_fn(|cx| socket.poll_recv_from(cx, &mut buf))
        .await
        .unwrap();
    (buf.filled().to_vec(), from)
}

/// What looks like uTP.
pub(crate) fn utp(len: usize) -> Vec<u8> {
    let mut data = vec![5; len];
    data[..2].copy_from_slice(&[1, 0]);
    data
}

/// Sends a datagram until it comes back, and says how long that took.
pub(crate) async fn until_echoed(socket: &dyn DatagramSocket, to: SocketAddr) -> Duration {
    let begun = Instant::now();
    let data = utp(300);
    loop {
        let _ = socket.try_send_to(&data, to);
        if let Ok((got, from)) = timeout(Duration::from_millis(500), receive(socket)).await {
            assert_eq!((got, from), (data, to));
            return begun.elapsed();
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "never");
    }
}
