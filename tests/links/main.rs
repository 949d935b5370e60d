//! How transports behave on a slow and long link: uTP (BEP 29) beside TCP, both between real processes over the
//! kernel's own stack.
//!
//! The one that runs in every test run shows that the link works; those of full length print figures.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use support::clients::Transport::{self, Tcp, Utp};
use support::clients::{Orders, Running, finish};
use support::content::Content;
use support::link::{Bytes, Link, Terms};
use support::ours::Ours;
use support::payload::Payload;
use support::{Lab, Need, isolated_test, wait};

const MIB: u64 = 1 << 20;

/// 50 Mbit/s, 100 ms both ways together, 0.1 % loss, a drop-tail queue of 200 ms.
const HOME: Terms = Terms {
    rate: 6_250_000,
    delay: Duration::from_millis(50),
    queue: Duration::from_millis(200),
    loss: 0.001,
    seed: 1,
};

/// A download across a link: the seeder at the far end, the downloader at this one.
struct Transfer {
    seed: Ours,
    leech: Ours,
    content: Content,
    to: PathBuf,
}

impl Transfer {
    fn start(lab: &Lab, link: &Link, transport: Transport, len: u64) -> Self {
        let port = lab.address().port();
        let name = format!("{}-{port}", transport.word());
        let payload = Payload::single(&name, len, link.inward().udp ^ len);
        let content = Content::described(lab, payload, 256 * 1024, &[]);
        let at_seeder = (link.far().ip(), port).into();
        let home = lab.folder(&format!("seeder {name}"));
        let job = content.seed(at_seeder).with(Orders::by(transport));
        let mut seed = Ours::start_on(link.far(), &job, &home, &[]);
        finish(&mut seed, Duration::from_secs(60), "the seed");
        let to = lab.folder(&format!("got {name}"));
        let home = lab.folder(&format!("leecher {name}"));
        let own = (link.far().router(), port).into();
        let job = content.download(&to, own, vec![at_seeder]);
        let leech = Ours::start(&job.with(Orders::by(transport)), &home);
        Self {
            seed,
            leech,
            content,
            to,
        }
    }

    /// Waits for its end and compares the bytes.
    fn finish(mut self, limit: Duration) {
        finish(&mut self.leech, limit, "the download");
        self.content.assert_arrived(&self.to);
        self.stop();
    }

    fn stop(&mut self) {
        self.leech.process().stop();
        self.seed.process().stop();
    }
}

/// Waits until `enough` has come from the far end.
fn await_bytes(link: &Link, limit: Duration, enough: impl Fn(Bytes) -> bool) -> Instant {
    let came = wait::until(limit, || enough(link.inward()).then(Instant::now));
    came.unwrap_or_else(|| panic!("only {:?} came within {limit:?}", link.inward()))
}

/// What comes within `time`.
fn within(link: &Link, time: Duration) -> Bytes {
    let before = link.inward();
    wait::pause(time);
    let after = link.inward();
    Bytes {
        tcp: after.tcp - before.tcp,
        udp: after.udp - before.udp,
    }
}

isolated_test! {
    fn a_torrent_crosses_a_slow_and_lossy_link_by_either_transport(lab, limit = 120, needs = [Need::Ours]) {
        let link = Link::lay(HOME);
        Transfer::start(lab, &link, Utp, 4 * MIB).finish(Duration::from_secs(50));
        let by_utp = link.inward();
        assert!(by_utp.udp > 4 * MIB && by_utp.tcp == 0, "{by_utp:?}");
        Transfer::start(lab, &link, Tcp, 4 * MIB).finish(Duration::from_secs(50));
        assert!(link.inward().tcp > 4 * MIB, "{:?}", link.inward());
    }
}

isolated_test! {
    #[ignore = "ten minutes; prints figures: ./soak links"]
    fn utp_alone_is_nearly_as_fast_as_tcp_alone(lab, limit = 1200, needs = [Need::Ours]) {
        const LEN: u64 = 64 * MIB;
        let mut ratios = Vec::new();
        for seed in 1..=5 {
            let took = [Tcp, Utp].map(|transport| {
                let link = Link::lay(Terms { seed, ..HOME });
                link.insist_on_cubic();
                let transfer = Transfer::start(lab, &link, transport, LEN);
                let begin = await_bytes(&link, Duration::from_secs(30), |came| came != Bytes::default());
                transfer.finish(Duration::from_secs(300));
                begin.elapsed().as_secs_f64()
            });
            let share = |took: f64| share_of_link(LEN, Duration::from_secs_f64(took));
            ratios.push(took[0] / took[1]);
            lab.report(&format!(
                "seed {seed}: tcp {:.0} % of the link, utp {:.0} %",
                share(took[0]), share(took[1])
            ));
        }
        ratios.sort_by(f64::total_cmp);
        lab.report(&format!("utp has {:.2} of tcp's rate (median; {ratios:.2?})", ratios[2]));
    }
}

// How fast uTP's share falls when TCP joins depends on TCP, too: cubic of Linux ends its slow start when it sees a queue of
// 4 to 16 ms (`hystart` of module tcp_cubic), and grows slowly from there. So uTP keeps less of one, and steps aside for seconds.
isolated_test! {
    #[ignore = "four minutes; prints figures: ./soak links"]
    fn utp_gives_way_to_tcp_and_comes_back(lab, limit = 600, needs = [Need::Ours]) {
        for (seed, first) in [(1, Utp), (2, Utp), (3, Tcp), (4, Tcp)] {
            let link = Link::lay(Terms { seed, loss: 0.0, ..HOME });
            link.insist_on_cubic();
            let second = if first == Utp { Tcp } else { Utp };
            let mut began = Transfer::start(lab, &link, first, 1024 * MIB);
            await_bytes(&link, Duration::from_secs(60), |came| came.udp + came.tcp > 60 * MIB);
            let alone = within(&link, Duration::from_secs(2));
            let before = link.inward();
            let mut joined = Transfer::start(lab, &link, second, 1024 * MIB);
            await_bytes(&link, Duration::from_secs(30), |came| {
                let came = if first == Utp { came.tcp - before.tcp } else { came.udp - before.udp };
                came > 32 * 1024
            });
            let shares: Vec<String> = (0..12)
                .map(|_| within(&link, Duration::from_secs(1)))
                .map(|came| format!("{:.0}", came.udp as f64 * 100.0 / (came.udp + came.tcp) as f64))
                .collect();
            if first == Utp { joined.stop() } else { began.stop() }
            wait::pause(Duration::from_secs(4));
            let after = within(&link, Duration::from_secs(4));
            lab.report(&format!(
                "seed {seed}: {} alone {:.0} % of the link; utp's share after {} joined, second by second: \
                 {} %; utp from 4 s after tcp's end on {:.0} % of the link",
                first.word(),
                share_of_link(alone.udp + alone.tcp, Duration::from_secs(2)),
                second.word(),
                shares.join(" "),
                share_of_link(after.udp, Duration::from_secs(4))
            ));
            began.stop();
            joined.stop();
        }
    }
}

/// Per cent of what the link can carry in this time.
fn share_of_link(bytes: u64, time: Duration) -> f64 {
    bytes as f64 / time.as_secs_f64() / HOME.rate as f64 * 100.0
}
