//! What `testnet` tells, people and programs.

use std::fmt::Write as _;

use serde::Serialize;

use super::Net;
use super::child::Child;
use crate::failure::Failure;
use crate::screen::Style;

/// Where the seed of the example listens.
const SEED: &str = "127.0.0.1:6881";

/// Most hops of circuits.
const MOST_HOPS: usize = 3;

/// One line. Later versions may add fields and events.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Line<'a> {
    /// What is started, and the most hops of circuits that it gives: to seeds that listen, and to hidden ones.
    Starting {
        nodes: usize,
        relays: usize,
        exits: usize,
        hops: usize,
        hidden_hops: usize,
    },
    /// All run, and so many of them know enough others.
    Meeting { met: usize, of: usize },
    /// A node runs.
    Node {
        kind: &'a str,
        pid: u32,
        addr: &'a str,
        public_key: &'a str,
    },
    /// All run and know each other. `flags` are those of `download` and `seed` that join them.
    Ready {
        nodes: usize,
        relays: usize,
        exits: usize,
        bootstrap: &'a str,
        community: &'a str,
        flags: &'a [String],
    },
    /// A node has ended by itself, or was killed.
    Ended {
        kind: &'a str,
        pid: u32,
        status: String,
    },
    /// A signal asked for the end.
    Stopping,
}

impl Net {
    pub(super) fn tell_started(&self, child: &Child) -> Result<(), Failure> {
        if self.screen.style() != Style::Json || child.addr.is_empty() {
            return Ok(());
        }
        self.screen.json(&Line::Node {
            kind: child.kind.word(),
            pid: child.pid,
            addr: &child.addr,
            public_key: &child.public_key,
        })
    }

    /// Tells what there will be, and what that is good for.
    pub(super) fn tell_starting(&self, (relays, exits): (usize, usize)) -> Result<(), Failure> {
        let (hops, hidden_hops) = most_hops(relays + exits);
        let nodes = relays + exits + 1;
        if self.screen.style() == Style::Json {
            return self.screen.json(&Line::Starting {
                nodes,
                relays,
                exits,
                hops,
                hidden_hops,
            });
        }
        let mut text = format!(
            "starting {nodes} processes: a bootstrap server, {}, {}; circuits can have {}",
            counted(relays, "relay"),
            counted(exits, "exit"),
            up_to(hops),
        );
        let _ = match hidden_hops {
            0 => write!(text, ", and none can lead to a hidden seed"),
            same if same == hops => Ok(()),
            fewer => write!(text, ", to hidden seeds {}", up_to(fewer)),
        };
        if hidden_hops < MOST_HOPS {
            let _ = write!(text, " (testnet {} has all)", MOST_HOPS + 2);
        }
        self.screen.say(text)
    }

    pub(super) fn tell_meeting(&self, met: usize, of: usize) -> Result<(), Failure> {
        match self.screen.style() {
            Style::Json => self.screen.json(&Line::Meeting { met, of }),
            Style::Bars | Style::Lines => self.screen.say(format_args!(
                "all run; {met} of {of} nodes know enough others"
            )),
        }
    }

    pub(super) fn tell_stopping(&self) -> Result<(), Failure> {
        match self.screen.style() {
            Style::Json => self.screen.json(&Line::Stopping),
            Style::Bars | Style::Lines => self.screen.say("stopping"),
        }
    }

    pub(super) fn tell_ready(
        &self,
        bootstrap: &str,
        (relays, exits): (usize, usize),
    ) -> Result<(), Failure> {
        let (hops, hidden_hops) = most_hops(relays + exits);
        let join = [
            "--overlay-bootstrap".to_owned(),
            bootstrap.to_owned(),
            "--overlay-community".to_owned(),
            self.community.clone(),
        ];
        let flags = [["--hops".to_owned(), hops.to_string()].as_slice(), &join].concat();
        let nodes = self.nodes.len() + 1;
        if self.screen.style() == Style::Json {
            return self.screen.json(&Line::Ready {
                nodes,
                relays,
                exits,
                bootstrap,
                community: &self.community,
                flags: &flags,
            });
        }
        let (flags, join) = (flags.join(" "), join.join(" "));
        let mut text = format!(
            "ready. To download through it (the exits reach this machine only, so have a seed on it):\n\n  \
             tribler-rs seed TORRENT --data DIR --hops 0 --listen {SEED} --no-dht --no-lsd --no-portmap\n  \
             tribler-rs download TORRENT --output OTHER_DIR --peer {SEED} {flags}\n"
        );
        if hidden_hops > 0 {
            let _ = write!(
                text,
                "\nor from a hidden seed, which nobody can find the address of:\n\n  \
                 tribler-rs seed TORRENT --data DIR --hops {hidden_hops} {join}\n  \
                 tribler-rs download TORRENT --output OTHER_DIR --hops {hidden_hops} {join}\n"
            );
        }
        self.screen
            .say(format_args!("{text}\nCtrl-C ends the network"))
    }
}

/// The most hops of circuits where so many nodes relay, no two of a circuit the same: of those that end at an exit, and of those to
/// hidden seeds, to whom one of the nodes introduces.
pub(super) fn most_hops(nodes: usize) -> (usize, usize) {
    (nodes.min(MOST_HOPS), nodes.saturating_sub(1).min(MOST_HOPS))
}

fn up_to(hops: usize) -> String {
    match hops {
        1 => "1 hop".to_owned(),
        most => format!("up to {most} hops"),
    }
}

fn counted(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_for_users_has_a_row_for_each_event_with_each_field_and_no_other() {
        let events = crate::json::page::agrees("`testnet`", include_str!("lines.rs"), "enum Line");
        assert_eq!(events[0].0, "starting");
    }
}
