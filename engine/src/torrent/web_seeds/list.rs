//! The web seeds of a torrent: which to work with, and which to leave alone for how long.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::bitfield::Bitfield;
use protocol::magnet::Magnet;
use protocol::metainfo::Metainfo;
use protocol::web_seed::{Kind, WebSeed};

use crate::settings::WebSeedSettings;
use crate::web::messages::WebEnded;

/// Web seeds that are remembered; a torrent that names more is served as well by these.
const MOST: usize = 64;

/// Web seeds that are remembered of one life of a torrent, those counted that were taken off.
const MOST_EVER: usize = 1024;

/// The longest that a server is left alone, unless it wants more itself.
const LONGEST_REST: Duration = Duration::from_mins(30);

/// How long a server is left alone that has nothing of the torrent, and how long what it lacked is not asked for again.
const USELESS_REST: Duration = Duration::from_secs(3600);

/// One of the web seeds.
#[derive(Debug)]
pub(crate) struct Known {
    /// Where it is, and how it is asked.
    pub(crate) seed: WebSeed,
    /// The user named it, and not a stranger.
    pub(crate) by_user: bool,
    /// Its server sends whole files and nothing else.
    pub(crate) whole_files: bool,
    /// How it stands.
    pub(crate) standing: Standing,
    /// Bytes that came from it while it was at work before.
    pub(crate) downloaded: u64,
    failures: u32,
    /// It is named no longer.
    gone: bool,
    /// The pieces that could be had from it when its work last ended, where those were not all.
    has: Option<Bitfield>,
    /// Until when it is believed that it lacks something.
    lacks_until: Option<Instant>,
}

impl Known {
    /// The pieces that can be had from it, where those are not all as far as is known.
    pub(crate) fn has(&mut self, now: Instant) -> Option<Bitfield> {
        if self.lacks_until.is_none_or(|until| until <= now) {
            self.lacks_until = None;
            self.has = None;
        }
        self.has.clone()
    }

    /// Whether it is so long ago that it lacked something that it may have it by now.
    pub(crate) fn may_have_more(&self, now: Instant) -> bool {
        self.lacks_until.is_some_and(|until| until <= now)
    }
}

/// How a web seed stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is at work.
    AtWork,
    /// It sent bad data, and is not asked any more.
    Banned,
    /// It could be asked.
    Ready,
    /// It is left alone until then, for this reason.
    Resting(Instant, Arc<str>),
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct WebList {
    known: Vec<Known>,
    manners: Manners,
}

/// How servers are put up with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manners {
    /// Web seeds that a torrent works with at a time.
    pub(crate) at_work: usize,
    /// How long a server is left alone after its first failure; twice as long after each further one.
    pub(crate) first_rest: Duration,
}

impl Manners {
    /// As the settings say.
    pub(crate) const fn of(settings: &WebSeedSettings) -> Self {
        Self {
            at_work: settings.at_work as usize,
            first_rest: settings.retry_after,
        }
    }
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            at_work: 4,
            first_rest: Duration::from_secs(10),
        }
    }
}

impl WebList {
    /// The web seeds that the metadata, the magnet link and the user name, the user's first.
    #[cfg(test)]
    fn new(by_user: &[String], metainfo: &Metainfo, magnet: Option<&Magnet>) -> Self {
        let mut list = Self::default();
        list.replace((by_user, true), metainfo, magnet);
        list
    }

    /// Other web seeds: the user's, and those that the metadata and the magnet link name where these are `named`, too. What is
    /// known of those that were there stays. Gives the numbers of those that go.
    pub(crate) fn replace(
        &mut self,
        (by_user, named): (&[String], bool),
        metainfo: &Metainfo,
        magnet: Option<&Magnet>,
    ) -> Vec<usize> {
        let linked = magnet.map_or(&[][..], |magnet| &magnet.web_seeds);
        // A stranger's word is not the user's because the user left it there.
        let strange = |url: &String| metainfo.web_seeds().contains(url) || linked.contains(url);
        let by_user = by_user
            .iter()
            .map(|url| (Kind::GetRight, url, !strange(url)));
        let right = |url| (Kind::GetRight, url, false);
        let others = (metainfo.web_seeds().iter().map(right))
            .chain(linked.iter().map(right))
            .filter(|_| named)
            .chain(
                metainfo
                    .http_seeds()
                    .iter()
                    .map(|url| (Kind::Hoffman, url, false)),
            );
        let mut seen = BTreeSet::new();
        let due: Vec<(WebSeed, bool)> = by_user
            .chain(others)
            .filter_map(|(kind, url, by_user)| Some((WebSeed::new(kind, url)?, by_user)))
            // The metadata's end in a slash where they name a folder.
            .filter(|(seed, _)| {
                seen.insert((seed.kind, seed.url().trim_end_matches('/').to_owned()))
            })
            .take(MOST)
            .collect();
        let mut gone = Vec::new();
        for (number, known) in self.known.iter_mut().enumerate() {
            let stays = due.iter().any(|(seed, _)| *seed == known.seed);
            if !stays && !known.gone {
                gone.push(number);
            }
            known.gone = !stays;
        }
        for (seed, by_user) in due {
            if self.known.len() < MOST_EVER && !self.known.iter().any(|known| known.seed == seed) {
                self.known.push(Known {
                    seed,
                    by_user,
                    whole_files: false,
                    standing: Standing::Ready,
                    downloaded: 0,
                    failures: 0,
                    gone: false,
                    has: None,
                    lacks_until: None,
                });
            }
        }
        gone
    }

    /// Puts up with servers so from now on.
    pub(crate) const fn set_manners(&mut self, manners: Manners) {
        self.manners = manners;
    }

    /// All of them, by number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &Known)> {
        let all = self.known.iter().enumerate();
        all.filter(|(_, known)| !known.gone)
    }

    pub(crate) fn get_mut(&mut self, number: usize) -> Option<&mut Known> {
        self.known.get_mut(number)
    }

    /// The next one to work with, if there is one and not enough are at work; it is at work from now on.
    pub(crate) fn next(&mut self, now: Instant) -> Option<usize> {
        let at_work = |known: &&Known| known.standing == Standing::AtWork && !known.gone;
        if self.known.iter().filter(at_work).count() >= self.manners.at_work {
            return None;
        }
        let free = |known: &Known| match &known.standing {
            Standing::Ready => true,
            Standing::Resting(until, _) => *until <= now,
            Standing::AtWork | Standing::Banned => false,
        };
        let (number, next) = (self.known.iter_mut().enumerate())
            .filter(|(_, known)| free(known) && !known.gone)
            .min_by_key(|(number, known)| (known.failures, *number))?;
        next.standing = Standing::AtWork;
        Some(number)
    }

    /// All that are left alone for a while could be asked again.
    pub(crate) fn begin_anew(&mut self) {
        for known in &mut self.known {
            known.failures = 0;
            known.lacks_until = None;
            if matches!(known.standing, Standing::Resting(..)) {
                known.standing = Standing::Ready;
            }
        }
    }

    /// One of them has brought a block: it is of use, whatever was before.
    pub(crate) fn served(&mut self, number: usize) {
        if let Some(known) = self.known.get_mut(number) {
            known.failures = 0;
        }
    }

    /// The work with one has ended, after so many bytes.
    pub(crate) fn ended(&mut self, number: usize, how: &WebEnded, bytes: u64, now: Instant) {
        let Some(known) = self.known.get_mut(number) else {
            return;
        };
        known.downloaded += bytes;
        if known.standing == Standing::Banned {
            return;
        }
        known.standing = match how {
            WebEnded::Dismissed => Standing::Ready,
            WebEnded::Failed {
                reason,
                retry_after,
            } => {
                let doubled =
                    self.manners.first_rest * 2_u32.saturating_pow(known.failures.min(16));
                known.failures += 1;
                let rest = doubled.min(LONGEST_REST);
                let rest = retry_after.map_or(rest, |told| told.max(self.manners.first_rest));
                Standing::Resting(now + rest, Arc::clone(reason))
            }
            WebEnded::Useless(reason) => {
                known.failures += 1;
                Standing::Resting(now + USELESS_REST, Arc::clone(reason))
            }
        };
    }

    /// One of them lacks something, which it is not asked for again for a while.
    pub(crate) fn lacks(&mut self, number: usize, now: Instant) {
        if let Some(known) = self.known.get_mut(number) {
            known.lacks_until.get_or_insert(now + USELESS_REST);
        }
    }

    /// What could be had from one of them when its work ended, where that is not all.
    pub(crate) fn found(&mut self, number: usize, has: Bitfield) {
        if let Some(known) = self.known.get_mut(number) {
            known.has = Some(has);
        }
    }

    /// One of them sent bad data; says whether that is news.
    pub(crate) fn ban(&mut self, number: usize) -> bool {
        let known = self.known.get_mut(number);
        known.is_some_and(|known| {
            std::mem::replace(&mut known.standing, Standing::Banned) != Standing::Banned
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use protocol::metainfo::LoadLimits;

    use super::*;

    fn metainfo(urls: &[&str]) -> Metainfo {
        let list = urls.iter().fold(String::new(), |mut list, url| {
            write!(list, "{}:{url}", url.len()).unwrap();
            list
        });
        let old = "http://old/seed";
        let text = format!(
            "d9:httpseedsl{}:{old}e4:infod6:lengthi1e4:name1:n12:piece lengthi16e6:pieces20:{}e8:url-listl{list}ee",
            old.len(),
            "x".repeat(20)
        );
        Metainfo::from_bytes(text.as_bytes(), &LoadLimits::default()).unwrap()
    }

    fn list(urls: &[&str]) -> WebList {
        WebList::new(&[], &metainfo(urls), None)
    }

    fn urls(list: &WebList) -> Vec<String> {
        list.iter().map(|(_, known)| known.seed.url()).collect()
    }

    #[test]
    fn everyone_who_names_web_seeds_is_heard_once() {
        let torrent = metainfo(&["http://a/x", "ftp://b/x", "http://a/x"]);
        let mut magnet = torrent.magnet();
        magnet.web_seeds = vec!["http://a/x/".into(), "http://c/".into()];
        let user = ["http://mine/x".to_owned(), "http://c".to_owned()];
        let all = WebList::new(&user, &torrent, Some(&magnet));
        assert_eq!(
            urls(&all),
            ["http://mine/x", "http://c", "http://a/x", "http://old/seed"]
        );
        let by_user: Vec<bool> = all.iter().map(|(_, known)| known.by_user).collect();
        assert_eq!(by_user, [true, true, false, false]);
        let many: Vec<String> = (0..200).map(|at| format!("http://h/{at}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(urls(&list(&many)).len(), MOST);
    }

    #[test]
    fn a_failing_server_rests_longer_each_time_and_as_long_as_it_says() {
        let mut list = list(&["http://a/x"]);
        let mut now = Instant::now();
        // The other one is the old kind's.
        assert_eq!(
            (list.next(now), list.next(now), list.next(now)),
            (Some(0), Some(1), None)
        );
        let failed = |seconds: Option<u64>| WebEnded::Failed {
            reason: "x".into(),
            retry_after: seconds.map(Duration::from_secs),
        };
        for seconds in [10, 20, 40] {
            list.ended(0, &failed(None), 0, now);
            now += Duration::from_secs(seconds - 1);
            assert_eq!(list.next(now), None);
            now += Duration::from_secs(1);
            assert_eq!(list.next(now), Some(0));
        }
        list.ended(0, &failed(Some(7200)), 0, now);
        assert_eq!(list.next(now + Duration::from_secs(7199)), None);
        now += Duration::from_secs(7200);
        assert_eq!(list.next(now), Some(0));
        list.ended(0, &failed(None), 1000, now);
        now += 8 * Manners::default().first_rest;
        assert_eq!(list.next(now), None, "nothing came of it");
        now += LONGEST_REST;
        assert_eq!(list.next(now), Some(0));
        list.served(0);
        list.ended(0, &failed(None), 1000, now);
        assert_eq!(
            list.next(now + Manners::default().first_rest),
            Some(0),
            "it was of use"
        );
        for _ in 0..40 {
            list.ended(0, &failed(None), 0, now);
        }
        assert_eq!(list.next(now + LONGEST_REST), Some(0));
        list.ended(0, &WebEnded::Useless("x".into()), 0, now);
        assert_eq!(list.next(now + LONGEST_REST), None);
        assert_eq!(list.next(now + USELESS_REST), Some(0));
    }

    #[test]
    fn a_banned_server_never_comes_back_and_few_work_at_a_time() {
        let mut list = list(&["http://a", "http://b", "http://c", "http://d", "http://e"]);
        let now = Instant::now();
        list.next(now);
        assert!(list.ban(0));
        // Each piece that came from it tells so again.
        assert!(!list.ban(0));
        list.ended(0, &WebEnded::Dismissed, 5, now);
        let next: Vec<_> = std::iter::from_fn(|| list.next(now)).collect();
        assert_eq!(next, [1, 2, 3, 4]);
        list.ended(2, &WebEnded::Dismissed, 0, now);
        assert_eq!(list.next(now), Some(2));
        list.ended(2, &WebEnded::failed("x"), 0, now);
        assert_eq!(list.next(now), Some(5), "others first");
        assert_eq!(list.next(now + USELESS_REST), None);
    }
}
