//! The socket that a service manager hands over (`sd_listen_fds(3)`): it listens before the daemon runs, and while it starts anew.

use std::net::TcpListener;

use listenfd::ListenFd;
use rustix::net::sockopt::socket_acceptconn;

use crate::failure::{Failure, reason};

/// The socket for the API, where there is one. Only the first call finds it, and no other thread may run yet.
///
/// # Errors
/// [`Failure::Usage`] where there are several, or it is none that HTTP can be served on.
pub(crate) fn api() -> Result<Option<TcpListener>, Failure> {
    let wrong = |why: &str| {
        Failure::Usage(format!(
            "LISTEN_FDS: {why}: the unit of the socket needs one line ListenStream=ADDR:PORT"
        ))
    };
    let mut handed = ListenFd::from_env();
    if handed.len() > 1 {
        return Err(wrong("more than one socket is handed over"));
    }
    let taken = handed.take_tcp_listener(0);
    let taken = taken.map_err(|error| wrong(&reason(&error)))?;
    let listens = |socket: &TcpListener| socket_acceptconn(socket).unwrap_or(false);
    if taken.as_ref().is_some_and(|socket| !listens(socket)) {
        return Err(wrong("a socket is handed over on which nobody listens"));
    }
    Ok(taken)
}
