//! What happens to machines: power cuts, full disks, and disks that go away.

mod crash;
mod full_disk;
mod kills;
mod read_only;
