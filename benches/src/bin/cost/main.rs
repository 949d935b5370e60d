//! What a block costs the engine: allocations, copies, system calls, context switches and CPU time, at both ends.
//!
//! ```text
//! cargo run --release -p tribler-benches --bin cost -- [MIB] [--strace] [--copies]
//! ```
//! A seeder and a downloader, each an engine in a process of its own, on loopback. With `--strace` (the Debian package of
//! that name) a second transfer counts system calls; with `--copies` (`valgrind`) a third one counts the bytes that were
//! copied in user space. Both are slower, and only their counts mean something.

#![allow(clippy::print_stdout, reason = "a program for people")]

mod ends;
mod table;

use std::alloc::System;
use std::error::Error;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use benches::content::Content;
use ends::Cost;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const PIECE_LEN: u64 = 1 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["seeder", dir, size] => ends::seeder(content(dir.into(), size.parse()?)),
        ["leecher", dir, size, from] => {
            ends::leecher(content(dir.into(), size.parse()?), from.parse()?)
        }
        _ => {
            let size = args
                .iter()
                .find_map(|arg| arg.parse::<u64>().ok())
                .unwrap_or(1024)
                << 20;
            measure(size, args.contains(&"--strace"), args.contains(&"--copies"))
        }
    }
}

fn content(dir: PathBuf, size: u64) -> Content {
    Content {
        dir,
        size,
        piece_len: PIECE_LEN,
    }
}

fn measure(size: u64, strace: bool, copies: bool) -> Result<(), Box<dyn Error>> {
    let dir = tempfile::Builder::new().prefix("cost-").tempdir()?;
    let content = content(dir.path().to_owned(), size);
    content.write()?;
    content.warm()?;
    let (seeder, leecher) = transfer(&content, None)?;
    table::costs(size, &seeder, &leecher);
    if strace {
        content.remove_copy()?;
        transfer(&content, Some(Counter::SystemCalls))?;
        let [seeder, leecher] = ROLES.map(|role| Counter::SystemCalls.output(dir.path(), role));
        table::system_calls(size, &seeder, &leecher)?;
    }
    if copies {
        content.remove_copy()?;
        transfer(&content, Some(Counter::Copies))?;
        let [seeder, leecher] = ROLES.map(|role| Counter::Copies.output(dir.path(), role));
        table::copies(size, &seeder, &leecher)?;
    }
    Ok(())
}

const ROLES: [&str; 2] = ["seeder", "leecher"];

/// A program that counts what another one does.
#[derive(Clone, Copy)]
enum Counter {
    SystemCalls,
    Copies,
}

impl Counter {
    fn output(self, dir: &Path, role: &str) -> PathBuf {
        dir.join(match self {
            Self::SystemCalls => format!("{role}.calls"),
            Self::Copies => format!("{role}.copies"),
        })
    }

    /// The command line up to the program that is counted.
    fn command(self, dir: &Path, role: &str) -> Command {
        let output = self.output(dir, role);
        match self {
            Self::SystemCalls => {
                let mut command = Command::new("strace");
                command.args(["-f", "-c", "-o"]).arg(output);
                command
            }
            Self::Copies => {
                let mut command = Command::new("valgrind");
                let log = format!("--log-file={}", output.display());
                command.args([
                    "--tool=dhat",
                    "--mode=copy",
                    "--dhat-out-file=/dev/null",
                    &log,
                ]);
                command
            }
        }
    }
}

/// One transfer; each end under a program that counts, where one is given.
fn transfer(content: &Content, counter: Option<Counter>) -> Result<(Cost, Cost), Box<dyn Error>> {
    let program = std::env::current_exe()?;
    let start = |role: &str, more: &[&str]| -> Result<Child, Box<dyn Error>> {
        let mut command = match counter {
            None => Command::new(&program),
            Some(counter) => {
                let mut command = counter.command(&content.dir, role);
                command.arg(&program);
                command
            }
        };
        command
            .arg(role)
            .arg(&content.dir)
            .arg(content.size.to_string())
            .args(more);
        Ok(command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?)
    };
    let mut seeder = start("seeder", &[])?;
    let mut said = BufReader::new(seeder.stdout.take().ok_or("no output")?);
    let mut address = String::new();
    said.read_line(&mut address)?;
    let leecher = start("leecher", &[address.trim()])?.wait_with_output()?;
    // Its standard input is what a seeder lives on.
    seeder.stdin.take().ok_or("no input")?.write_all(b"\n")?;
    let mut line = String::new();
    said.read_line(&mut line)?;
    if !seeder.wait()?.success() || !leecher.status.success() {
        return Err("one side failed".into());
    }
    Ok((
        Cost::from_line(&line)?,
        Cost::from_line(&String::from_utf8(leecher.stdout)?)?,
    ))
}
