//! The connections of which it is not known yet which torrent they are for.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use net::Task;
use net::scope::origin;
use parking_lot::Mutex;

/// Connections whose handshake may be awaited at the same time.
pub(super) const GREETING: usize = 256;

/// Of these, connections from one address.
pub(super) const GREETING_PER_IP: usize = 64;

/// See the module's documentation.
///
/// There is always room for one more: who has waited longest is put out for it. Whoever means it needs two round trips, so
/// who holds places without a word keeps nobody away by it.
#[derive(Debug, Default)]
pub(super) struct Crowd(Mutex<Guests>);

#[derive(Debug, Default)]
struct Guests {
    by_number: BTreeMap<u64, Entry>,
    by_ip: BTreeMap<IpAddr, usize>,
    last: u64,
}

#[derive(Debug)]
struct Entry {
    ip: IpAddr,
    /// What greets it; dropped, it ends and closes the connection.
    greeting: Option<Task<()>>,
}

/// A place in the [`Crowd`].
#[derive(Debug)]
pub(super) struct Guest {
    crowd: Arc<Crowd>,
    number: u64,
}

impl Crowd {
    /// Gives a place to a connection, unless its address has too many; IPv6 is counted by its /64.
    pub(super) fn enter(crowd: &Arc<Self>, ip: IpAddr) -> Option<Guest> {
        let ip = origin(ip);
        let mut guests = crowd.0.lock();
        if guests
            .by_ip
            .get(&ip)
            .is_some_and(|count| *count >= GREETING_PER_IP)
        {
            return None;
        }
        let oldest = guests.by_number.keys().next().copied();
        let put_out = oldest
            .filter(|_| guests.by_number.len() >= GREETING)
            .and_then(|number| guests.remove(number));
        *guests.by_ip.entry(ip).or_default() += 1;
        guests.last += 1;
        let number = guests.last;
        guests
            .by_number
            .insert(number, Entry { ip, greeting: None });
        drop(guests);
        drop(put_out);
        let crowd = Arc::clone(crowd);
        Some(Guest { crowd, number })
    }

    /// Notes what greets a connection. It goes on by itself if that has left its place already.
    pub(super) fn stay(&self, number: u64, greeting: Task<()>) {
        match self.0.lock().by_number.get_mut(&number) {
            Some(entry) => entry.greeting = Some(greeting),
            None => greeting.detach(),
        }
    }
}

impl Guests {
    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.by_number.remove(&number)?;
        if let Some(count) = self.by_ip.get_mut(&entry.ip) {
            *count -= 1;
            if *count == 0 {
                self.by_ip.remove(&entry.ip);
            }
        }
        Some(entry)
    }
}

impl Guest {
    /// Its number in the crowd.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let left = self.crowd.0.lock().remove(self.number);
        // The greeting goes on to hand its connection over.
        if let Some(greeting) = left.and_then(|entry| entry.greeting) {
            greeting.detach();
        }
    }
}

#[cfg(test)]
mod tests;
