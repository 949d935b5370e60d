use super::*;

mod differences;
mod fixtures;
mod loading;
mod robust;

/// libtorrent's name of an error of ours.
fn error_name(error: &MetainfoError) -> &'static str {
    use crate::bencode::ErrorKind;
    match error {
        MetainfoError::Bencode(e) if e.kind == ErrorKind::TooDeep => "depth_exceeded",
        MetainfoError::FileLength => "torrent_invalid_length",
        MetainfoError::FileName => "torrent_invalid_name",
        MetainfoError::FileList => "torrent_file_parse_failed",
        MetainfoError::Inconsistent => "torrent_inconsistent_files",
        MetainfoError::MissingInfo => "torrent_missing_info",
        MetainfoError::MissingName => "torrent_missing_name",
        MetainfoError::MissingPieces => "torrent_missing_pieces",
        MetainfoError::NoFiles => "no_files_in_torrent",
        MetainfoError::NotCanonical(_) => "invalid_bencoding",
        MetainfoError::NotDict => "torrent_is_no_dict",
        MetainfoError::PadFile => "torrent_invalid_pad_file",
        MetainfoError::PieceHashes => "torrent_invalid_hashes",
        MetainfoError::PieceLayer => "torrent_invalid_piece_layer",
        MetainfoError::PieceLength => "torrent_missing_piece_length",
        MetainfoError::PiecesRoot => "torrent_missing_pieces_root",
        MetainfoError::TooManyDuplicates => "too_many_duplicate_filenames",
        MetainfoError::TooManyPieces(_) => "too_many_pieces_in_torrent",
        MetainfoError::Bencode(_) => "bdecode",
        MetainfoError::MissingFileTree => "torrent_missing_file_tree",
        MetainfoError::MissingMetaVersion => "torrent_missing_meta_version",
        MetainfoError::UnknownVersion(_) => "torrent_unknown_version",
        MetainfoError::DirectoryTooDeep
        | MetainfoError::Geometry(_)
        | MetainfoError::MagnetInstead(_)
        | MetainfoError::MerkleTorrent
        | MetainfoError::PathsTooLong => "none of libtorrent's",
    }
}

fn flags(attr: FileAttr) -> Vec<&'static str> {
    let all = [
        (attr.pad, "pad"),
        (attr.hidden, "hidden"),
        (attr.executable, "executable"),
        (attr.symlink, "symlink"),
    ];
    all.iter()
        .filter(|(set, _)| *set)
        .map(|(_, name)| *name)
        .collect()
}
