//! `relay` and `exit`: takes part in the overlay for others, until a signal.

use std::path::Path;
use std::time::{Duration, Instant};

use net::{Network, RealOptions};
use serde::Serialize;
use tunnels::policy::Rules;
use tunnels::{ExitPolicy, Roles};

use super::transfer::anonymous::tell_socks;
use super::unit;
use crate::cli::{ExitArgs, NodeArgs, RelayArgs};
use crate::failure::Failure;
use crate::report::{Report, Reporter};
use crate::screen::{Screen, Style};
use crate::shutdown::Shutdown;
use crate::units::Size;
use crate::wire::{self, Overlay, Part, Socks, Watched};

/// The longest policy file, in bytes.
const MAX_POLICY: u64 = 4 << 20;

/// How often it is looked whether all was carried that may be.
const LOOK: Duration = Duration::from_secs(1);

/// Circuits that may use up the rate of all together.
const SHARES: u64 = 4;

/// One line. Later versions may add fields and events.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line<'a> {
    /// The socket is open. The public key is in hex, as packets carry it.
    Listening {
        addr: String,
        public_key: &'a str,
        role: &'a str,
        communities: Vec<String>,
    },
    /// Figures are served here.
    Metrics { addr: String },
    /// How it stands.
    Status {
        /// Nodes that are known, those that relay, and those that let traffic out.
        known: usize,
        known_relays: usize,
        known_exits: usize,
        /// Circuits of others that are relayed, and that end here.
        relays: usize,
        ends: usize,
        /// Circuits that were joined since the start, and cells that were passed on.
        joined: u64,
        relayed_cells: u64,
        /// Bytes of others that were passed on, sent out and sent back.
        carried: u64,
        refused: u64,
        /// Whether as much was carried as may be: nothing more is.
        used_up: bool,
        /// Seconds since the start.
        seconds: u64,
    },
    /// As much was carried as may be: the circuits of others have ended, and no more are joined.
    UsedUp { carried: u64 },
}

pub(crate) fn relay(args: &RelayArgs, screen: &Screen) -> Result<(), Failure> {
    if args.node.print_unit {
        return unit::print("relay", None, screen);
    }
    let part = Part {
        roles: roles(&args.node, None),
        only_local: args.node.only_local,
        ..Part::default()
    };
    wire::run(serve("relay", &args.node, part, screen))
}

pub(crate) fn exit(args: &ExitArgs, screen: &Screen) -> Result<(), Failure> {
    let rules = args.policy.as_deref().map(rules).transpose()?;
    if args.node.print_unit {
        return unit::print("exit", None, screen);
    }
    let mut policy = ExitPolicy::default();
    policy.ipv8 = args.ipv8;
    policy.http_per_s = args.circuit_http;
    policy.bytes_per_s = circuit_rate(args);
    policy.rules = rules.map(Into::into);
    let part = Part {
        roles: roles(&args.node, Some(policy)),
        only_local: args.node.only_local,
        ..Part::default()
    };
    wire::run(serve("exit", &args.node, part, screen))
}

/// What leaves for one circuit at most, in bytes a second; 0 for no limit.
fn circuit_rate(args: &ExitArgs) -> u64 {
    let all = args.node.caps.max_rate.and_then(|rate| rate.0);
    let share = all.map(|all| (all / SHARES).max(1));
    let rate = args.circuit_rate.map_or(share, |rate| rate.0);
    rate.unwrap_or(0)
}

/// What is done for others, within the caps.
fn roles(args: &NodeArgs, exit: Option<ExitPolicy>) -> Roles {
    let mut roles = match exit {
        Some(policy) => Roles::exit(policy),
        None => Roles::relay(),
    };
    roles.max_joined = args.caps.max_circuits.map(|most| most as usize);
    roles.bytes_per_s = args.caps.max_rate.and_then(|rate| rate.0);
    roles.max_bytes = args.caps.max_bytes.map(|size| size.0);
    roles
}

/// Reads a policy file.
///
/// # Errors
/// [`Failure`] where it cannot be read; a line that is wrong is named by its number.
fn rules(file: &Path) -> Result<Rules, Failure> {
    let on = |error| Failure::on_file(file, &error);
    let meta = std::fs::metadata(file).map_err(on)?;
    if meta.len() > MAX_POLICY {
        return Err(Failure::Failed(format!(
            "{}: this is no policy file: it is too long",
            file.display()
        )));
    }
    let text = std::fs::read_to_string(file).map_err(on)?;
    let rules = text.parse();
    rules.map_err(|error| Failure::Failed(format!("{}: {error}", file.display())))
}

async fn serve(
    role: &'static str,
    args: &NodeArgs,
    mut part: Part,
    screen: &Screen,
) -> Result<(), Failure> {
    let mut shutdown = Shutdown::listen()?;
    if args.watch.until_stdin_ends {
        shutdown.also_when_stdin_ends()?;
    }
    part.state = args.state.clone().or_else(wire::default_state_dir);
    let pool = wire::pool()?;
    let from = args.overlay.overlay_listen.map(|at| *at.ip());
    let network = match from {
        Some(ip) => Network::real(RealOptions::from_source(ip.into())),
        None => wire::plain_network(),
    };
    let node = Overlay::start(&args.overlay, part, &network, (pool.pool(), screen))?;
    let reporter = Reporter::new(&node.anonymity, role, &node.public_key, pool.pool());
    // Ports that cannot be had are told before anything is said to be there.
    let watched = Watched::start(
        (args.state.as_deref(), args.metrics),
        &reporter,
        &pool,
        screen,
    )
    .await?;
    let socks = node.open_socks(pool.pool())?;
    let communities = node.communities.iter().map(ToString::to_string);
    tell(
        screen,
        &Line::Listening {
            addr: node.anonymity.local_addr().to_string(),
            public_key: &node.public_key,
            role,
            communities: communities.collect(),
        },
    )?;
    if let Some(at) = watched.metrics() {
        tell(
            screen,
            &Line::Metrics {
                addr: at.to_string(),
            },
        )?;
    }
    tell_socks(socks.iter().flat_map(Socks::places), screen)?;
    let since = Instant::now();
    tokio::select! {
        told = tell_now_and_then(args, &reporter, since, screen) => told?,
        _ = shutdown.asked() => {}
    }
    let last = reporter.report();
    node.anonymity.shut_down().await;
    tell(screen, &status(&last, since))
}

/// Tells how it stands, where that has changed; returns only when that cannot be told any more.
async fn tell_now_and_then(
    args: &NodeArgs,
    reporter: &Reporter,
    since: Instant,
    screen: &Screen,
) -> Result<(), Failure> {
    let mut last = None;
    let mut used_up = false;
    let mut next = Instant::now() + args.watch.every.0;
    loop {
        let left = next.saturating_duration_since(Instant::now());
        tokio::time::sleep(left.min(LOOK)).await;
        let report = reporter.report();
        if report.used_up && !used_up {
            used_up = true;
            let carried = report.communities.iter().map(|it| it.carried).sum();
            tell(screen, &Line::UsedUp { carried })?;
        }
        if Instant::now() < next {
            continue;
        }
        next = Instant::now() + args.watch.every.0;
        let now = serde_json::to_value(&report.communities).map_err(Failure::failed)?;
        if last.as_ref() != Some(&now) {
            tell(screen, &status(&report, since))?;
            last = Some(now);
        }
    }
}

fn status(report: &Report, since: Instant) -> Line<'static> {
    let all = &report.communities;
    Line::Status {
        known: all.iter().map(|it| it.known).sum(),
        known_relays: all.iter().map(|it| it.known_relays).sum(),
        known_exits: all.iter().map(|it| it.known_exits).sum(),
        relays: all.iter().map(|it| it.relays).sum(),
        ends: all.iter().map(|it| it.ends).sum(),
        joined: all.iter().map(|it| it.joined).sum(),
        relayed_cells: all.iter().map(|it| it.relayed_cells).sum(),
        carried: all.iter().map(|it| it.carried).sum(),
        refused: all.iter().flat_map(|it| it.refused.values()).sum(),
        used_up: report.used_up,
        seconds: since.elapsed().as_secs(),
    }
}

fn tell(screen: &Screen, line: &Line<'_>) -> Result<(), Failure> {
    if screen.style() == Style::Json {
        return screen.json(line);
    }
    match line {
        Line::Listening {
            addr,
            public_key,
            role,
            communities,
        } => screen.say(format_args!(
            "{role} listening at {addr}, in {}, public key {public_key}",
            communities.join(" and ")
        )),
        Line::UsedUp { carried } => screen.say(format_args!(
            "{} carried for others, as much as --max-bytes allows: nothing more is, until this is started again",
            Size(*carried)
        )),
        Line::Metrics { addr } => screen.say(format_args!("figures at http://{addr}/metrics")),
        Line::Status {
            known,
            known_relays,
            known_exits,
            relays,
            ends,
            joined,
            carried,
            refused,
            ..
        } => screen.say(format_args!(
            "knows {known} nodes ({known_relays} relay, {known_exits} are exits); for others: {relays} circuits relayed, \
             {ends} end here, {joined} joined so far, {} carried, {refused} refused",
            Size(*carried)
        )),
    }
}

#[cfg(test)]
mod tests {
    use crate::json::page;

    #[test]
    fn the_page_for_users_has_a_row_for_each_event_with_each_field_and_no_other() {
        let events = page::agrees("`relay` and `exit`", include_str!("node.rs"), "enum Line");
        assert!(events.iter().any(|(event, _)| event == "used_up"));
    }
}
