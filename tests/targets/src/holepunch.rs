//! Messages of `ut_holepunch`: what is read means the same once written again.

use protocol::peer::HolepunchMessage;

/// Checks one input.
pub fn run(data: &[u8]) {
    let Ok(Some(message)) = HolepunchMessage::parse(data) else {
        return;
    };
    let written = message.encode();
    assert!(matches!(written.len(), 12 | 24));
    assert_eq!(HolepunchMessage::parse(&written), Ok(Some(message)));
}
