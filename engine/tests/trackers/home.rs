//! Whom a tracker can send us to, and whom it cannot.

use crate::tracker::Behaviour;
use crate::{Scene, ip, simulate, sleep};

/// The tracker's address, where it redirects to, the peers that it names, and what comes of it: how many peers.
type Case = (
    &'static str,
    Option<&'static str>,
    &'static [&'static str],
    Option<usize>,
);

const HOME_CASES: &[Case] = &[
    (
        "60.0.0.1",
        None,
        &[
            "70.0.0.1:1",
            "10.0.0.1:1",
            "127.0.0.1:1",
            "169.254.0.1:1",
            "224.0.0.1:1",
            "70.0.0.1:0",
        ],
        Some(1),
    ),
    (
        "10.0.0.9",
        None,
        &[
            "70.0.0.1:1",
            "10.0.0.1:1",
            "127.0.0.1:1",
            "169.254.0.1:1",
            "0.0.0.0:1",
        ],
        Some(2),
    ),
    (
        "60.0.0.1",
        Some("http://60.0.0.7/announce"),
        &["70.0.0.1:1"],
        Some(1),
    ),
    (
        "60.0.0.1",
        Some("http://10.0.0.7/announce"),
        &["70.0.0.1:1"],
        None,
    ),
    (
        "60.0.0.1",
        Some("http://home.example/announce"),
        &["70.0.0.1:1"],
        None,
    ),
    (
        "60.0.0.1",
        Some("http://50.0.0.1:81/announce"),
        &["70.0.0.1:1"],
        Some(1),
    ),
    ("60.0.0.1", Some("http://127.0.0.1:81/announce"), &[], None),
    (
        "60.0.0.1",
        Some("http://[::ffff:10.0.0.7]/announce"),
        &[],
        None,
    ),
    ("60.0.0.1", Some("ftp://60.0.0.7/announce"), &[], None),
    (
        "10.0.0.9",
        Some("http://10.0.0.7/announce"),
        &["10.0.0.1:1"],
        Some(1),
    ),
    ("10.0.0.9", Some("http://127.0.0.1:81/announce"), &[], None),
];

#[test]
fn nobody_is_sent_home_by_a_tracker() {
    for (at, redirect, peers, expected) in HOME_CASES {
        simulate(async {
            let mut scene = Scene::new(|_| {});
            scene.sim.name("home.example", vec![ip("10.0.0.7")]);
            let answer = Behaviour {
                peers: peers
                    .iter()
                    .map(|peer| peer.parse().expect("an address"))
                    .collect(),
                ..Behaviour::default()
            };
            // Whom the first tracker may send us on to: a global one, one at home, and one on our own host.
            let others = ["60.0.0.7", "10.0.0.7"].map(|at| scene.tracker(at, answer.clone()));
            let first = Behaviour {
                redirect: redirect.map(str::to_owned),
                ..answer.clone()
            };
            let _first = scene.tracker(at, first);
            scene.add(1, &[&format!("http://{at}/announce")]).await;
            let said = scene.said().await;
            match (expected, redirect) {
                // Our own global address is nobody's secret; nothing listens there.
                (Some(_), Some("http://50.0.0.1:81/announce")) => {
                    assert!(said.is_err_and(|reason| !reason.contains("policy")));
                }
                (Some(count), _) => assert_eq!(said, Ok(*count), "{at} {redirect:?}"),
                (None, _) => {
                    assert!(said.is_err(), "{at} {redirect:?}");
                    sleep(20).await;
                    assert!(
                        others.iter().all(|other| other.heard() == 0),
                        "{at} {redirect:?}"
                    );
                }
            }
        });
    }
}

#[test]
fn a_tracker_without_a_permitted_address_hears_nothing() {
    let cases = [
        ("http://mixed.example/announce", true),
        ("udp://mixed.example:80", true),
        ("http://home.example/announce", true),
        ("http://224.0.0.1/announce", false),
        ("udp://203.0.113.1:80", false),
        ("udp://0.0.0.0:80", false),
        ("http://127.0.0.1/admin", false),
        ("http://[::1]/", false),
        ("http://169.254.169.254/latest/meta-data", false),
    ];
    for (url, answers) in cases {
        simulate(async {
            let mut scene = Scene::new(|_| {});
            scene
                .sim
                .name("mixed.example", vec![ip("10.0.0.7"), ip("60.0.0.1")]);
            scene.sim.name("home.example", vec![ip("10.0.0.7")]);
            let public = scene.tracker("60.0.0.1", Behaviour::default());
            let home = scene.tracker("10.0.0.7", Behaviour::default());
            scene.add(1, &[url]).await;
            let said = scene.said().await;
            assert_eq!(said.is_ok(), answers, "{url}: {said:?}");
            if answers {
                assert_eq!(home.heard() > 0, url.contains("home"), "{url}");
            } else {
                assert!(said.is_err_and(|reason| reason.contains("policy")), "{url}");
                sleep(60).await;
                assert_eq!(public.heard() + home.heard(), 0, "{url}");
            }
        });
    }
}
