//! The names of all torrents, in small letters.

use std::collections::BTreeSet;

use memchr::memmem::Finder;

use crate::TorrentId;

/// Stands before each name and behind the last one, and is in no text (UTF-8 has no such byte).
const BETWEEN: u8 = 0xff;

/// All names: in order, and one behind the other in one piece of memory, which is searched from one end to the other
/// faster than as many pieces of their own.
#[derive(Debug)]
pub(super) struct Names {
    order: BTreeSet<(Box<str>, TorrentId, u32)>,
    text: Vec<u8>,
    /// Where names begin in the text, the first one first, and their places; those that are gone have none.
    begins: Vec<(usize, Option<u32>)>,
    /// By place: which of the beginnings is its own.
    at: Vec<u32>,
    /// Bytes of names that are gone.
    gone: usize,
}

impl Names {
    pub(super) fn new() -> Self {
        Self {
            order: BTreeSet::new(),
            text: vec![BETWEEN],
            begins: Vec::new(),
            at: Vec::new(),
            gone: 0,
        }
    }

    /// A torrent at a place that has no name yet has this one.
    pub(super) fn insert(&mut self, name: &str, id: TorrentId, place: u32) {
        let name = name.to_lowercase();
        let own = place as usize;
        if self.at.len() <= own {
            self.at.resize(own + 1, u32::MAX);
        }
        self.append(name.as_bytes(), place);
        self.order.insert((name.into(), id, place));
    }

    fn append(&mut self, name: &[u8], place: u32) {
        if let Some(at) = self.at.get_mut(place as usize) {
            *at = self.begins.len() as u32;
        }
        self.begins.push((self.text.len(), Some(place)));
        self.text.extend_from_slice(name);
        self.text.push(BETWEEN);
    }

    /// The torrent at a place has no name any more.
    pub(super) fn remove(&mut self, id: TorrentId, place: u32) {
        let at = self.at.get_mut(place as usize);
        let at = at.map(|at| std::mem::replace(at, u32::MAX) as usize);
        let Some((begin, is)) = at.and_then(|at| self.begins.get_mut(at)) else {
            return;
        };
        *is = None;
        let name = name_at(&self.text, *begin);
        self.gone += name.len() + 1;
        let name = String::from_utf8_lossy(name).into_owned();
        self.order.remove(&(name.into(), id, place));
        if self.gone > self.text.len() / 2 {
            self.close_gaps();
        }
    }

    fn close_gaps(&mut self) {
        let text = std::mem::replace(&mut self.text, vec![BETWEEN]);
        self.gone = 0;
        for (begin, place) in std::mem::take(&mut self.begins) {
            if let Some(place) = place {
                self.append(name_at(&text, begin), place);
            }
        }
    }

    /// The places, in the order of the names.
    pub(super) fn in_order(&self) -> impl DoubleEndedIterator<Item = u32> + '_ {
        self.order.iter().map(|(_, _, place)| *place)
    }

    /// By place: whether a text, which is in small letters, is in the name.
    pub(super) fn with(&self, text: &str) -> Vec<bool> {
        let mut with = vec![text.is_empty(); self.at.len()];
        if text.is_empty() {
            return with;
        }
        let mut begins = self.begins.iter().peekable();
        let mut last = None;
        for found in Finder::new(text).find_iter(&self.text) {
            while let Some((_, place)) = begins.next_if(|(begin, _)| *begin <= found) {
                last = *place;
            }
            if let Some(is) = last.and_then(|place| with.get_mut(place as usize)) {
                *is = true;
            }
        }
        with
    }
}

/// The name that begins here.
fn name_at(text: &[u8], begin: usize) -> &[u8] {
    let rest = text.get(begin..).unwrap_or_default();
    let end = memchr::memchr(BETWEEN, rest).unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_in_names_and_never_across_two_of_them() {
        let mut names = Names::new();
        for (place, name) in ["Foo.bar", "bar", "", "ÄRGER", "foo"].iter().enumerate() {
            names.insert(name, TorrentId(place as u64), place as u32);
        }
        for (text, due) in [
            ("bar", [true, true, false, false, false]),
            ("o.b", [true, false, false, false, false]),
            ("rb", [false; 5]),
            ("ärg", [false, false, false, true, false]),
            ("", [true; 5]),
        ] {
            assert_eq!(names.with(text), due, "{text}");
        }
        assert_eq!(names.in_order().collect::<Vec<_>>(), [2, 1, 4, 0, 3]);
    }

    #[test]
    fn memory_of_names_that_are_gone_is_used_again() {
        let mut names = Names::new();
        names.insert("stays", TorrentId(0), 0);
        for number in 1..1000 {
            names.insert("comes and goes", TorrentId(number), 1);
            names.remove(TorrentId(number), 1);
        }
        assert!(names.text.len() < 100, "{} bytes", names.text.len());
        assert!(names.begins.len() < 10, "{} names", names.begins.len());
        assert_eq!(names.with("s"), [true, false]);
        assert_eq!(names.in_order().collect::<Vec<_>>(), [0]);
    }
}
