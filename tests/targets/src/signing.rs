//! Signed torrents: a certificate that is read says the same when it is read again, and what was changed in a signed torrent
//! is not valid any more.

use protocol::metainfo::{LoadLimits, Metainfo};
use protocol::signing::{Certificate, Judgement, check};

/// Checks one input.
pub fn run(data: &[u8]) {
    if let Ok(certificate) = Certificate::parse(data) {
        let again = Certificate::from_der(certificate.der()).expect("the same bytes");
        assert_eq!(again, certificate);
        assert_eq!(again.fingerprint(), certificate.fingerprint());
    }
    let limits = LoadLimits::default();
    let Ok(torrent) = Metainfo::from_bytes(data, &limits) else {
        return;
    };
    if let Some(request) = torrent.newer_request() {
        assert!(request.contains(&format!("info_hash={}", torrent.hashes().wire())));
    }
    assert_eq!(
        torrent.newer_at().is_some(),
        torrent.newer_request().is_some()
    );
    for signature in torrent.signatures() {
        let _ = signature.update_url();
        let known: Vec<Certificate> = signature
            .certificate
            .iter()
            .filter_map(|der| Certificate::from_der(der).ok())
            .collect();
        let judged = check(torrent.info_bytes(), signature, &known);
        if matches!(judged, Judgement::Valid { .. }) {
            let mut info = torrent.info_bytes().to_vec();
            info.push(b'e');
            assert_eq!(check(&info, signature, &known), Judgement::Invalid);
        }
    }
    if let Ok(bytes) = torrent.to_bytes() {
        let again = Metainfo::from_bytes(&bytes, &limits).expect("a torrent of ours");
        assert_eq!(again.signatures(), torrent.signatures());
    }
}
