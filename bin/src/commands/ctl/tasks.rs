//! `ctl check` and `ctl move`: what goes on in the daemon when it was asked for, and can be waited for.

use control::{Ask, Existing, MoveOf};

use super::client::{self, Client};
use super::waiting::{Goal, Wait};
use super::{Outcome, Talk, read};
use crate::cli::ctl::{CheckArgs, MoveArgs};
use crate::failure::Failure;

pub(super) fn check(
    args: CheckArgs,
    connect: impl Fn() -> Result<Client, Failure>,
    talk: &Talk<'_>,
) -> Result<(), Failure> {
    let ask = Ask::Check(args.which.into());
    begin(ask, args.wait.then_some(Goal::Check), connect, talk)
}

pub(super) fn relocate(
    args: MoveArgs,
    connect: impl Fn() -> Result<Client, Failure>,
    talk: &Talk<'_>,
) -> Result<(), Failure> {
    let goal = args.wait.then_some(Goal::Move);
    begin(Ask::Move(relocation(args)?), goal, connect, talk)
}

/// Has something begun, and waits for its end where that is wanted.
fn begin(
    ask: Ask,
    goal: Option<Goal>,
    connect: impl Fn() -> Result<Client, Failure>,
    talk: &Talk<'_>,
) -> Result<(), Failure> {
    let mut client = connect()?;
    let Some(goal) = goal else {
        return talk.done(client.ask(ask)?);
    };
    let wait = Wait::new(goal, connect()?)?;
    let begun: Outcome = read(client.ask(ask)?)?;
    let refused = talk.refused(&begun);
    wait.until_done(begun.torrents, &mut client, talk)
        .and(refused)
}

fn relocation(args: MoveArgs) -> Result<MoveOf, Failure> {
    let dir = args.dir.map(|dir| {
        let whole = std::path::absolute(&dir).map_err(|error| Failure::on_file(&dir, &error))?;
        client::text_of(&whole)
    });
    let existing = match (args.no_adopt, args.overwrite) {
        (true, _) => Existing::Fail,
        (_, true) => Existing::Replace,
        (false, false) => Existing::Adopt,
    };
    Ok(MoveOf {
        torrents: vec![args.torrent],
        dir: dir.transpose()?,
        existing,
        cancel: args.cancel,
    })
}
