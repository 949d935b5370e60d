//! Why a DHT cannot do what it was asked.

/// Why a handle gives no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DhtError {
    /// The node has stopped, or stopped while it was working on this.
    #[error("the DHT node has stopped")]
    Stopped,
}
