//! Whole onions: each link of circuits of one to three hops, and of end-to-end circuits, against the vectors.

use serde_json::Value;

use crate::Dialect;
use crate::crypto::{Session, Shared, Side};
use crate::testing::{array, hex, list, vectors};

const VECTORS: &str = include_str!("../../../tests/vectors/tunnel_onion.json");

/// The sessions of one end of each hop.
fn sessions(hops: &Value, side: Side) -> Vec<Session> {
    let hops = list(hops).iter();
    hops.map(|hop| {
        let shared = Shared::from_bytes(array(&hop["shared_secret"]));
        Session::new(Dialect::Classic, &shared, side, 2).unwrap()
    })
    .collect()
}

/// What each step of a way has on the wire.
fn steps(way: &Value) -> Vec<Vec<u8>> {
    let steps = list(&way["steps"]).iter();
    steps.map(|step| hex(&step["message"])).collect()
}

fn seal_all(message: &[u8], sessions: &mut [Session]) -> Vec<u8> {
    let layers = sessions.iter_mut().rev();
    layers.fold(message.to_vec(), |message, hop| {
        hop.seal.seal_copy(&message).unwrap()
    })
}

fn open_all(message: &[u8], sessions: &mut [Session]) -> Vec<u8> {
    let layers = sessions.iter_mut();
    layers.fold(message.to_vec(), |message, hop| {
        hop.open.open_copy(&message).unwrap()
    })
}

#[test]
fn onions_of_one_to_three_layers_agree_with_the_vectors() {
    for circuit in list(&vectors(VECTORS)["circuits"]) {
        let mut ours = sessions(&circuit["hops"], Side::Originator);
        let mut theirs = sessions(&circuit["hops"], Side::Joined);
        let plain = hex(&circuit["forward"]["plain_message"]);
        let mut message = seal_all(&plain, &mut ours);
        for (step, hop) in steps(&circuit["forward"]).iter().zip(&mut theirs) {
            assert_eq!(message, *step);
            message = hop.open.open_copy(&message).unwrap();
        }
        assert_eq!(message, plain);
        let plain = hex(&circuit["backward"]["plain_message"]);
        let mut message = plain.clone();
        for (step, hop) in steps(&circuit["backward"])
            .iter()
            .zip(theirs.iter_mut().rev())
        {
            message = hop.seal.seal_copy(&message).unwrap();
            assert_eq!(message, *step);
        }
        assert_eq!(open_all(&message, &mut ours), plain);
    }
}

#[test]
fn end_to_end_onions_agree_with_the_vectors() {
    for link in list(&vectors(VECTORS)["e2e"]) {
        let keys = &link["hs_keys"];
        let both = |side| {
            let (kf, kb) = (array(&keys["kf"]), array(&keys["kb"]));
            Session::of_keys((kf, array(&keys["sf"])), (kb, array(&keys["sb"])), side, 2)
        };
        let mut downloader = sessions(&link["downloader_hops"], Side::Originator);
        let mut seeder = sessions(&link["seeder_hops"], Side::Originator);
        let mut ways = [
            (
                &link["downloader_to_seeder"],
                both(Side::Joined),
                both(Side::Originator),
            ),
            (
                &link["seeder_to_downloader"],
                both(Side::Originator),
                both(Side::Joined),
            ),
        ];
        for (at, (way, from, to)) in ways.iter_mut().enumerate() {
            let (mut near, mut far) = ("downloader_hops", "seeder_hops");
            let (mut sends, mut receives) = (&mut downloader, &mut seeder);
            if at == 1 {
                (near, far) = (far, near);
                (sends, receives) = (receives, sends);
            }
            let plain = hex(&way["plain_message"]);
            let steps = steps(way);
            let mut message = from.seal.seal_copy(&plain).unwrap();
            message = seal_all(&message, sends);
            let mut step = steps.iter();
            for hop in &mut sessions(&link[near], Side::Joined) {
                assert_eq!(Some(&message), step.next());
                message = hop.open.open_copy(&message).unwrap();
            }
            assert_eq!(
                Some(&message),
                step.next(),
                "what the rendezvous point sees"
            );
            for hop in sessions(&link[far], Side::Joined).iter_mut().rev() {
                message = hop.seal.seal_copy(&message).unwrap();
                assert_eq!(Some(&message), step.next());
            }
            let sealed = open_all(&message, receives);
            assert_eq!(to.open.open_copy(&sealed).unwrap(), plain);
        }
    }
}
