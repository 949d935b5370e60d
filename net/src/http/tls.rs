//! TLS for `https`: rustls with ring.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Error;
use crate::resolve::ip_literal;

/// Whom a client trusts. Clones share what was loaded.
#[derive(Clone, Default)]
pub struct ClientTls {
    config: Arc<OnceCell<Arc<ClientConfig>>>,
}

impl ClientTls {
    /// Trusts by `config`, whatever the system says.
    pub fn new(config: Arc<ClientConfig>) -> Self {
        Self {
            config: Arc::new(OnceCell::new_with(Some(config))),
        }
    }

    /// The connector; loads the system's root certificates when it is first called, on a blocking thread.
    pub(super) async fn connector(&self) -> Result<Connector, Error> {
        let config = self
            .config
            .get_or_try_init(|| async {
                tokio::task::spawn_blocking(system_config)
                    .await
                    .map_err(io::Error::other)
                    .and_then(|config| config.map_err(io::Error::other))
            })
            .await
            .map_err(Error::Tls)?;
        Ok(Connector(TlsConnector::from(Arc::clone(config))))
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls")
            .field("loaded", &self.config.initialized())
            .finish()
    }
}

/// Secures streams.
pub(super) struct Connector(TlsConnector);

impl Connector {
    /// Agrees with the server on encryption, and checks that it is `host`.
    pub(super) async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        host: &str,
        stream: S,
    ) -> Result<TlsStream<S>, Error> {
        let name = match ip_literal(host) {
            Some(ip) => ServerName::IpAddress(ip.into()),
            None => ServerName::try_from(host.to_owned()).map_err(|_| Error::BadUrl)?,
        };
        self.0.connect(name, stream).await.map_err(Error::Tls)
    }
}

/// Trusts the system's root certificates, or Mozilla's list where the system has none.
fn system_config() -> Result<Arc<ClientConfig>, rustls::Error> {
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::debug!(%error, "a root certificate of the system was not read");
    }
    let mut roots = RootCertStore::empty();
    let (taken, ignored) = roots.add_parsable_certificates(native.certs);
    tracing::debug!(taken, ignored, "root certificates of the system");
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_always_roots_to_trust() {
        assert!(system_config().is_ok());
        assert!(!webpki_roots::TLS_SERVER_ROOTS.is_empty());
    }
}
