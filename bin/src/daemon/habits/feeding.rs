//! Feeds that are looked at now and then, and what is taken from them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use control::{Blob, Code, Feed, FeedState, Origin, Refusal, RulesOf};
use engine::Category;
use habits::{Document, Item, Memory, Pace, Rules, Torrent, Verdict, feed_url};
use net::Pool;
use parking_lot::Mutex;
use rand::RngExt as _;
use serde_json::json;
use state::{Keeper, StateError};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::fetching::{Fetched, Found, Unfetched, fetch_feed, fetch_torrent};
use super::taking::take;
use super::watching::tell;
use crate::daemon::desk::Desk;
use crate::daemon::kept::now;

/// What the names of feeds begin with in the store, and of what was taken from them.
const PREFIX: &str = "feed.";
const MEMORY: &str = "fed.";

/// Feeds that there may be.
const MOST: usize = 200;

/// Feeds that are looked at at the same time.
const AT_A_TIME: usize = 4;

/// The feeds.
#[derive(Debug)]
pub(crate) struct Feeding {
    keeper: Arc<Keeper>,
    all: Mutex<BTreeMap<String, Slot>>,
    /// Something is to be done sooner than was thought.
    bell: Notify,
}

/// A feed.
#[derive(Clone, Debug)]
struct Slot {
    feed: Feed,
    rules: Rules,
    memory: Memory,
    title: Option<String>,
    items: usize,
    error: Option<String>,
    pace: Pace,
    next: Instant,
    busy: bool,
    /// Somebody wants it to be looked at again at once.
    hurried: bool,
    /// Changes with the feed, so that who still works for the one before knows.
    edition: u64,
}

impl Slot {
    fn new(feed: Feed, memory: Memory) -> Result<Self, Refusal> {
        feed_url(&feed.url)?;
        let ago = memory.looked.map(|looked| now().saturating_sub(looked));
        let ago = ago.map(|ago| Duration::from_secs(u64::try_from(ago).unwrap_or_default()));
        let every = Duration::from_secs(feed.every);
        Ok(Self {
            rules: Rules::of(&feed)?,
            feed,
            memory,
            title: None,
            items: 0,
            error: None,
            pace: Pace::default(),
            next: Instant::now() + Pace::first(ago, every, rand::rng().random()),
            busy: false,
            hurried: false,
            edition: 0,
        })
    }

    fn told(&self) -> FeedState {
        FeedState {
            name: self.feed.name.clone(),
            url: self.feed.url.clone(),
            title: self.title.clone(),
            every: self.feed.every,
            all: self.feed.all,
            only_new: self.feed.only_new,
            rules: self.feed.rules.clone(),
            add: self.feed.add.clone(),
            looked: self.memory.looked,
            items: self.items,
            taken: self.memory.taken(),
            error: self.error.clone(),
        }
    }
}

impl Feeding {
    /// Those that were kept.
    ///
    /// # Errors
    /// [`StateError`].
    pub(crate) fn load(keeper: &Arc<Keeper>) -> Result<Self, StateError> {
        let mut memories: BTreeMap<String, Memory> =
            super::kept(keeper, MEMORY)?.into_iter().collect();
        let slots = super::kept::<Feed>(keeper, PREFIX)?.into_iter();
        let slots = slots.filter_map(|(name, feed)| {
            let memory = memories.remove(&name).unwrap_or_default();
            let slot = Slot::new(feed, memory);
            let slot = slot.inspect_err(
                |why| tracing::warn!(name, %why, "a feed that was kept is passed over"),
            );
            Some((name, slot.ok()?))
        });
        Ok(Self {
            all: Mutex::new(slots.collect()),
            keeper: Arc::clone(keeper),
            bell: Notify::new(),
        })
    }

    /// How they all are, or one of them.
    pub(crate) fn told(&self, name: Option<&str>) -> Vec<FeedState> {
        let all = self.all.lock();
        let told = all
            .iter()
            .filter(|(of, _)| name.is_none_or(|name| name == *of));
        told.map(|(_, slot)| slot.told()).collect()
    }

    /// A feed comes, or takes the place of the one of its name: what was taken from that is remembered, and its rules stay where
    /// the new one has none.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(crate) fn set(&self, mut feed: Feed) -> Result<(), Refusal> {
        feed.name = control::label(&feed.name)?;
        feed.every = feed.every.max(60);
        let mut all = self.all.lock();
        if all.len() >= MOST && !all.contains_key(&feed.name) {
            let why = format!("there are {MOST} feeds already");
            return Err(Refusal::new(Code::Failed, why));
        }
        let before = all.get(&feed.name);
        if let (Some(before), true) = (before, feed.rules.is_empty()) {
            feed.rules.clone_from(&before.feed.rules);
        }
        let memory = before.map(|before| before.memory.clone());
        self.put(&mut all, feed, memory.unwrap_or_default())
    }

    /// The rules of a feed are changed.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(crate) fn set_rules(&self, of: RulesOf) -> Result<(), Refusal> {
        let mut all = self.all.lock();
        let slot = all.get(&of.feed).ok_or_else(|| unknown(&of.feed))?;
        let (mut feed, mut memory) = (slot.feed.clone(), slot.memory.clone());
        if let Some(name) = &of.remove {
            let before = feed.rules.len();
            feed.rules.retain(|rule| rule.name != *name);
            if feed.rules.len() == before {
                let why = format!("the feed {} has no rule {name}", of.feed);
                return Err(Refusal::new(Code::NotFound, why));
            }
            memory.forget_rule(name);
        }
        if let Some(mut rule) = of.set {
            rule.name = control::label(&rule.name)?;
            feed.rules.retain(|other| other.name != rule.name);
            feed.rules.push(rule);
        }
        self.put(&mut all, feed, memory)
    }

    /// A feed as it is from now on; it is looked at at once, all of it.
    fn put(
        &self,
        all: &mut BTreeMap<String, Slot>,
        feed: Feed,
        mut memory: Memory,
    ) -> Result<(), Refusal> {
        memory.forget_version();
        let name = feed.name.clone();
        let before = all.get(&name);
        let mut slot = Slot::new(feed, memory)?;
        if let Some(before) = before {
            slot.edition = before.edition + 1;
            slot.title.clone_from(&before.title);
        }
        slot.next = Instant::now();
        super::keep(&self.keeper, &format!("{PREFIX}{name}"), Some(&slot.feed))
            .map_err(|why| Refusal::new(Code::Failed, why))?;
        all.insert(name, slot);
        self.bell.notify_one();
        Ok(())
    }

    /// A feed goes, and what was taken from it is forgotten.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(crate) fn remove(&self, name: &str) -> Result<(), Refusal> {
        let mut all = self.all.lock();
        if !all.contains_key(name) {
            return Err(unknown(name));
        }
        for prefix in [PREFIX, MEMORY] {
            super::keep(&self.keeper, &format!("{prefix}{name}"), None::<&Feed>)
                .map_err(|why| Refusal::new(Code::Failed, why))?;
        }
        all.remove(name);
        Ok(())
    }

    /// A feed is looked at now.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(crate) fn hurry(&self, name: &str) -> Result<(), Refusal> {
        let mut all = self.all.lock();
        let slot = all.get_mut(name).ok_or_else(|| unknown(name))?;
        slot.next = Instant::now();
        slot.hurried = true;
        slot.memory.forget_version();
        self.bell.notify_one();
        Ok(())
    }

    /// A feed, its rules and what was taken from it, by its name.
    pub(crate) fn find(&self, name: &str) -> Option<(Feed, Rules, Memory)> {
        let all = self.all.lock();
        let slot = all.get(name)?;
        Some((slot.feed.clone(), slot.rules.clone(), slot.memory.clone()))
    }

    /// A feed that is due, and when the next one is.
    fn next(&self) -> (Option<(String, Slot)>, Option<Instant>) {
        let mut all = self.all.lock();
        let idle = all.values_mut().filter(|slot| !slot.busy);
        let Some(first) = idle.min_by_key(|slot| slot.next) else {
            return (None, None);
        };
        if first.next > Instant::now() {
            return (None, Some(first.next));
        }
        (first.busy, first.hurried) = (true, false);
        (Some((first.feed.name.clone(), first.clone())), None)
    }

    /// Changes a feed, if it is still the same one, and keeps what was taken from it; says whether it is.
    fn change(&self, name: &str, edition: u64, change: impl FnOnce(&mut Slot)) -> bool {
        let mut all = self.all.lock();
        let Some(slot) = all.get_mut(name).filter(|slot| slot.edition == edition) else {
            return false;
        };
        let before = slot.memory.clone();
        change(slot);
        if slot.memory != before
            && let Err(why) =
                super::keep(&self.keeper, &format!("{MEMORY}{name}"), Some(&slot.memory))
        {
            tracing::warn!(why, "what was taken from a feed is not kept");
        }
        true
    }
}

fn unknown(name: &str) -> Refusal {
    Refusal::new(Code::NotFound, format!("there is no feed {name}"))
}

/// Looks at the feeds of a desk when they are due; does not return.
pub(super) async fn run(desk: Arc<Desk>, pool: Pool) {
    let feeding = desk.feeding();
    let mut looks = JoinSet::new();
    loop {
        while looks.try_join_next().is_some() {}
        let mut wait = None;
        if looks.len() < AT_A_TIME {
            match feeding.next() {
                (Some((name, slot)), _) => {
                    let desk = Arc::clone(&desk);
                    looks.spawn_on(async move { look(&desk, &name, slot).await }, pool.handle());
                    continue;
                }
                (None, next) => wait = next,
            }
        }
        let some = wait.is_some();
        let at = tokio::time::Instant::from_std(wait.unwrap_or_else(Instant::now));
        tokio::select! {
            biased;
            () = feeding.bell.notified() => {}
            Some(_) = looks.join_next() => {}
            () = tokio::time::sleep_until(at), if some => {}
        }
    }
}

/// Looks at a feed, takes what is to be taken, and says when that is done the next time.
async fn look(desk: &Arc<Desk>, name: &str, slot: Slot) {
    let feeding = desk.feeding();
    let edition = slot.edition;
    let every = Duration::from_secs(slot.feed.every);
    let outcome = look_through(desk, name, &slot).await;
    let mut failed = None;
    feeding.change(name, edition, |slot| {
        let (well, at_least) = match &outcome {
            Ok(()) => (true, Duration::ZERO),
            Err(unfetched) => (false, unfetched.at_least),
        };
        let wait = slot
            .pace
            .after(well, (every, at_least), rand::rng().random());
        slot.busy = false;
        let wait = if slot.hurried { Duration::ZERO } else { wait };
        slot.next = Instant::now() + wait;
        let error = outcome.err().map(|unfetched| unfetched.why);
        if error.is_some() && error != slot.error {
            failed.clone_from(&error);
        }
        slot.error = error;
    });
    if let Some(why) = failed {
        let line = json!({"event": "feed_failed", "feed": name, "error": why});
        tell(desk, "feed_failed", Category::Errors, line);
    }
}

async fn look_through(desk: &Arc<Desk>, name: &str, slot: &Slot) -> Result<(), Unfetched> {
    let failed = |why: String| Unfetched {
        why,
        at_least: Duration::ZERO,
    };
    let feeding = desk.feeding();
    let memory = &slot.memory;
    let url = feed_url(&slot.feed.url).map_err(|refusal| failed(refusal.message))?;
    let way = desk.way(desk.hops_of(slot.feed.add.hops)).await;
    let network = way.map_err(|refusal| failed(refusal.message))?;
    let version = (memory.etag.as_deref(), memory.modified.as_deref());
    let fetched = fetch_feed(&url, &network, version).await?;
    let document = match &fetched.body {
        Some(body) => Some(read(body, &fetched)?),
        None => None,
    };
    let mut edition = None;
    let known = feeding.change(name, slot.edition, |slot| {
        let first = slot.memory.looked.is_none() && slot.feed.only_new;
        slot.memory.looked = Some(now());
        let Some(document) = document else { return };
        slot.memory.etag.clone_from(&fetched.etag);
        slot.memory.modified.clone_from(&fetched.modified);
        slot.memory.renew(&document.items);
        slot.title.clone_from(&document.title);
        slot.items = document.items.len();
        if first {
            for item in &document.items {
                slot.memory.note(item, None);
            }
        } else {
            edition = Some(document);
        }
    });
    if let (true, Some(document)) = (known, edition) {
        take_all(desk, (name, slot), &document.items, fetched.peer).await;
    }
    Ok(())
}

/// Reads a feed that came.
fn read(body: &[u8], fetched: &Fetched) -> Result<Document, Unfetched> {
    Document::read(body, Some(&fetched.url)).map_err(|error| Unfetched {
        why: error.to_string(),
        at_least: Duration::ZERO,
    })
}

/// Takes the items that are to be taken, one after the other, for as long as the feed is the same.
async fn take_all(
    desk: &Arc<Desk>,
    (name, slot): (&str, &Slot),
    items: &[Item],
    named_by: SocketAddr,
) {
    let feeding = desk.feeding();
    for item in items {
        let Some((_, rules, memory)) = feeding.find(name) else {
            return;
        };
        let Verdict::Take(rule) = rules.judge(item, &memory) else {
            continue;
        };
        let wish = rules.wish(rule.as_deref(), &slot.feed.add);
        let taken = take_one(desk, item, &wish, named_by).await;
        let mut given_up = false;
        let known = feeding.change(name, slot.edition, |slot| match &taken {
            Ok(_) => slot.memory.note(item, rule.as_deref()),
            Err(_) => given_up = !slot.memory.note_failure(item),
        });
        match taken {
            Ok(Some(added)) => {
                let line = json!({"event": "feed_taken", "feed": name, "rule": rule, "title": item.title, "info_hash": added.info_hash, "name": added.name});
                tell(desk, "feed_taken", Category::Status, line);
            }
            Err(why) if given_up => {
                let line = json!({"event": "feed_failed", "feed": name, "title": item.title, "error": why});
                tell(desk, "feed_failed", Category::Errors, line);
            }
            Err(why) => tracing::info!(name, title = item.title, why, "is tried again"),
            Ok(None) => {}
        }
        if !known {
            return;
        }
    }
}

async fn take_one(
    desk: &Arc<Desk>,
    item: &Item,
    wish: &control::Wish,
    named_by: SocketAddr,
) -> Result<Option<control::Added>, String> {
    let origin = match &item.torrent {
        None => return Ok(None),
        Some(Torrent::Link(link)) => Origin::Link(link.clone()),
        Some(Torrent::Url(url)) => {
            let way = desk.way(desk.hops_of(wish.hops)).await;
            let network = way.map_err(|refusal| refusal.message)?;
            match fetch_torrent(url, &network, named_by).await? {
                Found::File(bytes) => Origin::File(Blob(bytes.into())),
                Found::Link(link) => Origin::Link(link),
            }
        }
    };
    let taken = take(desk, origin, wish).await;
    taken.map_err(|refusal| refusal.message)
}
