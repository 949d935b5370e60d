//! Info-hashes as people and tables write them.

use data_encoding::HEXLOWER_PERMISSIVE;
use protocol::id::InfoHash;

/// An info-hash of 40 hexadecimal digits of either case.
pub(crate) fn info_hash(text: &str) -> Option<InfoHash> {
    let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?;
    bytes.try_into().ok().map(InfoHash)
}
