//! `circuits`: what circuits running processes have.

use crate::cli::CircuitsArgs;
use crate::control;
use crate::failure::{Failure, reason};
use crate::report::{Circuit, Report, Through};
use crate::screen::Screen;
use crate::units::{Size, Span};

/// Hex digits of a key that tell nodes apart.
const SHORT_KEY: usize = 8;

/// Hex digits that all keys begin with.
const KEY_MARK: usize = 20;

pub(crate) fn run(args: &CircuitsArgs, screen: &Screen) -> Result<(), Failure> {
    let folder = control::folder(args.state.as_deref()).ok_or_else(|| {
        Failure::Unreachable(
            "there is no folder of the session, and no home: say --state".to_owned(),
        )
    })?;
    let reports = control::ask_all(&folder)
        .map_err(|error| Failure::Failed(format!("{}: {}", folder.display(), reason(&error))))?;
    let asked = |report: &&Report| args.pid.is_none_or(|pid| report.pid == pid);
    let reports: Vec<Report> = reports.iter().filter(asked).cloned().collect();
    if reports.is_empty() {
        let which = args.pid.map_or_else(String::new, |pid| format!(" {pid}"));
        let hint = match args.state {
            Some(_) => "",
            None => "; those that were started with --state are asked with the same --state",
        };
        let line = format!(
            "no process{which} with a part in the overlay answers in {}{hint}",
            folder.display()
        );
        return Err(Failure::Unreachable(line));
    }
    for report in &reports {
        if args.json {
            screen.json(report)?;
        } else {
            screen.say(text(report))?;
        }
    }
    Ok(())
}

/// What people read of a process.
fn text(report: &Report) -> String {
    let mut lines = vec![format!(
        "{} {} at {}",
        report.command, report.pid, report.addr
    )];
    for community in &report.communities {
        let crate::report::Community {
            wire,
            known,
            known_relays,
            known_exits,
            relays,
            ends,
            ..
        } = community;
        lines.push(format!(
            "  wire of {wire}: {known} nodes known, {known_relays} relay, {known_exits} are exits; for others: \
             {relays} circuits relayed, {ends} end here"
        ));
    }
    if report.used_up {
        lines.push(
            "  as much was carried for others as --max-bytes allows; nothing more is".to_owned(),
        );
    }
    lines.extend(report.hops.iter().map(|lane| format!("  {lane}")));
    if !report.circuits.is_empty() {
        lines.push(format!(
            "  {:<10} {:<12} {:<5} {:<9} {:>8} {:>12} {:>10} {:>7}  through",
            "circuit", "for", "hops", "state", "age", "rate", "carried", "rtt"
        ));
        lines.extend(report.circuits.iter().map(line));
    }
    lines.join("\n")
}

fn line(circuit: &Circuit) -> String {
    let rtt = circuit
        .rtt_ms
        .map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms"));
    let age = Span(std::time::Duration::from_secs(circuit.age)).to_string();
    let rate = format!("{}/s", Size(circuit.rate));
    let carried = Size(circuit.bytes).to_string();
    let (id, purpose, state) = (&circuit.id, &circuit.purpose, &circuit.state);
    let mut through: Vec<String> = circuit.through.iter().map(node).collect();
    if circuit.through.len() < usize::from(circuit.hops) {
        through.push("...".to_owned());
    }
    if circuit.linked {
        through.push("hidden peer".to_owned());
    }
    format!(
        "  {id:<10} {purpose:<12} {:<5} {state:<9} {age:>8} {rate:>12} {carried:>10} {rtt:>7}  {}",
        circuit.hops,
        through.join(" > ")
    )
}

/// Where a node is, or else who.
fn node(node: &Through) -> String {
    node.addr.clone().unwrap_or_else(|| {
        let own = node.public_key.get(KEY_MARK..).unwrap_or(&node.public_key);
        own.get(..SHORT_KEY).unwrap_or(own).to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circuit_is_a_line_with_the_nodes_that_it_goes_through() {
        let through = |addr: Option<&str>| Through {
            addr: addr.map(str::to_owned),
            public_key: format!("{}{}", "4c69624e61434c504b3a", "0123456789abcdef"),
        };
        let circuit = Circuit {
            id: "7b2".to_owned(),
            wire: "today".to_owned(),
            purpose: "data".to_owned(),
            hops: 3,
            state: "building".to_owned(),
            through: vec![through(Some("127.1.0.1:7")), through(None)],
            linked: false,
            age: 62,
            bytes: 4096,
            rate: 1024,
            rtt_ms: Some(34),
        };
        let line = line(&circuit);
        assert!(line.ends_with("127.1.0.1:7 > 01234567 > ..."), "{line}");
        for part in ["1:02", "1.00 KiB/s", "4.00 KiB", "34 ms", "building"] {
            assert!(line.contains(part), "{part}: {line}");
        }
    }
}
