//! Who signs the torrent that is made (BEP 35), and who signs newer ones (BEP 39).

use std::path::Path;

use protocol::metainfo::Signature;
use protocol::signing::{Signer, SignerError};

use crate::certificates::{certificate, signer};
use crate::cli::CreateArgs;
use crate::failure::Failure;

/// What is asked for.
#[derive(Debug)]
pub(super) struct Signing {
    signer: Signer,
    name: String,
    with_certificate: bool,
}

impl Signing {
    /// Reads key and certificate, where the torrent is to be signed.
    ///
    /// # Errors
    /// [`Failure`] names the file that is not there or of no use.
    pub(super) fn asked_for(args: &CreateArgs) -> Result<Option<Self>, Failure> {
        let args = &args.signing;
        let (Some(key), Some(of)) = (&args.sign_key, &args.certificate) else {
            return Ok(None);
        };
        let signer = signer(key, of)?;
        let common = signer.certificate().common_name().map(str::to_owned);
        let name = args.signer.clone().or(common);
        let name = name.filter(|name| !name.is_empty()).ok_or_else(|| {
            let why = "the certificate has no common name: say who signs with --signer";
            Failure::Usage(why.to_owned())
        })?;
        Ok(Some(Self {
            signer,
            name,
            with_certificate: !args.exclude_certificate,
        }))
    }

    /// Signs an info dictionary.
    ///
    /// # Errors
    /// [`SignerError`].
    pub(super) fn sign(&self, info: &[u8]) -> Result<Signature, SignerError> {
        self.signer.sign(info, &self.name, self.with_certificate)
    }
}

/// The certificate of who signs newer versions, DER.
///
/// # Errors
/// [`Failure`] where it is not there or of no use.
pub(super) fn originator(path: &Path) -> Result<Vec<u8>, Failure> {
    Ok(certificate(path)?.der().to_vec())
}
