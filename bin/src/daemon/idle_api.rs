//! What stands where the REST API will be: whoever asks there is told that this build has none.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use net::{Pool, Task};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::time;

/// Who may ask at the same time.
const MAX_GUESTS: usize = 8;

/// How long a question and its answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of a question that are read.
const MAX_REQUEST: usize = 8 << 10;

/// What everybody is told.
const ANSWER: &str = "this build has no REST API yet; `tribler-rs ctl` talks to the daemon\n";

/// Opens the port; it goes with the task.
///
/// # Errors
/// What the system says.
pub(crate) async fn serve(at: SocketAddr, pool: &Pool) -> io::Result<(SocketAddr, Task<()>)> {
    let (told, opened) = oneshot::channel();
    let serving = pool.spawn(async move {
        match TcpListener::bind(at).await {
            Ok(listener) => {
                if told.send(listener.local_addr()).is_ok() {
                    accept(listener).await;
                }
            }
            Err(error) => drop(told.send(Err(error))),
        }
    });
    let at = opened.await.map_err(io::Error::other)??;
    Ok((at, serving))
}

async fn accept(listener: TcpListener) {
    let seats = Arc::new(Semaphore::new(MAX_GUESTS));
    loop {
        let Ok(seat) = Arc::clone(&seats).acquire_owned().await else {
            return;
        };
        let Ok((guest, _)) = listener.accept().await else {
            time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        tokio::spawn(async move {
            let _ = time::timeout(PATIENCE, attend(guest)).await;
            drop(seat);
        });
    }
}

/// Answers one request, and closes.
async fn attend(mut guest: TcpStream) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() >= MAX_REQUEST || guest.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let answer = format!(
        "HTTP/1.1 501 Not Implemented\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{ANSWER}",
        ANSWER.len()
    );
    guest.write_all(answer.as_bytes()).await?;
    guest.shutdown().await
}
