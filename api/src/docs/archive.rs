//! Reads a file of a ZIP archive, as far as those go that are part of the program: no encryption, no parts, less than 4 GiB.

use std::io::Read as _;

use flate2::read::DeflateDecoder;

/// What the last record of an archive begins with, and its length.
const END: &[u8; 4] = b"PK\x05\x06";
const END_LEN: usize = 22;

/// What a record of the list of files begins with, and the length of its fixed part.
const ENTRY: &[u8; 4] = b"PK\x01\x02";
const ENTRY_LEN: usize = 46;

/// The length of the fixed part before a file.
const HEAD_LEN: usize = 30;

/// Bytes of a file that is unpacked, at most.
const MOST: u64 = 16 << 20;

/// The only file whose name ends with this.
pub(super) fn read(archive: &[u8], name: &str) -> Option<Vec<u8>> {
    let end = archive.windows(4).rposition(|bytes| bytes == END)?;
    let end = archive.get(end..end.checked_add(END_LEN)?)?;
    let entries = short(end, 10)?;
    let mut at = long(end, 16)?;
    for _ in 0..entries {
        let entry = archive.get(at..)?;
        if entry.get(..4)? != ENTRY {
            return None;
        }
        let lens = [28, 30, 32].map(|field| short(entry, field));
        let [name_len, extra, comment] = [lens[0]?, lens[1]?, lens[2]?];
        let name_end = ENTRY_LEN.checked_add(name_len)?;
        if entry.get(ENTRY_LEN..name_end)?.ends_with(name.as_bytes()) {
            let (method, len) = (short(entry, 10)?, long(entry, 20)?);
            return unpack(archive, (long(entry, 42)?, len), method);
        }
        at = at.checked_add(name_end + extra + comment)?;
    }
    None
}

/// What lies behind a file's head.
fn unpack(archive: &[u8], (at, len): (usize, usize), method: usize) -> Option<Vec<u8>> {
    let head = archive.get(at..)?;
    let begin = HEAD_LEN + short(head, 26)? + short(head, 28)?;
    let packed = head.get(begin..begin.checked_add(len)?)?;
    match method {
        0 => Some(packed.to_vec()),
        8 => {
            let mut bytes = Vec::new();
            let unpacked = DeflateDecoder::new(packed)
                .take(MOST)
                .read_to_end(&mut bytes);
            unpacked.is_ok().then_some(bytes)
        }
        _ => None,
    }
}

fn short(bytes: &[u8], at: usize) -> Option<usize> {
    let field = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_le_bytes(field.try_into().ok()?).into())
}

fn long(bytes: &[u8], at: usize) -> Option<usize> {
    let field = bytes.get(at..at.checked_add(4)?)?;
    usize::try_from(u32::from_le_bytes(field.try_into().ok()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_unpacked_and_what_is_no_archive_has_none() {
        let archive = utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
        let page = read(archive, "/dist/index.html").unwrap();
        assert!(page.starts_with(b"<!--") && page.ends_with(b"</html>\n"));
        assert_eq!(read(archive, "/dist/nofile"), None);
        assert_eq!(read(b"", "/dist/index.html"), None);
        assert_eq!(read(b"PK\x05\x06", "/dist/index.html"), None);
        for cut in 2..200 {
            assert_eq!(
                read(&archive[..archive.len() - cut * 37], "/dist/index.html"),
                None
            );
        }
        // Whatever is wrong with the list of files, nothing but a file or none comes of it.
        let end = archive.windows(4).rposition(|bytes| bytes == END).unwrap();
        let list = long(&archive[end..], 16).unwrap();
        for at in list..archive.len() {
            let mut damaged = archive[list..].to_vec();
            damaged[at - list] ^= 0xff;
            let _ = read(&damaged, "/dist/index.html");
        }
    }
}
