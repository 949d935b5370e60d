//! Whole transcripts of real nodes: each of ours is given what the original was given, with the same secrets, and must send
//! what the original sent, byte for byte.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use overlay::key::{PublicKey, SecretKey};
use overlay::wire::Address;
use serde_json::Value;

use crate::crypto::{Session, Shared, Side};
use crate::message::{Message, read_candidates};
use crate::node::{HEADROOM, Handled, Node, TAILROOM};
use crate::testing::{array, hex, list, number, vectors};
use crate::{CircuitId, Config, Dialect, Flags, Head, Hop, LIBRARY, Purpose};

struct Cast {
    now: Instant,
    nodes: BTreeMap<String, Node>,
    names: BTreeMap<SocketAddr, String>,
    /// What each node has sent and the transcript has not come to yet.
    sent: BTreeMap<String, VecDeque<(SocketAddr, Vec<u8>)>>,
    exits: VecDeque<(String, CircuitId, Address, Vec<u8>)>,
    data: VecDeque<(String, Address, Vec<u8>)>,
    pinged: bool,
}

fn addr(value: &Value) -> SocketAddr {
    value.as_str().unwrap().parse().unwrap()
}

fn name(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

impl Cast {
    fn of(transcript: &Value) -> Self {
        let now = Instant::now();
        let (mut nodes, mut names) = (BTreeMap::new(), BTreeMap::new());
        for case in list(&transcript["nodes"]) {
            let mut config = Config::new(Dialect::Classic, LIBRARY);
            let flags = list(&case["peer_flags"]).iter().map(number).sum::<u64>();
            config.flags = Flags(flags as u16);
            config.exit_to_local = true;
            let key = SecretKey::from_bytes(&hex(&case["private_bin"])).unwrap();
            let mut node = Node::new(now, config, key, [1; 32]);
            node.set_addr(addr(&case["address"]));
            names.insert(addr(&case["address"]), name(&case["name"]));
            nodes.insert(name(&case["name"]), node);
        }
        let sent = nodes.keys().map(|name| (name.clone(), VecDeque::new()));
        let sent = sent.collect();
        Self {
            now,
            nodes,
            names,
            sent,
            exits: VecDeque::new(),
            data: VecDeque::new(),
            pinged: false,
        }
    }

    fn give(&mut self, from: SocketAddr, to: &str, payload: &[u8]) {
        let node = self.nodes.get_mut(to).unwrap();
        let mut buffer = vec![0; HEADROOM];
        buffer.extend_from_slice(payload);
        buffer.resize(buffer.len() + TAILROOM, 0);
        let at = HEADROOM..HEADROOM + payload.len();
        let handled = node.handle_datagram(self.now, from, &mut buffer, at);
        match handled {
            Handled::Forward { to: next, at } => {
                self.sent
                    .get_mut(to)
                    .unwrap()
                    .push_back((next, buffer[at].to_vec()));
            }
            Handled::Exit {
                circuit,
                to: target,
                at,
            } => {
                self.exits
                    .push_back((to.to_owned(), circuit, target, buffer[at].to_vec()));
            }
            Handled::Data { from, at, .. } => {
                self.data
                    .push_back((to.to_owned(), from, buffer[at].to_vec()));
            }
            Handled::Done => {}
            Handled::Refused(why) => panic!("{to} refuses what {from} sent: {why}"),
        }
        self.drain(to);
    }

    fn drain(&mut self, at: &str) {
        while let Some(transmit) = self.nodes.get_mut(at).unwrap().poll_transmit() {
            self.sent
                .get_mut(at)
                .unwrap()
                .push_back((transmit.to, transmit.payload));
        }
    }

    /// Lets the originator say what the original said of its own accord.
    fn originate(&mut self, id: CircuitId, event: &Value) {
        let bytes = hex(&event["message_before"]);
        let originator = self.nodes.get_mut("originator").unwrap();
        match Message::read(Dialect::Classic, &bytes).unwrap() {
            Message::Data { to, data, .. } => {
                let mut out = Vec::new();
                let first = originator.send_data(id, to, data, &mut out).unwrap();
                self.sent
                    .get_mut("originator")
                    .unwrap()
                    .push_back((first, out));
            }
            Message::Ping(number) if !self.pinged => {
                self.pinged = true;
                originator.entropy.script.identifiers.push_back(number);
                self.now += Duration::from_secs(8);
                originator.handle_timeout(self.now);
                self.drain("originator");
            }
            _ => {}
        }
    }

    /// Compares what leaves an exit, or brings something back.
    fn exit(&mut self, event: &Value) {
        if event["event"] == "exit_udp_out" {
            let (node, _, to, data) = self.exits.front().unwrap();
            assert_eq!(*node, name(&event["node"]));
            assert_eq!(to.to_string(), event["dst"].as_str().unwrap());
            assert_eq!(*data, hex(&event["data"]));
            return;
        }
        let (node, circuit, ..) = self.exits.pop_front().unwrap();
        let exit = self.nodes.get_mut(&node).unwrap();
        let mut out = Vec::new();
        let data = hex(&event["data"]);
        let to = exit.send_back(self.now, circuit, addr(&event["src"]), &data, &mut out);
        self.sent
            .get_mut(&node)
            .unwrap()
            .push_back((to.unwrap(), out));
    }

    /// Sees to it that a node has sent just this, and delivers it.
    fn deliver(&mut self, event: &Value) {
        let from = name(&event["from"]);
        let (to, packet) = (addr(&event["dst"]), hex(&event["packet"]));
        let sent = self.sent.get_mut(&from).unwrap().pop_front();
        assert_eq!(
            sent,
            Some((to, packet.clone())),
            "{from}: {}",
            event["message"]
        );
        let to = self.names[&to].clone();
        self.give(addr(&event["src"]), &to, &packet);
    }
}

/// Hands each node its secrets in the order in which it used them, and the circuits that it named.
fn script(cast: &mut Cast, transcript: &Value) {
    let mut named = Vec::new();
    for event in list(&transcript["events"]) {
        match event["event"].as_str().unwrap() {
            "ephemeral_key" => {
                let script = &mut cast
                    .nodes
                    .get_mut(&name(&event["node"]))
                    .unwrap()
                    .entropy
                    .script;
                script.ephemerals.push_back(array(&event["secret"]));
            }
            "respond_dh" => {
                let script = &mut cast
                    .nodes
                    .get_mut(&name(&event["node"]))
                    .unwrap()
                    .entropy
                    .script;
                script
                    .ephemerals
                    .push_back(array(&event["ephemeral_secret"]));
            }
            "send" if event["message"] == "create" => {
                let circuit = number(&event["circuit_id"]) as u32;
                assert!(!named.contains(&circuit));
                named.push(circuit);
                let script = &mut cast
                    .nodes
                    .get_mut(&name(&event["from"]))
                    .unwrap()
                    .entropy
                    .script;
                script.circuits.push_back(circuit);
            }
            _ => {}
        }
    }
    for node in cast.nodes.values_mut() {
        node.entropy.script.first_counter = Some(2);
    }
}

/// The neighbours that each node named to whoever asked it, in order: what its own `created` has sealed.
fn neighbours(transcript: &Value) -> BTreeMap<String, Vec<PublicKey>> {
    let mut all = BTreeMap::new();
    let events = list(&transcript["events"]);
    for (at, event) in events.iter().enumerate() {
        if event["event"] != "respond_dh" {
            continue;
        }
        let shared = Shared::from_bytes(array(&event["shared_secret"]));
        let created = events[at..]
            .iter()
            .find(|next| next["event"] == "cell_out" && next["node"] == event["node"]);
        let bytes = hex(&created.unwrap()["message_before"]);
        let Ok(Message::Created(answer)) = Message::read(Dialect::Classic, &bytes) else {
            panic!("a created");
        };
        let mut session = Session::new(Dialect::Classic, &shared, Side::Originator, 2).unwrap();
        let names = session.open_list(answer.list).unwrap();
        let names = read_candidates(Dialect::Classic, &names).unwrap();
        let names = names.iter().map(|key| PublicKey::from_bytes(key).unwrap());
        all.insert(name(&event["node"]), names.collect());
    }
    all
}

fn replay_circuit(text: &str) {
    let transcript = vectors(text);
    let mut cast = Cast::of(&transcript);
    script(&mut cast, &transcript);
    let in_order = introduce(&mut cast, &transcript);
    let (key, addr) = of_name(&transcript, "exit");
    let exit = Hop { key, addr };
    let goal = number(&transcript["hops"]) as u8;
    let now = cast.now;
    let originator = cast.nodes.get_mut("originator").unwrap();
    let id = originator
        .create_circuit(now, Purpose::Data, goal, Some(exit))
        .unwrap();
    cast.drain("originator");
    for event in list(&transcript["events"]) {
        match event["event"].as_str().unwrap() {
            "send" if in_order || event["message"] != "created" => cast.deliver(event),
            "send" => deliver_created(&mut cast, event),
            "cell_out" if event["node"] == "originator" => cast.originate(id, event),
            "exit_udp_out" | "exit_udp_in" => cast.exit(event),
            "data_received" => {
                let (node, from, data) = cast.data.pop_front().unwrap();
                assert_eq!(node, name(&event["node"]));
                assert_eq!(from.to_string(), event["origin"].as_str().unwrap());
                assert_eq!(data, hex(&event["data"]));
            }
            "note" if event["text"].as_str().unwrap().contains("destroys") => {
                cast.nodes.get_mut("originator").unwrap().shut_down();
                cast.drain("originator");
            }
            _ => {}
        }
    }
    assert!(cast.pinged && cast.data.is_empty() && cast.exits.is_empty());
    assert!(
        cast.sent.values().all(VecDeque::is_empty),
        "{:?}",
        cast.sent
    );
    assert!(cast.nodes.values().all(|node| node.joined() == (0, 0)));
}

/// The key and the address of a node.
fn of_name(transcript: &Value, wanted: &str) -> (PublicKey, SocketAddr) {
    let nodes = list(&transcript["nodes"]);
    let node = nodes.iter().find(|node| node["name"] == wanted).unwrap();
    let key = PublicKey::from_bytes(&hex(&node["public_bin"])).unwrap();
    (key, addr(&node["address"]))
}

/// Lets each node know whom the original named, and the originator its first hop. Ours names its neighbours in the order of
/// their keys; says whether the original did so too.
fn introduce(cast: &mut Cast, transcript: &Value) -> bool {
    let mut in_order = true;
    for (node, named) in neighbours(transcript) {
        let mut sorted = named.clone();
        sorted.sort();
        in_order &= sorted == named;
        for key in named {
            let nodes = list(&transcript["nodes"]);
            let known = nodes
                .iter()
                .find(|node| hex(&node["public_bin"]) == key.as_bytes());
            let addr = addr(&known.unwrap()["address"]);
            cast.nodes
                .get_mut(&node)
                .unwrap()
                .set_candidate(key, addr, Flags::RELAY);
        }
    }
    let events = list(&transcript["events"]);
    let first = events
        .iter()
        .find(|event| event["event"] == "send")
        .unwrap();
    let first = cast.names[&addr(&first["dst"])].clone();
    if first != "exit" {
        let (key, addr) = of_name(transcript, &first);
        let originator = cast.nodes.get_mut("originator").unwrap();
        originator.set_candidate(key, addr, Flags::RELAY);
    }
    in_order
}

/// As [`Cast::deliver`] where the sealed list of neighbours has another order: all before it is compared, and what the original
/// sent is delivered.
fn deliver_created(cast: &mut Cast, event: &Value) {
    let from = name(&event["from"]);
    let (to, packet) = (addr(&event["dst"]), hex(&event["packet"]));
    let (sent_to, sent) = cast.sent.get_mut(&from).unwrap().pop_front().unwrap();
    let list_at = Head::len(Dialect::Classic) + 1 + 2 + 32 + 32;
    assert_eq!((sent_to, sent.len()), (to, packet.len()));
    assert_eq!(sent[..list_at], packet[..list_at]);
    let to = cast.names[&to].clone();
    cast.give(addr(&event["src"]), &to, &packet);
}

#[test]
fn a_circuit_of_one_hop_is_that_of_the_transcript() {
    replay_circuit(include_str!(
        "../../../tests/vectors/transcript_circuit_1hop.json"
    ));
}

#[test]
fn a_circuit_of_two_hops_is_that_of_the_transcript() {
    replay_circuit(include_str!(
        "../../../tests/vectors/transcript_circuit_2hop.json"
    ));
}

#[test]
fn a_circuit_of_three_hops_is_that_of_the_transcript() {
    replay_circuit(include_str!(
        "../../../tests/vectors/transcript_circuit_3hop.json"
    ));
}
