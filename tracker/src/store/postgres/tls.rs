//! Connections to PostgreSQL under TLS.

use std::fmt;
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use rustls::ClientConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream as Stream;

use super::certificate::{Judge, binding};
use super::words::{Mode, Roots, Words};

/// How long a server may take to agree on TLS.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why there is no TLS as the URL asks for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{word}={path}: {reason}")]
pub struct TlsError {
    /// The word of the URL.
    pub word: &'static str,
    /// The file that it names.
    pub path: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Begins TLS with servers.
#[derive(Clone)]
pub(super) struct Connector {
    config: Arc<ClientConfig>,
    /// Whom certificates are believed from, for errors.
    judge: Arc<str>,
}

impl Connector {
    /// What a URL asks for; the files that it names are read here.
    pub(super) fn new(words: &Words) -> Result<Self, TlsError> {
        let provider = Arc::new(default_provider());
        let judge = match (&words.roots, words.mode) {
            (Some(roots), Mode::VerifyCa | Mode::VerifyFull) => {
                let authorities = authorities(roots)?;
                let judge = Judge::of(authorities, words.mode == Mode::VerifyFull, &provider);
                judge.map_err(|reason| error("sslrootcert", roots, &reason))?
            }
            _ => Judge::of_none(&provider),
        };
        let config = ClientConfig::builder_with_provider(provider);
        let config = config
            .with_safe_default_protocol_versions()
            .map_err(|reason| error("sslmode", &words.mode, &reason))?;
        let config = config
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(judge));
        let mut config = match &words.own {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates("sslcert", certificate)?;
                let secret = PrivateKeyDer::from_pem_file(key)
                    .map_err(|reason| error("sslkey", &key.display(), &reason))?;
                let config = config.with_client_auth_cert(chain, secret);
                config.map_err(|reason| error("sslkey", &key.display(), &reason))?
            }
        };
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Ok(Self {
            config: Arc::new(config),
            judge: match &words.roots {
                Some(roots) => format!("sslrootcert={roots}").into(),
                None => "sslmode".into(),
            },
        })
    }
}

fn authorities(roots: &Roots) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    match roots {
        Roots::File(path) => certificates("sslrootcert", path),
        Roots::System => {
            let found = rustls_native_certs::load_native_certs();
            match found.errors.first() {
                Some(reason) if found.certs.is_empty() => Err(error("sslrootcert", roots, reason)),
                _ => Ok(found.certs),
            }
        }
    }
}

/// The certificates of a file, one at least.
fn certificates(word: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|reason| error(word, &path.display(), &reason))?;
    if found.is_empty() {
        let none = &"there is no certificate in it";
        return Err(error(word, &path.display(), none));
    }
    Ok(found)
}

fn error(word: &'static str, path: &dyn fmt::Display, reason: &dyn fmt::Display) -> TlsError {
    TlsError {
        word,
        path: path.to_string(),
        reason: reason.to_string(),
    }
}

impl fmt::Display for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::System => f.write_str("system"),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        })
    }
}

/// TLS with one server.
pub(super) struct Handshake {
    connector: TlsConnector,
    host: String,
    judge: Arc<str>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> MakeTlsConnect<S> for Connector {
    type Stream = Encrypted<S>;
    type TlsConnect = Handshake;
    type Error = io::Error;

    fn make_tls_connect(&mut self, host: &str) -> io::Result<Handshake> {
        Ok(Handshake {
            connector: TlsConnector::from(Arc::clone(&self.config)),
            host: host.to_owned(),
            judge: Arc::clone(&self.judge),
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for Handshake {
    type Stream = Encrypted<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let Self {
                connector,
                host,
                judge,
            } = self;
            let named = |reason: &dyn fmt::Display| {
                io::Error::other(format!("{host}, by {judge}: {reason}"))
            };
            let name = ServerName::try_from(host.clone()).map_err(|reason| named(&reason))?;
            let agreed = tokio::time::timeout(PATIENCE, connector.connect(name, stream)).await;
            let agreed = agreed.map_err(|_| named(&"the server takes too long"))?;
            agreed.map(Encrypted).map_err(|reason| named(&reason))
        })
    }
}

/// A connection under TLS.
pub(super) struct Encrypted<S>(Stream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Encrypted<S> {
    fn channel_binding(&self) -> ChannelBinding {
        let (_, session) = self.0.get_ref();
        let first = session.peer_certificates().and_then(<[_]>::first);
        match first.and_then(|shown| binding(shown)) {
            Some(digest) => ChannelBinding::tls_server_end_point(digest),
            None => ChannelBinding::none(),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Encrypted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, room)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Encrypted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
