//! Who may store here: whoever was given a token at the address it stores from.

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use rand::{Rng, RngExt};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use crate::key::Mid;

/// How often a new secret is made; tokens of the last one stay good.
pub(super) const ROTATE_EVERY: Duration = Duration::from_secs(300);

/// How long the tokens of others are used.
pub(super) const USED_FOR: Duration = Duration::from_secs(600);

/// The tokens that we give.
///
/// # Format
/// SHA-1 of `Peer<` address `:` port `, ` base64 of the name `>` and a secret of 16 bytes. To others it is only 20 bytes.
#[derive(Clone, Debug)]
pub struct Tokens {
    secret: [u8; 16],
    last: Option<[u8; 16]>,
    rotate_at: Instant,
}

impl Tokens {
    /// With a secret from `rng`, which must be unpredictable.
    pub fn new(now: Instant, rng: &mut impl Rng) -> Self {
        Self::with_secret(rng.random(), now)
    }

    /// With a given secret.
    pub fn with_secret(secret: [u8; 16], now: Instant) -> Self {
        Self {
            secret,
            last: None,
            rotate_at: now + ROTATE_EVERY,
        }
    }

    /// Makes a new secret where it is time for one.
    pub fn rotate(&mut self, now: Instant, rng: &mut impl Rng) {
        if now >= self.rotate_at {
            self.rotate_at = now + ROTATE_EVERY;
            self.last = Some(std::mem::replace(&mut self.secret, rng.random()));
        }
    }

    /// The token for a node.
    pub fn give(&self, addr: SocketAddrV4, mid: Mid) -> [u8; 20] {
        token(addr, mid, &self.secret)
    }

    /// Whether a token was given to a node not too long ago.
    pub fn is_good(&self, addr: SocketAddrV4, mid: Mid, shown: &[u8; 20]) -> bool {
        let mut secrets = [Some(&self.secret), self.last.as_ref()]
            .into_iter()
            .flatten();
        secrets.any(|secret| token(addr, mid, secret) == *shown)
    }
}

fn token(addr: SocketAddrV4, mid: Mid, secret: &[u8; 16]) -> [u8; 20] {
    let mut text = format!("Peer<{addr}, {}>", base64(&mid.0)).into_bytes();
    text.extend_from_slice(secret);
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &text);
    hash.as_ref().first_chunk().copied().unwrap_or_default()
}

/// RFC 4648, section 4, with padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let at = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for letter in 0..4usize {
            let index = bits >> (18 - 6 * letter) & 63;
            let known = letter <= group.len();
            let byte = LETTERS.get(index as usize).copied().unwrap_or(b'=');
            text.push(if known { byte.into() } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::key::PublicKey;
    use crate::testing::{hex, list, text, vectors};

    #[test]
    fn tokens_agree_with_the_vectors() {
        let vectors = vectors(include_str!("../../tests/vectors/dht.json"));
        for case in list(&vectors["tokens"]) {
            let secret = hex(&case["secret"]).try_into().unwrap();
            let tokens = Tokens::with_secret(secret, Instant::now());
            let key = PublicKey::from_bytes(&hex(&case["node"]["public_bin"])).unwrap();
            let addr = text(&case["node"]["address"]).parse().unwrap();
            let expected: [u8; 20] = hex(&case["token"]).try_into().unwrap();
            assert_eq!(tokens.give(addr, key.mid()), expected);
            let shown = format!("Peer<{addr}, {}>", base64(&key.mid().0));
            assert_eq!(shown, text(&case["node_str"]));
        }
    }

    #[test]
    fn a_token_is_good_for_five_to_ten_minutes_at_one_address() {
        let mut rng = StdRng::seed_from_u64(1);
        let start = Instant::now();
        let mut tokens = Tokens::new(start, &mut rng);
        let addr = "1.2.3.4:5".parse().unwrap();
        let elsewhere = "1.2.3.4:6".parse().unwrap();
        let (mid, other) = (Mid([1; 20]), Mid([2; 20]));
        let token = tokens.give(addr, mid);
        assert!(!tokens.is_good(elsewhere, mid, &token) && !tokens.is_good(addr, other, &token));
        tokens.rotate(start + Duration::from_secs(299), &mut rng);
        assert_eq!(tokens.give(addr, mid), token);
        tokens.rotate(start + Duration::from_secs(300), &mut rng);
        assert!(tokens.give(addr, mid) != token && tokens.is_good(addr, mid, &token));
        tokens.rotate(start + Duration::from_secs(600), &mut rng);
        assert!(!tokens.is_good(addr, mid, &token));
    }

    #[test]
    fn base64_pads() {
        let shown = ["", "f", "fo", "foo", "foob"].map(|text| base64(text.as_bytes()));
        assert_eq!(shown, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]);
    }
}
