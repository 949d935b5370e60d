//! The file of settings, read again while the daemon runs.

use std::path::Path;

use engine::settings::{OwnKey, Patch};

use super::Desk;
use crate::cli::in_file;
use crate::failure::Failure;
use crate::settings;

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reloaded {
    /// Keys that have other values now.
    pub(crate) changed: Vec<String>,
    /// Keys that have others at the next start.
    pub(crate) at_next_start: Vec<String>,
}

impl Desk {
    /// Reads the file again and has the engine take what is another in it. What was set by `ctl` and by flags stays in the place of that.
    ///
    /// # Errors
    /// Why nothing of it was taken.
    pub(crate) async fn reload(&self) -> Result<Reloaded, Failure> {
        let common = &self.args.common;
        let Some(file) = &common.settings.config else {
            let why = "there is no file of settings to read again: the daemon was started without --config";
            return Err(Failure::Usage(why.to_owned()));
        };
        let own = settings::load(file).map_err(settings::usage)?.own;
        let words = std::env::args_os();
        let now_of_file = in_file::merged(words, own, file)?.of_file;
        let mut begun = self.begun.lock().await;
        let new = settings::layered(&common.settings, &Patch::new(), settings::of_flags(common))?;
        let kept = self.kept_keys();
        let given = common.network_keys();
        let mut changes = Patch::new();
        for (key, value) in Patch::between(&begun, &new).iter() {
            if !kept.contains(key) && !given.contains(&key) {
                changes = changes.with(key, value.clone());
            }
        }
        if !changes.is_empty() {
            let taken = self.engine.set_settings(changes.clone()).await;
            taken.map_err(|error| refused(file, &error))?;
        }
        *begun = new;
        Ok(Reloaded {
            changed: changes.iter().map(|(key, _)| key.to_owned()).collect(),
            at_next_start: differ(&self.args.of_file, &now_of_file),
        })
    }
}

fn refused(file: &Path, error: &engine::CommandError) -> Failure {
    Failure::Failed(format!("{}: {error}", file.display()))
}

/// The keys that two readings of the file have something else for.
fn differ(was: &[OwnKey], is: &[OwnKey]) -> Vec<String> {
    let has = |keys: &[OwnKey], key: &OwnKey| {
        let mut same = keys.iter();
        same.any(|other| other.name == key.name && other.values == key.values)
    };
    let gone = was.iter().filter(|key| !has(is, key));
    let new = is.iter().filter(|key| !has(was, key));
    let mut names: Vec<String> = gone
        .chain(new)
        .map(|key| format!("{}.{}", key.table, key.name))
        .collect();
    names.sort();
    names.dedup();
    names
}
