//! What is kept, as a daemon finds it.

use std::path::Path;
use std::sync::Arc;

use state::{Folder, Health, Keeper, KeeperOptions, Opening, StateError, Store, earlier};

use crate::failure::Failure;
use crate::screen::Screen;

/// Opens what is kept, and takes in what earlier versions have left in the folder.
pub(super) fn open_state(
    dir: &Path,
    health: &Arc<tokio::sync::watch::Sender<Option<String>>>,
    screen: &Screen,
) -> Result<Arc<Keeper>, Failure> {
    let medium = Arc::new(Folder::new(dir.to_owned()));
    let health = Arc::clone(health);
    let options = KeeperOptions {
        told: Arc::new(move |now| {
            health.send_replace(match now {
                Health::Failing(error) => Some(error.to_string()),
                Health::Well | _ => None,
            });
        }),
        ..KeeperOptions::default()
    };
    let opened = Store::open(medium.clone(), options.open);
    let (store, opening) = opened.map_err(|error| failed(&error))?;
    tell_opening(&opening, screen);
    let moved = earlier::move_in(&store, dir).map_err(|error| failed(&error))?;
    for path in &moved.unreadable {
        let line = format_args!("{}: cannot be made sense of, and is left", path.display());
        screen.warn("warning", line);
    }
    let keeper = Keeper::start(store, medium, options).map_err(|error| failed(&error))?;
    Ok(Arc::new(keeper))
}

/// Says what became of a state that could not be read.
fn tell_opening(opening: &Opening, screen: &Screen) {
    let aside = |path: &Path| format!("it lies in {} now", path.display());
    let line = match opening {
        Opening::Previous { why, aside: at, .. } => {
            let why = why.as_ref().map_or_else(
                || "the state was not there".to_owned(),
                |why| format!("the state cannot be read ({why})"),
            );
            let at = at.as_deref().map(aside).unwrap_or_default();
            format!(
                "{why}; {at}. The previous generation has taken its place: what has happened since then is forgotten"
            )
        }
        Opening::Lost { why, aside: at } => format!(
            "the state cannot be read ({why}), nor a previous generation; {}, and a new one begins",
            aside(at)
        ),
        Opening::Made | Opening::Ready | _ => return,
    };
    screen.warn("warning", line);
}

pub(super) fn failed(error: &StateError) -> Failure {
    Failure::failed(error)
}
