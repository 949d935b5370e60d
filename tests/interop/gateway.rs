//! Ports that a real gateway (miniupnpd) gives, and takes back.

use std::fs;
use std::net::SocketAddr;
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

/// A seed behind the gateway is given its ports, and gives them back at its end.
pub(crate) fn gives_ports(lab: &Lab) {
    let host = Host::new(1);
    let gateway = start_gateway(lab, &host);
    let content = Content::new(lab, Payload::single("mapped.bin", 100_000, 41));
    let at = lab.address();
    let job = content.seed(SocketAddr::new([0, 0, 0, 0].into(), at.port()));
    let mut seed = Ours::start_on(&host, &job, &lab.folder("home"), &[]);
    finish(&mut seed, READY, "the seed");
    for transport in ["tcp", "udp"] {
        let mapped = seed.expect("mapped port", READY, |event| {
            event["event"] == "mapped" && event["transport"] == transport
        });
        assert_eq!(mapped["external_port"], at.port());
        assert_eq!(mapped["external_ip"], "11.0.0.1");
        lab.report(&format!(
            "| miniupnpd, {} | {transport} port {} given |",
            mapped["by"],
            at.port()
        ));
    }
    let forwarded = format!("{}:{}", host.ip(), at.port());
    assert_eq!(rules().matches(&forwarded).count(), 2, "{}", rules());
    seed.process().stop();
    let back = wait::until(READY, || (!rules().contains(&forwarded)).then_some(()));
    assert!(
        back.is_some(),
        "the ports stay:\n{}\n{}",
        rules(),
        gateway.last_words()
    );
}

fn start_gateway(lab: &Lab, host: &Host) -> Process {
    for line in [
        "ip link add ext0 type veth peer name ext1",
        "ip addr add 11.0.0.1/24 dev ext0",
        "ip link set ext0 up",
        "ip link set ext1 up",
    ] {
        must(&line.split(' ').collect::<Vec<_>>());
    }
    let dir = lab.folder("gateway");
    let (table, config) = (dir.join("table.nft"), dir.join("gateway.conf"));
    fs::write(&table, TABLE).expect("a table");
    must(&["nft", "-f", &table.display().to_string()]);
    let text = format!(
        "ext_ifname=ext0\nlistening_ip={}\nenable_natpmp=yes\nenable_upnp=no\nsecure_mode=yes\n\
         upnp_table_name=gate\nupnp_nat_table_name=gate\nupnp_forward_chain=ports\nupnp_nat_chain=in\n\
         upnp_nat_postrouting_chain=out\nuuid=00000000-0000-0000-0000-000000000000\nallow 1024-65535 0.0.0.0/0 1024-65535\n",
        host.cable()
    );
    fs::write(&config, text).expect("a configuration");
    let mut command = Command::new("miniupnpd");
    command
        .arg("-d")
        .arg("-f")
        .arg(&config)
        .arg("-P")
        .arg(dir.join("pid"));
    let process = Process::start(command, &dir, "gateway");
    let listens = wait::until(READY, || {
        process
            .errors()
            .contains("traffic on port 5351")
            .then_some(())
    });
    assert!(listens.is_some(), "no gateway\n{}", process.last_words());
    process
}

/// The ports that are forwarded now.
fn rules() -> String {
    let output = Command::new("nft")
        .args(["-n", "list", "chain", "inet", "gate", "in"])
        .output();
    String::from_utf8_lossy(&output.expect("nft runs").stdout).into_owned()
}
