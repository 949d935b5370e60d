//! Whether the only way out of a network is there: an interface that all is bound to, a proxy that all goes through.

use std::fmt;
use std::sync::Arc;

use crate::BoxFuture;

/// The only way out.
pub(crate) trait Outlet: Send + Sync {
    /// Why there is no way out now; none while there is one, as far as is known.
    fn outage(&self) -> Option<Outage>;

    /// Finds out whether there is a way out.
    fn look(&self) -> BoxFuture<'_, ()>;

    /// Whether it carries datagrams, or why not; none while that is not known.
    fn datagrams(&self) -> Option<Result<(), Arc<str>>>;
}

/// Why nothing leaves a network that has only one way out. Nothing is sent another way meanwhile, and no peer is blamed for
/// it. Shown as a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outage {
    /// The address or the interface that everything is bound to is gone.
    Gone(Arc<str>),
    /// The proxy is of no use.
    Proxy {
        /// Its host and port.
        at: Arc<str>,
        /// What is wrong with it.
        why: Arc<str>,
    },
}

impl Outage {
    /// Whether it is the same thing that is missing, for whatever reason.
    pub fn is_of(&self, other: &Self) -> bool {
        self.of() == other.of()
    }

    fn of(&self) -> (bool, &str) {
        match self {
            Self::Gone(what) => (false, what),
            Self::Proxy { at, .. } => (true, at),
        }
    }

    /// The sentence for its end.
    pub fn over(&self) -> String {
        match self {
            Self::Gone(what) => format!("{what} is back"),
            Self::Proxy { at, .. } => format!("proxy {at} is back"),
        }
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone(what) => write!(f, "{what} is gone; waiting for it"),
            Self::Proxy { at, why } => {
                write!(f, "proxy {at}: {why}; nothing leaves until it is back")
            }
        }
    }
}
