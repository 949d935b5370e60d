//! What operators should hear of is logged once when it begins, and once when it is over.

use super::Statistics;

/// Seconds without more of it, after which something is over.
const QUIET: u32 = 60;

/// Datagrams with forged ids, and connections for nothing, that come in a second without anybody doing it on purpose.
const USUAL: u64 = 1_000;

/// Looks at the figures once a second.
#[derive(Debug, Default)]
pub(super) struct Watch {
    episodes: [Episode; TROUBLES.len()],
}

/// Something that should not be: what is counted of it, how much of it a second is none, and the words.
struct Trouble {
    count: fn(&Statistics) -> u64,
    usual: u64,
    words: &'static str,
}

const TROUBLES: [Trouble; 7] = [
    Trouble {
        count: |it| it.left_out,
        usual: 0,
        words: "there are as many torrents or peers as may be: who is new is left out",
    },
    Trouble {
        count: |it| it.dropped_completions,
        usual: 0,
        words: "completions of too many torrents wait for the database: more are not kept",
    },
    Trouble {
        count: |it| it.http.turned_away,
        usual: 0,
        words: "there are as many connections as may be: more are closed",
    },
    Trouble {
        count: |it| it.http.starved,
        usual: 0,
        words: "the system gives no more connections: raise how many files this process may have open",
    },
    Trouble {
        count: |it| it.http.misfits,
        usual: USUAL,
        words: "many connections bring no requests, or bring them slowly",
    },
    Trouble {
        count: |it| it.udp.alien + it.udp.unproven,
        usual: USUAL,
        words: "many datagrams are no requests, or have connection ids that were not given to their senders",
    },
    Trouble {
        count: |it| it.udp.unsent,
        usual: 0,
        words: "the system does not take answers by UDP",
    },
];

/// One trouble from its beginning to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Episode {
    /// The sum when it was looked at last.
    last: u64,
    /// The sum before it began, and for how many seconds it has been quiet.
    open: Option<(u64, u32)>,
}

/// What there is to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Begins,
    Over(u64),
}

impl Watch {
    /// Looks at the figures of this second.
    pub(super) fn look(&mut self, statistics: &Statistics) {
        for (episode, trouble) in self.episodes.iter_mut().zip(&TROUBLES) {
            let words = trouble.words;
            match episode.look((trouble.count)(statistics), trouble.usual) {
                Some(News::Begins) => tracing::warn!("{words}"),
                Some(News::Over(times)) => tracing::warn!(times, "over: {words}"),
                None => {}
            }
        }
    }
}

impl Episode {
    fn look(&mut self, sum: u64, usual: u64) -> Option<News> {
        let before = std::mem::replace(&mut self.last, sum);
        let is_trouble = sum.saturating_sub(before) > usual;
        match &mut self.open {
            None if is_trouble => {
                self.open = Some((before, 0));
                Some(News::Begins)
            }
            None => None,
            Some((_, quiet)) if is_trouble => {
                *quiet = 0;
                None
            }
            Some((first, quiet)) => {
                *quiet += 1;
                let times = sum.saturating_sub(*first);
                if *quiet < QUIET {
                    return None;
                }
                self.open = None;
                Some(News::Over(times))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_when_it_begins_and_when_it_is_over() {
        let mut episode = Episode::default();
        assert_eq!(episode.look(10, 10), None, "that much is usual");
        assert_eq!(episode.look(21, 10), Some(News::Begins));
        for second in 0..1000 {
            assert_eq!(episode.look(21 + 11 * second, 10), None);
        }
        let sum = 21 + 11 * 999;
        for _ in 1..QUIET {
            assert_eq!(episode.look(sum, 10), None);
        }
        assert_eq!(episode.look(sum, 10), Some(News::Over(sum - 10)));
        assert_eq!(episode.look(sum, 10), None);
        assert_eq!(episode.look(sum + 11, 10), Some(News::Begins));
    }
}
