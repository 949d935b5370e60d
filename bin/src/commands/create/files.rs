//! Which files go into a new torrent, and what is said of the rest.

use std::fs;

use super::exclude::Exclude;
use super::flags::parent_of;
use super::walk::{self, Found, Tree};
use super::{ON, Wish};
use crate::failure::Failure;
use crate::screen::Screen;

/// Names in the way of a torrent that are told one by one.
const MOST_OBSTACLES: usize = 50;

impl Wish<'_> {
    /// The files to share, without the one that is being made.
    pub(super) fn find_files(&self, screen: &Screen) -> Result<Tree, Failure> {
        let output = &self.args.output;
        if !self.to_stdout() {
            if let Some(folder) = parent_of(output) {
                crate::commands::must_be_folder(folder)?;
            }
            self.must_be_replaceable(screen)?;
        }
        let mut exclude = Exclude::parse(&self.args.exclude)?;
        let mut tree = walk::walk(&self.args.path, &mut exclude, &ON)?;
        self.must_be_passable(&mut tree, screen)?;
        tell_what_is_left_out(&tree, &exclude, screen);
        if let Ok(output) = fs::canonicalize(output) {
            let is_output = |file: &Found| {
                file.at.file_name() == output.file_name()
                    && fs::canonicalize(&file.at).is_ok_and(|at| at == output)
            };
            tree.files.retain(|file| !is_output(file));
        }
        if tree.files.iter().all(|file| file.len == 0) {
            let path = self.args.path.display();
            return Err(Failure::Failed(format!(
                "{path}: there is nothing in it to share"
            )));
        }
        Ok(tree)
    }

    /// Refuses a folder in which names are in the way, after all of them were told.
    fn must_be_passable(&self, tree: &mut Tree, screen: &Screen) -> Result<(), Failure> {
        let mut obstacles = std::mem::take(&mut tree.obstacles);
        for (link, to) in &tree.followed {
            let (link, to) = (link.display(), to.display());
            if self.args.follow_links {
                let line = format_args!("following the link {link} out of the folder, to {to}");
                screen.warn("warning", line);
            } else {
                let why = "--follow-links shares what is there";
                obstacles.push(format!(
                    "the link {link} leads out of the folder, to {to}: {why}"
                ));
            }
        }
        obstacles.sort();
        match obstacles.len() {
            0 => Ok(()),
            1 => Err(Failure::Failed(obstacles.swap_remove(0))),
            count => {
                for obstacle in obstacles.iter().take(MOST_OBSTACLES) {
                    screen.warn("error", obstacle);
                }
                let more = match count.saturating_sub(MOST_OBSTACLES) {
                    0 => String::new(),
                    more => format!(", {more} of which are not listed"),
                };
                let line = format!("{count} names are in the way of a torrent{more}");
                Err(Failure::Failed(line))
            }
        }
    }
}

/// Says what of the folder is not in the torrent, and why.
fn tell_what_is_left_out(tree: &Tree, exclude: &Exclude, screen: &Screen) {
    for path in &tree.skipped {
        let path = path.display();
        screen.warn("warning", format_args!("left out {path}: not a file"));
    }
    for pattern in exclude.idle() {
        let line = format_args!("--exclude '{pattern}' leaves out nothing");
        screen.warn("warning", line);
    }
    if tree.excluded > 0 {
        let (what, count) = (plural(tree.excluded, "name", "names"), tree.excluded);
        screen.warn("note", format_args!("--exclude leaves out {count} {what}"));
    }
    if tree.empty > 0 {
        let (what, count) = (plural(tree.empty, "folder", "folders"), tree.empty);
        let line = format_args!("left out {count} empty {what}: a torrent holds nothing but files");
        screen.warn("warning", line);
    }
}

const fn plural<'a>(count: u64, one: &'a str, many: &'a str) -> &'a str {
    if count == 1 { one } else { many }
}
