//! `ctl set`, `ctl queue` and `ctl web-seeds`.

use std::fmt::Write as _;

use control::{Ask, ModesOf, QueueOf, Queued, WebSeedsOf, Which};

use super::Talk;
use super::client::Client;
use crate::cli::ctl_modes::{QueueArgs, QueueCommand, SetArgs, ShiftArgs, WebSeedsArgs};
use crate::failure::Failure;
use crate::text::printable;

pub(super) fn set(args: SetArgs, client: &mut Client, talk: &Talk<'_>) -> Result<(), Failure> {
    let seeding = args.seeding();
    if args.on.is_empty() && args.off.is_empty() && seeding.is_none() {
        let why = "say what to change: --on, --off, --seed-ratio, --seed-time, --seed-idle, --seed-forever or --seed-default";
        return Err(Failure::Usage(why.to_owned()));
    }
    let which = Which::from(args.which);
    let ask = Ask::Set(ModesOf {
        torrents: which.torrents,
        all: which.all,
        on: args.on,
        off: args.off,
        seeding,
    });
    talk.done(client.ask(ask)?)
}

pub(super) fn queue(args: QueueArgs, client: &mut Client, talk: &Talk<'_>) -> Result<(), Failure> {
    let to = |word: &str, which: ShiftArgs| QueueOf {
        torrents: which.torrent,
        to: Some(word.to_owned()),
    };
    let of = match args.what {
        None => QueueOf::default(),
        Some(QueueCommand::Top(which)) => to("top", which),
        Some(QueueCommand::Bottom(which)) => to("bottom", which),
        Some(QueueCommand::Up(which)) => to("up", which),
        Some(QueueCommand::Down(which)) => to("down", which),
        Some(QueueCommand::To { position, which }) => to(&position.to_string(), which),
    };
    let answer = client.ask(Ask::Queue(of))?;
    talk.table::<Queued>(&answer, "queue", rows, 20)
}

pub(super) fn web_seeds(
    args: WebSeedsArgs,
    client: &mut Client,
    talk: &Talk<'_>,
) -> Result<(), Failure> {
    let answer = client.ask(Ask::WebSeeds(WebSeedsOf {
        torrent: args.torrent,
        add: args.add,
        remove: args.remove,
    }))?;
    let text = |urls: &[String]| {
        urls.iter().fold(String::new(), |mut text, url| {
            let _ = writeln!(text, "{}", printable(url));
            text
        })
    };
    talk.table(&answer, "web_seeds", text, 0)
}

fn rows(queue: &[Queued]) -> String {
    queue.iter().fold(String::new(), |mut text, row| {
        let _ = writeln!(
            text,
            "{:>6} {:<12} {}",
            row.position,
            row.state,
            printable(&row.name)
        );
        text
    })
}
