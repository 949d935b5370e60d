//! The head of a request.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

/// Bytes of a head at most: a scrape of 74 hashes has 5,254 in its first line.
pub const MAX_HEAD: usize = 8 * 1024;

/// Header lines of a request at most.
const MAX_HEADERS: usize = 64;

/// A request as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// `GET` and the like.
    pub method: &'a str,
    /// What stands before the `?`.
    pub path: &'a str,
    /// What stands behind it.
    pub query: Option<&'a str>,
    /// Whether another request may follow.
    pub keep_alive: bool,
    /// The last line of `X-Forwarded-For`.
    pub forwarded: Option<&'a [u8]>,
    /// `X-Request-Id`, if it is short and printable.
    pub request_id: Option<&'a str>,
    /// Bytes of the head.
    pub len: usize,
}

/// Why bytes are no head of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeadError {
    /// It is longer than [`MAX_HEAD`], or has too many lines.
    #[error("the head of the request is too large")]
    TooLarge,
    /// It is not HTTP/1.
    #[error("not a request of HTTP/1")]
    Malformed,
}

/// Reads a head from the front of what has come; `None` while it is not whole.
///
/// # Errors
/// [`HeadError`]: the connection is of no use any more.
pub fn read_head(came: &[u8]) -> Result<Option<Head<'_>>, HeadError> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let len = match request.parse(came) {
        Ok(httparse::Status::Complete(len)) if len <= MAX_HEAD => len,
        Ok(httparse::Status::Partial) if came.len() < MAX_HEAD => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooLarge),
        Err(_) => return Err(HeadError::Malformed),
    };
    let (Some(method), Some(target), Some(version)) =
        (request.method, request.path, request.version)
    else {
        return Err(HeadError::Malformed);
    };
    // A proxy may have sent the whole URL.
    let target = match target.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => {
            rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/")
        }
        _ => target,
    };
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let mut head = Head {
        method,
        path,
        query,
        keep_alive: version == 1,
        forwarded: None,
        request_id: None,
        len,
    };
    for header in request.headers.iter() {
        head.note(header.name, header.value);
    }
    Ok(Some(head))
}

impl<'a> Head<'a> {
    fn note(&mut self, name: &str, value: &'a [u8]) {
        if name.eq_ignore_ascii_case("connection") {
            for word in value.split(|byte| *byte == b',') {
                match word.trim_ascii() {
                    word if word.eq_ignore_ascii_case(b"close") => self.keep_alive = false,
                    word if word.eq_ignore_ascii_case(b"keep-alive") => self.keep_alive = true,
                    _ => {}
                }
            }
        } else if name.eq_ignore_ascii_case("x-forwarded-for") {
            self.forwarded = Some(value);
        } else if name.eq_ignore_ascii_case("x-request-id") {
            let is_fit = value.len() <= 128 && value.iter().all(u8::is_ascii_graphic);
            self.request_id = str::from_utf8(value).ok().filter(|_| is_fit);
        } else if name.eq_ignore_ascii_case("transfer-encoding")
            || (name.eq_ignore_ascii_case("content-length") && value.trim_ascii() != b"0")
        {
            // A body, which nobody reads: what follows is no request.
            self.keep_alive = false;
        }
    }
}
