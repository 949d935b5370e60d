//! Tokens: what shows that whoever stores something can be reached where the datagram says it comes from (BEP 5).

use std::net::IpAddr;
use std::time::{Duration, Instant};

use rand::Rng;
use ring::digest::{Context, SHA256};

/// How long a secret makes new tokens: a token is good for 5 to 10 minutes (BEP 5).
const ROTATE_AFTER: Duration = Duration::from_secs(300);

/// Bytes of a token.
pub(crate) const TOKEN_LEN: usize = 8;

/// Makes and checks tokens: the head of SHA-256 over a secret and the address.
#[derive(Debug)]
pub(crate) struct Tokens {
    secrets: [[u8; 16]; 2],
    rotated: Instant,
}

impl Tokens {
    pub(crate) fn new(now: Instant, rng: &mut impl Rng) -> Self {
        let mut tokens = Self {
            secrets: [[0; 16]; 2],
            rotated: now,
        };
        tokens.renew(rng);
        tokens.renew(rng);
        tokens
    }

    /// Changes the secret when it is due.
    pub(crate) fn rotate(&mut self, now: Instant, rng: &mut impl Rng) {
        let age = now.saturating_duration_since(self.rotated);
        if age >= ROTATE_AFTER {
            self.renew(rng);
            if age >= 2 * ROTATE_AFTER {
                self.renew(rng);
            }
            self.rotated = now;
        }
    }

    /// The token for an address.
    pub(crate) fn make(&self, ip: IpAddr) -> [u8; TOKEN_LEN] {
        token(&self.secrets[0], ip)
    }

    /// Whether a token was made for this address in the last minutes.
    pub(crate) fn is_good(&self, presented: &[u8], ip: IpAddr) -> bool {
        self.secrets.iter().any(|secret| {
            // Without an early end: how much of a guess was right must not show in time.
            let due = token(secret, ip);
            presented.len() == due.len()
                && presented
                    .iter()
                    .zip(due)
                    .fold(0, |diff, (a, b)| diff | (a ^ b))
                    == 0
        })
    }

    fn renew(&mut self, rng: &mut impl Rng) {
        self.secrets[1] = self.secrets[0];
        rng.fill_bytes(&mut self.secrets[0]);
    }
}

fn token(secret: &[u8; 16], ip: IpAddr) -> [u8; TOKEN_LEN] {
    let mut context = Context::new(&SHA256);
    context.update(secret);
    match ip {
        IpAddr::V4(ip) => context.update(&ip.octets()),
        IpAddr::V6(ip) => context.update(&ip.octets()),
    }
    let digest = context.finish();
    let mut token = [0; TOKEN_LEN];
    for (out, byte) in token.iter_mut().zip(digest.as_ref()) {
        *out = *byte;
    }
    token
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn a_token_is_good_for_five_to_ten_minutes_and_for_its_address() {
        let mut rng = StdRng::seed_from_u64(1);
        let start = Instant::now();
        let mut tokens = Tokens::new(start, &mut rng);
        let (ip, other) = ([1, 2, 3, 4].into(), [1, 2, 3, 5].into());
        let token = tokens.make(ip);
        assert!(tokens.is_good(&token, ip) && !tokens.is_good(&token, other));
        assert!(!tokens.is_good(&token[..7], ip) && !tokens.is_good(b"", ip));
        tokens.rotate(start + Duration::from_secs(299), &mut rng);
        assert_eq!(tokens.make(ip), token);
        tokens.rotate(start + Duration::from_secs(301), &mut rng);
        assert_ne!(tokens.make(ip), token);
        assert!(tokens.is_good(&token, ip));
        tokens.rotate(start + Duration::from_secs(602), &mut rng);
        assert!(!tokens.is_good(&token, ip));
    }

    #[test]
    fn a_long_sleep_spoils_every_token() {
        let mut rng = StdRng::seed_from_u64(2);
        let start = Instant::now();
        let mut tokens = Tokens::new(start, &mut rng);
        let token = tokens.make([1, 2, 3, 4].into());
        tokens.rotate(start + Duration::from_secs(3600), &mut rng);
        assert!(!tokens.is_good(&token, [1, 2, 3, 4].into()));
    }
}
