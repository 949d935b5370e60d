//! `ctl tag` and `ctl categories`.

use std::fmt::Write as _;

use control::{Ask, CategoriesOf, Category, LabelsOf};

use super::Talk;
use super::client::{Client, text_of};
use crate::cli::ctl_habits::{CategoriesArgs, CategoriesCommand, TagArgs};
use crate::failure::Failure;
use crate::text::printable;

pub(super) fn tag(args: TagArgs, client: &mut Client, talk: &Talk<'_>) -> Result<(), Failure> {
    let category = args.category.or_else(|| args.no_category.then(String::new));
    if category.is_none() && args.add.is_empty() && args.remove.is_empty() {
        let why = "say what to change: --category, --no-category, --add or --remove";
        return Err(Failure::Usage(why.to_owned()));
    }
    let of = LabelsOf {
        torrents: args.which.torrent,
        all: args.which.all,
        category,
        add: args.add,
        remove: args.remove,
    };
    talk.done(client.ask(Ask::Label(of))?)
}

pub(super) fn categories(
    args: CategoriesArgs,
    client: &mut Client,
    talk: &Talk<'_>,
) -> Result<(), Failure> {
    let mut of = CategoriesOf::default();
    match args.what {
        None | Some(CategoriesCommand::List) => {}
        Some(CategoriesCommand::Set { name, dir }) => {
            of.set = Some(name);
            of.dir = dir.as_deref().map(absolute).transpose()?;
        }
        Some(CategoriesCommand::Remove { name }) => of.remove = Some(name),
    }
    let answer = client.ask(Ask::Categories(of))?;
    talk.table::<Category>(&answer, "categories", table, 41)
}

/// A path from the root, as JSON has it.
pub(super) fn absolute(path: &std::path::Path) -> Result<String, Failure> {
    let whole = std::path::absolute(path).map_err(|error| Failure::on_file(path, &error))?;
    text_of(&whole)
}

fn table(categories: &[Category]) -> String {
    let mut text = format!("{:<30} {:>8}  folder\n", "category", "torrents");
    for category in categories {
        let dir = category.dir.as_deref().unwrap_or("-");
        let _ = writeln!(
            text,
            "{:<30} {:>8}  {}",
            printable(&category.name),
            category.torrents,
            printable(dir)
        );
    }
    text
}
