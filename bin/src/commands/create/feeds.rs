//! Feeds: torrents of torrents (BEP 49).

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use protocol::magnet::Magnet;
use protocol::metainfo::Feed;
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};

use crate::cli::FeedArgs;
use crate::failure::Failure;

/// What the torrent says as a feed, if it is to be one.
///
/// # Errors
/// [`Failure::Usage`] names the flag whose link cannot be read, or that an archive must not have.
pub(super) fn asked_for(args: &FeedArgs) -> Result<Option<Feed>, Failure> {
    if !args.feed && !args.feed_archive {
        return Ok(None);
    }
    let link = |flag: &str, text: &Option<String>| {
        let link = text.as_deref().map(Magnet::parse).transpose();
        link.map_err(|error| Failure::Usage(format!("{flag}: {error}")))
    };
    let source = link("--feed-source", &args.feed_source)?;
    if source.as_ref().is_some_and(|link| link.mutable.is_none()) {
        let why =
            "--feed-source: not a link that names a publisher's key, as `dht publish` prints it";
        return Err(Failure::Usage(why.to_owned()));
    }
    Ok(Some(Feed {
        archive: args.feed_archive,
        archive_next: link("--feed-archive-next", &args.feed_archive_next)?,
        source,
        previous: link("--feed-previous", &args.feed_previous)?,
    }))
}

/// SHA-1 of a file, by which subscribers know the items that they have.
pub(super) fn sha1_of(path: &Path) -> io::Result<[u8; 20]> {
    let mut file = File::open(path)?;
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        context.update(buffer.get(..read).unwrap_or_default());
    }
    let mut sha1 = [0; 20];
    for (to, from) in sha1.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    Ok(sha1)
}
