use std::convert::Infallible;
use std::iter::repeat_n;
use std::sync::mpsc;
use std::time::Duration;

use futures_util::stream::iter;
use futures_util::task::noop_waker;
use net::OwnedPool;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::*;
use crate::testing::{Scene, until};
use crate::{Access, Limits};

/// A body of so many parts, each of so many bytes.
fn parts(count: usize, len: usize) -> Body {
    let part = Bytes::from(vec![7; len]);
    Body::from_stream(iter(repeat_n(part, count).map(Ok::<_, Infallible>)))
}

/// What comes of a body until it waits: the parts, and whether that was all.
fn burst(body: &mut Body) -> (Vec<usize>, bool) {
    let (waker, mut lens) = (noop_waker(), Vec::new());
    let mut cx = Context::from_waker(&waker);
    loop {
        match Pin::new(&mut *body).poll_frame(&mut cx) {
            Poll::Pending => return (lens, false),
            Poll::Ready(None) => return (lens, true),
            Poll::Ready(Some(frame)) => lens.push(frame.unwrap().into_data().unwrap().len()),
        }
    }
}

#[test]
fn what_is_long_waits_for_its_lane_and_takes_turns_there() {
    let lane = Lane::default();
    let part = SHORT as usize / 4;
    let mut body = lane.measure(Response::new(parts(100, part))).into_body();
    // Nobody knew that it is long until more was taken than is short.
    assert_eq!(burst(&mut body), (vec![part; 5], false));
    assert!(lane.is(LEAVING));
    assert_eq!(burst(&mut body), (vec![], false));
    lane.set(LONG);
    let turn = TURN as usize / part;
    assert_eq!(burst(&mut body), (vec![part; turn - 5], false));
    let mut left = 100 - turn;
    while left > turn {
        assert_eq!(burst(&mut body), (vec![part; turn], false));
        left -= turn;
    }
    assert_eq!(burst(&mut body), (vec![part; left], true));
    drop(body);
    assert!(lane.is(QUICK));
}

#[test]
fn what_is_said_to_be_long_or_is_known_to_be_leaves_before_its_first_byte_and_what_is_short_stays()
{
    for (body, said, leaves) in [
        (parts(3, 10), true, true),
        (Body::from(vec![7; SHORT as usize + 1]), false, true),
        (Body::from(vec![7; SHORT as usize]), false, false),
        (parts(4, SHORT as usize / 4), false, false),
        (Body::empty(), true, false),
    ] {
        let lane = Lane::default();
        let mut answer = Response::new(body);
        if said {
            answer.extensions_mut().insert(Long);
        }
        let mut body = lane.measure(answer).into_body();
        assert_eq!(lane.is(LEAVING), leaves);
        let (lens, is_all) = burst(&mut body);
        assert_eq!(is_all, !leaves);
        assert!(is_all || lens.is_empty());
    }
}

/// Has the only thread of a pool do nothing else until what this gives is dropped.
async fn occupied(pool: &OwnedPool) -> mpsc::Sender<()> {
    let (free, held) = mpsc::channel();
    let (begin, begun) = oneshot::channel();
    let task = pool.pool().spawn(async move {
        let _ = begin.send(());
        let _ = held.recv();
    });
    task.detach();
    begun.await.unwrap();
    free
}

/// Asks, and reads the head of the answer.
async fn head(stream: &mut TcpStream, path: &str) -> Vec<u8> {
    let asked = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(asked.as_bytes()).await.unwrap();
    let mut told = Vec::new();
    until(stream, &mut told, "\r\n\r\n").await;
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn short_answers_wait_for_no_long_ones_and_a_connection_comes_back_behind_one() {
    const LEN: usize = 1 << 20;
    let pool = OwnedPool::start("long", 1).unwrap();
    let threads = pool.pool().handle().clone();
    let scene = Scene::on((Access::default(), Limits::default()), threads).await;
    let hash = scene.seed(&[("film.mp4", LEN)]).await;
    let film = format!("/downloads/{hash}/stream/0");
    let mut stream = TcpStream::connect(scene.at).await.unwrap();
    for _ in 0..3 {
        let free = occupied(&pool).await;
        let told = head(&mut stream, &film).await;
        assert!(told.ends_with(b"\r\n\r\n"), "nothing of it is sent");
        assert_eq!(scene.ask("GET", "/state", b"").await.status, 200);
        let none = stream.try_read(&mut [0]).unwrap_err();
        assert_eq!(none.kind(), std::io::ErrorKind::WouldBlock);
        drop(free);
        let mut film = vec![0; LEN];
        stream.read_exact(&mut film).await.unwrap();
        let due = (0..LEN).map(|at| (at % 251) as u8);
        assert!(film.iter().copied().eq(due));
        // What is asked next on the same connection is short.
        let free = occupied(&pool).await;
        let mut told = head(&mut stream, "/state").await;
        until(&mut stream, &mut told, "STARTED").await;
        drop(free);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_ends_with_its_future_wherever_it_is() {
    let (bell, rung) = oneshot::channel::<()>();
    let lane = Lane::default();
    lane.leave();
    let talk = Box::pin(async move {
        let _bell = bell;
        std::future::pending::<()>().await;
    });
    let own = lane.clone();
    let task = tokio::spawn(async move { own.attend(talk, &Handle::current()).await });
    while !lane.is(LONG) {
        tokio::task::yield_now().await;
    }
    task.abort();
    let rung = timeout(Duration::from_secs(60), rung).await;
    assert!(rung.expect("it ends").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_panics_elsewhere_is_gone_and_takes_nobody_along() {
    let lane = Lane::default();
    lane.leave();
    let own = lane.clone();
    let talk = Box::pin(poll_fn(move |_| -> Poll<()> {
        assert!(!own.is(LONG), "it panics");
        Poll::Pending
    }));
    assert_eq!(lane.attend(talk, &Handle::current()).await, None);
}
