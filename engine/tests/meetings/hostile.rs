//! Peers that would have others send packets to whom they like.

use std::net::SocketAddr;
use std::time::Duration;

use net::sim::{HostOptions, Sim};
use protocol::peer::HolepunchMessage;
use protocol::peer::holepunch::Refusal;

use crate::common::Payload;
use crate::common::sim::simulate;
use crate::scene::{Node, Part, Player, RELAY, reached};

const VICTIM: &str = "8.8.8.8";

const MOMENT: Duration = Duration::from_secs(5);

fn payload() -> Payload {
    Payload::new(1, 100_000, 16 * 1024)
}

fn victim(port: u16) -> SocketAddr {
    SocketAddr::new(VICTIM.parse().expect("an address"), port)
}

/// A world with a victim in it, and an engine at [`RELAY`].
async fn world(seed: u64, payload: &Payload) -> (Sim, Node) {
    let sim = Sim::new(seed);
    sim.record(1_000_000);
    let host = sim.host(HostOptions::at(victim(1).ip()));
    std::mem::forget(host);
    let node = Node::start(&sim, Part::public(RELAY.ip()), payload, Vec::new()).await;
    (sim, node)
}

#[test]
fn a_relay_sends_nobody_to_an_address_that_is_no_peer_of_its_own() {
    simulate(async {
        let payload = payload();
        let (sim, _node) = world(1, &payload).await;
        let mut asker = Player::join(&sim, "9.9.9.1", &payload).await;
        let mut other = Player::join(&sim, "9.9.9.2", &payload).await;
        let wishes = [
            (victim(53), Refusal::NotConnected),
            (
                "127.0.0.1:22".parse().expect("an address"),
                Refusal::NotConnected,
            ),
            (
                "0.0.0.0:1".parse().expect("an address"),
                Refusal::NoSuchPeer,
            ),
            (victim(0), Refusal::NoSuchPeer),
            (asker.addr, Refusal::NoSelf),
        ];
        for (wanted, _) in wishes {
            asker.say(HolepunchMessage::Rendezvous(wanted)).await;
        }
        let (heard, open) = asker.hears(MOMENT).await;
        let refusals = wishes.map(|(wanted, why)| HolepunchMessage::Error(wanted, why));
        assert_eq!((heard, open), (refusals.to_vec(), true));
        assert_eq!(other.hears(MOMENT).await, (Vec::new(), true));
        assert_eq!(reached(&sim, victim(1).ip()), 0);
        sim
    });
}

#[test]
fn a_meeting_names_each_by_where_it_is_connected_from() {
    simulate(async {
        let payload = payload();
        let (sim, _node) = world(2, &payload).await;
        let mut asker = Player::join(&sim, "9.9.9.1", &payload).await;
        let mut other = Player::join(&sim, "9.9.9.2", &payload).await;
        asker.say(HolepunchMessage::Rendezvous(other.addr)).await;
        let met = |addr| (vec![HolepunchMessage::Connect(addr)], true);
        assert_eq!(asker.hears(MOMENT).await, met(other.addr));
        assert_eq!(other.hears(MOMENT).await, met(asker.addr));
        sim
    });
}

#[test]
fn a_flood_of_wishes_costs_the_one_who_sends_it_the_connection_and_others_little() {
    simulate(async {
        let payload = payload();
        let (sim, _node) = world(3, &payload).await;
        let mut asker = Player::join(&sim, "9.9.9.1", &payload).await;
        let mut other = Player::join(&sim, "9.9.9.2", &payload).await;
        for _ in 0..1000 {
            asker.say(HolepunchMessage::Rendezvous(other.addr)).await;
        }
        let (heard, open) = asker.hears(MOMENT).await;
        assert!(!open && heard.len() <= 6, "{heard:?}, {open}");
        let (heard, open) = other.hears(MOMENT).await;
        assert!(open && (1..=6).contains(&heard.len()), "{heard:?}, {open}");
        sim
    });
}

#[test]
fn a_flood_of_invitations_has_us_send_a_few_packets_and_none_closer_to_home() {
    simulate(async {
        let payload = payload();
        let (sim, _node) = world(4, &payload).await;
        let before = sim.trace().count;
        let mut relay = Player::join(&sim, "9.9.9.1", &payload).await;
        for port in 1..=1000 {
            for ip in ["10.0.0.5", "127.0.0.1", "169.254.169.254", VICTIM] {
                let addr = SocketAddr::new(ip.parse().expect("an address"), port);
                relay.say(HolepunchMessage::Connect(addr)).await;
            }
        }
        let (heard, open) = relay.hears(Duration::from_secs(60)).await;
        assert_eq!((heard, open), (Vec::new(), false));
        let sent = reached(&sim, victim(1).ip());
        // Six addresses are taken, the closer ones among them, and a SYN goes out up to three times.
        assert!((1..=18).contains(&sent), "{sent} datagrams");
        for near in ["10.0.0.5", "127.0.0.1", "169.254.169.254"] {
            assert_eq!(
                reached(&sim, near.parse().expect("an address")),
                0,
                "{near}"
            );
        }
        assert!(sim.trace().count > before);
        sim
    });
}

#[test]
fn refusals_that_nobody_asked_for_change_nothing() {
    simulate(async {
        let payload = payload();
        let (sim, _node) = world(5, &payload).await;
        let mut relay = Player::join(&sim, "9.9.9.1", &payload).await;
        for port in 1..=1000 {
            let message = HolepunchMessage::Error(victim(port), Refusal::Other(port.into()));
            relay.say(message).await;
        }
        assert_eq!(relay.hears(MOMENT).await, (Vec::new(), true));
        assert_eq!(reached(&sim, victim(1).ip()), 0);
        sim
    });
}
