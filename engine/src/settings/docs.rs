//! What people read about the keys, made of what stands at their declaration.

use std::fmt::Write as _;

use super::{GROUPS, Key, Patch, Preset, Settings, Value};

/// The reference of all keys and presets, as Markdown.
pub fn reference() -> String {
    let mut text = String::from(
        "# Settings\n\n\
         Made from the declaration in `engine/src/settings/tree.rs`; change it there.\n\n\
         A file of settings is TOML with one table a group; `tribler-rs config default` writes one with every key and its default.\n\
         Lengths of time are texts such as `\"90s\"`, `\"2h\"` or `\"250ms\"`, or numbers of seconds; rates and sizes are texts such as\n\
         `\"4MiB/s\"` and `\"4MiB\"`, or numbers of bytes. All keys can be changed while an engine runs, and hold at once unless a key says otherwise.\n",
    );
    for group in GROUPS {
        let _ = write!(text, "\n## [{}]\n\n{}\n\n", group.name, words(group.doc));
        text.push_str("| key | default | range | meaning |\n|---|---|---|---|\n");
        for key in group.keys {
            let _ = writeln!(
                text,
                "| `{}` | `{}` | {} | {} |",
                key.name,
                key.default(),
                cell(&key.range()),
                cell(&words(key.doc)),
            );
        }
    }
    text.push_str(
        "\n## Presets\n\nA file begins with one where its first line is `preset = \"NAME\"`; its keys come on top of that.\n",
    );
    for preset in Preset::ALL {
        let _ = write!(text, "\n### {}\n\n{}\n", preset.name(), preset.about());
        let patch = preset.patch();
        if patch.is_empty() {
            continue;
        }
        text.push_str("\n| key | value | instead of |\n|---|---|---|\n");
        for (path, value) in patch.iter() {
            let usual = Settings::key(path).map(Key::default);
            let usual = usual.as_ref().map(Value::to_string).unwrap_or_default();
            let _ = writeln!(text, "| `{path}` | `{value}` | `{usual}` |");
        }
    }
    text
}

impl Settings {
    /// All keys with their values as TOML, each under what it means; keys that have their default are commented out.
    pub fn commented(&self) -> String {
        let changed = Patch::between(&Self::default(), self);
        let is_changed = |key: &Key| changed.iter().any(|(path, _)| path == key.path);
        let mut text = String::from(
            "# Settings of tribler-rs. A line without `#` in front of its key takes the place of the default.\n",
        );
        for group in GROUPS {
            let _ = write!(text, "\n# {}\n[{}]\n", words(group.doc), group.name);
            for key in group.keys {
                text.push('\n');
                for line in key.doc {
                    let _ = writeln!(text, "#{}", line.trim_end());
                }
                let _ = writeln!(
                    text,
                    "# Range: {}. Default: {}.",
                    key.range(),
                    key.default()
                );
                let mark = if is_changed(key) { "" } else { "#" };
                let _ = writeln!(text, "{mark}{} = {}", key.name, key.of(self));
            }
        }
        text
    }
}

/// The lines of a comment as one text.
fn words(doc: &[&str]) -> String {
    let lines: Vec<&str> = doc.iter().map(|line| line.trim()).collect();
    lines.join(" ")
}

/// A text in a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
