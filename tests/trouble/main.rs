//! What happens to machines: power cuts and full disks.

mod crash;
mod full_disk;
