//! Requests to the REST API, as far as they are read without a server: who is let in names this machine and knows the key; what is read
//! of queries, forms, JSON, ranges, hashes, paths, settings and proxies is what it says, within its bounds, or is refused with a
//! status that the API has; and what is written in answers of what strangers have named is read as what was meant.

use std::net::IpAddr;
use std::path::Path;

use crate::steps::Steps;
use api::parse::{self, Asked, Span};
use api::{Access, Key};
use protocol::metainfo::{LoadLimits, Metainfo};
use serde_json::{Map, Value};
use url::Url;

const KEY: &str = "a key of 20 letters!";

fn text(steps: &mut Steps<'_>) -> String {
    let len = usize::from(steps.byte());
    String::from_utf8_lossy(steps.take(len)).into_owned()
}

fn bytes<'a>(steps: &mut Steps<'a>) -> &'a [u8] {
    let len = usize::from(steps.byte()) << (steps.byte() % 4);
    steps.take(len)
}

/// Whether a host can be nothing but this machine, as a browser reads it; `None` where a browser can make nothing of it.
fn is_ours(host: &str) -> Option<bool> {
    let url = Url::parse(&format!("http://{host}/")).ok()?;
    let name = url.host_str()?;
    let bare = name.trim_matches(['[', ']']);
    Some(bare.parse::<IpAddr>().is_ok() || name == "localhost" || name == "box")
}

/// Heads: hosts, origins, keys, queries, paths.
fn head(steps: &mut Steps<'_>) {
    let method = [
        &b"GET"[..],
        b"HEAD",
        b"PUT",
        b"POST",
        b"DELETE",
        b"PATCH",
        bytes(steps),
    ][usize::from(steps.byte() % 7)];
    let mut uri = bytes(steps).to_vec();
    let shows = steps.byte() % 4;
    if shows == 0 {
        let sign = if uri.contains(&b'?') { &b"&"[..] } else { b"?" };
        uri = [&uri, sign, b"apikey=a%20key+of%2020+letters%21"].concat();
    }
    let mut lines = Vec::new();
    let mut hosts = Vec::new();
    for _ in 0..steps.byte() % 6 {
        let (name, value) = match steps.byte() % 6 {
            0 => ("host", &b"localhost:8085"[..]),
            1 => ("host", bytes(steps)),
            2 => ("origin", &b"http://localhost:8085"[..]),
            3 => ("origin", bytes(steps)),
            4 => (
                "sec-fetch-site",
                [&b"cross-site"[..], b"same-site", b"none", b"same-origin"]
                    [usize::from(steps.byte() % 4)],
            ),
            _ => ("sec-fetch-mode", &b"navigate"[..]),
        };
        if name == "host" {
            hosts.push(value);
        }
        lines.push((name, value));
    }
    if shows == 1 {
        lines.push(("x-api-key", KEY.as_bytes()));
    }
    let Some(asked) = Asked::new(method, &uri, &lines) else {
        return;
    };
    let access = Access {
        key: Key::new(KEY),
        names: vec!["box".to_owned()],
    };
    if let Err(status) = asked.admit(&access) {
        assert!([401, 403, 421].contains(&status), "{status}");
    } else {
        for host in hosts.iter().map(|host| std::str::from_utf8(host)) {
            let host = host.expect("a host of letters");
            assert_ne!(is_ours(host), Some(false), "{host}");
        }
        for (name, value) in &lines {
            let own = hosts.first().map(|host| [b"http://", *host].concat());
            let secure = hosts.first().map(|host| [b"https://", *host].concat());
            let is_own = |own: &Option<Vec<u8>>| {
                own.as_ref()
                    .is_some_and(|own| own.eq_ignore_ascii_case(value))
            };
            assert!(*name != "origin" || is_own(&own) || is_own(&secure));
        }
    }
    target(&asked);
}

/// What is asked for: the words of the query, the path, and the wish for hops.
fn target(asked: &Asked) {
    let query = asked.query();
    let written = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(&query)
        .finish();
    let again: Vec<_> = url::form_urlencoded::parse(written.as_bytes())
        .into_owned()
        .collect();
    assert_eq!(again, query);
    for (name, value) in &query {
        let (flag, number) = asked.asks(name);
        let first = query
            .iter()
            .find(|(known, _)| known == name)
            .expect("it is there");
        assert!(!flag || ["1", "true", "True"].contains(&first.1.as_str()));
        match number {
            Ok(number) => assert_eq!(number, first.1.parse().ok()),
            Err(status) => assert!(status == 400 && first.1.parse::<u64>().is_err(), "{value}"),
        }
    }
    match asked.route() {
        Ok(path) => assert!(path.starts_with('/')),
        Err(status) => assert!([404, 405, 501].contains(&status), "{status}"),
    }
    match asked.wish() {
        Ok(hops) => assert!(hops.is_none_or(|hops| hops <= 3)),
        Err(status) => assert_eq!(status, 400),
    }
}

/// The fields of an object are what they say, whichever way they are read.
fn fields(object: &Map<String, Value>) {
    for (name, value) in object.iter().take(16) {
        let field = parse::field(object, name);
        if value.is_null() {
            assert_eq!((field.text, field.number), (Ok(None), Ok(None)));
            continue;
        }
        assert_eq!(field.text.is_ok(), value.is_string());
        if let Ok(Some(number)) = field.number {
            let said = value
                .as_str()
                .map_or_else(|| value.as_f64(), |text| text.parse().ok());
            assert_eq!(said, Some(number as f64), "{value}");
        }
        if let Ok(Some(numbers)) = field.numbers {
            assert_eq!(numbers.len(), value.as_array().expect("a list").len());
        }
        if let Ok(Some(flag)) = field.flag {
            let shown = value.to_string().to_lowercase();
            let words = if flag { ["1", "true"] } else { ["0", "false"] };
            assert!(words.contains(&shown.trim_matches('"')), "{value}");
        }
    }
}

/// Bodies: of JSON or forms, and what they say of downloads, torrents that are made, and settings.
fn body(steps: &mut Steps<'_>) {
    let old = steps.byte() & 1 > 0;
    let body = steps.rest();
    match parse::object(old, body) {
        Err(status) => assert!(status == 400 || status == 413, "{status}"),
        Ok(object) => {
            fields(&object);
            let written = serde_json::to_vec(&object).expect("JSON");
            // Fractions may come back as their neighbours.
            let again = parse::object(false, &written).expect("what was written");
            assert!(again.keys().eq(object.keys()));
        }
    }
    match parse::add(old, body) {
        Err(status) => assert!(status == 400 || status == 413, "{status}"),
        Ok(added) => assert!(added.hops.is_none_or(|hops| hops <= 3)),
    }
    if let Ok((Some(place), _)) = parse::make(body) {
        assert!(place.is_absolute());
        let name = place
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a name");
        assert!(name.ends_with(".torrent") && name.len() > 8, "{name}");
        let object = parse::object(false, body).expect("it was read");
        let dir = object["export_dir"].as_str().expect("a folder");
        assert_eq!(place.parent(), Some(Path::new(dir)));
    }
    for proxy in [None, Some("socks5://me:secret@127.0.0.1:1080")] {
        match parse::settings(body, proxy) {
            Err(status) => assert!(status == 400 || status == 413, "{status}"),
            Ok(changed) => {
                for (key, value) in &changed.set {
                    assert!(
                        value.is_string() || value.is_number() || value.is_boolean(),
                        "{key}: {value}"
                    );
                    let url = value
                        .as_str()
                        .filter(|url| key == "network.proxy" && !url.is_empty());
                    if let Some(url) = url {
                        proxies(url);
                    }
                }
                assert!(changed.kept.keys().all(|key| key.starts_with("tribler.")));
            }
        }
    }
}

/// An address of a proxy leads to its keys, these to the same address, and nobody is shown its password.
fn proxies(url: &str) {
    let ([kind, server, login], back) = parse::proxy(url);
    let kind = kind.as_i64().expect("a number");
    assert!((0..=5).contains(&kind) && server.is_string());
    assert!(login.as_str().expect("a text").ends_with(':'));
    if let Ok(back) = back
        && !back.is_empty()
    {
        let ([again, where_to, who], once_more) = parse::proxy(&back);
        assert_eq!((again.as_i64(), &where_to), (Some(kind), &server));
        assert_eq!((who, once_more), (login, Ok(back)));
    }
}

/// Ranges, by what the standard says of each part.
fn range(steps: &mut Steps<'_>) {
    let len = u64::from(steps.word()) << (steps.byte() % 32);
    let number = |steps: &mut Steps<'_>| match steps.byte() % 4 {
        0 => None,
        1 => Some(u128::from(steps.word())),
        2 => Some(u128::from(steps.word()) << 32),
        _ => Some(99_999_999_999_999_999_999),
    };
    let (first, last) = (number(steps), number(steps));
    let shown = |number: Option<u128>| number.map_or_else(String::new, |it| it.to_string());
    let said = format!("bytes={}-{}", shown(first), shown(last));
    let all = u128::from(len);
    let due = match (first, last) {
        (None, None) => None,
        (None, Some(count)) => Some((all - count.min(all), all)),
        (Some(first), None) => Some((first, all)),
        (Some(first), Some(last)) if first > last => None,
        (Some(first), Some(last)) => Some((first, (last + 1).min(all))),
    };
    let due = match due {
        None => Span::Whole,
        Some((start, end)) if start >= end => Span::Unsatisfiable,
        Some((start, end)) => {
            let told = format!("bytes {start}-{}/{len}", end - 1);
            Span::Part(start as u64, end as u64, told)
        }
    };
    assert_eq!(
        parse::range(said.as_bytes(), len),
        Some(due),
        "{said} of {len}"
    );
    if let Some(Span::Part(start, end, told)) = parse::range(bytes(steps), len) {
        assert!(start < end && end <= len);
        let again = format!("bytes={start}-{}", end - 1);
        let again = parse::range(again.as_bytes(), len);
        assert_eq!(again, Some(Span::Part(start, end, told)));
    }
}

/// Words of paths and queries.
fn words(steps: &mut Steps<'_>) {
    let word = text(steps);
    if let Ok(hash) = parse::info_hash(&word) {
        assert_eq!(hash.to_string(), word[..40].to_ascii_lowercase());
        assert!(word.len() == 40 || word.len() == 64);
    }
    if let Some(bytes) = parse::twenty_bytes(&word) {
        let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let hex = digits.filter_map(|digit| char::from_digit(digit.into(), 16));
        assert!(hex.eq(word.to_ascii_lowercase().chars()), "{word}");
    }
    match parse::seconds(&word) {
        Ok(seconds) => assert!((0.0..=300.0).contains(&seconds)),
        Err(status) => assert_eq!(status, 400),
    }
    for uri in [word.clone(), format!("file:{word}")] {
        if let Ok(path) = parse::file_path(&uri) {
            let bytes = path.as_os_str().as_encoded_bytes();
            let rooted = bytes.starts_with(b"/") && !bytes.starts_with(b"//");
            assert!(rooted, "{}", path.display());
        }
    }
    proxies(&word);
    proxies(&format!("socks5://{word}"));
    proxies(&format!("http://{word}"));
}

/// Names that strangers give to files stay within their place in an answer.
fn names(steps: &mut Steps<'_>) {
    let name = text(steps);
    let head = parse::file_head(&name).expect("a head for any name");
    for (field, value) in &head {
        assert!(
            value.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
            "{field}: {value}"
        );
    }
    let key = text(steps);
    let mut torrent = b"d4:infod5:filesl".to_vec();
    for _ in 0..=steps.byte() % 4 {
        let name = [bytes(steps), &b".mp4"[..]].concat();
        torrent.extend_from_slice(format!("d6:lengthi1e4:pathl{}:", name.len()).as_bytes());
        torrent.extend_from_slice(&name);
        torrent.extend_from_slice(b"ee");
    }
    torrent.extend_from_slice(b"e4:name1:x12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee");
    let Ok(metainfo) = Metainfo::from_bytes(&torrent, &LoadLimits::default()) else {
        return;
    };
    let list = parse::playlist(&metainfo, Some(&key));
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.first(), Some(&"#EXTM3U"));
    assert!(list.ends_with('\n') && !list.contains('\r'));
    for two in lines[1..].chunks(2) {
        assert!(two[0].starts_with("#EXTINF:-1,"), "{list}");
        let path = two[1].strip_prefix("stream/").expect("a path");
        let (index, key_of) = path.split_once("?apikey=").expect("a key");
        assert!(
            metainfo
                .files()
                .get(index.parse::<usize>().expect("a number"))
                .is_some()
        );
        let query = format!("apikey={key_of}");
        let read = url::form_urlencoded::parse(query.as_bytes()).next();
        assert_eq!(read.expect("a pair").1, key);
    }
    let (hash, json) = parse::torrent(&torrent).expect("a torrent");
    assert_eq!(hash, metainfo.hashes().wire());
    serde_json::from_str::<Value>(&json).expect("JSON");
}

/// What is written to a connection comes out as it is, but for a refusal without words.
fn spoken(steps: &mut Steps<'_>) {
    const BARE: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
    let is_content = steps.byte() & 1 > 0;
    let mut pieces: Vec<&[u8]> = Vec::new();
    for _ in 0..steps.byte() % 8 {
        pieces.push(if steps.byte() & 1 > 0 {
            BARE
        } else {
            bytes(steps)
        });
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let told = runtime
        .expect("a runtime")
        .block_on(parse::spoken(&pieces, is_content));
    if is_content {
        assert_eq!(told, pieces.concat());
        return;
    }
    let looks_bare =
        |piece: &[u8]| piece.starts_with(b"HTTP/1.1 4") && piece.ends_with(b"\r\n\r\n");
    let mut rest = told.as_slice();
    for piece in &pieces {
        if let Some(behind) = rest.strip_prefix(*piece) {
            assert_ne!(*piece, BARE);
            rest = behind;
            continue;
        }
        assert!(looks_bare(piece), "{piece:?}");
        let head = rest
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .expect("a head")
            + 4;
        let lines = std::str::from_utf8(&rest[..head]).expect("text");
        let len = lines
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let end = head + len.expect("a length").parse::<usize>().expect("a number");
        serde_json::from_slice::<Value>(&rest[head..end]).expect("words");
        rest = &rest[end..];
    }
    assert!(rest.is_empty());
}

/// Checks one input.
pub fn run(data: &[u8]) {
    let mut steps = Steps::new(data);
    match steps.byte() % 6 {
        0 => head(&mut steps),
        1 => body(&mut steps),
        2 => range(&mut steps),
        3 => words(&mut steps),
        4 => names(&mut steps),
        _ => spoken(&mut steps),
    }
}
