use proptest::collection::vec;
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::testing::{hex, list, number, vectors};

#[test]
fn keys_names_and_signatures_agree_with_the_vectors_byte_for_byte() {
    let vectors = vectors(include_str!("../../tests/vectors/keys.json"));
    let cases = list(&vectors["vectors"]);
    for case in cases {
        let secret = SecretKey::from_bytes(&hex(&case["private_bin"])).unwrap();
        assert_eq!(
            secret.as_bytes().to_vec(),
            hex(&case["tribler_ec_multichain_pem_file"])
        );
        let public = secret.public();
        assert_eq!(public.as_bytes(), hex(&case["public_bin"]));
        assert_eq!(
            public.x25519().unwrap().to_vec(),
            hex(&case["curve25519_public"])
        );
        assert_eq!(
            public.ed25519().unwrap().to_vec(),
            hex(&case["ed25519_public"])
        );
        assert_eq!(public.mid().0.to_vec(), hex(&case["mid"]));
        let (message, signature) = (hex(&case["message"]), hex(&case["signature"]));
        assert_eq!(secret.sign(&message).to_vec(), signature);
        let read = PublicKey::from_bytes(public.as_bytes()).unwrap();
        assert_eq!(&read, public);
        assert_eq!(&PublicKey::from_unmarked(read.unmarked().unwrap()), public);
        assert_eq!(read.verify(&message, &signature), Ok(()));
        let mut other = message.clone();
        other.push(0);
        assert_eq!(read.verify(&other, &signature), Err(VerifyError::Forged));
        assert_eq!(
            read.verify(&message, &signature[1..]),
            Err(VerifyError::Forged)
        );
    }
    assert_eq!(cases.len(), 5);
}

#[test]
fn keys_of_old_have_their_name_and_the_length_of_their_signatures() {
    let vectors = vectors(include_str!(
        "../../tests/vectors/legacy_keys_and_tracker.json"
    ));
    let cases = list(&vectors["keys"]);
    for case in cases {
        let bytes = hex(&case["public_bin_der_spki"]);
        let key = PublicKey::from_bytes(&bytes).unwrap();
        assert_eq!(key.as_bytes(), bytes);
        assert_eq!(bytes.len() as u64, number(&case["public_bin_length"]));
        assert_eq!(key.mid().0.to_vec(), hex(&case["mid"]));
        assert_eq!(
            key.signature_len() as u64,
            number(&case["signature_length"])
        );
        let signature = hex(&case["signature_r_then_s"]);
        assert_eq!(signature.len(), key.signature_len());
        let unchecked = VerifyError::Unchecked(key.curve().unwrap());
        assert_eq!(
            key.verify(&hex(&case["message"]), &signature),
            Err(unchecked)
        );
        for cut in 0..bytes.len() {
            assert_eq!(PublicKey::from_bytes(&bytes[..cut]), Err(KeyError::Kind));
        }
    }
    assert_eq!(cases.len(), 4);
}

#[test]
fn two_identities_agree_on_one_secret_and_on_none_with_a_key_of_low_order() {
    let mut rng = StdRng::seed_from_u64(5);
    let (a, b) = (SecretKey::generate(&mut rng), SecretKey::generate(&mut rng));
    let shared = a.agree(&b.public().x25519().unwrap()).unwrap();
    assert_eq!(b.agree(&a.public().x25519().unwrap()).unwrap(), shared);
    assert_eq!(a.agree(&[0; 32]), Err(LowOrder));
}

#[test]
fn an_identity_is_the_same_after_a_restart_and_a_broken_file_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ec_multichain.pem");
    let mut rng = StdRng::seed_from_u64(6);
    let key = load_or_generate(&file, &mut rng).unwrap();
    let bytes = std::fs::read(&file).unwrap();
    assert_eq!(bytes, key.as_bytes());
    let again = load_or_generate(&file, &mut rng).unwrap();
    assert_eq!(again.public(), key.public());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    std::fs::write(&file, [b"LibNaCLSK:", &bytes[..]].concat()).unwrap();
    assert_eq!(load(&file).unwrap().public(), key.public());
    std::fs::write(&file, [7; 500]).unwrap();
    let error = load_or_generate(&file, &mut rng);
    assert!(matches!(error, Err(FileError::Length(75))));
    assert_eq!(std::fs::read(&file).unwrap(), [7; 500]);
}

#[test]
fn a_file_of_another_length_is_told_with_the_length_that_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.key");
    for (len, told) in [
        (0, "it is empty"),
        (1, "it has 1 byte;"),
        (63, "it has 63 bytes;"),
        (74, "it has 74 bytes;"),
        (75, "it has more than 74 bytes;"),
        (16_384, "it has more than 74 bytes;"),
    ] {
        std::fs::write(&file, vec![7; len]).unwrap();
        let error = load(&file).unwrap_err().to_string();
        assert!(error.contains(told), "{len}: {error}");
    }
}

#[test]
fn debug_shows_no_secret() {
    let key = SecretKey::from_bytes(&[7; 64]).unwrap();
    assert_eq!(
        format!("{key:?}"),
        format!("SecretKey({})", key.public().mid())
    );
}

proptest! {
    #[test]
    fn whatever_comes_is_a_key_or_none(bytes in vec(any::<u8>(), 0..200), marked: bool) {
        let bytes = if marked { [b"LibNaCLPK:", &bytes[..]].concat() } else { bytes };
        if let Ok(key) = PublicKey::from_bytes(&bytes) {
            prop_assert_eq!(key.as_bytes(), &bytes[..]);
            prop_assert!(key.verify(b"message", &[0; 64]).is_err());
        }
    }
}
