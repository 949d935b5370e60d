//! `tracker announce`, `scrape` and `check`: what others' trackers say.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use engine::{AnnounceError, Settings, TrackerClient};
use futures_util::{StreamExt as _, stream};
use net::OwnedPool;
use net::http::HeaderValue;
use protocol::id::{InfoHash, PeerId};
use protocol::tracker::{Announce, AnnounceEvent, AnnounceReply, ScrapeEntry};
use rand::{Rng, RngExt as _};
use serde::Serialize;

use crate::cli::TrackerCommand;
use crate::cli::tracker::{AnnounceArgs, CheckArgs, PatienceArgs, ScrapeArgs, TrackerEvent};
use crate::commands::dht::info_hash;
use crate::failure::{Failure, plain};
use crate::json::seconds;
use crate::screen::{Screen, Style};
use crate::text::printable;
use crate::wire;

/// Trackers that are asked at a time.
const AT_ONCE: usize = 32;

/// How long it may take to leave a tracker again.
const GOODBYE: Duration = Duration::from_secs(5);

/// One answer. Later versions may add fields and events.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line {
    /// A tracker has answered an announce.
    Announced {
        url: String,
        info_hash: String,
        seconds: f64,
        interval: Option<u64>,
        min_interval: Option<u64>,
        seeders: Option<u32>,
        leechers: Option<u32>,
        completed: Option<u32>,
        external_ip: Option<String>,
        warning: Option<String>,
        peers: Vec<String>,
    },
    /// A tracker has answered about a torrent; all three are null where it does not know it.
    Scraped {
        url: String,
        info_hash: String,
        seeders: Option<u32>,
        leechers: Option<u32>,
        completed: Option<u32>,
    },
    /// A tracker was asked whether it is there.
    Checked {
        url: String,
        answers: bool,
        seconds: f64,
        message: Option<String>,
    },
}

/// Asks, and tells what came of it.
pub(super) async fn run(what: &TrackerCommand, screen: &Screen) -> Result<(), Failure> {
    match what {
        TrackerCommand::Announce(args) => announce(args, screen).await,
        TrackerCommand::Scrape(args) => scrape(args, screen).await,
        TrackerCommand::Check(args) => check(args, screen).await,
    }
}

/// A client, and the threads that carry its datagrams: they end with it.
fn client(patience: &PatienceArgs) -> Result<(TrackerClient, OwnedPool), Failure> {
    let pool = wire::pool()?;
    let mut settings = Settings::default();
    settings.trackers.timeout = patience.patience.0;
    settings.trackers.udp_timeout = patience.patience.0;
    let name = HeaderValue::from_static(concat!("tribler-rs/", env!("CARGO_PKG_VERSION")));
    let network = wire::plain_network();
    let client = TrackerClient::new(network, pool.pool().clone(), settings, name);
    Ok((client, pool))
}

/// Why a tracker was of no use.
fn failure(url: &str, error: &AnnounceError) -> Failure {
    let text = format!("{}: {}", printable(url), reason(error));
    if matches!(error, AnnounceError::Unusable(_)) {
        Failure::Usage(text)
    } else {
        Failure::Failed(text)
    }
}

/// A port that hardly any client of this host listens at: its place on a tracker's list is not ours to take.
fn any_port(rng: &mut impl Rng) -> u16 {
    rng.random_range(49152..=u16::MAX)
}

/// What is told of it.
fn reason(error: &AnnounceError) -> String {
    plain(&printable(&error.to_string()))
}

async fn announce(args: &AnnounceArgs, screen: &Screen) -> Result<(), Failure> {
    let info_hash = info_hash(&args.torrent)?;
    let (client, _pool) = client(&args.patience)?;
    let mut rng = rand::rng();
    let port = args.port.unwrap_or_else(|| any_port(&mut rng));
    let mut said = Announce::new(info_hash, PeerId::random(&mut rng), port);
    said.key = rng.random();
    said.uploaded = args.uploaded.0;
    said.downloaded = args.downloaded.0;
    said.num_want = args.want;
    said.left = if args.seed {
        Some(0)
    } else {
        args.left.map(|left| left.0)
    };
    said.event = args.event.map_or(AnnounceEvent::Started, Into::into);
    let began = Instant::now();
    let reply = client.announce(&args.url, &said).await;
    let reply = reply.map_err(|error| failure(&args.url, &error))?;
    let told = tell(screen, &Line::announced(&args.url, info_hash, began, reply));
    if args.event.is_none() {
        said.event = AnnounceEvent::Stopped;
        said.num_want = Some(0);
        let gone = tokio::time::timeout(GOODBYE, client.announce(&args.url, &said)).await;
        if !matches!(gone, Ok(Ok(_))) {
            screen.warn(
                "warning",
                "the tracker did not answer when the peer left again",
            );
        }
    }
    told
}

async fn scrape(args: &ScrapeArgs, screen: &Screen) -> Result<(), Failure> {
    let torrents = args.torrents.iter().map(|torrent| info_hash(torrent));
    let torrents: Vec<InfoHash> = torrents.collect::<Result<_, _>>()?;
    let (client, _pool) = client(&args.patience)?;
    let found = client.scrape(&args.url, &torrents).await;
    let found: BTreeMap<InfoHash, ScrapeEntry> =
        found.map_err(|error| failure(&args.url, &error))?;
    for torrent in torrents {
        let entry = found.get(&torrent);
        tell(
            screen,
            &Line::Scraped {
                url: args.url.clone(),
                info_hash: torrent.to_string(),
                seeders: entry.map(|entry| entry.complete),
                leechers: entry.map(|entry| entry.incomplete),
                completed: entry.map(|entry| entry.downloaded),
            },
        )?;
    }
    Ok(())
}

/// Has a peer that no tracker knows leave a torrent that no tracker knows: that leaves no trace, and whoever answers is there.
async fn check(args: &CheckArgs, screen: &Screen) -> Result<(), Failure> {
    let (client, _pool) = client(&args.patience)?;
    let client = &client;
    let asked = args.urls.iter().map(|url| async move {
        let mut rng = rand::rng();
        let port = any_port(&mut rng);
        let mut said = Announce::new(InfoHash(rng.random()), PeerId::random(&mut rng), port);
        said.event = AnnounceEvent::Stopped;
        said.num_want = Some(0);
        let began = Instant::now();
        let outcome = client.announce(url, &said).await;
        Line::checked(url, began, outcome.map(drop))
    });
    let mut lines = stream::iter(asked).buffered(AT_ONCE);
    let mut all = true;
    while let Some(line) = lines.next().await {
        all &= matches!(line, Line::Checked { answers: true, .. });
        tell(screen, &line)?;
    }
    all.then_some(()).ok_or(Failure::Told)
}

impl Line {
    fn announced(url: &str, info_hash: InfoHash, began: Instant, reply: AnnounceReply) -> Self {
        let addrs = reply.peers.iter().map(|peer| peer.addr.to_string());
        let names = reply.named_peers.iter();
        let names = names.map(|(host, port)| format!("{}:{port}", printable(host)));
        Self::Announced {
            url: url.to_owned(),
            info_hash: info_hash.to_string(),
            seconds: seconds(began.elapsed()),
            interval: reply.interval.map(|interval| interval.as_secs()),
            min_interval: reply.min_interval.map(|interval| interval.as_secs()),
            seeders: reply.complete,
            leechers: reply.incomplete,
            completed: reply.downloaded,
            external_ip: reply.external_ip.map(|ip| ip.to_string()),
            warning: reply.warning,
            peers: addrs.chain(names).collect(),
        }
    }

    /// A refusal is an answer.
    fn checked(url: &str, began: Instant, outcome: Result<(), AnnounceError>) -> Self {
        let answers = match &outcome {
            Ok(()) => true,
            Err(error) => matches!(error, AnnounceError::Refused { .. }),
        };
        Self::Checked {
            url: url.to_owned(),
            answers,
            seconds: seconds(began.elapsed()),
            message: outcome.err().map(|error| reason(&error)),
        }
    }

    /// The lines for people.
    fn text(&self) -> String {
        match self {
            Self::Announced {
                seconds,
                interval,
                seeders,
                leechers,
                completed,
                external_ip,
                warning,
                peers,
                ..
            } => {
                let mut text = format!(
                    "{}; next announce in {}; answered in {seconds} s\n",
                    counts(*seeders, *leechers, *completed),
                    match interval {
                        Some(interval) => format!("{interval} s"),
                        None => "a time that it does not tell".to_owned(),
                    }
                );
                if let Some(ip) = external_ip {
                    let _ = writeln!(text, "it sees us as {ip}");
                }
                if let Some(warning) = warning {
                    let _ = writeln!(text, "it warns: {}", printable(warning));
                }
                for peer in peers {
                    let _ = writeln!(text, "{peer}");
                }
                text
            }
            Self::Scraped {
                info_hash,
                seeders,
                leechers,
                completed,
                ..
            } => format!("{info_hash}: {}\n", counts(*seeders, *leechers, *completed)),
            Self::Checked {
                url,
                answers,
                seconds,
                message,
            } => {
                let url = printable(url);
                let state = if *answers { "answers" } else { "FAILS" };
                match message {
                    Some(message) => format!("{state} {url} ({seconds} s): {message}\n"),
                    None => format!("{state} {url} ({seconds} s)\n"),
                }
            }
        }
    }
}

fn counts(seeders: Option<u32>, leechers: Option<u32>, completed: Option<u32>) -> String {
    let told = [
        (seeders, "seeder"),
        (leechers, "leecher"),
        (completed, "completion"),
    ];
    let told = told.iter().filter_map(|(count, name)| {
        let count = (*count)?;
        let plural = if count == 1 { "" } else { "s" };
        Some(format!("{count} {name}{plural}"))
    });
    let told: Vec<String> = told.collect();
    if told.is_empty() {
        "not known to the tracker".to_owned()
    } else {
        told.join(", ")
    }
}

fn tell(screen: &Screen, line: &Line) -> Result<(), Failure> {
    match screen.style() {
        Style::Json => screen.json(line),
        Style::Bars | Style::Lines => screen.write(&line.text()),
    }
}

impl From<TrackerEvent> for AnnounceEvent {
    fn from(event: TrackerEvent) -> Self {
        match event {
            TrackerEvent::None => Self::None,
            TrackerEvent::Started => Self::Started,
            TrackerEvent::Completed => Self::Completed,
            TrackerEvent::Paused => Self::Paused,
            TrackerEvent::Stopped => Self::Stopped,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser as _;
    use tracker::settings::{HttpSettings, UdpSettings};
    use tracker::{Settings, Tracker};

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::json::page;

    const HASH: &str = "0707070707070707070707070707070707070707";

    async fn asked(words: &[&str]) -> Result<(), Failure> {
        let words = ["tribler-rs", "tracker"].iter().chain(words);
        let command = Cli::parse_from(words).command;
        let Command::Tracker(args) = command else {
            panic!("{command:?}");
        };
        run(args.what.as_ref().unwrap(), &Screen::new(args.json)).await
    }

    #[test]
    fn the_page_for_users_has_a_row_for_each_event_with_each_field_and_no_other() {
        let section = "`tracker announce`, `tracker scrape` and `tracker check`";
        page::agrees(section, include_str!("ask.rs"), "enum Line");
    }

    #[test]
    fn a_refusal_is_an_answer_and_silence_is_none() {
        let refused = AnnounceError::Refused {
            reason: "not on the list\u{1b}[31m".to_owned(),
            retry_in: None,
        };
        let began = Instant::now();
        let line = Line::checked("udp://a:1", began, Err(refused));
        let text = line.text();
        assert!(
            text.starts_with("answers udp://a:1 (") && text.contains("not on the list"),
            "{text}"
        );
        assert!(!text.contains('\u{1b}'), "{text}");
        let silent = AnnounceError::Unreachable("nobody".to_owned());
        let line = Line::checked("udp://a:1", began, Err(silent));
        assert!(line.text().starts_with("FAILS"), "{}", line.text());
    }

    #[test]
    fn what_a_tracker_does_not_tell_is_left_out() {
        let reply = AnnounceReply {
            complete: Some(2),
            interval: Some(Duration::from_secs(1800)),
            named_peers: vec![("host".to_owned(), 7)],
            ..AnnounceReply::default()
        };
        let line = Line::announced("udp://a:1", InfoHash([7; 20]), Instant::now(), reply);
        let text = line.text();
        assert!(
            text.starts_with("2 seeders; next announce in 1800 s;") && text.ends_with("host:7\n"),
            "{text}"
        );
        assert_eq!(counts(None, None, None), "not known to the tracker");
        assert_eq!(
            counts(Some(1), Some(0), Some(2)),
            "1 seeder, 0 leechers, 2 completions"
        );
    }

    #[actix_rt::test]
    async fn trackers_are_asked_by_udp_and_http_and_a_peer_that_only_looks_leaves_again() {
        let here = "127.0.0.1:0".parse().unwrap();
        let settings = Settings {
            udp: vec![UdpSettings::new(here)],
            http: vec![HttpSettings::new(here)],
            ..Settings::in_memory()
        };
        let (_, tracker) = Tracker::launch(settings, Path::new("")).unwrap();
        let (udp, http) = (tracker.listening().udp[0], tracker.listening().http[0]);
        let urls = [format!("udp://{udp}"), format!("http://{http}/announce")];
        let hash = InfoHash([7; 20]);
        let counts = || {
            let entry = tracker.core().swarms.scrape(&hash);
            (entry.complete, entry.incomplete)
        };
        for (at, url) in urls.iter().enumerate() {
            let port = (at + 1).to_string();
            let says = ["announce", url, HASH, "--port", &port, "--event"];
            asked(&[&says[..], &["started"]].concat()).await.unwrap();
            assert_eq!(counts(), (0, 1), "{url}");
            let done = [&says[..], &["completed", "--seed"]].concat();
            asked(&done).await.unwrap();
            assert_eq!(counts(), (1, 0), "{url}");
            assert_eq!(tracker.core().swarms.scrape(&hash).downloaded, 1);
            asked(&["scrape", url, HASH, "--json"]).await.unwrap();
            asked(&["announce", url, HASH]).await.unwrap();
            assert_eq!(counts(), (1, 0), "it has left, and nobody else");
            asked(&[&says[..], &["stopped"]].concat()).await.unwrap();
            assert_eq!(counts(), (0, 0), "{url}");
        }
        asked(&["check", &urls[0], &urls[1]]).await.unwrap();
        assert_eq!(tracker.core().swarms.totals().torrents, 0, "no trace");
        tracker.stop().await;

        let silent = ["check", "--patience", "1s", &urls[1]];
        assert!(matches!(asked(&silent).await, Err(Failure::Told)));
        let wrong = asked(&["announce", "wss://a/", HASH]).await.unwrap_err();
        assert_eq!(wrong.code(), 2);
        assert_eq!(
            asked(&["scrape", &urls[0], "x"]).await.unwrap_err().code(),
            3
        );
    }
}
