use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::metainfo::{LoadLimits, Metainfo};
use crate::testing::{hex, vectors};

/// What OpenSSL made.
struct Golden(Value);

impl Golden {
    fn new() -> Self {
        Self(vectors(include_str!("../../tests/vectors/signing.json")))
    }

    fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap()
    }

    fn info(&self) -> &[u8] {
        self.text("info").as_bytes()
    }

    fn certificate(&self, name: &str) -> Certificate {
        Certificate::parse(self.0["certificates"][name].as_str().unwrap().as_bytes()).unwrap()
    }

    fn signature(&self, digest: &str) -> Signature {
        Signature {
            name: Bytes::from_static(b"com.example.publisher"),
            certificate: Some(self.certificate("cert").der().clone()),
            info: None,
            signature: hex(&self.0["signatures"][digest]).into(),
        }
    }
}

fn parts(judgement: &Judgement) -> (Digest, Trust) {
    let Judgement::Valid { digest, trust, .. } = judgement else {
        panic!("{judgement:?}");
    };
    (*digest, *trust)
}

#[test]
fn what_openssl_signed_is_valid_with_every_digest() {
    let golden = Golden::new();
    for (name, digest) in [
        ("sha1", Digest::Sha1),
        ("sha256", Digest::Sha256),
        ("sha384", Digest::Sha384),
        ("sha512", Digest::Sha512),
    ] {
        let signature = golden.signature(name);
        let judged = check(golden.info(), &signature, &[]);
        assert_eq!(parts(&judged), (digest, Trust::Nobody));
        assert_eq!(digest.name().replace('-', "").to_lowercase(), name);
    }
}

#[test]
fn a_dictionary_that_the_signature_brings_is_signed_too() {
    let golden = Golden::new();
    let mut signature = golden.signature("sha1");
    signature.signature = hex(&golden.0["signature_of_both_sha1"]).into();
    assert_eq!(check(golden.info(), &signature, &[]), Judgement::Invalid);
    assert_eq!(signature.update_url(), None);
    signature.info = Some(golden.text("sig_info").to_owned().into());
    let judged = check(golden.info(), &signature, &[]);
    assert_eq!(parts(&judged).0, Digest::Sha1);
    let url = signature.update_url();
    assert_eq!(url.as_deref(), Some("https://example.com/tt"));
}

#[test]
fn who_issued_a_certificate_vouches_for_it_and_nobody_else_does() {
    let golden = Golden::new();
    let signature = golden.signature("sha256");
    let trust = |known: &[&str]| {
        let known: Vec<Certificate> = known.iter().map(|name| golden.certificate(name)).collect();
        parts(&check(golden.info(), &signature, &known)).1
    };
    assert_eq!(trust(&["other"]), Trust::Nobody);
    assert_eq!(trust(&["other", "ca"]), Trust::Issued);
    assert_eq!(trust(&["ca", "cert"]), Trust::Known);
}

#[test]
fn without_a_certificate_only_one_that_is_known_helps() {
    let golden = Golden::new();
    let signature = Signature {
        certificate: None,
        ..golden.signature("sha1")
    };
    let judge = |known: &[Certificate]| check(golden.info(), &signature, known);
    let unknown = Judgement::Unknown(Obstacle::NoCertificate);
    assert_eq!(judge(&[]), unknown);
    assert_eq!(judge(&[golden.certificate("ca")]), unknown);
    let known = [golden.certificate("ca"), golden.certificate("cert")];
    assert_eq!(parts(&judge(&known)), (Digest::Sha1, Trust::Known));
}

#[test]
fn another_torrent_another_key_and_another_signature_are_invalid() {
    let golden = Golden::new();
    let signature = golden.signature("sha256");
    let mut info = golden.info().to_vec();
    info[20] ^= 1;
    assert_eq!(check(&info, &signature, &[]), Judgement::Invalid);
    let other = Signature {
        certificate: Some(golden.certificate("other").der().clone()),
        ..signature.clone()
    };
    assert_eq!(check(golden.info(), &other, &[]), Judgement::Invalid);
    for cut in [0, 1, 255] {
        let short = Signature {
            signature: signature.signature.slice(..cut),
            ..signature.clone()
        };
        assert_eq!(check(golden.info(), &short, &[]), Judgement::Invalid);
    }
}

#[test]
fn certificates_that_cannot_be_used_say_why() {
    let golden = Golden::new();
    let parse = |name: &str| {
        let pem = golden.0["certificates"][name].as_str().unwrap();
        Certificate::parse(pem.as_bytes()).unwrap_err()
    };
    assert_eq!(parse("short"), CertificateError::ShortKey);
    assert_eq!(parse("ec"), CertificateError::KeyKind);
    let broken = Signature {
        certificate: Some(Bytes::from_static(b"hello")),
        ..golden.signature("sha1")
    };
    let unknown = Judgement::Unknown(CertificateError::Malformed.into());
    assert_eq!(check(golden.info(), &broken, &[]), unknown);
}

#[test]
fn a_certificate_tells_whom_it_is_of() {
    let certificate = Golden::new().certificate("cert");
    assert_eq!(
        certificate.subject(),
        "O=Publisher, CN=com.example.publisher"
    );
    assert_eq!(certificate.issuer(), "O=Root, CN=com.example");
    assert_eq!(certificate.common_name(), Some("com.example.publisher"));
    let (from, until) = certificate.validity();
    assert_eq!(until - from, 36_500 * 86_400);
    assert_eq!(Certificate::from_der(certificate.der()), Ok(certificate));
}

#[test]
fn what_we_sign_is_what_openssl_signs() {
    let golden = Golden::new();
    for key in ["key_pkcs8", "key_pkcs1"] {
        let key = golden.text(key).as_bytes();
        let signer = Signer::new(key, golden.certificate("cert")).unwrap();
        let name = "com.example.publisher";
        let signed = signer.sign(golden.info(), name, true).unwrap();
        // This padding has no randomness in it.
        assert_eq!(signed, golden.signature("sha256"));
        let without = signer.sign(golden.info(), name, false).unwrap();
        assert_eq!(without.certificate, None);
    }
    let other = Signer::new(
        golden.text("other_key").as_bytes(),
        golden.certificate("cert"),
    );
    assert_eq!(other.unwrap_err(), SignerError::OtherKey);
    let no_key = Signer::new(b"-----BEGIN", golden.certificate("cert"));
    assert_eq!(no_key.unwrap_err(), SignerError::Key);
}

#[test]
fn signatures_survive_reading_and_writing_a_torrent() {
    let golden = Golden::new();
    let mut torrent = b"d4:info".to_vec();
    torrent.extend_from_slice(golden.info());
    torrent.extend_from_slice(b"10:signaturesd3:bad3:xyz5:com.ad4:infod1:ai1ee9:signature3:abce");
    let signature = golden.signature("sha1");
    torrent.extend_from_slice(b"5:com.bd11:certificate");
    for part in [
        signature.certificate.as_ref().unwrap(),
        &signature.signature,
    ] {
        if part == &signature.signature {
            torrent.extend_from_slice(b"9:signature");
        }
        torrent.extend_from_slice(format!("{}:", part.len()).as_bytes());
        torrent.extend_from_slice(part);
    }
    torrent.extend_from_slice(b"eee");
    let limits = LoadLimits::default();
    let metainfo = Metainfo::from_bytes(&torrent, &limits).unwrap();
    let names: Vec<String> = metainfo
        .signatures()
        .iter()
        .map(Signature::display_name)
        .collect();
    assert_eq!(
        names,
        ["com.a", "com.b"],
        "what is no signature is left out"
    );
    assert_eq!(
        metainfo.signatures()[0].info.as_deref(),
        Some(&b"d1:ai1ee"[..])
    );
    let judged = check(metainfo.info_bytes(), &metainfo.signatures()[1], &[]);
    assert_eq!(parts(&judged).0, Digest::Sha1);
    let again = metainfo.to_bytes().unwrap();
    let again = Metainfo::from_bytes(&again, &limits).unwrap();
    assert_eq!(again.signatures(), metainfo.signatures());
}

#[test]
fn of_signatures_under_one_name_the_first_counts_whatever_their_order() {
    let golden = Golden::new();
    let one = |name: &str, signature: &str| format!("1:{name}d9:signature1:{signature}e");
    let all = [one("b", "1"), one("a", "2"), one("b", "3")].concat();
    let torrent = format!("d4:info{}10:signaturesd{all}ee", golden.text("info"));
    let limits = LoadLimits::default();
    let metainfo = Metainfo::from_bytes(torrent.as_bytes(), &limits).unwrap();
    let read: Vec<(&[u8], &[u8])> = metainfo
        .signatures()
        .iter()
        .map(|one| (&one.name[..], &one.signature[..]))
        .collect();
    assert_eq!(read, [(&b"a"[..], &b"2"[..]), (b"b", b"1")]);
    let again = Metainfo::from_bytes(&metainfo.to_bytes().unwrap(), &limits).unwrap();
    assert_eq!(again.signatures(), metainfo.signatures());
}

proptest! {
    #[test]
    fn any_bytes_are_read_as_certificate_and_key_without_a_panic(bytes: Vec<u8>) {
        let _ = Certificate::parse(&bytes);
        prop_assert!(Signer::new(&bytes, Golden::new().certificate("cert")).is_err());
    }

    #[test]
    fn a_certificate_that_was_changed_in_what_it_says_is_vouched_for_by_nobody(
        at in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let golden = Golden::new();
        let mut signature = golden.signature("sha256");
        let mut der = signature.certificate.as_ref().unwrap().to_vec();
        let at = at.index(der.len());
        der[at] ^= 1 << bit;
        signature.certificate = Some(der.into());
        let known = [golden.certificate("ca"), golden.certificate("cert")];
        let judged = check(golden.info(), &signature, &known);
        if let Judgement::Valid { by, trust: Trust::Issued | Trust::Known, .. } = judged {
            // Not all of it is signed: which algorithm signed it stands there twice.
            let right = golden.certificate("cert");
            prop_assert_eq!(by.key(), right.key());
            prop_assert_eq!(by.subject(), right.subject());
            prop_assert_eq!(by.validity(), right.validity());
        }
    }
}
