//! Bodies as they come: how long they are waited for, and how many bytes are taken.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, Request, StatusCode, header};
use bytes::{Bytes, BytesMut};
use tokio::time::{Instant, timeout_at};

use super::SMALL;
use crate::problem::Problem;
use crate::shared::Shared;
use crate::turns::Turn;

/// How long a body may take to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a client may send nothing of its body.
const SILENCE: Duration = Duration::from_secs(10);

/// Bytes of a body that is not wanted which are taken all the same, and for how long.
const DRAINED: usize = 64 << 20;
const DRAINING: Duration = Duration::from_secs(2);

/// The body of a request, of [`SMALL`] bytes at most.
///
/// # Errors
/// 413 beyond that, 408 where it does not come.
pub(super) async fn small(request: Request<Body>) -> Result<Bytes, Problem> {
    let (bytes, _) = gather(request, SMALL, None).await?;
    Ok(bytes)
}

/// The body of a request, of so many bytes at most. One of more than [`SMALL`] bytes has a turn, and does not come before it is its turn.
///
/// # Errors
/// 413 beyond that, 408 where it does not come, 503 where there is no turn in time.
pub(crate) async fn long(
    request: Request<Body>,
    most: usize,
    shared: &Shared,
) -> Result<(Bytes, Option<Turn>), Problem> {
    gather(request, most, Some(shared)).await
}

/// A body of so many bytes at most, and its turn if it is a long one.
async fn gather(
    request: Request<Body>,
    most: usize,
    shared: Option<&Shared>,
) -> Result<(Bytes, Option<Turn>), Problem> {
    let too_large = || {
        let why =
            format!("the body has more than {most} bytes, which are the most that are taken here");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, why)
    };
    let said = length(request.headers());
    // It sends nothing before it is told to (RFC 9110, section 10.1.1).
    let waits = request.headers().contains_key(header::EXPECT);
    let mut body = request.into_body();
    if said.is_some_and(|len| len > most as u64) {
        if !waits {
            drain(&mut body).await;
        }
        return Err(too_large());
    }
    let mut held = None;
    if said.is_some_and(|len| len > SMALL as u64) {
        held = turn(shared).await?;
    }
    let mut bytes = BytesMut::new();
    let end = Instant::now() + PATIENCE;
    loop {
        let until = end.min(Instant::now() + SILENCE);
        let data = match timeout_at(until, next(&mut body)).await {
            Ok(Some(Ok(data))) => data,
            Ok(Some(Err(error))) => return Err(Problem::wrong(format!("the body: {error}"))),
            Ok(None) => return Ok((bytes.freeze(), held)),
            Err(_) => {
                let why = "the body did not come in time";
                return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, why));
            }
        };
        let len = bytes.len() + data.len();
        if len > most {
            drain(&mut body).await;
            return Err(too_large());
        }
        if len > SMALL && held.is_none() {
            held = turn(shared).await?;
        }
        bytes.extend_from_slice(&data);
    }
}

async fn turn(shared: Option<&Shared>) -> Result<Option<Turn>, Problem> {
    match shared {
        Some(shared) => shared.0.whole.wait().await.map(Some),
        None => Ok(None),
    }
}

/// The next bytes of a body.
async fn next(body: &mut Body) -> Option<Result<Bytes, axum::Error>> {
    let frame = std::future::poll_fn(|cx| std::pin::Pin::new(&mut *body).poll_frame(cx)).await?;
    Some(frame.map(|frame| frame.into_data().unwrap_or_default()))
}

/// Lets go of a body that is not wanted, as far as it comes at once: who is cut off while it sends does not read why.
async fn drain(body: &mut Body) {
    let end = Instant::now() + DRAINING;
    let mut left = DRAINED;
    while let Ok(Some(Ok(data))) = timeout_at(end, next(body)).await {
        left = left.saturating_sub(data.len());
        if left == 0 {
            return;
        }
    }
}

fn length(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(header::CONTENT_LENGTH)?.to_str().ok()?;
    text.parse().ok()
}
