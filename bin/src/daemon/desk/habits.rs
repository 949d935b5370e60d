//! Watched folders and feeds.

use control::{Code, FeedItem, FeedsOf, PreviewOf, Refusal, RulesOf, WatchesOf, Wish, label, tags};
use habits::{Document, Memory, Rules, feed_url};
use serde_json::{Value, json};

use super::Desk;
use crate::daemon::habits::{Feeding, Watching, fetch_feed};
use crate::daemon::kept;

impl Desk {
    /// The folders that are watched.
    pub(crate) const fn watching(&self) -> &Watching {
        &self.watches
    }

    /// The feeds that are looked at.
    pub(crate) const fn feeding(&self) -> &Feeding {
        &self.feeds
    }

    /// By how many hops goes what so many are said of.
    pub(crate) fn hops_of(&self, said: Option<u8>) -> Option<u8> {
        said.or(self.args.common.hops.hops)
    }

    /// The watched folders, changed first where that is asked for.
    pub(super) async fn watches(&self, of: WatchesOf) -> Result<Value, Refusal> {
        let changes = of.set.is_some() || of.remove.is_some();
        if let Some(watch) = of.set {
            check(&watch.add)?;
            self.watches.set(watch).await?;
        }
        if let Some(dir) = &of.remove {
            self.watches.remove(dir)?;
        }
        self.kept_if(changes).await?;
        Ok(json!({"watches": self.watches.told()}))
    }

    /// The feeds, changed first where that is asked for.
    pub(super) async fn feeds(&self, of: FeedsOf) -> Result<Value, Refusal> {
        let changes = of.set.is_some() || of.remove.is_some();
        if let Some(feed) = of.set {
            check(&feed.add)?;
            for rule in &feed.rules {
                check(&rule.add)?;
            }
            self.feeds.set(feed)?;
        }
        if let Some(name) = &of.remove {
            self.feeds.remove(name)?;
        }
        if let Some(name) = &of.fetch {
            self.feeds.hurry(name)?;
        }
        self.kept_if(changes).await?;
        Ok(json!({"feeds": self.feeds.told(None)}))
    }

    /// Changes the rules of a feed.
    pub(super) async fn change_rules(&self, of: RulesOf) -> Result<Value, Refusal> {
        if of.set.is_none() && of.remove.is_none() {
            let why = "say which rule is set or removed";
            return Err(Refusal::new(Code::Wrong, why));
        }
        if let Some(rule) = &of.set {
            check(&rule.add)?;
        }
        let name = of.feed.clone();
        self.feeds.set_rules(of)?;
        self.kept_if(true).await?;
        Ok(json!({"feeds": self.feeds.told(Some(&name))}))
    }

    /// What would be taken from a feed now.
    pub(super) async fn preview(&self, of: PreviewOf) -> Result<Value, Refusal> {
        let failed = |why: String| Refusal::new(Code::Failed, why);
        let known = self.feeds.find(&of.feed);
        let (url, hops, rules, memory) = match known {
            Some((feed, rules, memory)) => (feed_url(&feed.url)?, feed.add.hops, rules, memory),
            None if of.feed.contains("://") => {
                let rules = Rules::new(true, &[])?;
                (feed_url(&of.feed)?, of.hops, rules, Memory::default())
            }
            None => {
                let why = format!("there is no feed {}", of.feed);
                return Err(Refusal::new(Code::NotFound, why));
            }
        };
        let rules = match of.rule {
            Some(rule) => Rules::new(false, &[rule])?,
            None => rules,
        };
        let network = self.way(self.hops_of(hops)).await?;
        let fetched = fetch_feed(&url, &network, (None, None)).await;
        let fetched = fetched.map_err(|unfetched| failed(unfetched.why))?;
        let body = fetched.body.unwrap_or_default();
        let document = Document::read(&body, Some(&fetched.url));
        let document = document.map_err(|error| failed(error.to_string()))?;
        let items: Vec<FeedItem> = rules.preview(document, memory);
        Ok(json!({"items": items}))
    }

    /// Waits until what was changed is on the disk.
    async fn kept_if(&self, changes: bool) -> Result<(), Refusal> {
        if !changes {
            return Ok(());
        }
        let kept = kept::on_disk(&self.keeper).await;
        kept.map_err(|why| Refusal::new(Code::Failed, why))
    }
}

/// Looks whether what is wanted of torrents can be.
fn check(wish: &Wish) -> Result<(), Refusal> {
    let wrong = |why: &str| Err(Refusal::new(Code::Wrong, why));
    if let Some(category) = &wish.category {
        label(category)?;
    }
    tags(&wish.tags)?;
    if wish.dir.as_ref().is_some_and(|dir| !dir.starts_with('/')) {
        return wrong("a folder is named from the root");
    }
    if wish.hops.is_some_and(|hops| hops > 3) {
        return wrong("there are 0 to 3 hops");
    }
    Ok(())
}
