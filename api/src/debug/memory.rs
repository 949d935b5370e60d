//! What the process has in memory: what the system says of it, by kind, and what the engine counts.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::routing::get;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::look;
use crate::describe::About;
use crate::describe::shapes::{count, list, map, number, object, text};
use crate::problem::{Problem, json_response};
use crate::routes::{Served, route};
use crate::shared::Shared;

/// Files that are told one by one.
const FILES: usize = 1000;

pub(super) fn routes() -> Vec<Served> {
    let kind = object(&[
        ("mappings", count()),
        ("size", count()),
        ("rss", count()),
        ("pss", count()),
        ("private_dirty", count()),
        ("swap", count()),
    ]);
    let file = object(&[("path", text()), ("size", count()), ("rss", count())]);
    let dump = object(&[
        ("time", number()),
        ("process", map(count())),
        ("kinds", map(kind)),
        ("files", list(file)),
        ("engine", map(json!({}))),
    ]);
    let about = About::new("What the process has in memory, as a file of JSON: bytes")
        .answers(dump)
        .refuses(&[500]);
    vec![route("GET", "/debug/memory/dump", get(dumped), about)]
}

/// Bytes of mappings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Held {
    mappings: u64,
    size: u64,
    rss: u64,
    pss: u64,
    private_dirty: u64,
    swap: u64,
}

/// What is mapped, by kind, and by file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Mapped {
    kinds: BTreeMap<&'static str, Held>,
    files: BTreeMap<String, Held>,
}

async fn dumped(State(shared): State<Shared>) -> Result<Response<Body>, Problem> {
    let mapped = look(|| Mapped::read(BufReader::new(File::open("/proc/self/smaps")?))).await?;
    let process = look(|| fs::read_to_string("/proc/self/status")).await?;
    let metrics = shared.engine().metrics().await?;
    let metrics = metrics.iter();
    let engine = metrics.map(|it| (it.about.name.to_owned(), it.value.into()));
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let dump = json!({
        "time": since.unwrap_or_default().as_secs_f64(),
        "process": of_process(&process),
        "kinds": mapped.kinds,
        "files": mapped.largest_files(),
        "engine": engine.collect::<Map<String, Value>>(),
    });
    let mut response = json_response(StatusCode::OK, &dump);
    let name = HeaderValue::from_static("attachment; filename=\"tribler_memory_dump.json\"");
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_DISPOSITION, name);
    Ok(response)
}

/// What the system says of the whole process: lengths in bytes, and counts.
fn of_process(status: &str) -> Map<String, Value> {
    let fields = status.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        let wanted = name.starts_with("Vm") || name.starts_with("Rss") || name == "Threads";
        let value = wanted.then(|| bytes(value))??;
        Some((name.to_owned(), value.into()))
    });
    fields.collect()
}

/// A length with its unit, or a count.
fn bytes(value: &str) -> Option<u64> {
    let mut words = value.split_whitespace();
    let number: u64 = words.next()?.parse().ok()?;
    match words.next() {
        Some("kB") => number.checked_mul(1024),
        Some(_) => None,
        None => Some(number),
    }
}

impl Mapped {
    /// Reads the list of all mappings, each with its lengths.
    fn read(list: impl io::BufRead) -> io::Result<Self> {
        let mut mapped = Self::default();
        let mut now: Option<(&'static str, Option<String>)> = None;
        for line in list.lines() {
            let line = line?;
            if let Some(mapping) = mapping(&line) {
                let (kind, file) = mapping;
                mapped.kinds.entry(kind).or_default().mappings += 1;
                if let Some(file) = &file {
                    mapped.files.entry(file.clone()).or_default().mappings += 1;
                }
                now = Some((kind, file));
                continue;
            }
            let Some(((kind, file), (name, value))) = now.as_ref().zip(line.split_once(':')) else {
                continue;
            };
            let Some(value) = bytes(value) else {
                continue;
            };
            if let Some(of_kind) = mapped.kinds.get_mut(kind) {
                of_kind.add(name, value);
            }
            if let Some(of_file) = file.as_ref().and_then(|file| mapped.files.get_mut(file)) {
                of_file.add(name, value);
            }
        }
        Ok(mapped)
    }

    /// The files that have the most in memory.
    fn largest_files(&self) -> Vec<Value> {
        let mut files: Vec<_> = self.files.iter().collect();
        files.sort_by_key(|(_, held)| std::cmp::Reverse(held.rss));
        let files = files.into_iter().take(FILES);
        let files =
            files.map(|(path, held)| json!({"path": path, "size": held.size, "rss": held.rss}));
        files.collect()
    }
}

impl Held {
    fn add(&mut self, name: &str, bytes: u64) {
        let sum = match name {
            "Size" => &mut self.size,
            "Rss" => &mut self.rss,
            "Pss" => &mut self.pss,
            "Private_Dirty" => &mut self.private_dirty,
            "Swap" => &mut self.swap,
            _ => return,
        };
        *sum = sum.saturating_add(bytes);
    }
}

/// The line that a mapping begins with: its kind, and its file.
fn mapping(line: &str) -> Option<(&'static str, Option<String>)> {
    let mut words = line.splitn(6, ' ');
    let (first, last) = words.next()?.split_once('-')?;
    let is_hex = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_hexdigit());
    if !is_hex(first) || !is_hex(last) {
        return None;
    }
    let rights = words.next()?;
    let path = words.nth(3).unwrap_or_default().trim();
    let file = || Some(path.to_owned());
    Some(match path {
        "" => ("anonymous", None),
        "[heap]" => ("heap", None),
        "[stack]" => ("stack", None),
        // Names that a program gives to memory of its own.
        _ if path.starts_with("[anon") => ("anonymous", None),
        _ if path.starts_with('[') => ("system", None),
        _ if rights.contains('x') => ("code", file()),
        _ => ("file", file()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scene;

    const SMAPS: &str = "\
5581a000-5581c000 r-xp 00001000 08:01 42                                 /usr/bin/x y
Size:                  8 kB
Rss:                   4 kB
Pss:                   2 kB
VmFlags: rd ex mr mw me
5581d000-5582c000 rw-p 00000000 00:00 0                                  [heap]
Size:                 60 kB
Rss:                  20 kB
Private_Dirty:        20 kB
Swap:                  8 kB
7f00-7f10 rw-p 00000000 00:00 0\x20
Size:                  4 kB
Rss:                   4 kB
7f20-7f30 r--s 00000000 08:01 43                                         /data/film.avi
Size:                100 kB
Rss:                  50 kB
nonsense
";

    #[test]
    fn mappings_are_added_up_by_kind_and_by_file() {
        let mapped = Mapped::read(SMAPS.as_bytes()).unwrap();
        let held = |mappings, size: u64, rss: u64| Held {
            mappings,
            size: size * 1024,
            rss: rss * 1024,
            ..Held::default()
        };
        let heap = Held {
            private_dirty: 20 << 10,
            swap: 8 << 10,
            ..held(1, 60, 20)
        };
        let code = Held {
            pss: 2 << 10,
            ..held(1, 8, 4)
        };
        let kinds = [
            ("anonymous", held(1, 4, 4)),
            ("code", code),
            ("file", held(1, 100, 50)),
            ("heap", heap),
        ];
        assert_eq!(mapped.kinds, BTreeMap::from(kinds));
        let due = [
            json!({"path": "/data/film.avi", "size": 100 << 10, "rss": 50 << 10}),
            json!({"path": "/usr/bin/x y", "size": 8 << 10, "rss": 4 << 10}),
        ];
        assert_eq!(mapped.largest_files(), due);
        let process = of_process("Name:\tx\nVmRSS:\t  7 kB\nThreads:\t3\nVmBad: x kB\n");
        assert_eq!(Value::Object(process), json!({"VmRSS": 7168, "Threads": 3}));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_dump_is_a_file_with_what_this_very_process_has() {
        let scene = Scene::start().await;
        let reply = scene.ask("GET", "/debug/memory/dump", b"").await;
        let name = reply.header("content-disposition");
        assert_eq!(
            (reply.status, name),
            (
                200,
                Some("attachment; filename=\"tribler_memory_dump.json\"")
            )
        );
        let dump = &reply.json;
        let rss = dump["process"]["VmRSS"].as_u64().unwrap();
        let kinds = dump["kinds"].as_object().unwrap();
        let sum: u64 = kinds
            .values()
            .map(|kind| kind["rss"].as_u64().unwrap())
            .sum();
        // They are read one after the other, and pages of the kernel's own are counted in one of them only.
        assert!(
            rss > 1 << 20 && sum > rss / 2 && sum < rss * 2,
            "{rss} {sum}"
        );
        let own = std::env::current_exe().unwrap().display().to_string();
        let files = dump["files"].as_array().unwrap();
        assert!(files.iter().any(|file| file["path"] == own), "{files:?}");
        assert!(dump["engine"]["ses.num_torrents"].is_u64());
    }
}
