//! Making new torrents.
