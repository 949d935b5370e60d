//! A server that says what it is told to, byte for byte.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::ClientTls;
use crate::{Network, Pool, Task};

/// What the server does with one connection.
#[derive(Clone)]
pub(super) struct Reply {
    bytes: Vec<u8>,
    then: Then,
}

#[derive(Clone)]
enum Then {
    Close,
    Hang,
    Repeat(Vec<u8>),
}

impl Reply {
    /// These bytes, and the end. `IP` stands for the address of the server.
    pub(super) fn text(text: &str) -> Self {
        Self {
            bytes: text.as_bytes().to_vec(),
            then: Then::Close,
        }
    }

    /// A plain good reply.
    pub(super) fn ok(body: &str) -> Self {
        Self::text(&format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    /// A reply with a `Content-Encoding`.
    pub(super) fn packed(encoding: &str, body: Vec<u8>) -> Self {
        let mut reply = Self::text(&format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        ));
        reply.bytes.extend(body);
        reply
    }

    /// And then nothing, with the connection open.
    pub(super) fn then_hang(self) -> Self {
        Self {
            then: Then::Hang,
            ..self
        }
    }

    /// And then these bytes without end.
    pub(super) fn then_repeat(self, bytes: &[u8]) -> Self {
        Self {
            then: Then::Repeat(bytes.to_vec()),
            ..self
        }
    }
}

/// A server that answers the n-th request with the n-th reply.
pub(super) struct Server {
    pub(super) addr: SocketAddr,
    state: Arc<State>,
    _accepting: Task<()>,
}

#[derive(Default)]
struct State {
    heard: Mutex<Vec<String>>,
    replied: watch::Sender<usize>,
    closed: watch::Sender<usize>,
}

impl Server {
    pub(super) async fn start(network: &Network, replies: Vec<Reply>) -> Self {
        Self::start_at(network, "127.0.0.1:0", replies)
            .await
            .unwrap()
    }

    pub(super) async fn start_at(
        network: &Network,
        at: &str,
        replies: Vec<Reply>,
    ) -> io::Result<Self> {
        Self::launch(network, at, None, replies).await
    }

    pub(super) async fn start_tls(
        network: &Network,
        acceptor: TlsAcceptor,
        replies: Vec<Reply>,
    ) -> Self {
        Self::launch(network, "127.0.0.1:0", Some(acceptor), replies)
            .await
            .unwrap()
    }

    async fn launch(
        network: &Network,
        at: &str,
        tls: Option<TlsAcceptor>,
        replies: Vec<Reply>,
    ) -> io::Result<Self> {
        let mut listener = network.listen(at.parse().unwrap())?;
        let addr = listener.local_addr();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        let accepting = Pool::current().spawn(async move {
            let mut replies = replies.into_iter();
            let mut serving = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (state, tls) = (Arc::clone(&shared), tls.clone());
                // Connections come one after the other, so the next reply is this one's.
                let reply = replies.next();
                serving.push(Pool::current().spawn(async move {
                    match tls {
                        None => serve(stream, addr, reply, &state).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, addr, reply, &state).await;
                            }
                        }
                    }
                }));
            }
        });
        tokio::task::yield_now().await;
        Ok(Self {
            addr,
            state,
            _accepting: accepting,
        })
    }

    pub(super) fn url(&self, rest: &str) -> String {
        format!("http://{}{rest}", self.addr)
    }

    /// The n-th request.
    pub(super) fn heard(&self, n: usize) -> String {
        self.state.heard.lock().unwrap()[n].clone()
    }

    /// The path and query of the n-th request.
    pub(super) fn path(&self, n: usize) -> String {
        self.heard(n).split(' ').nth(1).unwrap().to_owned()
    }

    /// How many requests have come.
    pub(super) fn count(&self) -> usize {
        self.state.heard.lock().unwrap().len()
    }

    /// Waits until `n` replies have been sent.
    pub(super) async fn replied(&self, n: usize) {
        let mut replied = self.state.replied.subscribe();
        replied.wait_for(|count| *count >= n).await.unwrap();
    }

    /// Waits until `n` clients have closed connections that the server keeps open.
    pub(super) async fn closed(&self, n: usize) {
        let mut closed = self.state.closed.subscribe();
        closed.wait_for(|count| *count >= n).await.unwrap();
    }
}

/// Reads one request and does what the reply says.
async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    addr: SocketAddr,
    reply: Option<Reply>,
    state: &State,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let mut heard = String::from_utf8(head).unwrap();
    let length = heard
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    if stream.read_exact(&mut body).await.is_err() {
        return;
    }
    heard.push_str(&String::from_utf8(body).unwrap());
    state.heard.lock().unwrap().push(heard);
    let Some(reply) = reply else {
        return;
    };
    let mut bytes = reply.bytes;
    if let Some(at) = bytes.windows(2).position(|two| two == b"IP") {
        bytes.splice(at..at + 2, addr.to_string().into_bytes());
    }
    // A client that has seen enough may close before all is written.
    let _ = stream.write_all(&bytes).await;
    let _ = stream.flush().await;
    state.replied.send_modify(|count| *count += 1);
    match reply.then {
        Then::Close => {
            let _ = stream.shutdown().await;
        }
        Then::Hang => {
            let _ = stream.read_u8().await;
            state.closed.send_modify(|count| *count += 1);
        }
        Then::Repeat(bytes) => while stream.write_all(&bytes).await.is_ok() {},
    }
}

/// A server's side and a client's side that trust a fresh certificate for these names.
pub(super) fn self_signed(names: &[&str]) -> (TlsAcceptor, ClientTls) {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(names).unwrap();
    let cert = params.self_signed(&key).unwrap().der().clone();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![cert.clone()],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (
        TlsAcceptor::from(Arc::new(server)),
        ClientTls::new(Arc::new(client)),
    )
}
