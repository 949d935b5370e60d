//! What happens to machines: power cuts, full disks, and disks that go away.

mod crash;
mod full_disk;
mod read_only;
