//! A part in the overlay for tests: it shows what tests say, and notes what is asked of it.

use std::net::SocketAddrV4;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::Promise;
use crate::part::{
    Bucket, Community, Dht, DhtPeer, DhtSearch, DhtStatus, DhtValue, Ending, KnownPeer, Member,
    Part, Relayed, Speed, SpeedTest, Swarm, Tested, Unfound, Untested, Wire,
};

/// What it shows. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Shown(pub(crate) Arc<Mutex<Show>>);

/// See [`Shown`].
#[derive(Default)]
pub(crate) struct Show {
    pub(crate) relayed: Vec<Relayed>,
    pub(crate) endings: Vec<Ending>,
    pub(crate) swarms: Vec<Swarm>,
    pub(crate) members: Vec<Member>,
    pub(crate) seeders: Option<u64>,
    pub(crate) speed: Option<Speed>,
    pub(crate) untested: Option<Untested>,
    pub(crate) communities: Vec<Community>,
    pub(crate) peers: Vec<KnownPeer>,
    pub(crate) dht: Option<DhtStatus>,
    pub(crate) values: Vec<([u8; 20], DhtValue)>,
    pub(crate) search: DhtSearch,
    pub(crate) unfound: Option<Unfound>,
    pub(crate) places: Vec<DhtPeer>,
    /// Whether nobody is ever found, nor given up.
    pub(crate) seeks: bool,
    pub(crate) buckets: Vec<Bucket>,
    /// What was asked, in words.
    pub(crate) asked: Vec<String>,
}

impl Shown {
    fn note(&self, asked: String) {
        self.0.lock().asked.push(asked);
    }

    fn found<T>(&self, found: T) -> Promise<'_, Result<T, Unfound>>
    where
        T: Send + 'static,
    {
        let failed = self.0.lock().unfound.clone();
        Box::pin(std::future::ready(failed.map_or(Ok(found), Err)))
    }
}

fn now<T: Send + 'static>(value: T) -> Promise<'static, T> {
    Box::pin(std::future::ready(value))
}

impl Part for Shown {
    fn relayed(&self) -> Vec<Relayed> {
        self.0.lock().relayed.clone()
    }

    fn endings(&self) -> Vec<Ending> {
        self.0.lock().endings.clone()
    }

    fn swarms(&self) -> Vec<Swarm> {
        self.0.lock().swarms.clone()
    }

    fn members(&self) -> Promise<'_, Vec<Member>> {
        now(self.0.lock().members.clone())
    }

    fn count_seeders(&self, name: [u8; 20], hops: u8) -> Promise<'_, Option<u64>> {
        self.note(format!("count {:02x} {hops}", name[0]));
        now(self.0.lock().seeders)
    }

    fn test(&self, what: Tested, how: SpeedTest) -> Promise<'_, Result<Speed, Untested>> {
        self.note(format!("{what:?} {how:?}"));
        let show = self.0.lock();
        let speed = show.speed.unwrap_or_default();
        now(show.untested.clone().map_or(Ok(speed), Err))
    }

    fn communities(&self) -> Promise<'_, Vec<Community>> {
        now(self.0.lock().communities.clone())
    }

    fn measure(&self, community: [u8; 20], on: bool) -> Promise<'_, ()> {
        self.note(format!("measure {} {on}", community[0]));
        now(())
    }

    fn peers(&self) -> Promise<'_, Vec<KnownPeer>> {
        now(self.0.lock().peers.clone())
    }

    fn walk_to(&self, at: SocketAddrV4) -> Promise<'_, ()> {
        self.note(format!("walk {at}"));
        now(())
    }

    fn add_bootstrap(&self, at: SocketAddrV4) -> Promise<'_, ()> {
        self.note(format!("bootstrap {at}"));
        now(())
    }

    fn dht(&self, wire: Option<Wire>) -> Option<Box<dyn Dht>> {
        self.note(format!("dht {wire:?}"));
        self.0.lock().dht.as_ref()?;
        Some(Box::new(self.clone()))
    }
}

impl Dht for Shown {
    fn status(&self) -> Promise<'_, Option<DhtStatus>> {
        now(self.0.lock().dht.clone())
    }

    fn stored(&self, most: usize) -> Promise<'_, Vec<([u8; 20], DhtValue)>> {
        let values = self.0.lock().values.clone();
        now(values.into_iter().take(most).collect())
    }

    fn find(&self, key: [u8; 20]) -> Promise<'_, Result<(Vec<DhtValue>, DhtSearch), Unfound>> {
        let show = self.0.lock();
        let of_key = show.values.iter().filter(|(of, _)| *of == key);
        let values: Vec<DhtValue> = of_key.map(|(_, value)| value.clone()).collect();
        let search = show.search;
        drop(show);
        self.found((values, search))
    }

    fn store(&self, key: [u8; 20], value: Vec<u8>, sign: bool) -> Promise<'_, Result<(), Unfound>> {
        self.note(format!("store {} {value:?} {sign}", key[0]));
        self.found(())
    }

    fn connect(&self, mid: [u8; 20]) -> Promise<'_, Result<Vec<DhtPeer>, Unfound>> {
        self.note(format!("connect {}", mid[0]));
        let show = self.0.lock();
        if show.seeks {
            return Box::pin(std::future::pending());
        }
        let places = show.places.clone();
        drop(show);
        self.found(places)
    }

    fn buckets(&self) -> Promise<'_, Vec<Bucket>> {
        now(self.0.lock().buckets.clone())
    }

    fn refresh(&self, prefix: String) -> Promise<'_, Result<bool, Unfound>> {
        let show = self.0.lock();
        let there = show.buckets.iter().any(|bucket| bucket.prefix == prefix);
        drop(show);
        self.found(there)
    }
}
