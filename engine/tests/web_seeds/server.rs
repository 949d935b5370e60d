//! A web server of the simulated network, with whatever manners a test wants.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use net::sim::Host;
use net::{BoxStream, Pool, Task};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How a server behaves.
#[derive(Clone, Debug)]
pub(crate) struct Manners {
    /// It knows ranges.
    pub(crate) ranges: bool,
    /// It closes the connection after each reply.
    pub(crate) closes: bool,
    /// The first requests are answered with this status, and with these headers.
    pub(crate) first: Vec<(u16, &'static str)>,
    /// Every request is redirected to there.
    pub(crate) redirect: Option<String>,
    /// It sends at most so much of a range.
    pub(crate) most: u64,
    /// It stops in the middle of every body after so many bytes, and says nothing more.
    pub(crate) stalls_after: Option<usize>,
    /// It takes so long to answer.
    pub(crate) delay: Duration,
    /// It speaks BEP 17, for pieces of this length of its only file.
    pub(crate) script: Option<u64>,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            ranges: true,
            closes: false,
            first: Vec::new(),
            redirect: None,
            most: u64::MAX,
            stalls_after: None,
            delay: Duration::ZERO,
            script: None,
        }
    }
}

/// A request as it came: the path with its query, and the range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) range: Option<(u64, u64)>,
}

#[derive(Debug, Default)]
struct State {
    asked: Mutex<Vec<Asked>>,
    connections: Mutex<usize>,
    sent: Mutex<u64>,
}

/// A running server; it ends with this value.
#[derive(Debug)]
pub(crate) struct Server {
    state: Arc<State>,
    at: SocketAddr,
    _accepting: Task<()>,
}

impl Server {
    /// Serves these files, by path, at port 80 of a host.
    pub(crate) fn start(host: &Host, files: &[(&str, &[u8])], manners: Manners) -> Self {
        let files: BTreeMap<String, Arc<[u8]>> = files
            .iter()
            .map(|(path, bytes)| ((*path).to_owned(), Arc::from(*bytes)))
            .collect();
        let files = Arc::new(files);
        let state = Arc::<State>::default();
        let shared = Arc::clone(&state);
        let mut listener = host
            .network()
            .listen("0.0.0.0:80".parse().expect("an address"))
            .expect("a listener");
        let accepting = Pool::current().spawn(async move {
            let mut serving = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                *shared.connections.lock().expect("whole") += 1;
                let (files, state, manners) =
                    (Arc::clone(&files), Arc::clone(&shared), manners.clone());
                serving.push(Pool::current().spawn(async move {
                    let _ = serve(stream, &files, &manners, &state).await;
                }));
            }
        });
        Self {
            state,
            at: SocketAddr::new(host.ip(), 80),
            _accepting: accepting,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at.ip())
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.asked.lock().expect("whole").clone()
    }

    pub(crate) fn connections(&self) -> usize {
        *self.state.connections.lock().expect("whole")
    }

    /// Bytes of all bodies.
    pub(crate) fn sent(&self) -> u64 {
        *self.state.sent.lock().expect("whole")
    }
}

async fn head(stream: &mut BoxStream) -> io::Result<Asked> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).expect("text");
    let path = head.split(' ').nth(1).expect("a path").to_owned();
    let range = head.lines().find_map(|line| {
        line.to_lowercase()
            .strip_prefix("range: bytes=")
            .map(str::to_owned)
    });
    let range = range.map(|range| {
        let (first, last) = range.split_once('-').expect("a range");
        let number = |text: &str| text.trim().parse::<u64>().expect("a number");
        (number(first), number(last))
    });
    Ok(Asked { path, range })
}

async fn serve(
    mut stream: BoxStream,
    files: &BTreeMap<String, Arc<[u8]>>,
    manners: &Manners,
    state: &State,
) -> io::Result<()> {
    loop {
        let asked = head(&mut stream).await?;
        let number = {
            let mut all = state.asked.lock().expect("whole");
            all.push(asked.clone());
            all.len() - 1
        };
        tokio::time::sleep(manners.delay).await;
        let (status, more, body) = answer(&asked, files, manners, number);
        let head = format!(
            "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n{more}\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        let end = manners
            .stalls_after
            .map_or(body.len(), |most| most.min(body.len()));
        for chunk in body[..end].chunks(64 * 1024) {
            stream.write_all(chunk).await?;
            *state.sent.lock().expect("whole") += chunk.len() as u64;
        }
        stream.flush().await?;
        if end < body.len() {
            stream.read_u8().await?;
        }
        if manners.closes {
            return stream.shutdown().await;
        }
    }
}

fn answer(
    asked: &Asked,
    files: &BTreeMap<String, Arc<[u8]>>,
    manners: &Manners,
    number: usize,
) -> (u16, String, Vec<u8>) {
    if let Some((status, headers)) = manners.first.get(number) {
        return (*status, (*headers).to_owned(), b"busy".to_vec());
    }
    if let Some(to) = &manners.redirect {
        let to = to.replace("PATH", &asked.path);
        return (302, format!("Location: {to}\r\n"), Vec::new());
    }
    if let Some(piece_len) = manners.script {
        return script(asked, files, piece_len);
    }
    let Some(file) = files.get(&asked.path) else {
        return (404, String::new(), b"there is no such file".to_vec());
    };
    match asked.range.filter(|_| manners.ranges) {
        None => (200, String::new(), file.to_vec()),
        Some((first, _)) if first >= file.len() as u64 => {
            let range = format!("Content-Range: bytes */{}\r\n", file.len());
            (416, range, Vec::new())
        }
        Some((first, last)) => {
            let last = last
                .min(file.len() as u64 - 1)
                .min(first.saturating_add(manners.most - 1));
            let range = format!("Content-Range: bytes {first}-{last}/{}\r\n", file.len());
            (206, range, file[first as usize..=last as usize].to_vec())
        }
    }
}

/// BEP 17, and as it was meant: a piece, or a range of it.
fn script(
    asked: &Asked,
    files: &BTreeMap<String, Arc<[u8]>>,
    piece_len: u64,
) -> (u16, String, Vec<u8>) {
    let (path, query) = asked.path.split_once('?').expect("a query");
    let file = files.get(path).expect("the script");
    let value = |name: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.to_owned())
    };
    assert!(value("info_hash").is_some());
    let piece: u64 = value("piece").expect("a piece").parse().expect("a number");
    let begin = (piece * piece_len) as usize;
    let end = (begin + piece_len as usize).min(file.len());
    let piece = &file[begin..end];
    let body = match value("ranges") {
        None => piece.to_vec(),
        Some(range) => {
            let (first, last) = range.split_once('-').expect("a range");
            let [first, last]: [usize; 2] =
                [first, last].map(|text| text.parse().expect("a number"));
            piece[first..=last].to_vec()
        }
    };
    (200, String::new(), body)
}
