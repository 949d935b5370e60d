//! Sockets that have no way for datagrams for a while, as those that are bound to an interface that goes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::io::ReadBuf;

use super::*;

/// A socket whose way can be taken from it. It tells its reader, as those do that are bound.
struct Cut {
    inner: Arc<dyn DatagramSocket>,
    down: AtomicBool,
    /// Whose host knows us no more.
    moved: Mutex<Vec<SocketAddr>>,
    reader: Mutex<Option<Waker>>,
}

impl Cut {
    fn new(inner: Arc<dyn DatagramSocket>, down: bool) -> Arc<Self> {
        Arc::new(Self {
            inner,
            down: AtomicBool::new(down),
            moved: Mutex::default(),
            reader: Mutex::default(),
        })
    }

    fn moves(&self, peer: SocketAddr) {
        self.moved.lock().push(peer);
        if let Some(reader) = self.reader.lock().take() {
            reader.wake();
        }
    }

    fn set(&self, down: bool) {
        self.down.store(down, Ordering::Relaxed);
        if let Some(reader) = self.reader.lock().take() {
            reader.wake();
        }
    }
}

impl DatagramSocket for Cut {
    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        *self.reader.lock() = Some(cx.waker().clone());
        if self.is_up() {
            self.inner.poll_recv_from(cx, buf)
        } else {
            Poll::Pending
        }
    }

    fn poll_send_to(
        &self,
        _: &mut Context<'_>,
        datagram: &[u8],
        to: SocketAddr,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(self.try_send_to(datagram, to))
    }

    fn try_send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        if !self.is_up() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.inner.try_send_to(datagram, to)
    }

    fn take_moved(&self) -> Option<SocketAddr> {
        self.moved.lock().pop()
    }

    fn is_up(&self) -> bool {
        !self.down.load(Ordering::Relaxed)
    }

    fn local_addr(&self) -> SocketAddr {
        self.inner.local_addr()
    }
}

#[tokio::test(start_paused = true)]
async fn streams_end_with_their_network_and_new_ones_open_as_soon_as_it_is_back() {
    let sim = Sim::new(SEED);
    let network = host(&sim, "1.0.0.1", Link::default()).network();
    let inner = network.datagram("1.0.0.1:10".parse().unwrap()).unwrap();
    let cut = Cut::new(inner, false);
    let a = node_on(cut.clone(), 1);
    let network = host(&sim, "2.0.0.2", Link::default()).network();
    let mut b = node(&network, "2.0.0.2:20", 2);

    let (mut ours, mut theirs) = pair(&a, &mut b).await;
    ours.write_all(&content(3000)).await.unwrap();
    theirs.read_exact(&mut [0; 3000]).await.unwrap();
    // More than is on its way at once, both ways.
    let writes = async {
        let chunk = content(100_000);
        loop {
            ours.write_all(&chunk).await?;
        }
    };
    let writes_back = async {
        let chunk = content(100_000);
        loop {
            theirs.write_all(&chunk).await?;
        }
    };
    let dials = a.dialer.dial("3.0.0.3:30".parse().unwrap());
    let pulls = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        cut.set(true);
        let pulled = tokio::time::Instant::now();
        tokio::time::sleep(Duration::from_secs(60)).await;
        cut.set(false);
        pulled
    };
    let ends = async {
        let (ended, dialled): (io::Result<()>, _) = tokio::join!(writes, dials);
        (ended, dialled, tokio::time::Instant::now())
    };
    let theirs_ends = async {
        let ended: io::Result<()> = writes_back.await;
        (ended, tokio::time::Instant::now())
    };
    let (pulled, (ended, dialled, at), (their_end, told)) = tokio::join!(pulls, ends, theirs_ends);
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::NetworkDown);
    assert_eq!(dialled.unwrap_err().kind(), io::ErrorKind::NetworkDown);
    assert!(at - pulled < Duration::from_millis(10), "{:?}", at - pulled);
    assert_eq!(
        their_end.unwrap_err().kind(),
        io::ErrorKind::ConnectionReset
    );
    let after = told - pulled;
    let back = Duration::from_secs(60);
    assert!(
        (back..back + Duration::from_millis(200)).contains(&after),
        "{after:?}"
    );
    assert_eq!(a.dialer.handle.shared.table.lock().len(), 0);
    let (ours, theirs) = pair(&a, &mut b).await;
    exchange(ours, theirs, 10_000, 10_000).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_can_be_dialled_without_a_network() {
    let sim = Sim::new(SEED);
    let network = host(&sim, "1.0.0.1", Link::default()).network();
    let inner = network.datagram("1.0.0.1:10".parse().unwrap()).unwrap();
    let cut = Cut::new(inner, true);
    let a = node_on(cut.clone(), 1);
    let network = host(&sim, "2.0.0.2", Link::default()).network();
    let mut b = node(&network, "2.0.0.2:20", 2);
    let error = a.dialer.dial(b.addr).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NetworkDown);
    assert_eq!(sim.elapsed(), Duration::ZERO);
    cut.set(false);
    let (ours, theirs) = pair(&a, &mut b).await;
    exchange(ours, theirs, 10, 10).await;
}

#[tokio::test(start_paused = true)]
async fn streams_with_a_host_that_knows_us_no_more_end_and_others_go_on() {
    let sim = Sim::new(SEED);
    let network = host(&sim, "1.0.0.1", Link::default()).network();
    let inner = network.datagram("1.0.0.1:10".parse().unwrap()).unwrap();
    let cut = Cut::new(inner, false);
    let a = node_on(cut.clone(), 1);
    let network = host(&sim, "2.0.0.2", Link::default()).network();
    let mut b = node(&network, "2.0.0.2:20", 2);
    let network = host(&sim, "3.0.0.3", Link::default()).network();
    let mut c = node(&network, "3.0.0.3:30", 3);
    let (mut ours, theirs) = pair(&a, &mut b).await;
    let (other, others) = pair(&a, &mut c).await;
    let cuts = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        cut.moves(b.addr);
        tokio::time::Instant::now()
    };
    let reads = async {
        let ended = ours.read_exact(&mut [0; 1]).await;
        (ended, tokio::time::Instant::now())
    };
    let (moved, (ended, at)) = tokio::join!(cuts, reads);
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::NetworkDown);
    assert!(at - moved < Duration::from_millis(10), "{:?}", at - moved);
    exchange(other, others, 10_000, 10_000).await;
    drop(theirs);
    let (ours, theirs) = pair(&a, &mut b).await;
    exchange(ours, theirs, 10_000, 10_000).await;
}
