//! Why a request to an HTTP tracker has no answer, as those who asked are told: by HTTP itself.
//!
//! ```text
//! HTTP/1.1 502 Bad Gateway
//! Content-Type: text/plain; charset=utf-8
//! Proxy-Status: exit; error=connection_refused
//! Content-Length: ...
//! Connection: close
//!
//! The exit could not connect to the server.
//! ```
//! `Proxy-Status` is that of RFC 9209, with the errors of its section 2.3. Originators of other makes pass the reply on to the
//! program that asked, as they do with any other.

use thiserror::Error;

/// Bytes at the start of a reply in which the head of such an answer ends.
const HEAD: usize = 256;

/// Where a head ends.
const END: &[u8] = b"\r\n\r\n";

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NoAnswer {
    /// Exit: so many requests are not sent for one circuit; this one was not, and may be repeated elsewhere.
    #[error("the exit is asked for more requests than it sends; this one was not sent")]
    Busy,
    /// Exit: it does not send to that address.
    #[error("the exit does not send there")]
    Forbidden,
    /// Exit: the host has no address.
    #[error("the exit finds no host of that name")]
    Unknown,
    /// Exit: there was no connection, or it broke.
    #[error("the exit could not connect to the server, or lost it")]
    Unreachable,
    /// Exit: the server took too long.
    #[error("the server did not answer the exit in time")]
    Late,
    /// Exit: what the server said is nothing that a tracker says.
    #[error("the server answered something else than trackers do, and exits pass on nothing else")]
    Foreign,
    /// Exit: the reply is too long.
    #[error("the answer of the server is too long for a circuit")]
    TooLong,
    /// It is no request that exits send. Also told by originators.
    #[error("circuits carry GET requests to HTTP trackers, and no other streams")]
    Unsupported,
    /// Originator: the request does not fit into a cell.
    #[error("the request is too long for a circuit")]
    RequestTooLong,
    /// Originator: there is no circuit to an exit that sends requests.
    #[error("there is no circuit to an exit that sends HTTP requests")]
    NoCircuit,
    /// Originator: nothing came back.
    #[error(
        "the exit did not answer: it may be gone, and most pass on only what HTTP trackers say and are silent about all else"
    )]
    Silent,
    /// Originator: the circuit ended first.
    #[error("the circuit ended before an answer came")]
    Ended,
    /// Originator: no whole request was written in time.
    #[error("no request came: circuits carry GET requests to HTTP trackers, and no other streams")]
    Nothing,
}

impl NoAnswer {
    /// Those that exits tell.
    const TOLD: [Self; 8] = [
        Self::Busy,
        Self::Forbidden,
        Self::Unknown,
        Self::Unreachable,
        Self::Late,
        Self::Foreign,
        Self::TooLong,
        Self::Unsupported,
    ];

    /// Whether the request was surely not sent, and another exit may be asked.
    pub const fn is_unsent(self) -> bool {
        matches!(self, Self::Busy)
    }

    /// The status, and what RFC 9209 calls it.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Busy => ("503 Service Unavailable", "connection_limit_reached"),
            Self::Forbidden => ("403 Forbidden", "destination_ip_prohibited"),
            Self::Unknown => ("502 Bad Gateway", "dns_error"),
            Self::Unreachable => ("502 Bad Gateway", "connection_refused"),
            Self::Late => ("504 Gateway Timeout", "http_response_timeout"),
            Self::Foreign => ("502 Bad Gateway", "http_protocol_error"),
            Self::TooLong => ("502 Bad Gateway", "http_response_body_size"),
            Self::Unsupported => ("501 Not Implemented", "http_request_denied"),
            Self::RequestTooLong => ("414 URI Too Long", "http_request_error"),
            Self::NoCircuit => ("503 Service Unavailable", "destination_unavailable"),
            Self::Silent => ("504 Gateway Timeout", "connection_timeout"),
            Self::Ended => ("502 Bad Gateway", "connection_terminated"),
            Self::Nothing => ("408 Request Timeout", "http_request_error"),
        }
    }

    /// The reply for who asked.
    pub fn reply(self) -> Vec<u8> {
        let (status, error) = self.words();
        let text = self.to_string();
        let len = text.len().saturating_add(1);
        let reply = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nProxy-Status: exit; error={error}\r\n\
             Content-Length: {len}\r\nConnection: close\r\n\r\n{text}\n"
        );
        reply.into_bytes()
    }

    /// What an exit says in a reply, if it is one of its own. What a tracker says is none, whatever stands in its head: exits of any
    /// make pass on nothing but what has a bencoded body, and that begins in another way than words do.
    pub fn read(reply: &[u8]) -> Option<Self> {
        let end = reply.windows(END.len()).take(HEAD);
        let end = end.enumerate().find(|(_, bytes)| *bytes == END)?.0;
        let body = reply.get(end.saturating_add(END.len())..)?;
        if matches!(body.first()?, b'd' | b'l' | b'i' | b'0'..=b'9') {
            return None;
        }
        let head = std::str::from_utf8(reply.get(..end)?).ok()?;
        let mut lines = head.split("\r\n");
        let error = lines.find_map(|line| line.strip_prefix("Proxy-Status: exit; error="))?;
        Self::TOLD.into_iter().find(|it| it.words().1 == error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_exit_says_is_read_again_and_is_whole_http() {
        for told in NoAnswer::TOLD {
            let reply = told.reply();
            assert_eq!(NoAnswer::read(&reply), Some(told));
            let text = String::from_utf8(reply).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("HTTP/1.1 ") && head.len() < HEAD, "{head}");
            assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
            assert!(body.starts_with(&told.to_string()));
        }
    }

    #[test]
    fn what_servers_say_is_not_taken_for_the_words_of_an_exit() {
        for reply in [
            &b""[..],
            b"HTTP/1.1 200 OK\r\n\r\nProxy-Status: exit; error=dns_error\r\n",
            b"HTTP/1.1 502 Bad Gateway\r\nProxy-Status: exit; error=what\r\n\r\n",
            b"HTTP/1.1 502 Bad Gateway\r\n\r\n",
            b"HTTP/1.1 503 Busy\r\nProxy-Status: exit; error=connection_limit_reached\r\n\r\nd8:intervali1ee",
            b"HTTP/1.1 503 Busy\r\nProxy-Status: exit; error=connection_limit_reached\r\n\r\nd1:ae\r\n\r\nx",
            b"HTTP/1.1 503 Busy\r\nProxy-Status: exit; error=connection_limit_reached\r\n\r\n5:words",
            b"HTTP/1.1 503 Busy\r\nProxy-Status: exit; error=connection_limit_reached\r\n\r\n",
            b"HTTP/1.1 503 Busy\r\nProxy-Status: exit; error=connection_limit_reached\r\n",
            b"\xff\xfe",
        ] {
            assert_eq!(NoAnswer::read(reply), None);
        }
    }

    #[test]
    fn only_what_was_not_sent_may_be_repeated() {
        let repeated = NoAnswer::TOLD.into_iter().filter(|it| it.is_unsent());
        assert_eq!(repeated.collect::<Vec<_>>(), [NoAnswer::Busy]);
    }
}
