//! A person with a browser: opens the page of the API, adds a torrent there, hears of it, and plays it while it comes.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use support::Lab;
use support::browser::Browser;
use support::clients::{Job, finish};
use support::ours::Ours;
use support::payload::Payload;
use support::torrent::Torrent;

use crate::daemon::Daemon;

/// Where pictures of what was to be seen are left.
const PICTURES: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/screenshots");

/// Sound of one channel: samples of two bytes a second, and seconds.
const RATE: u32 = 48_000;
const SECONDS: u32 = 240;

/// How much of it comes in a second: more than is played, and far from all.
const COMES: &str = "1500KiB/s";

/// Where it is sought to, which has not come by then.
const SOUGHT: f64 = 220.0;

/// How long things on the page may take.
const SOON: Duration = Duration::from_secs(20);

/// What the test is about.
struct Visit {
    browser: Browser,
    daemon: Daemon,
    hash: String,
}

/// The whole visit.
pub(crate) fn visit(lab: &Lab) {
    fs::create_dir_all(PICTURES).expect("a folder for pictures");
    let (torrent, dir) = sound(lab);
    let (home, at) = (lab.folder("seeder"), lab.address());
    let job = Job::seed(&torrent.path.display().to_string(), &dir, at);
    let mut seeder = Ours::start_with(&job, &home, &["--max-up", COMES]);
    finish(&mut seeder, SOON, "the seeder");
    let mut visit = Visit {
        daemon: Daemon::start(lab, &[]),
        browser: Browser::start(&lab.folder("browser")),
        hash: torrent.hex(),
    };
    visit.opens_the_page_and_gives_the_key();
    visit.adds_the_torrent_there(at);
    visit.plays_it_while_it_comes();
    visit.hears_what_happened();
    visit.opens_it_by_its_address();
    visit.asked_nobody_else();
}

impl Visit {
    /// Sees the routes, and says the key as the page asks for it.
    fn opens_the_page_and_gives_the_key(&mut self) {
        let (url, key) = (
            format!("http://{}/docs/", self.daemon.api),
            self.daemon.key.clone(),
        );
        let page = &mut self.browser;
        page.open(&url);
        let shown = page.until("document.querySelectorAll('.opblock').length", SOON);
        let described = "fetch('swagger.json').then(told => told.json()).then(told => \
            Object.values(told.paths).reduce((sum, path) => sum + Object.keys(path).length, 0))";
        assert_eq!(shown, page.value(described), "all routes are shown");
        page.picture(&picture("1-routes"));
        page.click(".btn.authorize");
        page.fill(".modal-ux .auth-container input", &key);
        page.click(".modal-ux .auth-btn-wrapper .authorize");
        page.until(
            "document.querySelector('.modal-ux .auth-btn-wrapper')?.innerText.includes('Logout')",
            SOON,
        );
        page.picture(&picture("2-key"));
        page.click(".modal-ux .btn-done");
        // The page asks for events as every page of this site may.
        let listen = format!(
            "window.heard = []; new EventSource('/events?apikey={key}').onmessage = told => heard.push(JSON.parse(told.data)); true"
        );
        page.value(&listen);
        page.until("heard.some(one => one.type == 'events_start')", SOON);
    }

    /// Adds the torrent with the form of the page, by a link that names who has it.
    fn adds_the_torrent_there(&mut self, seeder: SocketAddr) {
        let page = &mut self.browser;
        let form = "#operations-downloads-put_downloads";
        page.click(&format!("{form} .opblock-summary"));
        page.click(&format!("{form} .try-out__btn"));
        page.until(
            &format!("document.querySelector('{form} textarea')?.value"),
            SOON,
        );
        page.picture(&picture("3-form"));
        let link = format!("magnet:?xt=urn:btih:{}&x.pe={seeder}", self.hash);
        page.fill(
            &format!("{form} textarea"),
            &json!({"uri": link}).to_string(),
        );
        page.click(&format!("{form} .execute"));
        let answer =
            format!("document.querySelector('{form} .live-responses-table .response')?.innerText");
        let answer = page.until(&answer, SOON);
        let answer = answer.as_str().expect("text");
        assert!(answer.starts_with("200"), "{answer}");
        assert!(
            answer.contains(&self.hash) && answer.contains("\"started\": true"),
            "{answer}"
        );
        page.click(&format!("{form} .live-responses-table .response"));
        page.picture(&picture("4-added"));
    }

    /// Plays the file from its beginning, and then from where nothing of it has come yet.
    fn plays_it_while_it_comes(&mut self) {
        let source = format!(
            "/downloads/{}/stream/0?apikey={}",
            self.hash, self.daemon.key
        );
        let play = format!(
            "window.player = document.createElement('audio'); player.controls = true; player.src = '{source}'; \
             player.style.cssText = 'position: fixed; top: 0; left: 0; width: 100%; z-index: 9999'; \
             document.body.append(player); player.play()"
        );
        let page = &mut self.browser;
        page.value(&play);
        page.until("player.currentTime > 0.5", SOON);
        assert_eq!(page.value("Math.round(player.duration)"), json!(SECONDS));
        page.picture(&picture("5-playing"));
        page.value(&format!("player.currentTime = {SOUGHT}; true"));
        page.until(
            &format!("!player.seeking && player.currentTime > {}", SOUGHT + 0.5),
            SOON,
        );
        assert_eq!(page.value("player.error"), Value::Null);
        page.picture(&picture("6-sought"));
        page.value("player.remove(); player.src = ''; true");
        let parts = parts(page, "/stream/0");
        let first = u64::from(RATE) * 2 * (SOUGHT as u64 - 10);
        assert!(parts.contains(&0), "from the beginning: {parts:?}");
        assert!(
            parts.iter().any(|from| *from > first),
            "from where it was sought to: {parts:?}"
        );
    }

    /// Hears on the page what has become of the download until it is whole.
    fn hears_what_happened(&mut self) {
        let page = &mut self.browser;
        let url = format!("http://{}/docs/", self.daemon.api);
        assert!(
            page.value("location.href")
                .as_str()
                .is_some_and(|at| at.starts_with(&url))
        );
        let finished = format!(
            "heard.some(one => one.type == 'torrent_finished' && one.event.infohash == '{}')",
            self.hash
        );
        page.until(&finished, Duration::from_secs(60));
    }

    /// Gives the browser the address of the file: it shows a player of its own, which waits to be started, for what a stranger's file
    /// may do by itself is nothing.
    fn opens_it_by_its_address(&mut self) {
        let Self {
            browser: page,
            daemon,
            hash,
        } = self;
        page.open(&format!(
            "http://{}/downloads/{hash}/stream/0?apikey={}",
            daemon.api, daemon.key
        ));
        page.until("document.querySelector('video')?.readyState >= 3", SOON);
        page.value("document.querySelector('video').play()");
        page.until("document.querySelector('video').currentTime > 0.5", SOON);
        page.picture(&picture("7-by-address"));
    }

    /// Looks at what the pages and the browser itself have asked for, and at what the browser complains of.
    fn asked_nobody_else(self) {
        let Self {
            mut browser,
            daemon,
            ..
        } = self;
        let site = format!("http://{}/", daemon.api);
        let requests = browser.told("Network.requestWillBeSent");
        let asked = requests
            .iter()
            .filter_map(|one| one["request"]["url"].as_str());
        let asked: Vec<&str> = asked.filter(|url| !url.starts_with("data:")).collect();
        assert!(asked.len() > 10, "{asked:?}");
        assert!(asked.iter().all(|url| url.starts_with(&site)), "{asked:?}");
        let complaints = browser.told("Log.entryAdded");
        let complaints: Vec<&Value> = complaints.iter().map(|one| &one["entry"]["text"]).collect();
        assert!(complaints.is_empty(), "{complaints:?}");
        let asked = browser.end();
        assert!(asked.len() > 10, "{asked:?}");
        let others: Vec<_> = asked
            .iter()
            .filter(|(_, url)| !url.starts_with(&site))
            .collect();
        assert!(others.is_empty(), "{others:?}");
    }
}

/// Where answers of 206 of a path began.
fn parts(page: &mut Browser, path: &str) -> Vec<u64> {
    let answers = page.told("Network.responseReceived");
    let answers = answers.iter().map(|one| &one["response"]);
    let answers = answers.filter(|one| {
        one["status"] == 206 && one["url"].as_str().is_some_and(|url| url.contains(path))
    });
    let ranges = answers.filter_map(|one| {
        let range = one["headers"]
            .get("Content-Range")
            .or_else(|| one["headers"].get("content-range"));
        range?
            .as_str()?
            .strip_prefix("bytes ")?
            .split('-')
            .next()?
            .parse()
            .ok()
    });
    ranges.collect()
}

/// The place of a picture.
fn picture(name: &str) -> PathBuf {
    Path::new(PICTURES).join(format!("{name}.png"))
}

/// A file of sound, its torrent, and the folder that it is in.
fn sound(lab: &Lab) -> (Torrent, PathBuf) {
    let dir = lab.folder("sound");
    let bytes = wav();
    fs::write(dir.join("tone.wav"), &bytes).expect("a file of sound");
    let payload = Payload::single("tone.wav", bytes.len() as u64, 0);
    let file = dir.join("tone.torrent");
    let torrent = Torrent::write(&file, &payload, &dir, 64 << 10, &[]);
    (torrent.expect("a torrent"), dir)
}

/// A tone whose pitch rises, so that no two pieces are the same: a WAV file of one channel and 16 bits.
fn wav() -> Vec<u8> {
    let samples = RATE * SECONDS;
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + samples * 2).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16u32.to_le_bytes());
    for (field, len) in [(1, 2), (1, 2), (RATE, 4), (RATE * 2, 4), (2, 2), (16, 2)] {
        bytes.extend(&field.to_le_bytes()[..len]);
    }
    bytes.extend(b"data");
    bytes.extend((samples * 2).to_le_bytes());
    for at in 0..samples {
        let time = f64::from(at) / f64::from(RATE);
        let sample = ((200.0 + time) * time * std::f64::consts::TAU).sin() * 8000.0;
        bytes.extend((sample as i16).to_le_bytes());
    }
    bytes
}
