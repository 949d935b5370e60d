//! A torrent that comes by itself.

use control::{Add, Added, Code, Origin, Refusal, Wish};

use crate::daemon::desk::Desk;

/// Adds a torrent as it is wished; `None` where it is there already.
pub(super) async fn take(
    desk: &Desk,
    origin: Origin,
    wish: &Wish,
) -> Result<Option<Added>, Refusal> {
    let add = Add {
        torrents: vec![origin],
        dir: wish.dir.clone(),
        category: wish.category.clone(),
        tags: wish.tags.clone(),
        paused: wish.paused,
        hops: wish.hops,
        ..Add::default()
    };
    let added = desk.add_each(add).await?.into_iter().next();
    let added = added.ok_or_else(|| Refusal::new(Code::Failed, "nothing was added"))?;
    match added.error {
        None => Ok(Some(added)),
        Some(refusal) if refusal.code == Code::Duplicate => Ok(None),
        Some(refusal) => Err(refusal),
    }
}
