//! Datagrams of 1400 bytes that are asked for, so many at a time; `tests/live/node.py` does the same.
//!
//! ```text
//! 21 00  0 0  first u32  count u32  8 zeros                 a request
//! 01 00  0 0  number u32  zeros                             what was asked for
//! ```
//! Both have the shape of uTP, which exits let through.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use net::DatagramSocket;
use net::datagram::{Batch, Run};
use tokio::time::timeout;

use crate::Outcome;

/// Bytes of a datagram.
pub(crate) const LEN: usize = 1400;

const REQUEST: usize = 20;

/// How much of a window is asked for again at a time.
const STEP: u32 = 16;

/// How long nothing comes before all that is under way is taken to be lost.
const SILENCE: Duration = Duration::from_millis(100);

/// Gives everyone what is asked for.
pub(crate) async fn serve(socket: &dyn DatagramSocket) -> Outcome<()> {
    let (mut batch, mut run) = (Batch::default(), Run::default());
    let mut datagram = [7; LEN];
    datagram[..4].copy_from_slice(&[1, 0, 0, 0]);
    loop {
        poll_fn(|cx| socket.poll_recv_batch(cx, &mut batch)).await?;
        for (asked, from) in batch.iter() {
            let Some((first, count)) = request(asked) else {
                continue;
            };
            for number in first..first.saturating_add(count.min(4096)) {
                datagram[4..8].copy_from_slice(&number.to_be_bytes());
                run.put(socket, from, &[], &datagram);
            }
            // What finds no room is lost.
            let _ = run.send(socket);
        }
    }
}

fn ask(socket: &dyn DatagramSocket, to: SocketAddr, (first, count): (u32, u32)) {
    let mut bytes = [0; REQUEST];
    bytes[0] = 0x21;
    bytes[4..8].copy_from_slice(&first.to_be_bytes());
    bytes[8..12].copy_from_slice(&count.to_be_bytes());
    // What finds no way is lost, and asked for again.
    let _ = socket.try_send_to(&bytes, to);
}

/// The number of a datagram that was asked for.
fn number(datagram: &[u8]) -> Option<u32> {
    let field = datagram.get(4..8)?.first_chunk().copied()?;
    (datagram.len() == LEN).then(|| u32::from_be_bytes(field))
}

fn request(datagram: &[u8]) -> Option<(u32, u32)> {
    let is_one = datagram.len() == REQUEST && datagram.starts_with(&[0x21, 0]);
    let field = |at: usize| datagram.get(at..at + 4)?.first_chunk().copied();
    is_one.then_some(())?;
    Some((u32::from_be_bytes(field(4)?), u32::from_be_bytes(field(8)?)))
}

/// What has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Got {
    pub(crate) datagrams: u64,
    pub(crate) seconds: f64,
}

/// Asks for datagrams, `window` of them at a time, until `most` have come or the time is over.
pub(crate) async fn download(
    socket: &dyn DatagramSocket,
    from: SocketAddr,
    window: u32,
    (most, limit): (u64, Duration),
) -> Outcome<Got> {
    let mut batch = Batch::default();
    let (mut asked, mut next, mut got) = (0_u32, 0_u32, 0_u64);
    let mut begun: Option<(Instant, u64)> = None;
    loop {
        let room = window.saturating_sub(asked - next);
        if room >= STEP.min(window) {
            ask(socket, from, (asked, room));
            asked += room;
        }
        let came = poll_fn(|cx| socket.poll_recv_batch(cx, &mut batch));
        let Ok(came) = timeout(SILENCE, came).await else {
            next = asked;
            continue;
        };
        came?;
        for (datagram, _) in batch.iter().filter(|(bytes, _)| bytes.len() == LEN) {
            if let Some(field) = datagram.get(4..8).and_then(<[u8]>::first_chunk) {
                next = next
                    .max(u32::from_be_bytes(*field).saturating_add(1))
                    .min(asked);
                got += 1;
            }
        }
        let (since, before) = *begun.get_or_insert_with(|| (Instant::now(), got));
        let took = since.elapsed();
        if got - before >= most || took >= limit {
            return Ok(Got {
                datagrams: got - before,
                seconds: took.as_secs_f64(),
            });
        }
    }
}

/// Asks everyone for a datagram and, when it has come, for the next; how many came in this time, and from how many.
pub(crate) async fn crowd(
    socket: &dyn DatagramSocket,
    from: &[SocketAddr],
    time: Duration,
) -> Outcome<(Got, usize)> {
    let mut batch = Batch::default();
    let begun = Instant::now();
    let mut last: BTreeMap<SocketAddr, Instant> = BTreeMap::new();
    let (mut heard, mut datagrams) = (BTreeSet::new(), 0);
    let mut looked = None;
    while begun.elapsed() < time {
        let now = Instant::now();
        if looked.is_none_or(|looked| now.saturating_duration_since(looked) >= SILENCE) {
            looked = Some(now);
            for (n, to) in from.iter().enumerate() {
                let silent = last.get(to).is_none_or(|last| now >= *last + SILENCE);
                if silent {
                    ask(socket, *to, (0, 1));
                    last.insert(*to, now);
                }
                // Not all in the same moment.
                if n % 32 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        }
        let came = poll_fn(|cx| socket.poll_recv_batch(cx, &mut batch));
        let Ok(came) = timeout(SILENCE, came).await else {
            continue;
        };
        came?;
        let now = Instant::now();
        for (_, sender) in batch.iter().filter(|(bytes, _)| number(bytes).is_some()) {
            datagrams += 1;
            heard.insert(sender);
            ask(socket, sender, (0, 1));
            last.insert(sender, now);
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    Ok((Got { datagrams, seconds }, heard.len()))
}
