//! `docs/libtorrent.md` says of each name of libtorrent's public surface where the same is here, or why it is not wanted. This
//! checks that no name is missing, that all paths are there and each has a test that names it, and keeps the figures.

#[path = "libtorrent/code.rs"]
mod code;
#[path = "libtorrent/tried.rs"]
mod tried;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use engine::{Metrics, Settings};

use code::Code;
use tried::Tests;

/// Headings of the page, and the lists of names that belong to them.
const SECTIONS: [(&str, &str); 8] = [
    (
        "Functions and types of the core",
        include_str!("libtorrent/functions.txt"),
    ),
    ("Types", include_str!("libtorrent/types.txt")),
    ("Alerts", include_str!("libtorrent/alerts.txt")),
    (
        "Methods of a torrent",
        include_str!("libtorrent/torrent_handle.txt"),
    ),
    (
        "Methods of a session",
        include_str!("libtorrent/session.txt"),
    ),
    ("Settings", include_str!("libtorrent/settings.txt")),
    (
        "Settings that libtorrent has given up",
        include_str!("libtorrent/deprecated_settings.txt"),
    ),
    ("Metrics", include_str!("libtorrent/metrics.txt")),
];

const FIGURES: &str = "<!-- figures -->\n";
const END: &str = "<!-- end of figures -->\n";

/// What takes a name's place.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// Paths, settings and figures that there have to be.
    Here(Vec<String>),
    /// Not wanted, for a reason.
    Never,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page() -> String {
    std::fs::read_to_string(root().join("docs/libtorrent.md")).expect("docs/libtorrent.md")
}

/// The rows under each heading: name and what is said of it.
fn rows(page: &str) -> BTreeMap<&str, Vec<(&str, &str)>> {
    let mut all: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    let mut heading = "";
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            heading = title;
        } else if let Some((name, ours)) = line
            .strip_prefix("| `")
            .and_then(|row| row.strip_suffix(" |"))
            .and_then(|row| row.split_once("` | "))
        {
            all.entry(heading).or_default().push((name, ours));
        }
    }
    all
}

fn place(ours: &str) -> Result<Place, &'static str> {
    if let Some(why) = ours.strip_prefix("not ours: ") {
        return if why.len() > 10 {
            Ok(Place::Never)
        } else {
            Err("there is no reason")
        };
    }
    let paths = ours.split('`').skip(1).step_by(2);
    let paths: Vec<String> = paths.map(str::to_owned).collect();
    if paths.is_empty() {
        return Err("it says neither where nor why not");
    }
    Ok(Place::Here(paths))
}

fn names(list: &str) -> Vec<(&str, Option<&str>)> {
    list.lines()
        .map(|line| match line.split_once('\t') {
            Some((name, tier)) => (name, Some(tier)),
            None => (line, None),
        })
        .collect()
}

#[test]
fn every_name_of_libtorrent_has_one_row() {
    let page = page();
    let rows = rows(&page);
    let mut wrong = Vec::new();
    for (heading, list) in SECTIONS {
        let said: Vec<&str> = rows
            .get(heading)
            .into_iter()
            .flatten()
            .map(|(name, _)| *name)
            .collect();
        let due: Vec<&str> = names(list).into_iter().map(|(name, _)| name).collect();
        if said != due {
            let missing = due.iter().filter(|name| !said.contains(name));
            wrong.push(format!(
                "{heading}: missing {:?}, or in another order",
                missing.collect::<Vec<_>>()
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(rows.len(), SECTIONS.len(), "no other tables");
}

#[test]
fn whatever_is_said_to_be_here_is() {
    let page = page();
    let mut code = Code::new(root());
    let mut wrong = Vec::new();
    for (heading, rows) in rows(&page) {
        for (name, ours) in rows {
            let paths = match place(ours) {
                Ok(Place::Here(paths)) => paths,
                Ok(Place::Never) => continue,
                Err(why) => {
                    wrong.push(format!("{heading}: {name}: {why}"));
                    continue;
                }
            };
            for path in paths {
                let mut figures = Metrics::ALL.iter().chain(Metrics::HISTOGRAMS);
                let figure = figures.any(|about| about.name == path);
                let there = figure || Settings::key(&path).is_some() || code.has(&path);
                if !there {
                    wrong.push(format!("{heading}: {name}: there is no {path}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn each_that_is_here_has_a_test_that_names_it() {
    let page = page();
    let tests = Tests::gather(&root());
    let mut wrong = Vec::new();
    for (heading, rows) in rows(&page) {
        for (name, ours) in rows {
            let Ok(Place::Here(paths)) = place(ours) else {
                continue;
            };
            let untried = paths.iter().filter(|path| !tests.name(path));
            wrong.extend(untried.map(|path| format!("{heading}: {name}: {path}")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_figures_of_the_page_are_those_of_its_tables() {
    let page = page();
    let rows = rows(&page);
    let mut table = String::from("| | here | not ours |\n|---|---|---|\n");
    let mut sums = [0; 2];
    for (heading, list) in SECTIONS {
        let mut groups: BTreeMap<Option<&str>, [usize; 2]> = BTreeMap::new();
        let said = rows.get(heading).map_or(&[][..], Vec::as_slice);
        for ((_, tier), (_, ours)) in names(list).into_iter().zip(said) {
            let at = match place(ours) {
                Ok(Place::Here(_)) => 0,
                Ok(Place::Never) | Err(_) => 1,
            };
            groups.entry(tier).or_default()[at] += 1;
            sums[at] += 1;
        }
        for (tier, [here, never]) in groups {
            let tier = tier.map(|tier| format!(", {tier}")).unwrap_or_default();
            let _ = writeln!(table, "| {heading}{tier} | {here} | {never} |");
        }
    }
    let [here, never] = sums;
    let _ = writeln!(table, "| all | {here} | {never} |");
    let (before, rest) = page.split_once(FIGURES).expect("a place for figures");
    let (kept, after) = rest.split_once(END).expect("an end of figures");
    if std::env::var_os("WRITE_DOCS").is_some() {
        let text = format!("{before}{FIGURES}{table}{END}{after}");
        std::fs::write(root().join("docs/libtorrent.md"), text).expect("written");
        return;
    }
    assert!(
        kept == table,
        "the figures are not current: run this test with WRITE_DOCS=1\n{table}"
    );
}
