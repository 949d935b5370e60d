//! `check-update`: asks where a torrent says that newer versions of it are found (BEP 39). What is found is shown, written
//! to a file if that is asked for, and never downloaded.

use std::path::Path;
use std::sync::Arc;

use net::Network;
use net::http::{Client, Guard, HeaderValue, Request, Url};
use protocol::metainfo::{LoadLimits, Metainfo, Word};
use serde::Serialize;

use crate::cli::CheckUpdateArgs;
use crate::failure::{Failure, plain};
use crate::screen::{Screen, Style};
use crate::source::{Source, shown_hash};
use crate::text::printable;
use crate::units::Size;
use crate::wire;

/// Most bytes of an answer: 30 MiB.
const MAX_FETCHED: usize = 30 << 20;

/// What came of it; the JSON object has these fields.
#[derive(Debug, Serialize)]
struct Found<'a> {
    info_hash: String,
    /// Where it was asked for.
    update_url: &'a str,
    /// `newer`, `same`, or `none` where there is no torrent at the URL.
    state: &'static str,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    newer: Option<Newer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a Path>,
}

/// A newer torrent.
#[derive(Debug, Serialize)]
struct Newer {
    info_hash: String,
    name: String,
    size: u64,
    /// Whether the originator whom the older torrent names has signed it; null where it names none.
    signed_by_originator: Option<bool>,
    magnet: String,
}

pub(crate) fn run(args: &CheckUpdateArgs, screen: &Screen) -> Result<(), Failure> {
    wire::run(async {
        let network = wire::plain_network();
        let source = Source::read(&args.torrent, &network).await?;
        let torrent = source.into_torrent(&args.torrent)?;
        check(args, &torrent, &network, screen).await
    })
}

async fn check(
    args: &CheckUpdateArgs,
    torrent: &Metainfo,
    network: &Network,
    screen: &Screen,
) -> Result<(), Failure> {
    let (Some(place), Some(request)) = (torrent.newer_at(), torrent.newer_request()) else {
        let why = "names no place where newer versions are found";
        return Err(Failure::Failed(format!("{} {why}", args.torrent)));
    };
    let mut found = Found {
        info_hash: shown_hash(torrent.hashes()),
        update_url: &place,
        state: "none",
        reason: None,
        newer: None,
        output: None,
    };
    let answer = match fetch(&request, network).await? {
        Answer::Body(body) => body,
        Answer::Status(status) => {
            found.reason = Some(format!("the server answered with status {status}"));
            return tell(&found, screen);
        }
    };
    let newer = match Metainfo::from_bytes(&answer, &LoadLimits::default()) {
        Ok(newer) => newer,
        Err(error) => {
            found.reason = Some(error.to_string());
            return tell(&found, screen);
        }
    };
    if newer.hashes() == torrent.hashes() {
        found.state = "same";
        return tell(&found, screen);
    }
    found.state = "newer";
    let word = torrent.word_for(&newer);
    found.newer = Some(Newer {
        info_hash: shown_hash(newer.hashes()),
        name: newer.name().to_owned(),
        size: newer.content_len(),
        signed_by_originator: match word {
            Word::Anyone => None,
            Word::Originator(_) => Some(true),
            Word::NotOriginator | Word::Unknown | _ => Some(false),
        },
        magnet: newer.magnet().to_string(),
    });
    let foreign = matches!(word, Word::NotOriginator | Word::Unknown);
    if let Some(output) = args.output.as_deref().filter(|_| !foreign || args.unsigned) {
        write(output, &answer)?;
        found.output = Some(output);
    }
    tell(&found, screen)?;
    if foreign && args.output.is_some() && !args.unsigned {
        let why = "it is not signed by the originator whom the torrent names; --unsigned writes it anyway";
        return Err(Failure::Failed(format!("nothing was written: {why}")));
    }
    Ok(())
}

enum Answer {
    Body(Vec<u8>),
    Status(u16),
}

/// Asks for a newer version. The URL is a stranger's: it leads to no query on this machine or its neighbours but the one of
/// BEP 39, and no redirect leads any closer.
async fn fetch(request: &str, network: &Network) -> Result<Answer, Failure> {
    let failed = |why: &dyn std::fmt::Display| {
        let (request, why) = (printable(request), plain(&why.to_string()));
        Failure::failed(format_args!("{request}: {why}"))
    };
    let url: Url = request.parse().map_err(|error| failed(&error))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(failed(
            &"newer versions are asked for by http and https only",
        ));
    }
    let agent = HeaderValue::from_static(concat!("tribler-rs/", env!("CARGO_PKG_VERSION")));
    let mut request = Request::new(url);
    request.limits.body = MAX_FETCHED;
    request.limits.unpacked = MAX_FETCHED;
    request.policy = Arc::new(Guard::WEB_SEED);
    let response = Client::new(network.clone(), agent).get(&request).await;
    let response = response.map_err(|error| failed(&error))?;
    Ok(match response.status {
        200 => Answer::Body(response.body.into()),
        status => Answer::Status(status),
    })
}

/// Writes a torrent where nothing is yet.
fn write(output: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let file = std::fs::File::create_new(output);
    let written = file.and_then(|mut file| std::io::Write::write_all(&mut file, bytes));
    written.map_err(|error| Failure::on_file(output, &error))
}

fn tell(found: &Found<'_>, screen: &Screen) -> Result<(), Failure> {
    if screen.style() == Style::Json {
        return screen.json(found);
    }
    let line = match (&found.newer, &found.reason) {
        (Some(newer), _) => {
            let word = match newer.signed_by_originator {
                None => "nobody has to sign it",
                Some(true) => "signed by the originator",
                Some(false) => "NOT signed by the originator",
            };
            let (name, size) = (printable(&newer.name), Size(newer.size));
            let mut text = format!("newer: {name}, {size}, {word}\n{}", newer.magnet);
            if let Some(output) = found.output {
                text = format!("{text}\nwritten to {}", output.display());
            }
            text
        }
        (None, Some(reason)) => format!("no newer version: {}", printable(reason)),
        (None, None) => "this is the newest version".to_owned(),
    };
    screen.write(&(line + "\n"))
}
