//! X.509 certificates of who signs torrents, as far as BEP 35 needs them.

use std::borrow::Cow;

use bytes::Bytes;
use ring::digest;
use x509_parser::certificate::X509Certificate;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;

/// The longest certificate that is read, in bytes.
const LONGEST: usize = 64 * 1024;

/// Bits that a key has at least, to be worth a check.
const LEAST_BITS: usize = 2048;

/// A certificate with an RSA key.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Bytes,
    subject: String,
    common_name: Option<String>,
    issuer: String,
    validity: (i64, i64),
    /// The public key, DER as in PKCS #1.
    key: Vec<u8>,
    is_ca: bool,
}

/// Why a certificate cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Its key is not of RSA, which alone BEP 35 has.
    #[error("the certificate's key is not an RSA key")]
    KeyKind,
    /// It is not a certificate.
    #[error("not an X.509 certificate")]
    Malformed,
    /// Its key can be broken.
    #[error("the certificate's key has fewer than 2048 bits")]
    ShortKey,
}

impl Certificate {
    /// Reads a certificate, PEM or DER.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, CertificateError> {
        let der = unwrap_pem(bytes).ok_or(CertificateError::Malformed)?;
        Self::from_der(&der)
    }

    /// Reads a certificate as DER.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > LONGEST {
            return Err(CertificateError::Malformed);
        }
        let parsed = X509Certificate::from_der(der);
        let Ok((b"", certificate)) = parsed else {
            return Err(CertificateError::Malformed);
        };
        let key = certificate.public_key();
        match key.parsed() {
            Ok(PublicKey::RSA(rsa)) if rsa.key_size() < LEAST_BITS => {
                return Err(CertificateError::ShortKey);
            }
            Ok(PublicKey::RSA(_)) => {}
            Ok(_) => return Err(CertificateError::KeyKind),
            Err(_) => return Err(CertificateError::Malformed),
        }
        let validity = certificate.validity();
        let name = certificate.subject().iter_common_name().next();
        Ok(Self {
            der: Bytes::copy_from_slice(der),
            subject: certificate.subject().to_string(),
            common_name: name.and_then(|name| name.as_str().ok().map(str::to_owned)),
            issuer: certificate.issuer().to_string(),
            validity: (
                validity.not_before.timestamp(),
                validity.not_after.timestamp(),
            ),
            key: key.subject_public_key.data.to_vec(),
            is_ca: certificate.is_ca(),
        })
    }

    /// The certificate itself.
    pub const fn der(&self) -> &Bytes {
        &self.der
    }

    /// Whom it is of, as a distinguished name: what its issuer says, who may be anyone.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The common name in [`Certificate::subject`], where BEP 35 wants the signer's name in reverse DNS notation.
    pub fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }

    /// Who has issued it, as a distinguished name.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// From when on and until when it is meant to be used, in Unix seconds.
    pub const fn validity(&self) -> (i64, i64) {
        self.validity
    }

    /// SHA-256 of the certificate, by which people compare it.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut fingerprint = [0; 32];
        let digest = digest::digest(&digest::SHA256, &self.der);
        for (to, from) in fingerprint.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        fingerprint
    }

    /// The public key, DER as in PKCS #1.
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    /// Whether this one, of an authority, has signed the other.
    pub(super) fn issued(&self, other: &Self) -> bool {
        if !self.is_ca || self.subject != other.issuer {
            return false;
        }
        let parse = |certificate: &Self| {
            let parsed = X509Certificate::from_der(&certificate.der).ok();
            parsed.map(|(_, parsed)| parsed.public_key().raw.to_vec())
        };
        let Some(key) = parse(self) else { return false };
        let key = x509_parser::x509::SubjectPublicKeyInfo::from_der(&key);
        let other = X509Certificate::from_der(&other.der);
        match (key, other) {
            (Ok((_, key)), Ok((_, other))) => other.verify_signature(Some(&key)).is_ok(),
            _ => false,
        }
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate")
            .field("subject", &self.subject)
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

/// What a PEM wraps, whatever it is; other bytes as they are. `None` for a broken PEM.
pub(super) fn unwrap_pem(bytes: &[u8]) -> Option<Cow<'_, [u8]>> {
    let is_pem = bytes.windows(11).take(4096).any(|at| at == b"-----BEGIN ");
    if !is_pem {
        return Some(Cow::Borrowed(bytes));
    }
    let (_, pem) = parse_x509_pem(bytes).ok()?;
    Some(Cow::Owned(pem.contents))
}
