//! Looks up paths in the sources of our crates: not as a compiler does, but near enough to find what is not there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The sources of the workspace's crates, read as they are asked for.
pub(crate) struct Code {
    root: PathBuf,
    crates: BTreeMap<String, Vec<String>>,
}

impl Code {
    pub(crate) const fn new(root: PathBuf) -> Self {
        Self {
            root,
            crates: BTreeMap::new(),
        }
    }

    /// Whether there is an item with this path: a crate, perhaps modules, a type or function, and perhaps something of the type.
    pub(crate) fn has(&mut self, path: &str) -> bool {
        let parts: Vec<&str> = path.split("::").collect();
        let [name, rest @ ..] = parts.as_slice() else {
            return false;
        };
        let (Some(last), true) = (rest.last(), rest.iter().all(|part| !part.is_empty())) else {
            return false;
        };
        let above = rest.len().checked_sub(2).and_then(|at| rest.get(at));
        let files = self.files(name);
        match above.filter(|above| above.starts_with(char::is_uppercase)) {
            Some(above) => files.iter().any(|file| has_part(file, above, last)),
            None => files.iter().any(|file| has_item(file, last)),
        }
    }

    fn files(&mut self, name: &str) -> &[String] {
        let folder = self.root.join(name).join("src");
        self.crates.entry(name.to_owned()).or_insert_with(|| {
            let mut files = Vec::new();
            gather(&folder, &mut files);
            files
        })
    }
}

fn gather(folder: &Path, files: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
        if path.is_dir() {
            gather(&path, files);
        } else if path.extension().is_some_and(|end| end == "rs")
            && !is_test
            && let Ok(text) = std::fs::read_to_string(&path)
        {
            files.push(text);
        }
    }
}

/// The words of a line, where anything but letters, digits and `_` parts them.
fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}

/// Whether a line declares a public item of this name.
fn declares(line: &str, name: &str) -> bool {
    let line = line.trim_start();
    let Some(rest) = line.strip_prefix("pub ") else {
        return false;
    };
    let mut words = words(rest).skip_while(|word| matches!(*word, "async" | "const" | "unsafe"));
    let first = words.next();
    match first {
        Some("fn" | "struct" | "enum" | "trait" | "type" | "mod" | "static") => {
            words.next() == Some(name)
        }
        // A constant, whose keyword was passed over.
        Some(word) => word == name && rest.starts_with("const "),
        None => false,
    }
}

fn has_item(file: &str, name: &str) -> bool {
    file.lines().any(|line| declares(line, name)) || made_by_macro(file, name)
}

/// Whether the declaration of the settings makes a type of this name.
fn made_by_macro(file: &str, name: &str) -> bool {
    file.contains("settings! {")
        && (name == "Settings"
            || file
                .lines()
                .any(|line| line.trim().ends_with(&format!(": {name} {{"))))
}

/// Whether a type has a variant, a public field or a public function or constant of this name.
fn has_part(file: &str, of: &str, name: &str) -> bool {
    let mut lines = file.lines();
    while let Some(line) = lines.next() {
        let head = line.trim_start();
        let is_type = ["enum", "struct"].iter().any(|kind| {
            let mut words = words(head).skip_while(|word| *word == "pub");
            words.next() == Some(kind) && words.next() == Some(of)
        });
        let is_impl = head.starts_with("impl") && of_impl(head) == Some(of);
        if !(is_type || is_impl) || !line.ends_with('{') {
            continue;
        }
        let depth = line.len() - head.len();
        let inside = lines
            .by_ref()
            .take_while(|line| line.len() < depth + 1 || !line[depth..].starts_with('}'));
        let mut inside = inside.filter(|line| {
            let indent = line.len() - line.trim_start().len();
            indent == depth + 4
        });
        let found = inside.any(|line| {
            let text = line.trim_start();
            let field = text.strip_prefix("pub ").unwrap_or(text);
            let starts = field.strip_prefix(name);
            let is_named = starts.is_some_and(|rest| {
                rest.starts_with([',', '(', ':'])
                    || rest.starts_with(" {")
                    || rest.starts_with(" =")
            });
            declares(line, name) || is_type && is_named
        });
        if found {
            return true;
        }
    }
    false
}

/// The type that an `impl` is of.
fn of_impl(head: &str) -> Option<&str> {
    let head = head.split(" where").next()?;
    if let Some((_, of)) = head.split_once(" for ") {
        return words(of).next();
    }
    let rest = head.strip_prefix("impl")?;
    let of = match rest.strip_prefix('<') {
        Some(generic) => generic.split_once("> ")?.1,
        None => rest,
    };
    words(of).next()
}

#[test]
fn what_is_there_is_found_and_what_is_not_is_not() {
    let mut code = Code::new(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    for there in [
        "engine::EngineHandle::pause",
        "engine::Event::Added",
        "engine::TorrentStatus::hashes",
        "engine::settings::Settings",
        "engine::settings::Dht",
        "protocol::bencode::decode",
        "net::Filter::set",
    ] {
        assert!(code.has(there), "{there}");
    }
    for gone in [
        "engine::EngineHandle::fly",
        "engine::Event::Flew",
        "engine::TorrentStatus::wings",
        "engine::settings::Wings",
        "engine::Pause::hashes",
        "protocol::bencode::flap",
        "nowhere::Filter::set",
        "engine",
        "engine::",
    ] {
        assert!(!code.has(gone), "{gone}");
    }
}
