//! The tables of the store.

use redb::TableDefinition;

use crate::codec::Record;
use crate::{Details, Hops, Progress, Torrent, Totals, Traffic};

/// The format of the store as a whole: which tables there are, and what their keys are. Records have versions of their own.
pub(crate) const SCHEMA: u32 = 1;

/// A table of bytes by number.
pub(crate) type ByKey = TableDefinition<'static, u64, &'static [u8]>;
/// A table of bytes by name.
pub(crate) type ByName = TableDefinition<'static, &'static str, &'static [u8]>;
/// A table of bytes by hash.
pub(crate) type ByHash = TableDefinition<'static, [u8; 20], &'static [u8]>;
/// A table of numbers by name.
pub(crate) type Numbers = TableDefinition<'static, &'static str, u64>;

/// [`Torrent`] by number.
pub(crate) const TORRENTS: ByKey = TableDefinition::new("torrents");
/// [`Details`] by number; absent where there are none.
pub(crate) const DETAILS: ByKey = TableDefinition::new("details");
/// .torrent files by number, byte for byte as they came.
pub(crate) const METAINFO: ByKey = TableDefinition::new("metainfo");
/// [`Progress`] by number.
pub(crate) const PROGRESS: ByKey = TableDefinition::new("progress");
/// [`Traffic`] by number.
pub(crate) const TRAFFIC: ByKey = TableDefinition::new("traffic");
/// [`Progress`] of torrents that are not in the store, by the hash in handshakes.
pub(crate) const LOOSE_PROGRESS: ByHash = TableDefinition::new("loose progress");
/// .torrent files of torrents that are not in the store, by the hash in handshakes.
pub(crate) const LOOSE_METAINFO: ByHash = TableDefinition::new("loose metainfo");
/// [`Hops`] by what is named so: the hash in handshakes, or a place in the DHT. Outlives the torrent.
pub(crate) const HOPS: ByHash = TableDefinition::new("hops");
/// What publishers have signed (BEP 46), by its place in the DHT.
pub(crate) const ITEMS: ByHash = TableDefinition::new("items");
/// Settings by name.
pub(crate) const SETTINGS: ByName = TableDefinition::new("settings");
/// [`Totals`] under one name.
pub(crate) const TOTALS: ByName = TableDefinition::new("totals");
/// Numbers about the store itself.
pub(crate) const META: Numbers = TableDefinition::new("meta");

/// In [`META`]: the [`SCHEMA`].
pub(crate) const META_SCHEMA: &str = "schema";
/// In [`META`]: the number that the next torrent gets at least.
pub(crate) const META_NEXT: &str = "next";
/// In [`META`]: when the file that is the previous generation was made, in seconds since 1970.
pub(crate) const META_GENERATION: &str = "generation";
/// The one name in [`TOTALS`].
pub(crate) const TOTALS_NAME: &str = "all";

pub(crate) const BY_KEY: [ByKey; 5] = [TORRENTS, DETAILS, METAINFO, PROGRESS, TRAFFIC];
pub(crate) const BY_HASH: [ByHash; 4] = [LOOSE_PROGRESS, LOOSE_METAINFO, HOPS, ITEMS];
pub(crate) const BY_NAME: [ByName; 2] = [SETTINGS, TOTALS];

/// A record with the name of the table that it is in.
pub(crate) trait Row: Record {
    const TABLE: &'static str;
}

macro_rules! rows {
    ($($type:ty: $table:literal),* $(,)?) => {$(
        impl Row for $type {
            const TABLE: &'static str = $table;
        }
    )*};
}

rows!(
    Torrent: "torrents",
    Details: "details",
    Hops: "hops",
    Progress: "progress",
    Traffic: "traffic",
    Totals: "totals",
);
