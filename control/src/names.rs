//! Which torrents words mean.

use std::collections::BTreeMap;

use protocol::id::InfoHashes;

/// Words that name torrents: an info-hash in hex, v1 or v2; a name, if only one torrent has it; or the beginning of an
/// info-hash, if only one torrent's begins so. Where a word can be read in several ways, the first of these counts.
#[derive(Clone, Debug, Default)]
pub struct Names {
    words: Vec<String>,
    /// The places of words in the list, by the words: in small letters as hashes, as they are as names.
    hashes: BTreeMap<String, Vec<usize>>,
    titles: BTreeMap<String, Vec<usize>>,
    /// Words that may be the beginning of a hash.
    starts: Vec<(String, usize)>,
    found: Vec<Found>,
}

/// A torrent that words may mean.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a, I> {
    /// What it is known by to whoever asks.
    pub id: I,
    /// Its info-hashes.
    pub hashes: InfoHashes,
    /// Its name.
    pub name: &'a str,
}

/// Why a word names no torrent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unnamed {
    /// None is called so.
    #[error("no torrent is `{0}`: neither its info-hash, nor the beginning of one, nor a name")]
    Nobody(String),
    /// Several are.
    #[error("`{word}` is {count} torrents: {}", .some.join(", "))]
    Several {
        /// The word.
        word: String,
        /// How many.
        count: usize,
        /// The info-hashes of some of them.
        some: Vec<String>,
    },
}

/// Which torrents a word fits in one way: their places among all.
#[derive(Clone, Debug, Default)]
struct Found {
    whole: Option<usize>,
    name: Fits,
    start: Fits,
}

/// How many, and where some of them are.
#[derive(Clone, Debug, Default)]
struct Fits {
    count: usize,
    some: Vec<usize>,
}

/// Torrents of an ambiguous word that are told.
const SOME: usize = 5;

/// Digits of the longest info-hash.
const LONGEST: usize = 64;

impl Fits {
    fn add(&mut self, at: usize) {
        self.count = self.count.saturating_add(1);
        if self.some.len() < SOME {
            self.some.push(at);
        }
    }
}

impl Names {
    /// These words.
    pub fn new(words: Vec<String>) -> Self {
        let mut all = Self::default();
        for (at, word) in words.iter().enumerate() {
            let hex = word.bytes().all(|byte| byte.is_ascii_hexdigit());
            if hex && !word.is_empty() && word.len() <= LONGEST {
                let small = word.to_ascii_lowercase();
                all.hashes.entry(small.clone()).or_default().push(at);
                all.starts.push((small, at));
            }
            all.titles.entry(word.clone()).or_default().push(at);
        }
        all.found = vec![Found::default(); words.len()];
        all.words = words;
        all
    }

    /// The torrents that the words mean, each once, in the order of the words.
    ///
    /// # Errors
    /// [`Unnamed`], of the first word that names none: it is all of them or nothing.
    pub fn among<'a, I: Copy>(
        mut self,
        torrents: impl Iterator<Item = Named<'a, I>> + Clone,
    ) -> Result<Vec<I>, Unnamed> {
        for (at, torrent) in torrents.clone().enumerate() {
            self.look_at(at, &torrent);
        }
        let mut chosen = Vec::new();
        for (word, found) in self.words.iter().zip(&self.found) {
            if let Some(at) = found.whole {
                chosen.push(at);
                continue;
            }
            let fits = if found.name.count > 0 {
                &found.name
            } else {
                &found.start
            };
            match (fits.count, fits.some.first()) {
                (1, Some(at)) => chosen.push(*at),
                (0, _) | (_, None) => return Err(Unnamed::Nobody(word.clone())),
                (count, Some(_)) => {
                    let named = torrents.enumerate();
                    let named = named.filter(|(at, _)| fits.some.contains(at));
                    return Err(Unnamed::Several {
                        word: word.clone(),
                        count,
                        some: named.map(|(_, torrent)| shown(torrent.hashes)).collect(),
                    });
                }
            }
        }
        let wanted: BTreeMap<usize, usize> = chosen
            .iter()
            .enumerate()
            .rev()
            .map(|(order, at)| (*at, order))
            .collect();
        let mut given: Vec<(usize, I)> = torrents
            .enumerate()
            .filter_map(|(at, torrent)| Some((*wanted.get(&at)?, torrent.id)))
            .collect();
        given.sort_by_key(|(order, _)| *order);
        Ok(given.into_iter().map(|(_, id)| id).collect())
    }

    fn look_at<I>(&mut self, at: usize, torrent: &Named<'_, I>) {
        for word in self.titles.get(torrent.name).into_iter().flatten() {
            if let Some(found) = self.found.get_mut(*word) {
                found.name.add(at);
            }
        }
        if self.starts.is_empty() {
            return;
        }
        let v1 = torrent.hashes.get_v1().map(|hash| hash.to_string());
        let v2 = torrent.hashes.get_v2().map(|hash| hash.to_string());
        for hash in [&v1, &v2].into_iter().flatten() {
            for word in self.hashes.get(hash.as_str()).into_iter().flatten() {
                if let Some(found) = self.found.get_mut(*word) {
                    found.whole = Some(at);
                }
            }
        }
        for (start, word) in &self.starts {
            let begins = |hash: &Option<String>| {
                hash.as_ref()
                    .is_some_and(|hash| hash.starts_with(start.as_str()))
            };
            if (begins(&v1) || begins(&v2))
                && let Some(found) = self.found.get_mut(*word)
            {
                found.start.add(at);
            }
        }
    }
}

/// The info-hash that people know a torrent by: v1 where there is one, else the whole v2.
pub(crate) fn shown(hashes: InfoHashes) -> String {
    match (hashes.get_v1(), hashes.get_v2()) {
        (Some(v1), _) => v1.to_string(),
        (None, Some(v2)) => v2.to_string(),
        (None, None) => hashes.wire().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Named<'static, u32>> {
        let v1 = |text: &str| InfoHashes::v1(text.repeat(4).parse().unwrap());
        let v2 = "cd".repeat(32).parse().unwrap();
        let both = InfoHashes::hybrid("ab00000000".repeat(4).parse().unwrap(), v2);
        let named = |id, hashes, name| Named { id, hashes, name };
        vec![
            named(1, v1("0123456789"), "Big film"),
            named(2, v1("0124456789"), "song"),
            named(3, both, "song"),
            named(4, v1("9999999999"), "ab"),
        ]
    }

    fn meant(words: &[&str]) -> Result<Vec<u32>, Unnamed> {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Names::new(words).among(all().iter().copied())
    }

    #[test]
    fn torrents_are_named_by_hash_beginning_and_name() {
        let whole = "0123456789".repeat(4);
        assert_eq!(meant(&[&whole]), Ok(vec![1]));
        assert_eq!(meant(&[&"CD".repeat(32)]), Ok(vec![3]));
        assert_eq!(meant(&["0123", "99", "Big film"]), Ok(vec![1, 4]));
        assert_eq!(meant(&["9", "0124"]), Ok(vec![4, 2]), "as they were named");
        // A name counts before the beginning of a hash.
        assert_eq!(meant(&["ab"]), Ok(vec![4]));
        assert_eq!(meant(&["ab0"]), Ok(vec![3]));
        assert_eq!(meant(&[]), Ok(vec![]));
    }

    #[test]
    fn a_word_that_means_none_or_several_is_told_and_none_is_taken() {
        for nobody in ["", "film", "big film", "7", "0123x"] {
            let unnamed = meant(&["99", nobody]).unwrap_err();
            assert_eq!(unnamed, Unnamed::Nobody(nobody.to_owned()));
        }
        for (word, count) in [("song", 2), ("012", 2)] {
            let unnamed = meant(&[word]).unwrap_err();
            let Unnamed::Several { some, .. } = &unnamed else {
                panic!("{unnamed}");
            };
            assert_eq!(some.len(), count);
            assert!(unnamed.to_string().contains("0124456789"), "{unnamed}");
        }
    }
}
