//! Padding between files (BEP 47): bytes of the torrent that nobody sends, stores or wants to hear of.

use std::collections::BTreeMap;

use protocol::metainfo::Metainfo;

/// Bytes of padding in each piece that has any, by piece index.
pub(super) fn of(metainfo: &Metainfo) -> BTreeMap<u32, u32> {
    let geometry = metainfo.geometry();
    let mut padding = BTreeMap::new();
    for file in metainfo.files().iter().filter(|file| file.attr.pad) {
        let end = file.offset.saturating_add(file.len);
        let mut at = file.offset;
        while at < end
            && let Some(piece) = geometry.piece_at(at)
        {
            let next = geometry.offset_of(piece) + u64::from(geometry.len_of(piece));
            // A part of a piece: it fits.
            *padding.entry(piece.get()).or_default() += (next.min(end) - at) as u32;
            at = next;
        }
    }
    padding
}

#[cfg(test)]
mod tests {
    use protocol::metainfo::LoadLimits;

    use super::*;

    #[test]
    fn every_pad_counts_in_the_pieces_that_it_lies_in() {
        let file =
            |len: u32, name: &str, attr: &str| format!("d{attr}6:lengthi{len}e4:pathl1:{name}ee");
        let pad = "4:attr1:p";
        let files = [
            file(20, "a", ""),
            file(10, "1", pad),
            file(2, "b", ""),
            file(100, "2", pad),
            file(1, "c", ""),
            file(3, "3", pad),
        ];
        let torrent = format!(
            "d4:infod5:filesl{}e4:name1:n12:piece lengthi32e6:pieces100:{}ee",
            files.concat(),
            "x".repeat(100)
        );
        let metainfo = Metainfo::from_bytes(torrent.as_bytes(), &LoadLimits::default()).unwrap();
        let found = of(&metainfo);
        assert_eq!(
            found,
            BTreeMap::from([(0, 10), (1, 32), (2, 32), (3, 32), (4, 4 + 3)])
        );
        let payload = metainfo.geometry().total_len() - 113;
        assert_eq!(payload, metainfo.content_len());
    }
}
