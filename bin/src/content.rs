//! A torrent's content as the store wants it described.

use std::path::Path;

use protocol::metainfo::Metainfo;
use storage::StoreSpec;

use crate::failure::Failure;

/// Describes a torrent's files below `root`.
///
/// # Errors
/// [`Failure::Failed`] where a v2 torrent lacks its piece layers, so that its pieces cannot be checked.
pub(crate) fn spec(metainfo: &Metainfo, root: &Path) -> Result<StoreSpec, Failure> {
    let spec = StoreSpec::from_metainfo(metainfo, root.to_owned());
    spec.map_err(|_| {
        let line = "the torrent lacks piece layers: its pieces cannot be checked";
        Failure::Failed(line.to_owned())
    })
}
