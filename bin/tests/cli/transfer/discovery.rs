//! Peers that find each other.

use super::{Running, Shared, downloading, same, seeding};
use crate::support::{run, text};

#[test]
fn two_that_know_nothing_of_each_other_meet_on_the_local_network() {
    let shared = Shared::named("met on the local network", "hybrid");
    let (data, output) = (shared.path("seed"), shared.path("out"));
    let states = ["seed", "out"].map(|name| shared.path(&format!("state-{name}")));
    let mut seeder = Running::start(&seeding(&shared.torrent, &data, &states[0]));
    seeder.wait_for("seeding");
    let torrent = text(&shared.torrent);
    let leecher = Running::start(&downloading(torrent, &output, &states[1]));
    assert_eq!(leecher.end(), 0);
    let name = "met on the local network/a.bin";
    assert!(same(&output.join(name), &data.join(name)));
}

#[test]
fn a_bare_hash_is_found_in_the_dht() {
    let shared = Shared::named("found in the DHT", "v1");
    let (data, output) = (shared.path("seed"), shared.path("out"));
    let (_seeder, listening) = shared.seed_in_dht();
    let node = listening["dht"].as_str().unwrap();
    let info = run(["info", text(&shared.torrent), "--json"]);
    let hash = info.json_lines().remove(0)["info_hash_v1"].clone();
    let state = shared.path("state-out");
    let mut fetch = downloading(hash.as_str().unwrap(), &output, &state);
    fetch.extend(["--no-lsd", "--dht-bootstrap", node]);
    let leecher = Running::start(&fetch);
    assert_eq!(leecher.end(), 0);
    let name = "found in the DHT/a.bin";
    assert!(same(&output.join(name), &data.join(name)));
    assert!(state.join("dht.table").exists(), "the table is kept");
}
