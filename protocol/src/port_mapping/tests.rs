use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const WISH: Wish = Wish {
    transport: Transport::Tcp,
    internal: 6881,
    external: 6882,
    lifetime: 3600,
};

const NONCE: [u8; 12] = *b"nonceNONCE12";

#[test]
fn requests_are_laid_out_as_the_specifications_say() {
    let mut due = vec![2, 1, 0, 0, 0, 0, 0x0e, 0x10];
    due.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 2]);
    due.extend(NONCE);
    due.extend([6, 0, 0, 0, 0x1a, 0xe1, 0x1a, 0xe2]);
    due.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0]);
    assert_eq!(due.len(), 60);
    assert_eq!(pcp(&WISH, "10.0.0.2".parse().unwrap(), NONCE), due);
    let six = pcp(&WISH, "fd00::2".parse().unwrap(), NONCE);
    assert_eq!((six.len(), &six[44..]), (60, &[0; 16][..]));
    let due = [0, 2, 0, 0, 0x1a, 0xe1, 0x1a, 0xe2, 0, 0, 0x0e, 0x10];
    assert_eq!(nat_pmp(&WISH), due);
}

/// The answer of a PCP server that gives what was asked for.
fn pcp_answer(result: u8) -> Vec<u8> {
    let mut answer = vec![2, 0x81, 0, result, 0, 0, 0, 60, 0, 0, 0, 9];
    answer.extend([0; 12]);
    answer.extend(NONCE);
    answer.extend([17, 0, 0, 0, 0, 1, 0, 2]);
    answer.extend("::ffff:9.8.7.6".parse::<Ipv6Addr>().unwrap().octets());
    answer
}

#[test]
fn answers_are_read() {
    let grant = Grant {
        transport: Transport::Udp,
        internal: 1,
        external: 2,
        ip: Some("9.8.7.6".parse().unwrap()),
        lifetime: 60,
    };
    assert_eq!(
        read_pcp(&pcp_answer(0), NONCE),
        Some(Answer::Granted(grant))
    );
    assert_eq!(read_pcp(&pcp_answer(0), [0; 12]), None);
    assert_eq!(read_pcp(&pcp_answer(1), NONCE), Some(Answer::WrongVersion));
    assert_eq!(read_pcp(&pcp_answer(8), NONCE), Some(Answer::Refused(8)));
    assert_eq!(read_pcp(&pcp_answer(0)[..59], NONCE), None);
    assert_eq!(
        read_pcp(&[0, 0x81, 0, 1, 0, 0, 0, 0], NONCE),
        Some(Answer::WrongVersion)
    );
    let granted = [0, 0x81, 0, 0, 0, 0, 0, 9, 0, 1, 0, 2, 0, 0, 0, 60];
    assert_eq!(
        read_nat_pmp(&granted),
        Some(Answer::Granted(Grant { ip: None, ..grant }))
    );
    let address = [0, 0x80, 0, 0, 0, 0, 0, 9, 9, 8, 7, 6];
    assert_eq!(
        read_nat_pmp(&address),
        Some(Answer::Address(Ipv4Addr::new(9, 8, 7, 6)))
    );
    assert_eq!(
        read_nat_pmp(&[0, 0x82, 0, 2, 0, 0, 0, 9]),
        Some(Answer::Refused(2))
    );
    assert_eq!(read_nat_pmp(&[0, 0x80, 0, 1]), Some(Answer::WrongVersion));
    for none in [
        &granted[..15],
        &address[..11],
        &[0, 1, 0, 0],
        &[2, 0x81, 0, 0],
        &[],
    ] {
        assert_eq!(read_nat_pmp(none), None, "{none:?}");
    }
}

proptest! {
    #[test]
    fn random_datagrams_are_read_or_not(mut bytes in vec(any::<u8>(), 0..80), pcp: bool) {
        if let Some(first) = bytes.first_mut() {
            *first = if pcp { 2 } else { 0 };
        }
        let _ = read_nat_pmp(&bytes);
        if let Some(Answer::Granted(_)) = read_pcp(&bytes, NONCE) {
            prop_assert_eq!(&bytes[24..36], &NONCE[..]);
        }
    }
}
