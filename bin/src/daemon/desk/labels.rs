//! Categories and tags.

use std::collections::BTreeMap;
use std::path::PathBuf;

use control::{CategoriesOf, Category, Code, LabelsOf, Refusal, label, tags};
use engine::{CommandError, Labels, TorrentId};
use serde_json::{Value, json};

use super::Desk;
use crate::daemon::categories::Made;
use crate::daemon::kept;

impl Desk {
    /// Gives torrents another category or other tags.
    pub(super) async fn label(&self, of: LabelsOf) -> Result<Value, Refusal> {
        let category = of.category.as_deref().map(category).transpose()?;
        let add = tags(&of.add)?;
        let remove = tags(&of.remove)?;
        if category.is_none() && add.is_empty() && remove.is_empty() {
            let why = "say a category, or tags that are added or removed";
            return Err(Refusal::new(Code::Wrong, why));
        }
        let torrents = self.which(of.torrents, of.all)?;
        let told = self.each(torrents, |id| {
            let (category, add, remove) = (category.clone(), &add, &remove);
            async move {
                let mut labels = self.labels(id)?;
                if let Some(category) = category {
                    labels.category = category;
                }
                labels.tags.extend(add.iter().cloned());
                labels.tags.retain(|tag| !remove.contains(tag));
                self.engine.set_labels(id, labels).await
            }
        });
        let told = told.await?;
        let kept = kept::on_disk(&self.keeper).await;
        kept.map_err(|why| Refusal::new(Code::Failed, why))?;
        Ok(told)
    }

    fn labels(&self, id: TorrentId) -> Result<Labels, CommandError> {
        let found = self.engine.status(id);
        let found = found.ok_or(CommandError::NoSuchTorrent)?;
        Ok(found.labels.as_deref().cloned().unwrap_or_default())
    }

    /// The categories, changed first where that is asked for.
    pub(super) async fn categories(&self, of: CategoriesOf) -> Result<Value, Refusal> {
        let failed = |why: String| Refusal::new(Code::Failed, why);
        if of.dir.is_some() && of.set.is_none() {
            let why = "say which category the folder is for";
            return Err(Refusal::new(Code::Wrong, why));
        }
        if let Some(name) = &of.set {
            let name = label(name)?;
            let dir = of.dir.map(PathBuf::from);
            if dir.as_ref().is_some_and(|dir| !dir.is_absolute()) {
                let why = "a folder is named from the root";
                return Err(Refusal::new(Code::Wrong, why));
            }
            self.categories.set(&name, Made { dir }).map_err(failed)?;
            kept::on_disk(&self.keeper).await.map_err(failed)?;
        }
        if let Some(name) = &of.remove {
            let name = label(name)?;
            let made = self.categories.remove(&name).map_err(failed)?;
            let members = self.torrents().into_iter();
            let members = members.filter(|torrent| {
                let labels = torrent.labels.as_ref();
                labels.and_then(|labels| labels.category.as_deref()) == Some(&name)
            });
            let members: Vec<TorrentId> = members.map(|torrent| torrent.id).collect();
            if !made && members.is_empty() {
                let why = format!("there is no category {name}");
                return Err(Refusal::new(Code::NotFound, why));
            }
            for id in members {
                // One that has just been removed is in none.
                if let Ok(labels) = self.labels(id) {
                    let labels = Labels {
                        category: None,
                        ..labels
                    };
                    let _ = self.engine.set_labels(id, labels).await;
                }
            }
            kept::on_disk(&self.keeper).await.map_err(failed)?;
        }
        Ok(json!({"categories": self.all_categories()}))
    }

    /// Those that were made, and those that torrents are in all the same.
    fn all_categories(&self) -> Vec<Category> {
        let made = self.categories.all().into_iter();
        let mut all: BTreeMap<String, Category> = made
            .map(|(name, made)| {
                let category = Category {
                    name: name.clone(),
                    dir: made.dir.map(|dir| dir.display().to_string()),
                    torrents: 0,
                };
                (name, category)
            })
            .collect();
        for torrent in self.torrents() {
            let labels = torrent.labels.as_ref();
            if let Some(name) = labels.and_then(|labels| labels.category.clone()) {
                let category = all.entry(name.clone()).or_default();
                category.name = name;
                category.torrents += 1;
            }
        }
        all.into_values().collect()
    }
}

/// A category as it is said: an empty text is none.
fn category(text: &str) -> Result<Option<String>, Refusal> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    label(text).map(Some)
}
