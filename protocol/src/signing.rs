//! Signing torrents, and checking who did (BEP 35).
//!
//! A signature is RSA with PKCS #1 v1.5 padding, over the info dictionary and, behind it, the dictionary that the signature
//! brings along. BEP 35 names no digest; the tool of its authors takes SHA-1. Both that and SHA-2 are checked, for the
//! padding says which; ours are made with SHA-256, because two info dictionaries with one SHA-1 digest can be had.
//!
//! What a valid signature is worth is another matter: anyone can make a certificate of any name. It counts for who knows
//! the certificate, or the one that issued it; chains are no longer than that (BEP 35).

mod certificate;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use ring::rand::SystemRandom;
use ring::signature::{
    KeyPair, RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaParameters, UnparsedPublicKey,
};

pub use certificate::{Certificate, CertificateError};

use crate::metainfo::Signature;

/// What a signature turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Judgement {
    /// The key of this certificate has signed exactly this info dictionary.
    Valid {
        /// The certificate.
        by: Box<Certificate>,
        /// With this digest.
        digest: Digest,
        /// Who vouches for the certificate.
        trust: Trust,
    },
    /// It is not of this info dictionary, or not of this key.
    Invalid,
    /// Nobody can tell.
    Unknown(Obstacle),
}

/// What a message was shortened to before it was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// Two messages with one such digest can be made by who has the means.
    Sha1,
    /// 32 bytes.
    Sha256,
    /// 48 bytes.
    Sha384,
    /// 64 bytes.
    Sha512,
}

/// Who vouches for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// One of those that are known has issued it.
    Issued,
    /// It is one of those that are known.
    Known,
    /// Nobody who is known: it has any name that its maker liked.
    Nobody,
}

/// Why a signature cannot be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Obstacle {
    /// It has no certificate, and none of those that are known is the right one.
    #[error("its certificate is not in the torrent, and not known here")]
    NoCertificate,
    /// Its certificate cannot be used.
    #[error("{0}")]
    Certificate(#[from] CertificateError),
}

/// Why a key cannot sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignerError {
    /// It is no RSA key of 2,048 to 4,096 bits, or has a password.
    #[error("not an RSA key of 2048 to 4096 bits without a password, as PEM or DER")]
    Key,
    /// The certificate is that of another key.
    #[error("the certificate is not that of the key")]
    OtherKey,
    /// The key is too short to sign.
    #[error("the key cannot sign")]
    Sign,
}

/// A key with its certificate.
#[derive(Debug)]
pub struct Signer {
    key: RsaKeyPair,
    certificate: Certificate,
}

const DIGESTS: [(Digest, &RsaParameters); 4] = [
    (Digest::Sha256, &RSA_PKCS1_2048_8192_SHA256),
    (Digest::Sha1, &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY),
    (Digest::Sha384, &RSA_PKCS1_2048_8192_SHA384),
    (Digest::Sha512, &RSA_PKCS1_2048_8192_SHA512),
];

/// Checks a signature of an info dictionary. Certificates that are `known` vouch for themselves and for those that they
/// issued, and are tried where the signature brings none.
pub fn check(info: &[u8], signature: &Signature, known: &[Certificate]) -> Judgement {
    let Some(der) = &signature.certificate else {
        let found = known
            .iter()
            .find_map(|certificate| Some((certificate, verify(info, signature, certificate)?)));
        return match found {
            Some((certificate, digest)) => Judgement::Valid {
                by: Box::new(certificate.clone()),
                digest,
                trust: Trust::Known,
            },
            None => Judgement::Unknown(Obstacle::NoCertificate),
        };
    };
    let certificate = match Certificate::from_der(der) {
        Ok(certificate) => certificate,
        Err(error) => return Judgement::Unknown(error.into()),
    };
    let Some(digest) = verify(info, signature, &certificate) else {
        return Judgement::Invalid;
    };
    let trust = if known.contains(&certificate) {
        Trust::Known
    } else if known.iter().any(|issuer| issuer.issued(&certificate)) {
        Trust::Issued
    } else {
        Trust::Nobody
    };
    Judgement::Valid {
        by: Box::new(certificate),
        digest,
        trust,
    }
}

/// Whether this certificate's key has made a signature, and with which digest.
pub fn verify(info: &[u8], signature: &Signature, certificate: &Certificate) -> Option<Digest> {
    let mut message = info.to_vec();
    message.extend_from_slice(signature.info.as_deref().unwrap_or_default());
    let fits = |parameters: &'static RsaParameters| {
        UnparsedPublicKey::new(parameters, certificate.key())
            .verify(&message, &signature.signature)
            .is_ok()
    };
    let found = DIGESTS.iter().find(|(_, parameters)| fits(parameters));
    found.map(|(digest, _)| *digest)
}

impl Signer {
    /// From a secret key, PKCS #1 or PKCS #8 as PEM or DER.
    ///
    /// # Errors
    /// [`SignerError`].
    pub fn new(key: &[u8], certificate: Certificate) -> Result<Self, SignerError> {
        let der = certificate::unwrap_pem(key).ok_or(SignerError::Key)?;
        let key = RsaKeyPair::from_pkcs8(&der).or_else(|_| RsaKeyPair::from_der(&der));
        let key = key.map_err(|_| SignerError::Key)?;
        if key.public_key().as_ref() != certificate.key() {
            return Err(SignerError::OtherKey);
        }
        Ok(Self { key, certificate })
    }

    /// Signs an info dictionary under a name, with SHA-256. `with_certificate` says whether the certificate goes along.
    ///
    /// # Errors
    /// [`SignerError::Sign`].
    pub fn sign(
        &self,
        info: &[u8],
        name: &str,
        with_certificate: bool,
    ) -> Result<Signature, SignerError> {
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                info,
                &mut signature,
            )
            .map_err(|_| SignerError::Sign)?;
        Ok(Signature {
            name: Bytes::copy_from_slice(name.as_bytes()),
            certificate: with_certificate.then(|| self.certificate.der().clone()),
            info: None,
            signature: signature.into(),
        })
    }

    /// The certificate.
    pub const fn certificate(&self) -> &Certificate {
        &self.certificate
    }
}

impl Digest {
    /// Its usual name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        }
    }
}
