//! Answers of gateways: what is read as given is of the request, and whole.

use protocol::port_mapping::{Answer, read_nat_pmp, read_pcp};

/// Checks one input.
pub fn run(data: &[u8]) {
    if let Some(Answer::Granted(grant)) = read_nat_pmp(data) {
        assert!(data.len() >= 16 && data[0] == 0 && grant.ip.is_none());
    }
    let nonce = *b"nonceNONCE12";
    if let Some(Answer::Granted(grant)) = read_pcp(data, nonce) {
        assert!(data.len() >= 60 && data[24..36] == nonce);
        assert!(grant.ip.is_none_or(|ip| !ip.is_unspecified()));
        assert_eq!(read_pcp(data, [0; 12]), None);
        assert_eq!(read_pcp(&data[..59], nonce), None);
    }
}
