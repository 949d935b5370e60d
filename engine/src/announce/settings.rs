//! How trackers are announced to.

/// To how many trackers a torrent announces (BEP 12). Private torrents always announce as by
/// [`AnnounceMode::Strict`] (BEP 27).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AnnounceMode {
    /// To one: the first that works, tier by tier.
    #[default]
    Strict,
    /// To the first of each tier that works.
    EveryTier,
    /// To every one.
    EveryTracker,
}
