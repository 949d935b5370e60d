use super::*;
use crate::{BoxFuture, BoxStream};

fn addrs(texts: &[&str]) -> Vec<SocketAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn near_stops_at_the_first_free_port_and_at_other_errors() {
    let at = addrs(&["1.1.1.1:6881"])[0];
    let free = |free: u16| {
        move |at: SocketAddr| match at.port() {
            port if port < free => Err(io::Error::from(io::ErrorKind::AddrInUse)),
            port => Ok(port),
        }
    };
    assert_eq!(near(at, 9, free(6881)).unwrap(), 6881);
    assert_eq!(near(at, 9, free(6890)).unwrap(), 6890);
    let error = near(at, 9, free(6891)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    let denied = |_| Err::<(), _>(io::Error::from(io::ErrorKind::PermissionDenied));
    let error = near(at, 9, denied).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    let high = addrs(&["1.1.1.1:65535"])[0];
    assert!(near(high, 9, |_| Err::<(), _>(io::ErrorKind::AddrInUse.into())).is_err());
}

/// Fails at port 1, never answers at port 2, and answers at others.
struct Scripted;

impl Dialer for Scripted {
    fn dial(&self, to: SocketAddr) -> BoxFuture<'_, io::Result<BoxStream>> {
        Box::pin(async move {
            match to.port() {
                1 => Err(io::ErrorKind::ConnectionRefused.into()),
                2 => std::future::pending().await,
                _ => Err(io::ErrorKind::Other.into()),
            }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_attempt_goes_on_at_once_and_a_silent_one_after_the_delay() {
    let network = Network::real(RealOptions::default()).with_dialer(Arc::new(Scripted));
    let start = tokio::time::Instant::now();
    let error = network
        .dial_any(&addrs(&["1.1.1.1:1", "2.2.2.2:3"]))
        .await
        .unwrap_err();
    assert_eq!(
        error.kind(),
        io::ErrorKind::ConnectionRefused,
        "the first failure is told"
    );
    assert_eq!(start.elapsed(), Duration::ZERO);
    let silent_first = addrs(&["2.2.2.2:2", "[::1]:1", "[::1]:3"]);
    let attempt = network.dial_any(&silent_first);
    assert!(
        tokio::time::timeout(Duration::from_secs(9), attempt)
            .await
            .is_err()
    );
    let error = network.dial_any(&[]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}
