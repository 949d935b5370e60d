use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits {
    head: 1000,
    body: 1 << 20,
    unpacked: 1 << 20,
    redirects: 0,
};

/// Every way to pack: its name for us, and the function that does it.
type Pack = fn(&[u8]) -> Vec<u8>;
const PACKS: [(Encoding, Pack); 4] = [
    (Encoding::Identity, |plain| plain.to_vec()),
    (Encoding::Gzip, |plain| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }),
    (Encoding::Deflate, |plain| {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }),
    (Encoding::Deflate, |plain| {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }),
];

fn unpack(encoding: Encoding, packed: &[u8], chunk: usize, limits: Limits) -> Result<Bytes, Error> {
    let mut body = Body::new(encoding, limits);
    for chunk in packed.chunks(chunk) {
        body.push(chunk)?;
    }
    body.finish()
}

#[test]
fn encodings_are_known_by_their_names() {
    let cases = [
        ("gzip", Some(Encoding::Gzip)),
        (" X-GZip ", Some(Encoding::Gzip)),
        ("Deflate", Some(Encoding::Deflate)),
        ("identity", Some(Encoding::Identity)),
        ("", Some(Encoding::Identity)),
        ("br", None),
        ("gzip, gzip", None),
    ];
    for (name, encoding) in cases {
        assert_eq!(Encoding::parse(name.as_bytes()), encoding, "{name}");
    }
}

#[test]
fn a_bomb_stops_at_the_limit_in_every_encoding() {
    let plain = vec![0; 8 << 20];
    for (encoding, pack) in PACKS {
        let error = unpack(encoding, &pack(&plain), 16 * 1024, LIMITS).unwrap_err();
        assert!(
            matches!(error, Error::BodyTooLarge { limit } if limit == 1 << 20),
            "{error:?}"
        );
    }
}

#[test]
fn a_body_of_exactly_the_limit_passes() {
    let plain: Vec<_> = (0..1000u32).map(|i| (i * 7) as u8).collect();
    for (encoding, pack) in PACKS {
        let packed = pack(&plain);
        let mut limits = Limits {
            body: packed.len(),
            unpacked: plain.len(),
            ..LIMITS
        };
        assert_eq!(unpack(encoding, &packed, 99, limits).unwrap(), plain);
        limits.body -= 1;
        let error = unpack(encoding, &packed, 99, limits).unwrap_err();
        assert!(matches!(error, Error::BodyTooLarge { limit } if limit == limits.body));
        limits.body += 1;
        limits.unpacked -= 1;
        let error = unpack(encoding, &packed, 99, limits).unwrap_err();
        assert!(matches!(error, Error::BodyTooLarge { limit } if limit == limits.unpacked));
    }
}

#[test]
fn a_packed_body_that_is_cut_short_is_corrupt() {
    for (encoding, pack) in &PACKS[1..] {
        let packed = pack(b"some text that is long enough to be packed, packed, packed");
        for cut in 1..packed.len() {
            let outcome = unpack(*encoding, &packed[..cut], 1000, LIMITS);
            assert!(outcome.is_err(), "{encoding:?} cut at {cut}");
        }
    }
}

#[test]
fn what_follows_a_packed_body_is_ignored() {
    for (encoding, pack) in &PACKS[1..] {
        let mut packed = pack(b"text");
        packed.extend(b"and more");
        assert_eq!(unpack(*encoding, &packed, 5, LIMITS).unwrap(), "text");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn chunks_do_not_matter(plain: Vec<u8>, chunk in 1usize..50) {
        for (encoding, pack) in PACKS {
            prop_assert_eq!(unpack(encoding, &pack(&plain), chunk, LIMITS).unwrap(), &plain[..]);
        }
    }

    #[test]
    fn garbage_is_an_error_or_a_body_within_limits(garbage: Vec<u8>, chunk in 1usize..50) {
        for (encoding, _) in PACKS {
            let limits = Limits { unpacked: 500, ..LIMITS };
            if let Ok(body) = unpack(encoding, &garbage, chunk, limits) {
                prop_assert!(body.len() <= 500);
            }
        }
    }
}
