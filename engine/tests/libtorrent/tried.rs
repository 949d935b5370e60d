//! What the tests of all crates name.

use std::collections::BTreeSet;
use std::path::Path;

/// The words and the texts in quotes of all tests.
pub(crate) struct Tests {
    words: BTreeSet<String>,
    quoted: BTreeSet<String>,
}

/// Folders in which nothing of ours lies.
const OTHERS: [&str; 2] = ["target", ".git"];

impl Tests {
    /// Reads all tests below a folder, but those of the page itself.
    pub(crate) fn gather(root: &Path) -> Self {
        let mut code = Vec::new();
        gather(root, false, &mut code);
        let mut all = Self {
            words: BTreeSet::new(),
            quoted: BTreeSet::new(),
        };
        for text in &code {
            let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
            all.words.extend(words.map(str::to_owned));
            for line in text.lines() {
                let quoted = line.split('"').skip(1).step_by(2);
                all.quoted.extend(quoted.map(str::to_owned));
            }
        }
        all
    }

    /// Whether a test names what has this path: an item, a setting or a figure. An event counts by the word that it is written
    /// with, too, and a figure by its name without the group, or by the parts that its name is put together of.
    pub(crate) fn name(&self, path: &str) -> bool {
        if let Some((_, last)) = path.rsplit_once("::") {
            return self.words.contains(last) || self.quoted.contains(&snake(last));
        }
        let Some((group, rest)) = path.split_once('.') else {
            return false;
        };
        let parts = || {
            FAMILIES.iter().any(|(before, after)| {
                let middle = path.strip_prefix(before);
                let middle = middle.and_then(|middle| middle.strip_suffix(after));
                middle.is_some_and(|middle| self.is_family(before, after, middle))
            })
        };
        let is_setting = engine::Settings::key(path).is_some();
        self.quoted.contains(path)
            || self.quoted.contains(rest)
            || is_setting && self.words.contains(rest) && self.words.contains(group)
            || parts()
    }

    /// Whether a test puts names together of a beginning, words, of which this is one, and an end.
    fn is_family(&self, before: &str, after: &str, middle: &str) -> bool {
        let mut forms = self.quoted.iter().filter(|form| {
            let form = form.strip_prefix(before);
            let hole = form.and_then(|form| form.strip_suffix(after));
            hole.is_some_and(|hole| hole.starts_with('{') && hole.ends_with('}') || hole.is_empty())
        });
        forms.next().is_some() && (self.quoted.contains(middle) || before.starts_with("ses."))
    }
}

/// How names of figures are put together in tests. Of messages, a test goes through all that there are.
const FAMILIES: [(&str, &str); 5] = [
    ("dht.dht_invalid_", ""),
    ("dht.dht_", "_in"),
    ("dht.dht_", "_out"),
    ("ses.num_incoming_", ""),
    ("ses.num_outgoing_", ""),
];

/// As events are written.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}

fn gather(folder: &Path, of_tests: bool, code: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let stem = stem.unwrap_or_default();
        if path.is_dir() {
            let others =
                OTHERS.contains(&stem) || folder.ends_with("engine/tests") && stem == "libtorrent";
            if !others {
                gather(&path, of_tests || stem == "tests", code);
            }
            continue;
        }
        let ours = path.extension().is_some_and(|end| end == "rs") && stem != "libtorrent";
        let Some(text) = ours.then(|| std::fs::read_to_string(&path).ok()).flatten() else {
            continue;
        };
        if of_tests || stem == "tests" {
            code.push(text);
        } else if let Some(at) = text.find("#[cfg(test)]\nmod tests {") {
            code.push(text[at..].to_owned());
        }
    }
}

#[test]
fn what_tests_name_is_found_and_nothing_else() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let tests = Tests::gather(&root);
    for named in [
        "engine::EngineHandle::pause",
        "limits.down",
        "net.recv_bytes",
    ] {
        assert!(tests.name(named), "{named}");
    }
    for unnamed in [
        "engine::EngineHandle::nobody_flies",
        "limits.wings",
        "net.wings",
    ] {
        assert!(!tests.name(unnamed), "{unnamed}");
    }
}
