//! Whether the certificate of a server of PostgreSQL is believed, as libpq decides it.

use std::sync::Arc;

use ring::digest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Decides about certificates.
#[derive(Debug)]
pub(super) struct Judge {
    provider: Arc<CryptoProvider>,
    /// `None` where any will do.
    known: Option<Known>,
}

/// Whom certificates are believed from.
#[derive(Debug)]
struct Known {
    chains: Arc<WebPkiServerVerifier>,
    /// The same as they stand in the file: a server may show one of these itself.
    authorities: Vec<CertificateDer<'static>>,
    /// Whether it has to be the certificate of the host that was asked for.
    of_host: bool,
}

impl Judge {
    /// One that believes whatever is shown.
    pub(super) fn of_none(provider: &Arc<CryptoProvider>) -> Self {
        Self {
            provider: Arc::clone(provider),
            known: None,
        }
    }

    /// One that believes certificates of these authorities.
    pub(super) fn of(
        authorities: Vec<CertificateDer<'static>>,
        of_host: bool,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(authorities.iter().cloned());
        let chains =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        Ok(Self {
            provider: Arc::clone(provider),
            known: Some(Known {
                chains: chains.build().map_err(|error| error.to_string())?,
                authorities,
                of_host,
            }),
        })
    }
}

impl Known {
    fn judge(
        &self,
        shown: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        // Certificates that servers make for themselves are authorities, too, which chains must not end with.
        if self.authorities.iter().any(|known| known == shown) {
            is_in_time(shown, now)?;
            return if self.of_host {
                verify_server_name(&ParsedCertificate::try_from(shown)?, name)
            } else {
                Ok(())
            };
        }
        match self
            .chains
            .verify_server_cert(shown, between, name, &[], now)
        {
            // The name is looked at last.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.of_host => Ok(()),
            judged => judged.map(drop),
        }
    }
}

fn is_in_time(shown: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let wrong = |why| Err(Error::InvalidCertificate(why));
    let Ok((_, certificate)) = X509Certificate::from_der(shown) else {
        return wrong(CertificateError::BadEncoding);
    };
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let validity = certificate.validity();
    if now < validity.not_before.timestamp() {
        return wrong(CertificateError::NotValidYet);
    }
    if now > validity.not_after.timestamp() {
        return wrong(CertificateError::Expired);
    }
    Ok(())
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _revocation: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(known) = &self.known {
            known.judge(shown, between, name, now)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, shown, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, shown, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// What passwords are bound to, so that nobody between us and the server can pass them on (RFC 5929, `tls-server-end-point`):
/// the digest of its certificate that the signature on it names. `None` where that names none.
pub(super) fn binding(shown: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let (_, certificate) = X509Certificate::from_der(shown).ok()?;
    let algorithm = match certificate
        .signature_algorithm
        .algorithm
        .to_id_string()
        .as_str()
    {
        // RSA with MD5, SHA-1 and SHA-256; ECDSA with SHA-1 and SHA-256.
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.113549.1.1.11"
        | "1.2.840.10045.4.1"
        | "1.2.840.10045.4.3.2" => &digest::SHA256,
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => &digest::SHA384,
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => &digest::SHA512,
        _ => return None,
    };
    Some(digest::digest(algorithm, shown).as_ref().to_vec())
}
