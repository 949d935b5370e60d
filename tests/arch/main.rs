//! The house as `cargo metadata` sees it: which room may use which, and which rooms stay free of a runtime.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Every room with the rooms it may use; `docs/ARCHITECTURE.md` has the same table with reasons.
///
/// `None`: may use everything.
const ARROWS: &[(&str, Option<&[&str]>)] = &[
    ("protocol", Some(&[])),
    ("actors", Some(&[])),
    ("hash", Some(&[])),
    ("aead", Some(&[])),
    ("net", Some(&["protocol"])),
    ("storage", Some(&["protocol", "hash"])),
    ("state", Some(&["protocol"])),
    ("dht", Some(&["protocol", "net", "actors"])),
    ("overlay", Some(&["net", "actors"])),
    (
        "tunnels",
        Some(&["protocol", "aead", "net", "overlay", "actors"]),
    ),
    (
        "engine",
        Some(&["protocol", "net", "storage", "state", "dht", "actors"]),
    ),
    ("tracker", Some(&["protocol", "actors"])),
    ("control", Some(&["protocol"])),
    ("habits", Some(&["protocol", "control"])),
    ("api", Some(&["protocol", "engine", "control"])),
    ("bin", None),
    ("benches", None),
    ("tests", None),
    ("targets", None),
];

/// Crates that a room must not reach, not even through others.
const BANNED: &[(&str, &[&str])] = &[
    (
        "protocol",
        &["tokio", "actix", "actix-rt", "mio", "socket2"],
    ),
    ("hash", &["tokio", "actix", "actix-rt", "mio", "socket2"]),
    ("aead", &["tokio", "actix", "actix-rt", "mio", "socket2"]),
    ("storage", &["tokio", "actix", "actix-rt", "mio", "socket2"]),
    ("state", &["tokio", "actix", "actix-rt", "mio", "socket2"]),
    ("control", &["tokio", "actix", "actix-rt", "mio", "socket2"]),
    ("habits", &["tokio", "actix", "actix-rt", "mio", "socket2"]),
    ("net", &["actix", "actix-rt"]),
];

/// The rooms that may contain `unsafe`; all others inherit the workspace's `forbid`.
const UNSAFE_ROOMS: &[&str] = &["hash", "aead", "storage"];

#[test]
fn every_room_uses_only_the_rooms_it_may() {
    let house = House::read();
    for (room, uses) in house.arrows() {
        let allowed = ARROWS
            .iter()
            .find(|(name, _)| *name == room)
            .unwrap_or_else(|| panic!("room `{room}` is not in the table of allowed arrows"))
            .1;
        for used in uses {
            assert!(
                allowed.is_none_or(|list| list.contains(&used.as_str())),
                "`{room}` uses `{used}`, an arrow that the house does not have"
            );
        }
    }
}

#[test]
fn every_row_of_the_table_is_a_room() {
    let rooms: BTreeSet<String> = House::read().arrows().into_keys().collect();
    for (room, _) in ARROWS {
        assert!(
            rooms.contains(*room),
            "`{room}` is in the table but not in the workspace"
        );
    }
}

#[test]
fn the_pure_rooms_reach_no_runtime_and_no_socket() {
    let house = House::read();
    for (room, banned) in BANNED {
        let reached = house.reached_from(room);
        for name in *banned {
            assert!(
                !reached.contains(*name),
                "`{room}` reaches the crate `{name}`"
            );
        }
    }
}

#[test]
fn unsafe_is_forbidden_outside_its_rooms() {
    for (room, manifest) in House::read().manifests() {
        let text = std::fs::read_to_string(&manifest).expect("readable manifest");
        let inherits = text.contains("[lints]\nworkspace = true");
        assert_eq!(
            inherits,
            !UNSAFE_ROOMS.contains(&room.as_str()),
            "`{room}`: rooms inherit the workspace's lints, except {UNSAFE_ROOMS:?}, which carry their own"
        );
    }
}

/// The resolved package graph, normal and build dependencies only.
struct House {
    /// Package id to its name.
    names: BTreeMap<String, String>,
    /// Package id to the ids it depends on.
    edges: BTreeMap<String, Vec<String>>,
    /// Name of a crate's folder to (package id, manifest path).
    rooms: BTreeMap<String, (String, String)>,
}

impl House {
    fn read() -> Self {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let output = Command::new(cargo)
            .args([
                "metadata",
                "--format-version",
                "1",
                "--locked",
                "--all-features",
            ])
            .current_dir(&root)
            .output()
            .expect("cargo runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let metadata: Value =
            serde_json::from_slice(&output.stdout).expect("JSON of cargo metadata");
        let members: BTreeSet<&str> = list(&metadata["workspace_members"]).map(text).collect();
        let mut house = Self {
            names: BTreeMap::new(),
            edges: BTreeMap::new(),
            rooms: BTreeMap::new(),
        };
        for package in list(&metadata["packages"]) {
            let id = text(&package["id"]);
            house
                .names
                .insert(id.to_owned(), text(&package["name"]).to_owned());
            if members.contains(id) {
                let manifest = text(&package["manifest_path"]);
                let folder = Path::new(manifest)
                    .parent()
                    .and_then(Path::file_name)
                    .expect("a folder");
                let room = folder.to_string_lossy().into_owned();
                house
                    .rooms
                    .insert(room, (id.to_owned(), manifest.to_owned()));
            }
        }
        for node in list(&metadata["resolve"]["nodes"]) {
            let used = list(&node["deps"])
                .filter(|dep| list(&dep["dep_kinds"]).any(|kind| kind["kind"] != "dev"))
                .map(|dep| text(&dep["pkg"]).to_owned());
            house
                .edges
                .insert(text(&node["id"]).to_owned(), used.collect());
        }
        house
    }

    /// Each room with the rooms it uses directly.
    fn arrows(&self) -> BTreeMap<String, Vec<String>> {
        let by_id: BTreeMap<&String, &String> = self
            .rooms
            .iter()
            .map(|(room, (id, _))| (id, room))
            .collect();
        let uses = |id| {
            self.edges[id]
                .iter()
                .filter_map(|used| by_id.get(used))
                .map(|room| (*room).clone())
        };
        self.rooms
            .iter()
            .map(|(room, (id, _))| (room.clone(), uses(id).collect()))
            .collect()
    }

    /// Names of all packages that `room` depends on, directly or not.
    fn reached_from(&self, room: &str) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut todo = vec![&self.rooms[room].0];
        while let Some(id) = todo.pop() {
            if seen.insert(id) {
                todo.extend(&self.edges[id]);
            }
        }
        seen.into_iter().map(|id| self.names[id].clone()).collect()
    }

    fn manifests(&self) -> BTreeMap<String, String> {
        self.rooms
            .iter()
            .map(|(room, (_, manifest))| (room.clone(), manifest.clone()))
            .collect()
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}
