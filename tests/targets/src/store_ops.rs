//! Sequences of operations on the piece store, against its model in memory.

#[path = "../../../storage/tests/store/model.rs"]
mod model;

/// Checks one input.
pub fn run(data: &[u8]) {
    // In memory where the machine has such a folder: the disk is not what is tested.
    let memory = std::path::Path::new("/dev/shm");
    let dir = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    model::run(data, dir.expect("a folder for temporary files").path());
}
