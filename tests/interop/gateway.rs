//! Ports that a real gateway (miniupnpd) gives, and takes back.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use support::clients::{Running as _, finish};
use support::content::Content;
use support::host::Host;
use support::ours::Ours;
use support::payload::Payload;
use support::process::Process;
use support::sandbox::must;
use support::{Lab, wait};

const READY: Duration = Duration::from_secs(30);

/// The gateway's address in the world.
const OUTSIDE: &str = "11.0.0.1";

/// What the gateway's rules hang in.
const TABLE: &str = "table inet gate {
    chain forward { type filter hook forward priority 0; policy accept; jump ports; }
    chain ports { }
    chain before { type nat hook prerouting priority -100; policy accept; jump in; }
    chain after { type nat hook postrouting priority 100; policy accept; jump out; }
    chain in { }
    chain out { }
}
";

/// What the gateway is asked by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    Pcp,
    /// UPnP, with the first version of its services or the second.
    Upnp(u8),
}

/// A seed behind the gateway is given its ports, a second one other ports where those are taken; a stranger comes in by
/// them, and they are given back at the end. Nothing of it is sent by another interface.
pub(crate) fn gives_ports(lab: &Lab, speaks: Speaks) {
    let hosts = [Host::new(1), Host::new(2)];
    let stranger = Host::alone(3);
    let mut gateway = Gateway::start(lab, &hosts, &stranger, speaks);
    hosts[0].plug_in_second();
    // Where the system would send a search by itself.
    hosts[0].must("ip route add 239.255.255.250/32 dev eth1");
    let elsewhere = hosts[0].capture("eth1", &lab.folder("capture"));
    let seed = Seed::new(lab);
    let port = seed.listen.port();
    let mut first = seed.start(lab, &hosts[0], &[]);
    let given = expect_mapped(&mut first, lab, port, speaks);
    assert_eq!(given, [port; 2]);
    assert!(
        wait::until(READY, || (forwarded(&hosts[0], port) == 2).then_some(())).is_some(),
        "{}",
        rules()
    );
    if speaks != Speaks::Pcp {
        assert_eq!(elsewhere.frames(), 0, "frames left by the other interface");
        // That nobody answers by PCP was waited for once.
        let upnp_alone = ["--set", "network.nat_pmp=false"];
        let mut second = seed.start(lab, &hosts[1], &upnp_alone);
        let given = expect_mapped(&mut second, lab, port, speaks);
        assert!(given[0] != port && given == [given[0]; 2], "{given:?}");
        assert_eq!(forwarded(&hosts[1], port), 2, "{}", rules());
        seed.fetch(lab, &stranger, given[0]);
        second.process().stop();
        gateway.expect_back(&hosts[1], port);
    }
    seed.fetch(lab, &stranger, port);
    first.process().stop();
    gateway.expect_back(&hosts[0], port);
    gateway.process.stop();
}

/// What is bound to an interface asks there for a gateway, in vain, and nobody on the other, where there is one.
pub(crate) fn is_asked_by_the_right_door(lab: &Lab) {
    let hosts = [Host::new(1)];
    let stranger = Host::alone(3);
    let _gateway = Gateway::start(lab, &hosts, &stranger, Speaks::Upnp(1));
    hosts[0].plug_in_second();
    let dir = lab.folder("capture");
    let (wrong, right) = (
        hosts[0].capture("eth0", &dir),
        hosts[0].capture("eth1", &dir),
    );
    let seed = Seed::new(lab);
    let mut bound = seed.start(lab, &hosts[0], &["--bind", "eth1"]);
    // Five things are searched for, twice.
    let asked = wait::until(READY, || (right.count(b"M-SEARCH") >= 10).then_some(()));
    assert!(asked.is_some(), "{}", bound.process().last_words());
    // The gateway tells of itself there, unasked.
    let own = hosts[0].ip().octets();
    assert_eq!((wrong.count(b"M-SEARCH"), wrong.count(&own)), (0, 0));
    assert!(bound.event("mapped").is_none());
}

/// What is seeded, at a port that is the same on every host.
struct Seed {
    content: Content,
    listen: SocketAddr,
}

impl Seed {
    fn new(lab: &Lab) -> Self {
        Self {
            content: Content::new(lab, Payload::single("mapped.bin", 100_000, 41)),
            listen: SocketAddr::new([0, 0, 0, 0].into(), lab.address().port()),
        }
    }

    /// Seeds on a host.
    fn start(&self, lab: &Lab, host: &Host, more: &[&str]) -> Ours {
        let job = self.content.seed(self.listen);
        let home = lab.folder(&format!("home {}", host.ip()));
        let mut seed = Ours::start_on(host, &job, &home, more);
        finish(&mut seed, READY, "the seed");
        seed
    }

    /// Downloads it from outside, by a port of the gateway.
    fn fetch(&self, lab: &Lab, stranger: &Host, port: u16) {
        let dir = lab.folder(&format!("stranger {port}"));
        let peer = SocketAddr::new(OUTSIDE.parse().expect("an address"), port);
        let job = self.content.download(&dir, self.listen, vec![peer]);
        let home = lab.folder(&format!("home of a stranger {port}"));
        let mut leech = Ours::start_on(stranger, &job, &home, &["--no-portmap"]);
        finish(&mut leech, READY, "the stranger");
        self.content.assert_arrived(&dir);
    }
}

/// Waits until both ports are given; says under which numbers, TCP's first.
fn expect_mapped(seed: &mut Ours, lab: &Lab, port: u16, speaks: Speaks) -> [u16; 2] {
    ["tcp", "udp"].map(|transport| {
        let mapped = seed.expect("mapped port", READY, |event| {
            event["event"] == "mapped" && event["transport"] == transport
        });
        let by = match speaks {
            Speaks::Pcp => "PCP",
            Speaks::Upnp(_) => "UPnP",
        };
        assert_eq!(mapped["by"], by);
        assert_eq!(mapped["port"], port);
        assert_eq!(mapped["external_ip"], OUTSIDE);
        let external = mapped["external_port"].as_u64().expect("a number");
        let version = match speaks {
            Speaks::Pcp => String::new(),
            Speaks::Upnp(version) => format!(" {version}"),
        };
        lab.report(&format!(
            "| miniupnpd, {by}{version} | {transport} port {port} given as {external} |"
        ));
        u16::try_from(external).expect("a port")
    })
}

/// The test's own network, as the gateway of others.
struct Gateway {
    process: Process,
}

impl Gateway {
    /// Puts a gateway between hosts and a stranger.
    fn start(lab: &Lab, hosts: &[Host], stranger: &Host, speaks: Speaks) -> Self {
        let line = format!(
            "ip link add ext0 type veth peer name eth0 netns {}",
            stranger.holder()
        );
        for line in [
            &line,
            "ip addr add 11.0.0.1/24 dev ext0",
            "ip link set ext0 up",
        ] {
            must(&line.split(' ').collect::<Vec<_>>());
        }
        stranger.must("ip addr add 11.0.0.2/24 dev eth0");
        stranger.must("ip link set eth0 up");
        let dir = lab.folder("gateway");
        let (table, config) = (dir.join("table.nft"), dir.join("gateway.conf"));
        fs::write(&table, TABLE).expect("a table");
        must(&["nft", "-f", &table.display().to_string()]);
        fs::write(&config, configuration(hosts, speaks)).expect("a configuration");
        let process = run(&dir, &config);
        let ready = match speaks {
            Speaks::Pcp => "traffic on port 5351",
            Speaks::Upnp(_) => "HTTP listening on port",
        };
        let listens = wait::until(READY, || process.errors().contains(ready).then_some(()));
        assert!(listens.is_some(), "no gateway\n{}", process.last_words());
        Self { process }
    }

    /// Waits until none is.
    fn expect_back(&self, host: &Host, port: u16) {
        let back = wait::until(READY, || (forwarded(host, port) == 0).then_some(()));
        assert!(
            back.is_some(),
            "the ports stay:\n{}\n{}",
            rules(),
            self.process.last_words()
        );
    }
}

fn configuration(hosts: &[Host], speaks: Speaks) -> String {
    let (natpmp, upnp, first) = match speaks {
        Speaks::Pcp => ("yes", "no", "no"),
        Speaks::Upnp(1) => ("no", "yes", "yes"),
        Speaks::Upnp(_) => ("no", "yes", "no"),
    };
    let cables: Vec<String> = hosts
        .iter()
        .map(|host| format!("listening_ip={}", host.cable()))
        .collect();
    let cables = cables.join("\n");
    format!(
        "ext_ifname=ext0\n{cables}\nenable_natpmp={natpmp}\nenable_upnp={upnp}\nforce_igd_desc_v1={first}\nhttp_port=0\n\
         secure_mode=yes\nupnp_table_name=gate\nupnp_nat_table_name=gate\nupnp_forward_chain=ports\nupnp_nat_chain=in\n\
         upnp_nat_postrouting_chain=out\nuuid=00000000-0000-0000-0000-000000000000\n\
         allow 1024-65535 0.0.0.0/0 1024-65535\n"
    )
}

fn run(dir: &Path, config: &Path) -> Process {
    let mut command = Command::new("miniupnpd");
    command
        .arg("-d")
        .arg("-f")
        .arg(config)
        .arg("-P")
        .arg(dir.join("pid"));
    Process::start(command, dir, "gateway")
}

/// How many ports are forwarded to this one of a host.
fn forwarded(host: &Host, port: u16) -> usize {
    rules().matches(&format!("{}:{port}", host.ip())).count()
}

/// The ports that are forwarded now.
fn rules() -> String {
    let output = Command::new("nft")
        .args(["-n", "list", "chain", "inet", "gate", "in"])
        .output();
    String::from_utf8_lossy(&output.expect("nft runs").stdout).into_owned()
}
