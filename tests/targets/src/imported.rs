//! What must hold of what was read from records of other programs.

use std::path::Path;

use state::import::{Imported, Standing};
use state::{Details, FileStamp, Progress, Record, Torrent, Traffic};

/// A v1 torrent of the folder `top` with the files `a`, of a piece of 32 KiB and a byte, `b`, empty, and `c`, of three pieces.
pub(crate) fn torrent() -> Vec<u8> {
    let mut bytes = b"d4:infod5:filesl".to_vec();
    for (name, len) in [("a", 32_769), ("b", 0), ("c", 98_304)] {
        bytes.extend(format!("d6:lengthi{len}e4:pathl1:{name}ee").bytes());
    }
    bytes.extend(b"e4:name3:top12:piece lengthi32768e6:pieces100:");
    bytes.extend([7; 100]);
    bytes.extend(b"ee");
    bytes
}

/// Whatever was read can be kept, has names that lead nowhere else, and is believed only where nothing is to doubt.
pub(crate) fn check(mut it: Imported) {
    for name in it.paths().iter().flatten() {
        assert!(!matches!(&**name, "" | "." | "..") && !name.contains(['/', '\\', '\0']));
    }
    assert_eq!(
        Torrent::decode(&it.torrent.encode()).as_ref(),
        Ok(&it.torrent)
    );
    assert_eq!(
        Details::decode(&it.details.encode()).as_ref(),
        Ok(&it.details)
    );
    assert_eq!(
        Traffic::decode(&it.traffic.encode()).as_ref(),
        Ok(&it.traffic)
    );
    let pieces = it.parsed.as_ref().map(|parsed| parsed.geometry().pieces());
    if let Some(claim) = &it.claim {
        assert_eq!(Some(claim.have.len()), pieces);
    }
    let lens: Vec<u64> = it
        .parsed
        .iter()
        .flat_map(|parsed| parsed.files().iter().map(|file| file.len))
        .collect();
    for there in [false, true] {
        let mut look = |_: &Path, paths: &[Vec<String>]| {
            let stamps = paths.iter().zip(&lens);
            let stamps = stamps.map(|(path, len)| FileStamp {
                len: (there && !path.is_empty()).then_some(*len),
                mtime: 0,
            });
            stamps.collect()
        };
        let settled = it.settle(&mut look);
        assert!(settled.standing != Standing::Believed || (there && settled.doubts.is_empty()));
        if let Some(progress) = settled.progress {
            assert_eq!(progress.clean, settled.doubts.is_empty());
            assert_eq!(Progress::decode(&progress.encode()), Ok(progress));
        }
    }
}
