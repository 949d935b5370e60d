//! `ctl watch` and `ctl feeds`.

use std::fmt::Write as _;

use control::{
    Ask, Feed, FeedItem, FeedState, FeedsOf, PreviewOf, Rule, RulesOf, Then, Watch, Watched,
    WatchesOf, Wish,
};

use super::Talk;
use super::client::Client;
use super::labels::absolute;
use crate::cli::ctl_habits::{
    self as flags, FeedArgs, FeedsArgs, FeedsCommand, RuleArgs, WatchArgs, WatchCommand, WishArgs,
};
use crate::failure::Failure;
use crate::text::{printable, shorten};
use crate::units::{Size, Span};

/// Columns of a title.
const TITLE: usize = 60;

pub(super) fn watch(args: WatchArgs, client: &mut Client, talk: &Talk<'_>) -> Result<(), Failure> {
    let mut of = WatchesOf::default();
    match args.what {
        None | Some(WatchCommand::List) => {}
        Some(WatchCommand::Add { dir, then, wish }) => {
            of.set = Some(Watch {
                dir: absolute(&dir)?,
                then: match then {
                    flags::Then::Keep => Then::Keep,
                    flags::Then::Delete => Then::Delete,
                    flags::Then::Rename => Then::Rename,
                },
                add: wished(wish)?,
            });
        }
        Some(WatchCommand::Remove { dir }) => of.remove = Some(absolute(&dir)?),
    }
    let answer = client.ask(Ask::Watches(of))?;
    talk.table::<Watched>(&answer, "watches", watches, 14)
}

pub(super) fn feeds(args: FeedsArgs, client: &mut Client, talk: &Talk<'_>) -> Result<(), Failure> {
    let mut of = FeedsOf::default();
    match args.what {
        None | Some(FeedsCommand::List) => {}
        Some(FeedsCommand::Add(args)) => of.set = Some(feed(args)?),
        Some(FeedsCommand::Fetch { name }) => of.fetch = Some(name),
        Some(FeedsCommand::Remove { name }) => of.remove = Some(name),
        Some(FeedsCommand::Rule {
            feed,
            name,
            remove,
            rule,
            wish,
        }) => {
            let mut of = RulesOf {
                feed,
                ..RulesOf::default()
            };
            if remove {
                of.remove = Some(name);
            } else {
                of.set = Some(ruled(name, rule, wished(wish)?));
            }
            let answer = client.ask(Ask::Rules(of))?;
            return talk.table::<FeedState>(&answer, "feeds", feed_list, 6);
        }
        Some(FeedsCommand::Preview { feed, hops, rule }) => {
            let rule = ruled("this one".to_owned(), rule, Wish::default());
            let none = Rule {
                name: rule.name.clone(),
                ..Rule::default()
            };
            let of = PreviewOf {
                feed,
                rule: (rule != none).then_some(rule),
                hops,
            };
            let answer = client.ask(Ask::Preview(of))?;
            return talk.table::<FeedItem>(&answer, "items", items, 19);
        }
    }
    let answer = client.ask(Ask::Feeds(of))?;
    talk.table::<FeedState>(&answer, "feeds", feed_list, 6)
}

/// What flags say that is wanted of torrents.
pub(super) fn wished(args: WishArgs) -> Result<Wish, Failure> {
    Ok(Wish {
        dir: args.data.as_deref().map(absolute).transpose()?,
        category: args.category,
        tags: args.tag,
        paused: args.paused,
        hops: args.hops,
    })
}

fn feed(args: FeedArgs) -> Result<Feed, Failure> {
    Ok(Feed {
        name: args.name,
        url: args.url,
        every: args.every.0.as_secs(),
        all: args.all,
        only_new: args.only_new,
        rules: Vec::new(),
        add: wished(args.wish)?,
    })
}

fn ruled(name: String, args: RuleArgs, add: Wish) -> Rule {
    Rule {
        name,
        include: args.include,
        exclude: args.exclude,
        regex: args.regex,
        min_size: args.min_size.map(|size| size.0),
        max_size: args.max_size.map(|size| size.0),
        episodes: args.episodes,
        once: args.once,
        off: args.off,
        add,
    }
}

/// What is wanted of torrents, in a few words.
fn wish(wish: &Wish) -> String {
    let mut words = Vec::new();
    let named = [("category", &wish.category), ("to", &wish.dir)];
    for (name, value) in named {
        words.extend(
            value
                .iter()
                .map(|value| format!("{name} {}", printable(value))),
        );
    }
    if !wish.tags.is_empty() {
        words.push(format!("tags {}", printable(&wish.tags.join(", "))));
    }
    words.extend(wish.hops.map(|hops| format!("{hops} hops")));
    if wish.paused {
        words.push("paused".to_owned());
    }
    words.join("; ")
}

fn watches(watches: &[Watched]) -> String {
    let mut text = format!("{:>5} {:<6}  folder\n", "taken", "then");
    for watch in watches {
        let then = match watch.then {
            Then::Keep => "keep",
            Then::Delete => "delete",
            Then::Rename => "rename",
        };
        let _ = write!(
            text,
            "{:>5} {then:<6}  {}",
            watch.taken,
            printable(&watch.dir)
        );
        let wish = wish(&watch.add);
        if !wish.is_empty() {
            let _ = write!(text, "  ({wish})");
        }
        text.push('\n');
        if let Some(error) = &watch.error {
            let _ = writeln!(
                text,
                "              cannot be looked at: {}",
                printable(error)
            );
        }
        for (file, why) in &watch.refused {
            let (file, why) = (printable(file), printable(why));
            let _ = writeln!(text, "              {file}: {why}");
        }
    }
    text
}

fn feed_list(feeds: &[FeedState]) -> String {
    let mut text = format!(
        "{:<20} {:>6} {:>6} {:>6}  address\n",
        "feed", "every", "items", "taken"
    );
    for feed in feeds {
        let every = Span(std::time::Duration::from_secs(feed.every)).to_string();
        let _ = write!(
            text,
            "{:<20} {every:>6} {:>6} {:>6}  {}",
            shorten(&feed.name, 20),
            feed.items,
            feed.taken,
            printable(&feed.url)
        );
        let wish = wish(&feed.add);
        if !wish.is_empty() {
            let _ = write!(text, "  ({wish})");
        }
        text.push('\n');
        if let Some(error) = &feed.error {
            let _ = writeln!(text, "  error: {}", printable(error));
        }
        if feed.all {
            text.push_str("  takes all\n");
        }
        for rule in &feed.rules {
            let _ = writeln!(text, "  rule {}", rule_line(rule));
        }
        if feed.rules.is_empty() && !feed.all {
            text.push_str("  takes nothing: it has no rules\n");
        }
    }
    text
}

fn rule_line(rule: &Rule) -> String {
    let mut words = Vec::new();
    if rule.off {
        words.push("off".to_owned());
    }
    let kind = if rule.regex { " (regex)" } else { "" };
    for (name, patterns) in [("include", &rule.include), ("exclude", &rule.exclude)] {
        if !patterns.is_empty() {
            words.push(format!("{name}{kind} {}", printable(&patterns.join(" | "))));
        }
    }
    words.extend(rule.min_size.map(|size| format!("at least {}", Size(size))));
    words.extend(rule.max_size.map(|size| format!("at most {}", Size(size))));
    words.extend(
        rule.episodes
            .iter()
            .map(|list| format!("episodes {}", printable(list))),
    );
    if rule.once {
        words.push("each episode once".to_owned());
    }
    let wish = wish(&rule.add);
    if !wish.is_empty() {
        words.push(wish);
    }
    if words.is_empty() {
        words.push("everything".to_owned());
    }
    format!("{}: {}", printable(&rule.name), words.join("; "))
}

fn items(items: &[FeedItem]) -> String {
    let mut text = format!("{:<7} {:>10} {:<TITLE$}  why\n", "what", "size", "title");
    for item in items {
        let size = item
            .size
            .map_or_else(|| "-".to_owned(), |size| Size(size).to_string());
        let rule = item
            .rule
            .as_ref()
            .map(|rule| format!("rule {}", printable(rule)));
        let why = item
            .why
            .as_deref()
            .map(printable)
            .or(rule)
            .unwrap_or_else(|| {
                let why = match item.what.as_str() {
                    "skip" => "no rule fits",
                    "nothing" => "it names no torrent",
                    _ => "",
                };
                why.to_owned()
            });
        let title = shorten(&item.title, TITLE);
        let line = format!(
            "{:<7} {size:>10} {title:<TITLE$}  {why}",
            printable(&item.what)
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}
