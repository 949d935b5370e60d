//! Figures of the part in the overlay.

use engine::metrics::{Exposition, Kind};

use super::Source;
use crate::report::{Circuit, Community, Report, Reporter};

/// Most hops of a circuit: one to a hidden peer has one more than those for torrents.
const MOST_HOPS: u8 = 4;

impl Source for Reporter {
    async fn write(&self, page: &mut Exposition) {
        write(&self.report(), page);
    }
}

/// A figure of a community: its name, its kind, what it is, and where it is found.
type Figure = (&'static str, Kind, &'static str, fn(&Community) -> u64);

/// What is told of each community.
const FIGURES: [Figure; 9] = [
    ("known_nodes", Kind::Gauge, "Nodes that are known.", |it| {
        it.known as u64
    }),
    (
        "known_relays",
        Kind::Gauge,
        "Nodes that are known to relay.",
        |it| it.known_relays as u64,
    ),
    (
        "known_exits",
        Kind::Gauge,
        "Nodes that are known to let traffic out.",
        |it| it.known_exits as u64,
    ),
    (
        "relayed_circuits",
        Kind::Gauge,
        "Circuits of others that are relayed.",
        |it| it.relays as u64,
    ),
    (
        "ended_circuits",
        Kind::Gauge,
        "Circuits of others that end here.",
        |it| it.ends as u64,
    ),
    (
        "joined_circuits",
        Kind::Counter,
        "Circuits of others that were joined.",
        |it| it.joined,
    ),
    (
        "relayed_cells",
        Kind::Counter,
        "Cells of others that were passed on.",
        |it| it.relayed_cells,
    ),
    (
        "carried_bytes",
        Kind::Counter,
        "Bytes of others that were passed on, sent out and sent back.",
        |it| it.carried,
    ),
    (
        "destroyed_circuits",
        Kind::Counter,
        "Circuits that a neighbour ended.",
        |it| it.destroyed,
    ),
];

fn write(report: &Report, page: &mut Exposition) {
    page.family("circuits", Kind::Gauge, "", "Circuits of our own.");
    for hops in 1..=MOST_HOPS {
        for state in ["building", "ready", "silent"] {
            let of = |it: &&Circuit| it.hops == hops && it.state == state;
            let number = report.circuits.iter().filter(of).count();
            let hops = hops.to_string();
            page.sample(&[("hops", &hops), ("state", state)], number);
        }
    }
    let help = "Whether nothing goes out by so many hops that are in use.";
    page.family("lane_blocked", Kind::Gauge, "", help);
    for lane in &report.hops {
        let blocked = u8::from(lane.state == "blocked");
        page.sample(&[("hops", &lane.hops.to_string())], blocked);
    }
    for (name, kind, help, of) in FIGURES {
        page.family(name, kind, "", help);
        for community in &report.communities {
            page.sample(&[("wire", &community.wire)], of(community));
        }
    }
    let help = "What was refused, by the reason.";
    page.family("refused", Kind::Counter, "", help);
    for community in &report.communities {
        for (why, times) in &community.refused {
            page.sample(&[("wire", &community.wire), ("reason", why)], times);
        }
    }
    let help = "Whether all was carried for others that may be: nothing more is.";
    page.family("max_bytes_reached", Kind::Gauge, "", help);
    page.sample(&[], u8::from(report.used_up));
    let help = "Datagrams of the overlay.";
    page.family("datagrams", Kind::Counter, "", help);
    for (way, count) in [("sent", report.sent), ("received", report.received)] {
        page.sample(&[("direction", way)], count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Lane;

    fn report() -> Report {
        Report {
            pid: 1,
            command: "exit".to_owned(),
            addr: "127.0.0.1:1".to_owned(),
            public_key: "ab".to_owned(),
            hops: vec![Lane {
                hops: 2,
                state: "blocked".to_owned(),
                reason: None,
                ready: 0,
                building: 1,
                exits: 0,
            }],
            circuits: Vec::new(),
            communities: vec![Community {
                wire: "today".to_owned(),
                known: 7,
                known_relays: 5,
                known_exits: 2,
                relays: 1,
                ends: 3,
                joined: 12,
                relayed_cells: 1000,
                carried: 5000,
                destroyed: 2,
                refused: [("a \"reason\"".to_owned(), 4)].into(),
            }],
            used_up: true,
            sent: 10,
            received: 20,
        }
    }

    #[test]
    fn figures_are_lines_with_a_name_labels_and_a_number() {
        let mut page = Exposition::new("tribler");
        write(&report(), &mut page);
        let text = page.finish();
        for line in [
            "# TYPE tribler_known_exits gauge",
            "tribler_known_exits{wire=\"today\"} 2",
            "tribler_relayed_cells_total{wire=\"today\"} 1000",
            "tribler_circuits{hops=\"2\",state=\"silent\"} 0",
            "tribler_lane_blocked{hops=\"2\"} 1",
            "tribler_refused_total{wire=\"today\",reason=\"a \\\"reason\\\"\"} 4",
            "tribler_datagrams_total{direction=\"received\"} 20",
            "tribler_max_bytes_reached 1",
        ] {
            assert!(text.lines().any(|of| of == line), "{line}\n{text}");
        }
        assert!(text.ends_with("\n# EOF\n"));
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(
                name.starts_with("tribler_") && value.parse::<u64>().is_ok(),
                "{line}"
            );
        }
    }
}
