//! Resume records of versions before the store: whatever the bytes, reading them ends well, and what is read can be kept.

use state::{Progress, Record, earlier};

/// Checks one input.
pub fn run(data: &[u8]) {
    let _ = earlier::decode_resume(data);
    // The digest at the end would stop the fuzzer at the door.
    let digest = sha1_smol::Sha1::from(data).digest().bytes();
    let sealed = [data, &digest].concat();
    if let Ok((_, progress)) = earlier::decode_resume(&sealed) {
        assert_eq!(Progress::decode(&progress.encode()), Ok(progress));
        // Those who wrote such records read them as well.
        assert!(storage::resume::Record::decode(&sealed).is_ok());
    }
}
