//! Whether the only way out of a network is there: an interface that all is bound to, a proxy or circuits that all goes
//! through.

use std::fmt;
use std::sync::Arc;

use crate::BoxFuture;

/// The only way out.
pub trait Outlet: Send + Sync {
    /// Why there is no way out now; none while there is one, as far as is known.
    fn outage(&self) -> Option<Outage>;

    /// Finds out whether there is a way out.
    fn look(&self) -> BoxFuture<'_, ()>;

    /// Whether it carries datagrams, or why not; none while that is not known.
    fn datagrams(&self) -> Option<Result<(), Arc<str>>>;

    /// Whether it is a proxy.
    fn is_proxy(&self) -> bool {
        false
    }

    /// Whether it is circuits: these come and go without anybody having to try.
    fn is_of_circuits(&self) -> bool {
        false
    }
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
    /// No circuit is ready.
    Circuits {
        /// How many hops they are to have.
        hops: u8,
        /// Why there is none.
        why: Arc<str>,
    },
}

impl Outage {
    /// Whether it is the same thing that is missing, for whatever reason.
    pub fn is_of(&self, other: &Self) -> bool {
        self.of() == other.of()
    }

    fn of(&self) -> (u8, &str, u8) {
        match self {
            Self::Gone(what) => (0, what, 0),
            Self::Proxy { at, .. } => (1, at, 0),
            Self::Circuits { hops, .. } => (2, "", *hops),
        }
    }

    /// The sentence for its end.
    pub fn over(&self) -> String {
        match self {
            Self::Gone(what) => format!("{what} is back"),
            Self::Proxy { at, .. } => format!("proxy {at} is back"),
            Self::Circuits { hops, .. } => {
                format!("there are circuits of {} again", counted(*hops))
            }
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
            Self::Circuits { hops, why } => {
                let hops = counted(*hops);
                write!(
                    f,
                    "no circuit of {hops}: {why}; nothing leaves until there is one"
                )
            }
        }
    }
}

fn counted(hops: u8) -> String {
    match hops {
        1 => "1 hop".to_owned(),
        hops => format!("{hops} hops"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circuits(hops: u8, why: &str) -> Outage {
        Outage::Circuits {
            hops,
            why: why.into(),
        }
    }

    #[test]
    fn outages_of_circuits_are_told_apart_by_their_hops() {
        assert!(circuits(2, "no exits").is_of(&circuits(2, "no relays")));
        assert!(!circuits(2, "no exits").is_of(&circuits(3, "no exits")));
        assert!(!circuits(2, "no exits").is_of(&Outage::Gone("tun0".into())));
    }

    #[test]
    fn outages_of_circuits_are_sentences() {
        let one = circuits(1, "no exit is known");
        let text = "no circuit of 1 hop: no exit is known; nothing leaves until there is one";
        assert_eq!(one.to_string(), text);
        let over = "there are circuits of 3 hops again";
        assert_eq!(circuits(3, "x").over(), over);
    }
}
