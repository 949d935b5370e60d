//! What a gateway is asked next when it refuses a port.

use std::net::IpAddr;

use rand::{Rng, RngExt as _};

use super::Service;
use super::soap::{Call, Mapping, Told};
use crate::port_mapping::{Grant, Wish};

/// How often a gateway is asked for one port at most.
pub const MOST_TRIES: u8 = 6;

/// The ports that nobody has for himself (RFC 6335, section 6).
const DYNAMIC_PORTS: std::ops::RangeInclusive<u16> = 49_152..=65_535;

/// A port that is being asked for, and what the gateway has refused so far.
///
/// | refused as | and then |
/// |---|---|
/// | 401, 402, 404, 501, 602 of [`Call::AddAny`]: not known | [`Call::Add`] |
/// | 725 only permanent leases; 402 invalid arguments | for ever |
/// | 718, 729 another has that port; 501 failed | a random port |
/// | 727 no port by its number | all ports |
/// | 724 only the same port as ours, any other, and all too often | an end |
#[derive(Clone, Debug)]
pub struct Offer {
    wish: Wish,
    client: IpAddr,
    any: bool,
    external: u16,
    lease: u32,
    tries: u8,
}

impl Offer {
    /// Asks for a port that leads to `client`.
    pub fn new(service: Service, wish: Wish, client: IpAddr) -> Self {
        Self {
            wish,
            client,
            any: service == Service::Ip2,
            external: wish.external,
            lease: wish.lifetime,
            tries: 1,
        }
    }

    /// Asks again for a port that was given.
    pub fn again(wish: Wish, client: IpAddr) -> Self {
        Self {
            wish,
            client,
            any: false,
            external: wish.external,
            lease: wish.lifetime,
            tries: 1,
        }
    }

    /// What to ask.
    pub const fn call(&self) -> Call {
        let mapping = Mapping {
            transport: self.wish.transport,
            external: self.external,
            client: self.client,
            internal: self.wish.internal,
            lease: self.lease,
        };
        if self.any {
            Call::AddAny(mapping)
        } else {
            Call::Add(mapping)
        }
    }

    /// The port that the gateway knows it by: 0 where it forwards all.
    pub fn known_by(&self, told: &Told) -> u16 {
        let other = told.external.filter(|port| self.any && *port != 0);
        other.unwrap_or(self.external)
    }

    /// What was given, when the gateway agreed. A lifetime of 0 is for ever.
    pub fn granted(&self, told: &Told) -> Grant {
        let external = match self.known_by(told) {
            // Where all ports lead to ours, that of the same number does.
            0 => self.wish.internal,
            port => port,
        };
        Grant {
            transport: self.wish.transport,
            internal: self.wish.internal,
            external,
            ip: None,
            lifetime: self.lease,
        }
    }

    /// The gateway has refused: whether it is worth asking what [`Self::call`] is now.
    pub fn refused(&mut self, code: u16, rng: &mut impl Rng) -> bool {
        self.tries = self.tries.saturating_add(1);
        if self.tries > MOST_TRIES {
            return false;
        }
        match code {
            401 | 402 | 404 | 501 | 602 if self.any => self.any = false,
            402 | 725 if self.lease > 0 => self.lease = 0,
            501 | 718 | 729 if self.external != 0 => {
                self.external = rng.random_range(DYNAMIC_PORTS);
            }
            727 if self.external != 0 => self.external = 0,
            _ => return false,
        }
        true
    }
}
