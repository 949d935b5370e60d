//! Who has signed a torrent (BEP 35).

use std::fmt::Write as _;

use protocol::metainfo::{Metainfo, Signature};
use protocol::signing::{Certificate, Digest, Judgement, Obstacle, Trust, check};
use serde::Serialize;

use super::date;

/// A signature, and what it is worth.
#[derive(Debug, Serialize)]
pub(super) struct Signed {
    /// Who signs, by their own word.
    name: String,
    /// `valid`, `invalid`, or `unknown` where it cannot be checked.
    state: &'static str,
    /// Why it cannot be checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'static str>,
    /// Whom the certificate is of, by the word of who issued it.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    /// SHA-256 of the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_after: Option<i64>,
    /// Whether a certificate that the user named vouches for this one.
    trusted: bool,
    /// Whether it is of the certificate that the torrent names as its originator (BEP 39).
    originator: bool,
    /// Where newer versions are found, by the word of who signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    update_url: Option<String>,
}

/// All signatures of a torrent. Those that `trusted` has vouch for others.
pub(super) fn of(metainfo: &Metainfo, trusted: &[Certificate]) -> Vec<Signed> {
    let signatures = metainfo.signatures().iter();
    signatures
        .map(|one| judge(metainfo, one, trusted))
        .collect()
}

fn judge(metainfo: &Metainfo, signature: &Signature, trusted: &[Certificate]) -> Signed {
    let mut signed = Signed {
        name: signature.display_name(),
        state: "unknown",
        reason: None,
        digest: None,
        subject: None,
        issuer: None,
        fingerprint: None,
        not_before: None,
        not_after: None,
        trusted: false,
        originator: false,
        update_url: signature.update_url(),
    };
    let originator = metainfo.originator().map(|der| Certificate::from_der(der));
    let originator = originator.and_then(Result::ok);
    let info = metainfo.info_bytes();
    let mut judged = check(info, signature, trusted);
    signed.trusted = matches!(
        judged,
        Judgement::Valid {
            trust: Trust::Known | Trust::Issued,
            ..
        }
    );
    if let (Judgement::Unknown(Obstacle::NoCertificate), Some(originator)) = (&judged, &originator)
    {
        // It stands in the info dictionary, so that the signature may leave it out.
        judged = check(info, signature, std::slice::from_ref(originator));
    }
    match judged {
        Judgement::Valid { by, digest, .. } => {
            signed.state = "valid";
            signed.digest = Some(digest.name());
            signed.subject = Some(by.subject().to_owned());
            signed.issuer = Some(by.issuer().to_owned());
            let hex = by
                .fingerprint()
                .iter()
                .fold(String::new(), |mut hex, byte| {
                    let _ = write!(hex, "{byte:02x}");
                    hex
                });
            signed.fingerprint = Some(hex);
            signed.not_before = Some(by.validity().0);
            signed.not_after = Some(by.validity().1);
            signed.originator = originator.as_ref() == Some(&*by);
            if digest == Digest::Sha1 {
                signed.reason =
                    Some("SHA-1: another torrent with this signature could be made".to_owned());
            }
        }
        Judgement::Invalid => signed.state = "invalid",
        Judgement::Unknown(why) => signed.reason = Some(why.to_string()),
        _ => {}
    }
    signed
}

impl Signed {
    /// The row for people.
    pub(super) fn row(&self) -> String {
        let mut row = match self.state {
            "valid" => format!("{}: valid", self.name),
            "invalid" => format!(
                "{}: INVALID: the signature is not of this torrent, or not of its certificate",
                self.name
            ),
            _ => format!("{}: cannot be checked", self.name),
        };
        if let (Some(subject), Some(until)) = (&self.subject, self.not_after) {
            let _ = write!(row, ", by {subject} (until {})", date(until));
            row.push_str(match (self.trusted, self.originator) {
                (true, _) => ", which a certificate of yours vouches for",
                (false, true) => ", the originator that the torrent names",
                (false, false) => ", which nobody vouches for",
            });
        }
        if let Some(reason) = &self.reason {
            let _ = write!(row, "; {reason}");
        }
        row
    }
}
