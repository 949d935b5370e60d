//! `ctl`: talks to a running daemon.

mod add;
mod client;
mod events;
mod habits;
mod labels;
mod list;
mod modes;
mod settings;
mod tables;
mod tasks;
mod waiting;

use control::{
    Ask, Backup, Code, File, FilesOf, HopsOf, LimitsOf, Nothing, Peer, Refusal, Removal, Resources,
    Show, Stats, Torrent, Tracker, TrackersOf, Which,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use self::client::Client;
use crate::cli::CtlArgs;
use crate::cli::ctl::{BackupArgs, CtlCommand, LimitsArgs, TrackersArgs, WhichArgs};
use crate::failure::Failure;
use crate::screen::{Screen, terminal};
use crate::text::{printable, wrapped};
use crate::units::Rate;

pub(crate) fn run(args: CtlArgs, screen: &Screen) -> Result<(), Failure> {
    let connect = || Client::connect(args.state.as_deref());
    let talk = Talk {
        screen,
        json: args.json,
    };
    match args.what {
        CtlCommand::Add(add) => add::run(&add, connect, &talk),
        CtlCommand::List(list) => list::run(&list, connect, &talk),
        CtlCommand::Show(one) => {
            let show = Ask::Show(Show {
                torrent: one.torrent,
            });
            talk.show(connect()?.ask(show)?)
        }
        CtlCommand::Pause(which) => talk.done(connect()?.ask(Ask::Pause(which.into()))?),
        CtlCommand::Resume(which) => talk.done(connect()?.ask(Ask::Resume(which.into()))?),
        CtlCommand::Check(args) => tasks::check(args, connect, &talk),
        CtlCommand::Reannounce(which) => talk.done(connect()?.ask(Ask::Reannounce(which.into()))?),
        CtlCommand::Remove(remove) => {
            let which = Which::from(remove.which);
            let removal = Removal {
                torrents: which.torrents,
                all: which.all,
                data: remove.data,
            };
            talk.done(connect()?.ask(Ask::Remove(removal))?)
        }
        CtlCommand::Hops(hops) => {
            let of = HopsOf {
                torrents: hops.torrent,
                hops: hops.hops,
            };
            talk.done(connect()?.ask(Ask::Hops(of))?)
        }
        CtlCommand::Limits(limits) => limit(limits, &mut connect()?, &talk),
        CtlCommand::Move(args) => tasks::relocate(args, connect, &talk),
        CtlCommand::Files(of) => {
            let files = Ask::Files(FilesOf {
                torrent: of.torrent,
                choose: of.choose,
                priority: of.priority,
                rename: of.rename,
            });
            let files = connect()?.ask(files)?;
            talk.table::<File>(&files, "files", tables::files, tables::PATH)
        }
        CtlCommand::Peers(one) => {
            let peers = Ask::Peers(Show {
                torrent: one.torrent,
            });
            let peers = connect()?.ask(peers)?;
            let columns = terminal().map(|(_, columns)| columns);
            let text = |peers: &[Peer]| tables::peers(peers, columns);
            talk.table(&peers, "peers", text, 0)
        }
        CtlCommand::Trackers(of) => {
            let trackers = connect()?.ask(Ask::Trackers(of.into()))?;
            talk.table::<Tracker>(&trackers, "trackers", tables::trackers, tables::ADDRESS)
        }
        CtlCommand::Watch(args) => habits::watch(args, &mut connect()?, &talk),
        CtlCommand::Feeds(args) => habits::feeds(args, &mut connect()?, &talk),
        CtlCommand::Tag(args) => labels::tag(args, &mut connect()?, &talk),
        CtlCommand::Categories(args) => labels::categories(args, &mut connect()?, &talk),
        CtlCommand::Set(set) => modes::set(set, &mut connect()?, &talk),
        CtlCommand::Queue(queue) => modes::queue(queue, &mut connect()?, &talk),
        CtlCommand::WebSeeds(of) => modes::web_seeds(of, &mut connect()?, &talk),
        CtlCommand::Events(events) => events::run(events, connect()?, &talk),
        CtlCommand::Settings(of) => settings::run(of, &mut connect()?, &talk),
        CtlCommand::Resources => talk.resources(connect()?.ask(Ask::Resources(Nothing {}))?),
        CtlCommand::Stats => talk.stats(connect()?.ask(Ask::Stats(Nothing {}))?),
        CtlCommand::Reopen => reopen(&mut connect()?, &talk),
        CtlCommand::Backup(backup) => back_up(&backup, &mut connect()?, &talk),
        CtlCommand::Shutdown => {
            let mut client = connect()?;
            client.ask(Ask::Shutdown(Nothing {}))?;
            client.wait_for_end()
        }
    }
}

/// How answers are shown.
#[derive(Debug)]
struct Talk<'a> {
    screen: &'a Screen,
    json: bool,
}

/// What was done to torrents: to those that are named, each by its info-hash, and not to those that refused it.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Outcome {
    torrents: Vec<String>,
    failed: Vec<Refused>,
}

#[derive(Debug, serde::Deserialize)]
struct Refused {
    info_hash: String,
    error: Refusal,
}

impl From<WhichArgs> for Which {
    fn from(args: WhichArgs) -> Self {
        Self {
            torrents: args.torrent,
            all: args.all,
        }
    }
}

impl From<TrackersArgs> for TrackersOf {
    fn from(args: TrackersArgs) -> Self {
        let tier = |urls: &String| urls.split(',').map(str::to_owned).collect();
        let replace: Vec<Vec<String>> = args.replace.iter().map(tier).collect();
        Self {
            torrent: args.torrent,
            add: args.add,
            remove: args.remove,
            replace: (!replace.is_empty()).then_some(replace),
        }
    }
}

/// What a daemon refuses, as commands fail.
fn failure(refusal: &Refusal) -> Failure {
    let message = printable(&refusal.message);
    match refusal.code {
        Code::NotFound => Failure::NotFound(message),
        Code::Ambiguous | Code::Wrong | Code::Unknown => Failure::Usage(message),
        Code::NoRoute => Failure::Anonymity(message),
        Code::Busy | Code::Stopped => Failure::Unreachable(message),
        Code::Duplicate | Code::Failed | Code::NoRoom | Code::Other => Failure::Failed(message),
    }
}

fn read<T: DeserializeOwned>(answer: Value) -> Result<T, Failure> {
    serde_json::from_value(answer)
        .map_err(|error| Failure::Failed(format!("the daemon's answer is not understood: {error}")))
}

impl Talk<'_> {
    /// Tells to how many torrents something was done, and which refused.
    fn done(&self, answer: Value) -> Result<(), Failure> {
        if self.json {
            self.screen.json(&answer)?;
        }
        let outcome: Outcome = read(answer)?;
        let refused = self.refused(&outcome);
        let count = outcome.torrents.len();
        let plural = if count == 1 { "" } else { "s" };
        self.screen.say(format_args!("{count} torrent{plural}"))?;
        refused
    }

    /// Tells which torrents refused.
    fn refused(&self, outcome: &Outcome) -> Result<(), Failure> {
        for refused in &outcome.failed {
            let why = printable(&refused.error.message);
            self.screen
                .warn("error", format_args!("{}: {why}", refused.info_hash));
        }
        if outcome.failed.is_empty() {
            Ok(())
        } else {
            Err(Failure::Told)
        }
    }

    /// Shows what people read: no wider than the terminal, where it goes to one, and otherwise as it is. What does not fit in a
    /// line goes on at the column `hang`.
    fn write(&self, text: &str, hang: usize) -> Result<(), Failure> {
        match terminal() {
            Some((_, columns)) => self.screen.write(&wrapped(text, columns, hang)),
            None => self.screen.write(text),
        }
    }

    /// Shows rows of an answer, as [`Self::write`] does.
    fn table<T: DeserializeOwned>(
        &self,
        answer: &Value,
        rows: &str,
        text: impl FnOnce(&[T]) -> String,
        hang: usize,
    ) -> Result<(), Failure> {
        let rows = answer.get(rows).cloned().unwrap_or_default();
        if self.json {
            for row in rows.as_array().into_iter().flatten() {
                self.screen.json(row)?;
            }
            return Ok(());
        }
        self.write(&text(&read::<Vec<T>>(rows)?), hang)
    }

    fn show(&self, answer: Value) -> Result<(), Failure> {
        if self.json {
            return self.screen.json(&answer);
        }
        let more = answer.clone();
        let torrent: Torrent = read(answer)?;
        self.write(&tables::torrent(&torrent, &more), tables::BEHIND_NAME)
    }

    fn resources(&self, answer: Value) -> Result<(), Failure> {
        if self.json {
            return self.screen.json(&answer);
        }
        let resources: Resources = read(answer)?;
        self.write(&tables::resources(&resources), tables::BEHIND_NAME)
    }

    fn stats(&self, answer: Value) -> Result<(), Failure> {
        if self.json {
            return self.screen.json(&answer);
        }
        let stats: Stats = read(answer)?;
        self.write(&tables::stats(&stats), tables::BEHIND_NAME)
    }
}

fn limit(args: LimitsArgs, client: &mut Client, talk: &Talk<'_>) -> Result<(), Failure> {
    let bytes = |rate: Option<Rate>| rate.map(|rate| rate.0.unwrap_or(0));
    let limits = LimitsOf {
        torrents: args.torrent,
        down: bytes(args.down),
        up: bytes(args.up),
        max_peers: args.max_peers,
        upload_slots: args.upload_slots,
    };
    if limits.down.is_none()
        && limits.up.is_none()
        && limits.max_peers.is_none()
        && limits.upload_slots.is_none()
    {
        let why = "say what to bound: --down, --up, --max-peers or --upload-slots";
        return Err(Failure::Usage(why.to_owned()));
    }
    let all = limits.torrents.is_empty();
    let answer = client.ask(Ask::Limits(limits))?;
    if all {
        settings::tell(&answer, talk)
    } else {
        talk.done(answer)
    }
}

fn reopen(client: &mut Client, talk: &Talk<'_>) -> Result<(), Failure> {
    let answer = client.ask(Ask::Reopen(Nothing {}))?;
    if talk.json {
        return talk.screen.json(&answer);
    }
    let line = match answer.get("listen").and_then(Value::as_str) {
        Some(at) => format!("listening on {at}"),
        None => "the network cannot be opened now; the daemon goes on trying".to_owned(),
    };
    talk.screen.say(line)
}

fn back_up(args: &BackupArgs, client: &mut Client, talk: &Talk<'_>) -> Result<(), Failure> {
    let path =
        std::path::absolute(&args.file).map_err(|error| Failure::on_file(&args.file, &error))?;
    let file = client::text_of(&path)?;
    let answer = client.ask(Ask::Backup(Backup { file }))?;
    if talk.json {
        return talk.screen.json(&answer);
    }
    talk.screen
        .say(format_args!("all that is kept is in {}", path.display()))
}

#[cfg(test)]
mod tests {
    use crate::json::page;

    #[test]
    fn the_page_for_users_has_a_row_for_each_field_and_no_other() {
        let source = concat!(
            include_str!("../../../control/src/record.rs"),
            include_str!("../../../control/src/add.rs"),
            include_str!("../../../control/src/label.rs"),
            include_str!("../../../control/src/habit.rs")
        );
        let places = [
            ("struct Torrent", "torrent."),
            ("struct File", "file."),
            ("struct Tracker", "tracker."),
            ("struct Peer", "peer."),
            ("struct Setting", "setting."),
            ("struct Resources", "resources."),
            ("struct Sample", "sample."),
            ("struct Stats", "stats."),
            ("struct Added", "added."),
            ("struct Category", "category."),
            ("struct Watched", "watch."),
            ("struct Wish", "wish."),
            ("struct FeedState", "feed."),
            ("struct Rule", "rule."),
            ("struct FeedItem", "item."),
        ];
        page::names_fields("`ctl`", source, &places);
    }
}
