use proptest::prelude::*;

use super::*;

/// RC4 as it is described, a byte at a time.
fn plain(key: &[u8], len: usize) -> Vec<u8> {
    let mut s: Vec<u8> = (0..=255).collect();
    let mut j = 0usize;
    for i in 0..256 {
        j = (j + usize::from(s[i]) + usize::from(key[i % key.len()])) % 256;
        s.swap(i, j);
    }
    let (mut i, mut j) = (0usize, 0usize);
    (0..len)
        .map(|_| {
            i = (i + 1) % 256;
            j = (j + usize::from(s[i])) % 256;
            s.swap(i, j);
            s[(usize::from(s[i]) + usize::from(s[j])) % 256]
        })
        .collect()
}

#[test]
fn the_streams_of_rfc_6229_come_out() {
    // RFC 6229, section 2: key length 40 and 128 bits, offsets 0 and 4096.
    let cases: [(&[u8], usize, [u8; 16]); 3] = [
        (
            &[1, 2, 3, 4, 5],
            0,
            *b"\xb2\x39\x63\x05\xf0\x3d\xc0\x27\xcc\xc3\x52\x4a\x0a\x11\x18\xa8",
        ),
        (
            &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
            0,
            *b"\x9a\xc7\xcc\x9a\x60\x9d\x1e\xf7\xb2\x93\x28\x99\xcd\xe4\x1b\x97",
        ),
        (
            &[1, 2, 3, 4, 5],
            4096,
            *b"\xff\x25\xb5\x89\x95\x99\x67\x07\xe5\x1f\xbd\xf0\x8b\x34\xd8\x75",
        ),
    ];
    for (key, offset, due) in cases {
        let mut stream = vec![0; offset + 16];
        Rc4::undiscarded(key).apply(&mut stream);
        assert_eq!(stream[offset..], due, "key {key:?} at {offset}");
    }
}

#[test]
fn the_first_1024_bytes_are_left_out() {
    let key = [7; 20];
    let mut stream = [0; 64];
    Rc4::new(&key).apply(&mut stream);
    assert_eq!(stream[..], plain(&key, 1024 + 64)[1024..]);
}

proptest! {
    #[test]
    fn any_cuts_give_the_stream_of_the_description(
        key in prop::collection::vec(any::<u8>(), 1..=256),
        cuts in prop::collection::vec((0usize..70, any::<bool>()), 0..40),
    ) {
        let len = cuts.iter().map(|(len, _)| len).sum();
        let due = plain(&key, len);
        let mut rc4 = Rc4::undiscarded(&key);
        let mut got = Vec::new();
        for (len, in_place) in cuts {
            let mut part = vec![0; len];
            if in_place {
                rc4.apply(&mut part);
            } else {
                // The shorter of both says how far the stream goes.
                let mut wide = vec![0; len + 3];
                prop_assert_eq!(rc4.apply_to(&part, &mut wide), len);
                part.copy_from_slice(&wide[..len]);
                prop_assert_eq!(&wide[len..], &[0; 3]);
            }
            got.extend(part);
        }
        prop_assert_eq!(got, due);
    }
}
