//! Certificates of servers, which may be read again while they serve.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::tracker::StartError;

/// What a server shows who it is with. Its clones share it.
#[derive(Clone, Debug)]
pub struct Tls(Arc<ArcSwap<ServerConfig>>);

impl Tls {
    /// Reads certificates and their key, both PEM, where both are named.
    ///
    /// # Errors
    /// [`StartError::Certificate`].
    pub fn of(certificate: Option<&Path>, key: Option<&Path>) -> Result<Option<Self>, StartError> {
        let (Some(certificate), Some(key)) = (certificate, key) else {
            return Ok(None);
        };
        let config = read(certificate, key)?;
        Ok(Some(Self(Arc::new(ArcSwap::new(config)))))
    }

    /// Shows what the other has, to connections that come from now on.
    pub(crate) fn become_like(&self, other: &Self) {
        self.0.store(other.0.load_full());
    }

    /// For the next connection.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.load_full())
    }
}

fn read(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, StartError> {
    let wrong = |path: &Path, reason: &dyn std::fmt::Display| StartError::Certificate {
        path: path.to_owned(),
        reason: reason.to_string(),
    };
    let unread = |path: &Path, error: pem::Error| {
        if let pem::Error::Io(error) = &error {
            return wrong(path, error);
        }
        wrong(path, &error)
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unread(certificate, error))?;
    if chain.is_empty() {
        return Err(wrong(certificate, &"there is no certificate in it"));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| {
        if matches!(error, pem::Error::NoItemsFound) {
            return wrong(key, &"there is no private key in it");
        }
        unread(key, error)
    })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(certificate, &error))?;
    let config = config.with_no_client_auth();
    let mut config = config.with_single_cert(chain, secret).map_err(|error| {
        if matches!(error, rustls::Error::InconsistentKeys(_)) {
            let whose = format!("it is not the key of {}", certificate.display());
            return wrong(key, &whose);
        }
        wrong(key, &error)
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
