//! The golden vectors: every byte of five handshakes, and what is to be refused.

use serde_json::Value as Json;

use super::hostile;
use crate::fault::Fault;
use crate::id::InfoHash;
use crate::mse::dh::KeyPair;
use crate::mse::keys::Side;
use crate::mse::rc4::Rc4;
use crate::mse::{
    Acceptor, Choice, Established, Initiator, KEY_LEN, Method, Methods, MseError, Step, Tag,
};
use crate::testing::{hex, vectors};

fn file() -> Json {
    vectors(include_str!("../../../tests/vectors/mse.json"))
}

fn exact<const N: usize>(digits: &Json) -> [u8; N] {
    hex(digits).try_into().unwrap()
}

fn methods(bits: &Json) -> Methods {
    Methods::offered(bits.as_u64().unwrap() as u32)
}

fn keys(private: &Json) -> KeyPair {
    KeyPair::new(exact(private))
}

/// The pair whose private key is 1: its public key is the generator, and it agrees on the other one's key.
fn keys_of_one() -> KeyPair {
    let mut one = [0; 20];
    one[19] = 1;
    KeyPair::new(one)
}

/// A number less one; its last digits are not 0.
fn less_one(number: &[u8]) -> [u8; KEY_LEN] {
    let mut less: [u8; KEY_LEN] = number.try_into().unwrap();
    less[KEY_LEN - 1] -= 1;
    less
}

fn skey(case: &Json) -> InfoHash {
    InfoHash(exact(&case["skey_info_hash"]))
}

fn choice(case: &Json) -> Choice {
    let selected = case["crypto_select"].as_u64().unwrap();
    Choice {
        allowed: Methods::BOTH,
        preferred: if selected == 1 {
            Method::Plain
        } else {
            Method::Rc4
        },
    }
}

#[test]
fn keys_and_hashes_are_those_of_the_vectors() {
    let file = file();
    let prime = hex(&file["prime_hex"]);
    assert!(keys_of_one().agree(&less_one(&prime)).is_none());
    let greatest = less_one(&less_one(&prime));
    assert_eq!(keys_of_one().agree(&greatest).unwrap().0, greatest);
    let generator = file["generator"].as_u64().unwrap();
    assert_eq!(keys_of_one().public()[KEY_LEN - 1], generator as u8);
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let (a, b) = (keys(&case["xa_hex"]), keys(&case["xb_hex"]));
        assert_eq!(a.public()[..], hex(&case["Ya"]));
        assert_eq!(b.public()[..], hex(&case["Yb"]));
        let secret = a.agree(b.public()).unwrap();
        assert!(secret == b.agree(a.public()).unwrap());
        assert_eq!(secret.0[..], hex(&case["S"]));
        assert_eq!(secret.mark()[..], hex(&case["hash_req1_S"]));
        let tag = Tag::of(skey(case));
        assert_eq!(secret.cover(tag)[..], hex(&case["req2_xor_req3"]));
        assert_eq!(secret.uncover(exact(&case["req2_xor_req3"])), tag);
        let req2 = InfoHash(exact(&case["hash_req2_SKEY"]));
        assert_eq!(format!("{tag:?}"), format!("Tag({req2})"));
        let mut req3 = secret.cover(tag);
        for (byte, own) in req3.iter_mut().zip(req2.0) {
            *byte ^= own;
        }
        assert_eq!(req3[..], hex(&case["hash_req3_S"]));
        for (side, name) in [(Side::Initiator, "A"), (Side::Acceptor, "B")] {
            let (mut stream, mut of_key) = ([0; 32], [0; 32]);
            secret.cipher(side, skey(case)).apply(&mut stream);
            let due = &case[format!("keystream_{name}_first32_after_discard")];
            assert_eq!(stream[..], hex(due));
            assert_eq!(stream[..8], hex(&case[format!("encrypted_VC_{name}")]));
            Rc4::new(&exact(&case[format!("key{name}")])).apply(&mut of_key);
            assert_eq!(of_key, stream);
        }
    }
}

#[test]
fn who_dials_sends_and_takes_the_bytes_of_the_vectors_whatever_the_chunks() {
    for case in file()["cases"].as_array().unwrap() {
        for size in [1, 7, 96, 1000] {
            let pad_c = hex(&case["padC"]);
            assert!(pad_c.iter().all(|byte| *byte == 0), "as ours are");
            let mut a = Initiator::with(
                (skey(case), methods(&case["crypto_provide"])),
                &hex(&case["IA"]),
                keys(&case["xa_hex"]),
                (&hex(&case["padA"]), pad_c.len()),
            );
            assert_eq!(a.output(), hex(&case["step1_A_to_B"]));
            a.consume_output(usize::MAX);
            let mut done = None;
            for step in ["step2_B_to_A", "step4_B_to_A"] {
                for mut chunk in hex(&case[step]).chunks(size) {
                    assert!(done.is_none());
                    done = a.handle(&mut chunk).unwrap();
                    assert!(chunk.is_empty());
                }
            }
            assert_eq!(a.output(), hex(&case["step3_A_to_B"]));
            payload(case, "A", "B", &mut done.unwrap());
        }
    }
}

#[test]
fn who_is_dialled_sends_and_takes_the_bytes_of_the_vectors_whatever_the_chunks() {
    for case in file()["cases"].as_array().unwrap() {
        for size in [1, 7, 96, 1000] {
            let mut b = Acceptor::new(choice(case));
            let find = |tag| (tag == Tag::of(skey(case))).then(|| skey(case));
            let (pad_b, pad_d) = (hex(&case["padB"]), hex(&case["padD"]));
            let mut done = None;
            for step in ["step1_A_to_B", "step3_A_to_B"] {
                for mut chunk in hex(&case[step]).chunks(size) {
                    assert!(done.is_none());
                    let mut step = b.handle(&mut chunk, find).unwrap();
                    if matches!(step, Step::Agree) {
                        let own = keys(&case["xb_hex"]);
                        b.agree_with(&own, &pad_b, pad_d.len()).unwrap();
                        assert_eq!(b.output(), hex(&case["step2_B_to_A"]));
                        b.consume_output(usize::MAX);
                        step = b.handle(&mut chunk, find).unwrap();
                    }
                    assert!(chunk.is_empty());
                    if let Step::Done(established) = step {
                        done = Some(established);
                    }
                }
            }
            let due = hex(&case["step4_B_to_A"]);
            // Our pads under cover are zeros, those of some cases are not.
            let same = due.len() - pad_d.iter().filter(|byte| **byte != 0).count();
            assert_eq!(b.output()[..same], due[..same]);
            assert_eq!(b.output().len(), due.len());
            let mut established = done.unwrap();
            assert_eq!(established.initial, hex(&case["IA"]));
            payload(case, "B", "A", &mut established);
        }
    }
}

/// The stream behind the handshake, as the side `own` has it.
fn payload(case: &Json, own: &str, other: &str, established: &mut Established) {
    assert_eq!(established.info_hash, skey(case));
    let rc4 = case["crypto_select"] == 2;
    assert_eq!(established.method == Method::Rc4, rc4);
    assert_eq!(established.ciphers.is_some(), rc4);
    let mut sent = hex(&case[format!("step5_{own}_plain")]);
    let mut came = hex(&case[format!("step5_{other}_on_wire")]);
    if let Some(ciphers) = &mut established.ciphers {
        ciphers.outgoing.apply(&mut sent);
        ciphers.incoming.apply(&mut came);
    }
    assert_eq!(sent, hex(&case[format!("step5_{own}_on_wire")]));
    assert_eq!(came, hex(&case[format!("step5_{other}_plain")]));
}

#[test]
fn what_the_vectors_refuse_is_refused() {
    let file = file();
    let mut refused = 0;
    for case in file["reject"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let error = if case.get("key_hex").is_some() {
            let key: [u8; KEY_LEN] = exact(&case["key_hex"]);
            assert!(KeyPair::new([7; 20]).agree(&key).is_none(), "{name}");
            let mut b = Acceptor::new(hostile::CHOICE);
            b.handle(&mut &key[..], |_| None).unwrap();
            b.agree(&mut hostile::rng(1)).unwrap_err()
        } else if let Some(offered) = case["crypto_provide"].as_u64() {
            hostile::acceptor_reads(&hostile::head(offered as u32, 0, &[0])).unwrap_err()
        } else if let Some(selected) = case["crypto_select"].as_u64() {
            hostile::initiator_reads(selected as u32, 0).unwrap_err()
        } else if let Some(len) = case["pad_length"].as_u64() {
            let head = hostile::head(3, len as u16, &[]);
            let selected = hostile::initiator_reads(2, len as u16).unwrap_err();
            assert_eq!(selected, MseError::PadTooLong { len: 513 });
            hostile::acceptor_reads(&head).unwrap_err()
        } else if let Some(len) = case["ia_length"].as_u64() {
            hostile::acceptor_reads(&hostile::head(3, 0, &[len as u16])).unwrap_err()
        } else {
            let len = case["bytes"].as_u64().unwrap() as usize;
            hostile::acceptor_searches(&vec![0; len]).unwrap_err()
        };
        let fault = if matches!(error, MseError::NoMethod { .. }) {
            Fault::Network
        } else {
            Fault::Peer
        };
        assert_eq!(error.fault(), fault, "{name}: {error}");
        refused += 1;
    }
    assert_eq!(refused, 9);
}
