//! Answers as people read them.

use std::fmt::Write as _;
use std::time::Duration;

use control::{File, Peer, Resources, SeedingOf, Stats, Torrent, Tracker};
use serde_json::Value;

use crate::text::{printable, shorten};
use crate::units::{Size, Span};

/// Columns of a name where there is room.
const NAME: usize = 40;

/// Columns of a name on a narrow terminal.
const NARROW: usize = 8;

/// Columns of a line of the list beside the name.
const OTHERS: usize = 72;

/// Digits of an info-hash that tell torrents apart.
const HASH: usize = 10;

/// Where the text begins behind what a line is about.
pub(super) const BEHIND_NAME: usize = 11;

/// Where the text begins behind the digits of an info-hash.
pub(super) const BEHIND_HASH: usize = HASH + 1;

/// Where the paths of files begin.
pub(super) const PATH: usize = 35;

/// Where the addresses of trackers begin.
pub(super) const ADDRESS: usize = 22;

fn rate(bytes: u64) -> String {
    if bytes == 0 {
        return "-".to_owned();
    }
    format!("{}/s", Size(bytes))
}

fn percent(done: u64, of: u64) -> String {
    if of == 0 {
        return "-".to_owned();
    }
    // Only what is whole is 100 %.
    let part = (done as f64 / of as f64 * 1000.0).floor() / 10.0;
    format!("{part:.1}%")
}

fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

/// Torrents, a line each, under a line that says what is what where that is wanted. The names leave room for the rest where the
/// terminal has so many columns.
pub(super) fn list(torrents: &[Torrent], headed: bool, columns: Option<usize>) -> String {
    let wide = columns.map_or(NAME, |columns| {
        columns.saturating_sub(OTHERS).clamp(NARROW, NAME)
    });
    let mut text = String::new();
    if headed {
        let _ = writeln!(
            text,
            "{:<HASH$} {:<wide$} {:<11} {:>6} {:>8} {:>10} {:>10} {:>5} {:>4}",
            "info-hash", "name", "state", "done", "size", "down", "up", "peers", "hops"
        );
    }
    for torrent in torrents {
        let hash = torrent.info_hash.get(..HASH).unwrap_or(&torrent.info_hash);
        let done = match torrent.checked {
            Some(checked) => percent(checked, torrent.size),
            None => percent(torrent.done, torrent.wanted),
        };
        let _ = write!(
            text,
            "{hash:<HASH$} {:<wide$} {:<11} {:>6} {:>8} {:>10} {:>10} {:>5} {:>4}",
            shorten(&torrent.name, wide),
            torrent.state,
            done,
            Size(torrent.size).to_string(),
            rate(torrent.down),
            rate(torrent.up),
            torrent.peers,
            torrent.hops,
        );
        let why = [&torrent.error, &torrent.blocked, &torrent.reason];
        if let Some(why) = why.into_iter().flatten().next() {
            let _ = write!(text, "  {}", printable(why));
        }
        text.push('\n');
    }
    text
}

/// A torrent, a line for each thing that is known of it.
pub(super) fn torrent(torrent: &Torrent, more: &Value) -> String {
    let number = |name: &str| more.get(name).and_then(Value::as_u64);
    let mut lines = vec![
        ("name", printable(&torrent.name)),
        ("info-hash", torrent.info_hash.clone()),
    ];
    if let Some(v2) = &torrent.info_hash_v2 {
        lines.push(("v2", v2.clone()));
    }
    if let Some(category) = &torrent.category {
        lines.push(("category", printable(category)));
    }
    if !torrent.tags.is_empty() {
        lines.push(("tags", printable(&torrent.tags.join(", "))));
    }
    let word = |name: &str| more.get(name).and_then(Value::as_str);
    lines.extend(word("dir").map(|dir| ("folder", printable(dir))));
    if let Some(to) = &torrent.moving {
        let (done, of) = (number("moved"), number("to_move"));
        let far = match (done, of) {
            (Some(done), Some(of @ 1..)) => format!(", {} of {}", Size(done), Size(of)),
            _ => String::new(),
        };
        lines.push(("moves to", format!("{}{far}", printable(to))));
    }
    let looked_at = torrent.checked.map_or_else(String::new, |checked| {
        format!(", {} of {} looked at", Size(checked), Size(torrent.size))
    });
    lines.push(("state", format!("{}{looked_at}", torrent.state)));
    lines.extend(number("position").map(|at| ("queue", format!("place {at}"))));
    for (name, why) in [
        ("error", &torrent.error),
        ("blocked", &torrent.blocked),
        ("waits for", &torrent.reason),
    ] {
        lines.extend(why.iter().map(|why| (name, printable(why))));
    }
    let done = percent(torrent.done, torrent.wanted);
    lines.extend([
        ("hops", torrent.hops.to_string()),
        ("size", Size(torrent.size).to_string()),
        ("done", format!("{} ({done})", Size(torrent.done))),
        (
            "down",
            flow((torrent.down, torrent.downloaded), "down", more),
        ),
        ("up", flow((torrent.up, torrent.uploaded), "up", more)),
        (
            "peers",
            format!("{}, {} of them seeds", torrent.peers, torrent.seeds),
        ),
    ]);
    lines.extend(seeded(more).map(|until| ("seeded", until)));
    lines.extend(modes(more).map(|modes| ("does", modes)));
    if let (Some(seeds), Some(others)) = (number("swarm_seeds"), number("swarm_leechers")) {
        lines.push(("swarm", format!("{seeds} seeds, {others} others")));
    }
    let rows = |name: &str| more.get(name).and_then(Value::as_array).cloned();
    for tracker in rows("trackers").unwrap_or_default() {
        let url = tracker.get("url").and_then(Value::as_str);
        lines.push(("tracker", printable(url.unwrap_or_default())));
    }
    for seed in rows("web_seeds").unwrap_or_default() {
        lines.push(("web seed", printable(seed.as_str().unwrap_or_default())));
    }
    columns(&lines)
}

/// What comes, or goes: now, in this run and since the torrent was added, and what bounds it.
fn flow((now, run): (u64, u64), which: &str, more: &Value) -> String {
    let number = |name: String| more.get(name).and_then(Value::as_u64);
    let mut text = format!("{}, {} in this run", rate(now), Size(run));
    if let Some(all) = number(format!("all_{which}loaded")) {
        let _ = write!(text, ", {} in all", Size(all));
    }
    if let Some(most) = number(format!("{which}_limit")) {
        let _ = write!(text, "; {}/s at most", Size(most));
    }
    text
}

/// Until when it is seeded, where something is said of it alone.
fn seeded(more: &Value) -> Option<String> {
    let rule: SeedingOf = serde_json::from_value(more.get("seeding")?.clone()).ok()?;
    let span = |seconds| Span(Duration::from_secs(seconds));
    let ends = [
        rule.forever.then(|| "as long as it is there".to_owned()),
        rule.ratio_per_mille
            .map(|ratio| format!("to a ratio of {}", f64::from(ratio) / 1000.0)),
        rule.seconds.map(|time| format!("for {}", span(time))),
        rule.idle_seconds
            .map(|time| format!("until nobody fetches for {}", span(time))),
    ];
    let ends: Vec<String> = ends.into_iter().flatten().collect();
    (!ends.is_empty()).then(|| ends.join(", or "))
}

/// The switches that are on.
fn modes(more: &Value) -> Option<String> {
    let modes = more.get("modes")?.as_array()?;
    let words: Vec<&str> = modes.iter().filter_map(Value::as_str).collect();
    Some(words.join(", "))
}

/// What the process takes of the machine: now, on average, and at most.
pub(super) fn resources(resources: &Resources) -> String {
    let all = || resources.samples.iter();
    let last = resources.samples.last().cloned().unwrap_or_default();
    let span = resources
        .samples
        .first()
        .map_or(0.0, |first| last.time - first.time);
    let size = |bytes: Option<u64>| bytes.map_or_else(|| "-".to_owned(), |it| Size(it).to_string());
    let cpu: Vec<f64> = all().filter_map(|sample| sample.cpu).collect();
    let processor = match last.cpu {
        // It takes two looks.
        None if cpu.is_empty() => "-".to_owned(),
        now => {
            let now = now.map_or_else(|| "-".to_owned(), |it| format!("{it:.1} %"));
            let mean = cpu.iter().sum::<f64>() / cpu.len() as f64;
            format!("{now} of a core, {mean:.1} % on average")
        }
    };
    let looks = match resources.samples.len() {
        1 => "once".to_owned(),
        looks => format!(
            "{looks} times in {}",
            Span(Duration::from_secs_f64(span.max(0.0).round()))
        ),
    };
    let mut lines = vec![
        ("looked at", looks),
        ("processor", processor),
        (
            "memory",
            format!(
                "{}, {} at most",
                size(last.memory),
                size(all().filter_map(|sample| sample.memory).max())
            ),
        ),
        ("available", size(last.available)),
    ];
    if let Some(open) = last.open_files {
        let most = resources.most_files;
        let most = most.map_or_else(|| "any number".to_owned(), |most| most.to_string());
        lines.push(("open files", format!("{open} of {most}")));
    }
    lines.extend(resources.short.iter().map(|why| ("short", printable(why))));
    columns(&lines)
}

/// Sums over all torrents.
pub(super) fn stats(stats: &Stats) -> String {
    let mut states: Vec<String> = stats
        .states
        .iter()
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    if states.is_empty() {
        states.push("none".to_owned());
    }
    let mut lines = vec![
        (
            "daemon",
            format!("{}, process {}", stats.version, stats.pid),
        ),
        (
            "since",
            Span(Duration::from_secs(stats.seconds as u64)).to_string(),
        ),
    ];
    lines.extend(stats.listen.iter().map(|at| ("listens", at.clone())));
    lines.extend(stats.dht.iter().map(|at| ("DHT", at.clone())));
    lines.extend([
        (
            "torrents",
            format!("{}: {}", stats.torrents, states.join(", ")),
        ),
        ("peers", stats.peers.to_string()),
        (
            "down",
            format!("{}, {} so far", rate(stats.down), Size(stats.downloaded)),
        ),
        (
            "up",
            format!("{}, {} so far", rate(stats.up), Size(stats.uploaded)),
        ),
    ]);
    lines.extend(stats.unsaved.iter().map(|why| ("unsaved", printable(why))));
    columns(&lines)
}

fn columns(lines: &[(&str, String)]) -> String {
    lines.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{name:<10} {value}");
        text
    })
}

pub(super) fn files(files: &[File]) -> String {
    let mut text = format!(
        "{:>6} {:>10} {:>6} {:>8}  path\n",
        "number", "size", "done", "priority"
    );
    for file in files {
        let done = file
            .done
            .map_or_else(|| "-".to_owned(), |done| percent(done, file.size));
        let (size, mut path) = (Size(file.size).to_string(), printable(&file.path));
        if let Some(renamed) = &file.renamed {
            let _ = write!(path, ", lies at {}", printable(renamed));
        }
        let _ = writeln!(
            text,
            "{:>6} {size:>10} {done:>6} {:>8}  {path}",
            file.index, file.priority
        );
    }
    text
}

pub(super) fn trackers(trackers: &[Tracker]) -> String {
    let mut text = format!("{:>4} {:<4} {:<10}  address\n", "tier", "hash", "state");
    for tracker in trackers {
        let url = printable(&tracker.url);
        let said = tracker.message.as_deref().map(printable);
        let said = said.map_or_else(String::new, |said| format!("  {said}"));
        // A torrent with two hashes is announced under both.
        let of = match tracker.info_hash.as_deref().map(str::len) {
            Some(40) => "v1",
            Some(_) => "v2",
            None => "-",
        };
        let (tier, state) = (tracker.tier, &tracker.state);
        let _ = writeln!(text, "{tier:>4} {of:<4} {state:<10}  {url}{said}");
    }
    text
}

/// Connections, a line each; what their clients are called is cut where the terminal has so many columns.
pub(super) fn peers(peers: &[Peer], columns: Option<usize>) -> String {
    // Addresses of IPv4 leave room for the rest in the usual 80 columns.
    let wide = peers.iter().map(|peer| peer.addr.len()).max();
    let wide = wide.unwrap_or_default().max("address".len());
    let mut text = format!(
        "{:<wide$} {:<4} {:<4} {:>10} {:>10} {:<6} {:<6}  client\n",
        "address", "wire", "RC4", "down", "up", "serves", "served"
    );
    let before = text.trim_end().len() - "client".len();
    let room = columns.map_or(usize::MAX, |columns| {
        columns.saturating_sub(before).max(NARROW)
    });
    for peer in peers {
        let _ = writeln!(
            text,
            "{:<wide$} {:<4} {:<4} {:>10} {:>10} {:<6} {:<6}  {}",
            peer.addr,
            if peer.utp { "uTP" } else { "TCP" },
            yes(peer.encrypted),
            rate(peer.down),
            rate(peer.up),
            yes(peer.serves_us),
            yes(peer.served),
            shorten(peer.id.as_deref().unwrap_or_default(), room),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_fit_a_terminal_where_their_addresses_are_short() {
        let peer = |addr: &str| Peer {
            addr: addr.to_owned(),
            down: 1 << 20,
            id: Some("qBittorrent/5.0.1 of a kind".to_owned()),
            ..Peer::default()
        };
        let two = [peer("192.168.100.200:51413"), peer("10.0.0.1:1")];
        let short = peers(&two, None);
        let wide = |text: &str| {
            let lines = text.lines().map(|line| line.find("TCP").unwrap_or(0));
            lines.skip(1).collect::<Vec<_>>()
        };
        assert_eq!(wide(&short), [22, 22], "{short}");
        let head = short.lines().next().unwrap();
        assert!(head.len() <= 80 && head.find("wire") == Some(22), "{short}");
        assert!(short.contains("qBittorrent/5.0.1 of a kind"), "{short}");
        let cut = peers(&two, Some(80));
        assert!(cut.contains("qBitto"), "{cut}");
        let widest = cut.lines().map(|line| line.chars().count()).max();
        assert_eq!(widest, Some(80), "{cut}");
        let long = peers(
            &[peer("[2001:db8:1111:2222:3333:4444:5555:6666]:51413")],
            None,
        );
        assert_eq!(wide(&long), [47], "{long}");
        assert!(peers(&[], None).starts_with("address wire"));
    }

    #[test]
    fn a_torrent_is_shown_with_where_it_lies_what_bounds_it_and_until_when_it_is_seeded() {
        let shown = Torrent {
            moving: Some("/new\x1b".to_owned()),
            downloaded: 2048,
            ..Torrent::default()
        };
        let more = serde_json::json!({
            "dir": "/old", "moved": 1024, "to_move": 2048, "position": 3,
            "down_limit": 1024, "up_limit": null, "all_downloaded": 4096,
            "modes": ["managed", "sequential"],
            "seeding": {"ratio_per_mille": 1500, "seconds": 60},
        });
        let text = torrent(&shown, &more);
        for line in [
            "folder     /old",
            "moves to   /new?, 1.00 KiB of 2.00 KiB",
            "queue      place 3",
            "down       -, 2.00 KiB in this run, 4.00 KiB in all; 1.00 KiB/s at most",
            "up         -, 0 B in this run",
            "seeded     to a ratio of 1.5, or for 1:00",
            "does       managed, sequential",
        ] {
            assert!(text.lines().any(|one| one == line), "{line}: {text}");
        }
        let modes: Vec<&str> = ["managed", "sequential", "super_seeding", "stop_when_ready"]
            .into_iter()
            .cycle()
            .take(9)
            .collect();
        let wide = torrent(&shown, &serde_json::json!({"modes": modes}));
        assert!(wide.lines().any(|line| line.len() > 100), "{wide}");
        let fits = crate::text::wrapped(&wide, 80, BEHIND_NAME);
        assert!(fits.lines().all(|line| line.len() <= 80), "{fits}");
        let does = fits.lines().skip_while(|line| !line.starts_with("does"));
        let under = does.clone().nth(1).map(|line| line.find(|c| c != ' '));
        assert_eq!(under, Some(Some(BEHIND_NAME)), "{fits}");
        let bare = torrent(&Torrent::default(), &Value::Null);
        for word in ["folder", "moves to", "queue", "seeded", "does"] {
            assert!(!bare.contains(word), "{word}: {bare}");
        }
        let of = |hash: Option<&str>| Tracker {
            url: "udp://a".to_owned(),
            state: "working".to_owned(),
            info_hash: hash.map(str::to_owned),
            ..Tracker::default()
        };
        let (v1, v2) = ("1".repeat(40), "2".repeat(64));
        let heads = [
            (files(&[]), PATH, "path"),
            (trackers(&[]), ADDRESS, "address"),
        ];
        for (head, at, word) in heads {
            assert_eq!(head.find(word), Some(at), "{head}");
        }
        assert_eq!(
            trackers(&[of(None), of(Some(&v1)), of(Some(&v2))]),
            "tier hash state       address\n   0 -    working     udp://a\n   0 v1   working     udp://a\n   0 v2   working     udp://a\n"
        );
    }

    #[test]
    fn what_was_looked_at_once_has_no_average() {
        let sample = |time: f64, cpu: Option<f64>| control::Sample {
            time,
            cpu,
            ..control::Sample::default()
        };
        let of = |samples: Vec<control::Sample>| {
            resources(&Resources {
                samples,
                ..Resources::default()
            })
        };
        let once = of(vec![sample(1.0, None)]);
        assert!(once.contains("looked at  once\nprocessor  -\n"), "{once}");
        let twice = of(vec![sample(1.0, None), sample(6.0, Some(2.0))]);
        assert!(
            twice.contains("2 times in 5.00s\n") || twice.contains("2 times in "),
            "{twice}"
        );
        assert!(
            twice.contains("2.0 % of a core, 2.0 % on average"),
            "{twice}"
        );
    }

    #[test]
    fn lists_have_a_line_for_each_torrent_and_names_cannot_drive_the_terminal() {
        let torrent = Torrent {
            info_hash: "0123456789abcdef".to_owned(),
            name: "a\x1b[31mb".to_owned(),
            state: "error".to_owned(),
            size: 2048,
            wanted: 1000,
            done: 999,
            error: Some("disk\nfull".to_owned()),
            ..Torrent::default()
        };
        let text = list(std::slice::from_ref(&torrent), true, None);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(!text.contains('\x1b'));
        for part in ["0123456789 ", "a?[31mb", "99.9%", "2.00 KiB", "disk?full"] {
            assert!(lines[1].contains(part), "{part}: {text}");
        }
        for (columns, line) in [
            (80, 80),
            (100, 100),
            (200, OTHERS + NAME),
            (20, OTHERS + NARROW),
        ] {
            let head = list(&[], true, Some(columns));
            assert_eq!(head.trim_end_matches('\n').len(), line, "{head}");
        }
        let widest = Torrent {
            name: "n".repeat(100),
            state: "downloading".to_owned(),
            size: 1023 << 20,
            wanted: 1,
            done: 1,
            down: 1023 << 20,
            up: 1023 << 20,
            peers: 99_999,
            ..torrent.clone()
        };
        let row = list(&[widest], false, Some(80));
        assert!(row.contains("99999"), "{row}");
        assert_eq!(
            row.find("  disk"),
            row.char_indices().nth(80).map(|(at, _)| at)
        );
        let checking = Torrent {
            state: "checking".to_owned(),
            checked: Some(512),
            error: None,
            ..torrent
        };
        let row = list(std::slice::from_ref(&checking), false, None);
        assert!(row.contains("checking     25.0%"), "{row}");
        let shown = super::torrent(&checking, &Value::Null);
        assert!(shown.contains("checking, 512 B of 2.00 KiB looked at"));
        assert_eq!(percent(u64::MAX - 1, u64::MAX), "100.0%");
        assert_eq!(percent(99_999, 100_000), "99.9%");
    }
}
