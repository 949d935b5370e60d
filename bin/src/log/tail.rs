//! The last lines of a log.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;

use parking_lot::Mutex;
use tracing_subscriber::fmt::MakeWriter;

/// Bytes that are kept.
const MOST: usize = 1 << 20;

/// Bytes of one line that are kept.
const LONGEST: usize = 4096;

/// The last lines of a log, within a bound. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tail(Arc<Mutex<Lines>>);

#[derive(Debug, Default)]
struct Lines {
    lines: VecDeque<Box<str>>,
    bytes: usize,
}

impl Tail {
    /// So many of the last lines, oldest first.
    pub(crate) fn last(&self, count: usize) -> String {
        let kept = self.0.lock();
        let skipped = kept.lines.len().saturating_sub(count);
        kept.lines
            .iter()
            .skip(skipped)
            .map(|line| &**line)
            .collect()
    }
}

impl Lines {
    /// Keeps a line, and lets go of the oldest ones for which there is no room any more.
    fn push(&mut self, line: &str) {
        let cut = line.floor_char_boundary(LONGEST);
        let line = line.get(..cut).unwrap_or_default();
        let line: Box<str> = format!("{line}\n").into();
        self.bytes += line.len();
        self.lines.push_back(line);
        while self.bytes > MOST
            && let Some(oldest) = self.lines.pop_front()
        {
            self.bytes -= oldest.len();
        }
    }
}

impl<'a> MakeWriter<'a> for Tail {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

impl Write for &Tail {
    /// Takes whole lines.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let mut kept = self.0.lock();
        text.lines().for_each(|line| kept.push(line));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_no_more_than_there_is_room_for() {
        let tail = Tail::default();
        assert_eq!(tail.last(10), "");
        for line in 0..10 {
            (&tail)
                .write_all(format!("line {line}\n").as_bytes())
                .unwrap();
        }
        assert_eq!(tail.last(2), "line 8\nline 9\n");
        assert_eq!(tail.last(0), "");
        assert!(tail.last(usize::MAX).starts_with("line 0\n"));
        let long = "\u{e9}".repeat(LONGEST) + "\n";
        for _ in 0..2 * MOST / LONGEST {
            (&tail).write_all(long.as_bytes()).unwrap();
        }
        let all = tail.last(usize::MAX);
        assert!(
            all.len() <= MOST && all.len() > MOST - 2 * LONGEST,
            "{}",
            all.len()
        );
        assert!(all.lines().all(|line| line.len() <= LONGEST));
    }

    #[test]
    fn what_is_logged_is_kept_as_lines_without_colours() {
        let tail = Tail::default();
        let layer = tracing_subscriber::fmt::layer().with_ansi(false);
        let logs = tracing_subscriber::registry().with(layer.with_writer(tail.clone()));
        tracing::subscriber::with_default(logs, || {
            tracing::info!(target: "engine::torrent", pieces = 7, "checked");
            tracing::error!(target: "engine::torrent", "broken");
        });
        let text = tail.last(5);
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[0].ends_with("INFO engine::torrent: checked pieces=7"),
            "{text}"
        );
        assert!(
            lines[1].ends_with("ERROR engine::torrent: broken"),
            "{text}"
        );
        assert_eq!(lines.len(), 2);
    }
}
