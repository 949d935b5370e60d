//! Replies that are received in parts.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

async fn open(client: &Client, url: &str) -> Result<Streaming, Error> {
    client.open(&request(url)).await
}

/// Reads a body to its end, or to where it breaks off.
async fn drain(reply: &mut Streaming) -> (Vec<u8>, Option<Error>) {
    let mut body = Vec::new();
    loop {
        match reply.chunk().await {
            Ok(Some(chunk)) => {
                assert!(!chunk.is_empty());
                body.extend_from_slice(&chunk);
            }
            Ok(None) => return (body, None),
            Err(error) => return (body, Some(error)),
        }
    }
}

#[tokio::test]
async fn a_body_larger_than_every_limit_comes_in_parts_and_as_it_is() {
    let size = 20 << 20;
    let reply = Reply::text(&format!(
        "HTTP/1.1 206 Partial Content\r\nContent-Length: {size}\r\n\r\n"
    ))
    .then_repeat(&[7; 1000]);
    let server = Server::start(&real(), vec![reply]).await;
    let mut reply = open(&client(), &server.url("/x")).await.unwrap();
    assert_eq!((reply.status(), reply.body_len()), (206, Some(size)));
    assert_eq!(reply.peer(), server.addr);
    let mut len = 0;
    while let Some(chunk) = reply.chunk().await.unwrap() {
        assert!(chunk.len() <= 512 * 1024, "{}", chunk.len());
        assert!(chunk.iter().all(|byte| *byte == 7));
        len += chunk.len() as u64;
    }
    assert_eq!(len, size);
    let heard = server.heard(0).to_lowercase();
    assert!(heard.contains("accept-encoding: identity\r\n"), "{heard}");
}

#[tokio::test]
async fn the_connection_is_kept_at_the_end_of_the_body_and_closed_before_it() {
    let mut listener = real().listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}/f", listener.local_addr());
    // One connection, and all its requests.
    let serving = crate::Pool::current().spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        while stream.read_u8().await.is_ok() {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let reply = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789";
            stream.write_all(reply).await.unwrap();
            stream.flush().await.unwrap();
        }
    });
    let client = client().keeping(Keep::default());
    for _ in 0..3 {
        let mut reply = open(&client, &url).await.unwrap();
        assert_eq!(client.kept(), 0, "it is in use");
        let (body, error) = drain(&mut reply).await;
        assert!(error.is_none());
        assert_eq!(body, b"0123456789");
        assert!(
            reply.chunk().await.unwrap().is_none(),
            "the end stays the end"
        );
        assert_eq!(client.kept(), 1);
    }
    let mut reply = open(&client, &url).await.unwrap();
    reply.chunk().await.unwrap();
    drop(reply);
    assert_eq!(client.kept(), 0, "nobody knows where the next reply begins");
    drop(serving);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error_after_what_came_of_it() {
    let cut = Reply::text("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello");
    let packed = Reply::packed("gzip", gzip(b"hello"));
    let server = Server::start(&real(), vec![cut, packed]).await;
    let mut reply = open(&client(), &server.url("/")).await.unwrap();
    let (body, error) = drain(&mut reply).await;
    assert_eq!(body, b"hello");
    assert!(matches!(error, Some(Error::Truncated)), "{error:?}");
    assert!(reply.chunk().await.unwrap().is_none());
    let packed = open(&client(), &server.url("/")).await;
    assert!(matches!(packed, Err(Error::UnknownEncoding)));
}

#[tokio::test]
async fn a_redirect_is_remembered_with_the_server_that_sent_it() {
    let target = Server::start(&real(), vec![Reply::ok("there")]).await;
    let to = target.url("/there");
    let redirect = format!("HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: {to}\r\n\r\n");
    let server = Server::start(&real(), vec![Reply::text(&redirect)]).await;
    let mut reply = open(&client(), &server.url("/here")).await.unwrap();
    assert_eq!(reply.url().as_str(), to);
    assert_eq!(
        (reply.sent_by(), reply.peer()),
        (Some(server.addr), target.addr)
    );
    assert_eq!(drain(&mut reply).await.0, b"there");
}

#[tokio::test]
async fn a_remembered_redirect_is_judged_again() {
    let server = Server::start(&real(), vec![Reply::ok("x")]).await;
    let mut request = request(&server.url("/file"));
    request.policy = Arc::new(Guard::WEB_SEED);
    request.sent_by = Some("1.1.1.1:80".parse().unwrap());
    let refused = client().open(&request).await;
    assert!(matches!(refused, Err(Error::Forbidden)), "{refused:?}");
    request.sent_by = Some("127.0.0.1:80".parse().unwrap());
    assert!(client().open(&request).await.is_ok());
}
