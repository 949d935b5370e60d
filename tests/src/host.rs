//! A host beside the test's own: a network namespace on a cable, with the test as its router.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::process::Process;
use crate::sandbox::{must, succeeds};
use crate::wait;

/// A host at 10.98.N.2; the test is at 10.98.N.1, and the way to everywhere else leads through it. A second cable, where
/// there is one, has 100 more for N. Dropping it ends it.
#[derive(Debug)]
pub struct Host {
    number: u8,
    /// A process that does nothing but live there.
    holder: Child,
}

impl Host {
    /// Makes a host and plugs it in.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn new(number: u8) -> Self {
        let host = Self::alone(number);
        host.plug_in();
        must(&["sysctl", "-qw", "net.ipv4.ip_forward=1"]);
        host
    }

    /// Makes a host that nothing is plugged into.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn alone(number: u8) -> Self {
        let holder = Command::new("unshare")
            .args(["--net", "sleep", "infinity"])
            .stdin(Stdio::null())
            .spawn()
            .expect("unshare starts");
        let of = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        let pid = holder.id().to_string();
        let apart = wait::until(Duration::from_secs(10), || {
            (of(&pid).is_some() && of(&pid) != of("self")).then_some(())
        });
        assert!(apart.is_some(), "a namespace of its own");
        let host = Self { number, holder };
        host.must("ip link set lo up");
        host
    }

    /// Lays the cable `eth0`, again when it was [pulled out](Self::pull_out).
    ///
    /// # Panics
    /// When the system refuses.
    pub fn plug_in(&self) {
        self.lay(self.number, "eth0", 0);
    }

    /// Lays a second cable, `eth1`. The way to everywhere else leads through it while there is no other.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn plug_in_second(&self) {
        self.lay(self.number + 100, "eth1", 100);
    }

    fn lay(&self, number: u8, device: &str, metric: u32) {
        let (pid, cable) = (self.holder.id(), format!("cable{number}"));
        let (router, ours) = (format!("10.98.{number}.1"), format!("10.98.{number}.2"));
        for line in [
            format!("ip link add {cable} type veth peer name {device} netns {pid}"),
            // No chatter of IPv6 on the cable.
            format!("sysctl -qw net.ipv6.conf.{cable}.disable_ipv6=1"),
            format!("ip addr add {router}/24 dev {cable}"),
            format!("ip link set {cable} up"),
        ] {
            must(&line.split(' ').collect::<Vec<_>>());
        }
        self.must(&format!("sysctl -qw net.ipv6.conf.{device}.disable_ipv6=1"));
        self.must(&format!("ip addr add {ours}/24 dev {device}"));
        self.must(&format!("ip link set {device} up"));
        self.must(&format!(
            "ip route add default via {router} dev {device} metric {metric}"
        ));
    }

    /// Writes down every frame that passes one of its interfaces, from the moment this returns.
    ///
    /// # Panics
    /// When `tcpdump` does not start.
    pub fn capture(&self, device: &str, dir: &Path) -> Capture {
        let file = dir.join(format!("{device}.pcap"));
        let mut command = self.command(Path::new("tcpdump"));
        command
            .args(["-n", "-U", "-Z", "root", "-i", device, "-w"])
            .arg(&file);
        let process = Process::start(command, dir, "tcpdump");
        let listens = wait::until(Duration::from_secs(10), || {
            process.errors().contains("listening on").then_some(())
        });
        assert!(listens.is_some(), "no tcpdump\n{}", process.last_words());
        Capture { file, process }
    }

    /// Takes the cable away, with both its ends.
    ///
    /// # Panics
    /// When there is none.
    pub fn pull_out(&self) {
        must(&["ip", "link", "del", &self.cable()]);
    }

    /// The test's end of the cable.
    pub fn cable(&self) -> String {
        format!("cable{}", self.number)
    }

    /// The process that keeps its namespace.
    pub fn holder(&self) -> u32 {
        self.holder.id()
    }

    /// Its address.
    pub fn ip(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 98, self.number, 2)
    }

    /// The test's address on the cable.
    pub fn router(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 98, self.number, 1)
    }

    /// A command that runs there.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/proc/{}/ns/net", self.holder.id()))
            .arg(program);
        command
    }

    /// Runs a program there to its end.
    ///
    /// # Panics
    /// When it fails.
    pub fn must(&self, line: &str) {
        self.there(line, must);
    }

    /// Runs a program there to its end, and tells whether it succeeds.
    pub fn succeeds(&self, line: &str) -> bool {
        self.there(line, succeeds)
    }

    fn there<T>(&self, line: &str, run: impl Fn(&[&str]) -> T) -> T {
        let net = format!("--net=/proc/{}/ns/net", self.holder.id());
        let words: Vec<&str> = ["nsenter", &net]
            .into_iter()
            .chain(line.split(' '))
            .collect();
        run(&words)
    }

    /// Counts from now on what comes from it to other addresses than `allowed`, and what comes to that.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn watch(&self, allowed: Ipv4Addr) -> Watch {
        let table = format!("watch{}", self.number);
        let (cable, table_name) = (self.cable(), table.as_str());
        let nft = |rest: &str| {
            let line = format!("nft add {rest}");
            must(&line.split(' ').collect::<Vec<_>>());
        };
        nft(&format!("table ip {table_name}"));
        nft(&format!("counter ip {table_name} allowed"));
        nft(&format!("counter ip {table_name} leaked"));
        nft(&format!(
            "chain ip {table_name} in {{ type filter hook prerouting priority 0 ; }}"
        ));
        let rule = format!("rule ip {table_name} in iifname {cable} ip daddr");
        nft(&format!("{rule} {allowed} counter name allowed"));
        nft(&format!("{rule} != {allowed} counter name leaked"));
        Watch { table }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Two counters of packets.
#[derive(Debug)]
pub struct Watch {
    table: String,
}

impl Watch {
    /// Packets to the address that was allowed.
    pub fn allowed(&self) -> u64 {
        self.packets("allowed")
    }

    /// Packets to any other.
    pub fn leaked(&self) -> u64 {
        self.packets("leaked")
    }

    fn packets(&self, counter: &str) -> u64 {
        let output = Command::new("nft")
            .args(["list", "counter", "ip", &self.table, counter])
            .output()
            .expect("nft runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let count = text.split("packets ").nth(1);
        let count = count.and_then(|rest| rest.split(' ').next()?.parse().ok());
        count.unwrap_or_else(|| panic!("no counter in {text:?}"))
    }
}

/// A capture that runs.
#[derive(Debug)]
pub struct Capture {
    file: PathBuf,
    process: Process,
}

impl Capture {
    /// How many frames there are so far.
    ///
    /// # Panics
    /// When what was written is no capture.
    pub fn frames(&self) -> usize {
        self.all().len()
    }

    /// The frames so far, from their first byte on.
    ///
    /// # Panics
    /// When what was written is no capture.
    pub fn all(&self) -> Vec<Vec<u8>> {
        let bytes = std::fs::read(&self.file).expect("the capture");
        // A header of 24 bytes; before each frame 16, of which the third word is its length.
        let (mut rest, mut frames) = (bytes.get(24..).expect("a header"), Vec::new());
        while let Some((head, tail)) = rest.split_at_checked(16) {
            let len = u32::from_ne_bytes(head[8..12].try_into().expect("four bytes"));
            let Some((frame, tail)) = tail.split_at_checked(len as usize) else {
                break;
            };
            frames.push(frame.to_vec());
            rest = tail;
        }
        frames
    }

    /// How often these bytes are in what was captured so far.
    ///
    /// # Panics
    /// When there is no capture.
    pub fn count(&self, bytes: &[u8]) -> usize {
        let all = std::fs::read(&self.file).expect("the capture");
        all.windows(bytes.len())
            .filter(|window| *window == bytes)
            .count()
    }

    /// Ends it.
    pub fn stop(mut self) {
        self.process.stop();
    }
}
