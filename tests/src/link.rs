//! A slow, long and lossy link to a second network namespace.
//!
//! Two TUN devices, one in each namespace, and threads that carry packets from one to the other as a router with a
//! drop-tail queue would: at a rate, after a delay, and not all of them. Works where the kernel has no `netem`.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tun_rs::{DeviceBuilder, SyncDevice};

use crate::host::Host;
use crate::payload::SplitMix;
use crate::sandbox::{must, succeeds};
use crate::wait;

/// What a link does to packets, in each direction.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Bytes per second.
    pub rate: u64,
    /// Time from one end to the other, beside the wait in the queue.
    pub delay: Duration,
    /// The longest wait in the queue; what would wait longer is dropped.
    pub queue: Duration,
    /// The share of packets that are lost by chance.
    pub loss: f64,
    /// What the chance follows from.
    pub seed: u64,
}

/// A link, and the host at its far end. Both vanish when it is dropped.
#[derive(Debug)]
pub struct Link {
    far: Host,
    /// The device at this end.
    device: String,
    /// Whether TCP across it is cubic.
    is_cubic: bool,
    inward: Arc<Carried>,
}

/// Bytes of IP packets that one direction has delivered.
#[derive(Debug, Default)]
struct Carried {
    tcp: AtomicU64,
    udp: AtomicU64,
}

/// Bytes of IP packets that came from the far end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bytes {
    /// In TCP segments.
    pub tcp: u64,
    /// In UDP datagrams.
    pub udp: u64,
}

impl Link {
    /// Lays a link.
    ///
    /// # Panics
    /// When the kernel does not let this process make TUN devices and namespaces.
    pub fn lay(terms: Terms) -> Self {
        let far = Host::alone(0);
        let pid = far.holder().to_string();
        let names = [format!("near{pid}"), format!("far{pid}")];
        let [near_end, far_end] = names.each_ref().map(|name| Arc::new(device(name)));
        must(&["ip", "link", "set", &names[1], "netns", &pid]);
        let (own, other) = (far.router(), far.ip());
        let near_is = raise(&names[0], own, other, |line| {
            succeeds(&line.split(' ').collect::<Vec<_>>())
        });
        let far_is = raise(&names[1], other, own, |line| far.succeeds(line));
        let [near, ..] = names;
        let link = Self {
            far,
            device: near,
            is_cubic: near_is && far_is,
            inward: Arc::default(),
        };
        carry(&near_end, &far_end, terms, &Arc::default());
        let back = Terms {
            seed: terms.seed ^ u64::MAX,
            ..terms
        };
        carry(&far_end, &near_end, back, &link.inward);
        link
    }

    /// The host at the far end; this one is its router.
    pub fn far(&self) -> &Host {
        &self.far
    }

    /// Sees to it that TCP across it is cubic.
    ///
    /// # Panics
    /// When it is not: what is measured beside another TCP says little.
    pub fn insist_on_cubic(&self) {
        let file = "/proc/sys/net/ipv4/tcp_available_congestion_control";
        let available = std::fs::read_to_string(file).unwrap_or_default();
        assert!(
            self.is_cubic,
            "TCP cubic cannot be chosen by route here; the kernel has {available:?} and may lack the module tcp_cubic"
        );
    }

    /// What has come from the far end so far.
    pub fn inward(&self) -> Bytes {
        Bytes {
            tcp: self.inward.tcp.load(Ordering::Relaxed),
            udp: self.inward.udp.load(Ordering::Relaxed),
        }
    }
}

/// Brings up an end of a link, and tells whether TCP from there is cubic, as on most machines. Where the kernel has no such
/// thing, TCP is what it is by default.
fn raise(device: &str, own: Ipv4Addr, other: Ipv4Addr, run: impl Fn(&str) -> bool) -> bool {
    let route = format!("ip route replace {other}/32 dev {device} src {own}");
    for line in [
        format!("ip addr add {own}/32 dev {device}"),
        format!("ip link set {device} mtu 1500 up"),
    ] {
        assert!(run(&line), "{line}");
    }
    let is_cubic = run(&format!("{route} congctl cubic"));
    assert!(is_cubic || run(&route), "{route}");
    is_cubic
}

impl Drop for Link {
    fn drop(&mut self) {
        // The far one goes with its namespace. The threads end when they find their devices gone.
        must(&["ip", "link", "delete", &self.device]);
    }
}

fn device(name: &str) -> SyncDevice {
    DeviceBuilder::new()
        .name(name)
        .build_sync()
        .expect("a TUN device")
}

/// Starts the threads that carry packets from one device to another; they end when one of the devices is gone.
fn carry(from: &Arc<SyncDevice>, to: &Arc<SyncDevice>, terms: Terms, carried: &Arc<Carried>) {
    let (from, to, carried) = (Arc::clone(from), Arc::clone(to), Arc::clone(carried));
    let (queue, due) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut chance = SplitMix(terms.seed);
        let mut through = Instant::now();
        let mut buffer = vec![0; 65_536];
        while let Ok(len) = from.recv(&mut buffer) {
            let now = Instant::now();
            through = through.max(now);
            if through - now > terms.queue || chance.chance(terms.loss) {
                continue;
            }
            through += Duration::from_secs_f64(len as f64 / terms.rate as f64);
            if queue
                .send((through + terms.delay, buffer[..len].to_vec()))
                .is_err()
            {
                return;
            }
        }
    });
    thread::spawn(move || {
        while let Ok((due, packet)) = due.recv() {
            if let Some(left) = due.checked_duration_since(Instant::now()) {
                wait::pause(left);
            }
            let bytes = packet.len() as u64;
            match packet.get(9) {
                Some(6) => _ = carried.tcp.fetch_add(bytes, Ordering::Relaxed),
                Some(17) => _ = carried.udp.fetch_add(bytes, Ordering::Relaxed),
                _ => {}
            }
            if to.send(&packet).is_err() {
                return;
            }
        }
    });
}
