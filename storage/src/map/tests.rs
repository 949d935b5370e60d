//! Windows whose pages fail.

use std::fs::File;
use std::process::Command;

use super::*;
use crate::budget::{Budget, Limits};

const LEN: usize = 256 * 1024;

fn window(file: &File, start: u64, len: usize, writable: bool) -> Window {
    let budget = Budget::new(Limits::default());
    let reservation = budget.0.reserve(len as u64).unwrap();
    Window::map(file, (start, len), writable, "f".into(), reservation).unwrap()
}

fn file_of(len: u64) -> File {
    let file = tempfile::tempfile().unwrap();
    file.set_len(len).unwrap();
    file
}

#[test]
fn a_page_past_the_end_reads_zeros_and_marks_its_window_only() {
    let file = file_of(2 * LEN as u64);
    let first = window(&file, 0, LEN, true);
    let second = window(&file, LEN as u64, LEN, false);
    assert!(first.copy_in(0, &vec![7; LEN]));
    file.set_len(100_000).unwrap();
    assert!(!first.faulted() && !second.faulted());
    assert!(second.bytes(5_000, 10_000).iter().all(|byte| *byte == 0));
    assert!(second.faulted() && !first.faulted());
    let bytes = first.bytes(0, LEN);
    assert!(bytes[..100_000].iter().all(|byte| *byte == 7));
    assert!(bytes[100_000..].iter().all(|byte| *byte == 0));
    assert!(first.faulted());
    // The pages that took the place of the lost ones can be written, to no effect on the file.
    assert!(!first.copy_in(LEN - 10, &[9; 10]));
    assert_eq!(file.metadata().unwrap().len(), 100_000);
    // What was copied in before the fault reached the file.
    let again = window(&file, 0, 100_000, false);
    assert!(again.bytes(0, 100_000).iter().all(|byte| *byte == 7));
}

#[test]
fn slots_are_used_again_and_the_table_grows() {
    let file = file_of(LEN as u64);
    for _ in 0..3 {
        let windows: Vec<_> = (0..300).map(|_| window(&file, 0, LEN, false)).collect();
        assert!(windows.iter().all(|window| !window.faulted()));
        file.set_len(0).unwrap();
        assert!(windows[299].bytes(0, 10).iter().all(|byte| *byte == 0));
        assert!(windows[299].faulted() && !windows[0].faulted());
        file.set_len(LEN as u64).unwrap();
    }
}

#[test]
fn threads_that_meet_the_same_lost_page_all_go_on() {
    for _ in 0..50 {
        let file = file_of(LEN as u64);
        let window = window(&file, 0, LEN, false);
        file.set_len(0).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert!(window.bytes(0, LEN).iter().all(|byte| *byte == 0)));
            }
        });
        assert!(window.faulted());
    }
}

#[test]
fn a_full_disk_under_a_map_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let mount = |args: &[&str]| {
        let done = Command::new(args[0])
            .args(&args[1..])
            .arg(dir.path())
            .status();
        done.is_ok_and(|status| status.success())
    };
    if !mount(&["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs"]) {
        assert!(std::env::var_os("CI").is_none(), "in CI this must run");
        println!("skipped: mounting a file system needs root");
        return;
    }
    let file = File::create_new(dir.path().join("f")).unwrap();
    file.set_len(LEN as u64).unwrap();
    let file = File::options()
        .read(true)
        .write(true)
        .open(dir.path().join("f"))
        .unwrap();
    let window = window(&file, 0, LEN, true);
    let fits = window.copy_in(0, &vec![1; 64 * 1024]);
    let all = window.copy_in(0, &vec![1; LEN]);
    drop((window, file));
    assert!(mount(&["umount", "-l"]));
    assert!(fits && !all);
}

/// Runs a test of this file in a process of its own.
fn alone(test: &str) -> std::process::ExitStatus {
    Command::new(std::env::current_exe().unwrap())
        .args([&format!("map::tests::{test}"), "--exact", "--ignored"])
        .output()
        .unwrap()
        .status
}

#[test]
fn a_fault_elsewhere_still_ends_the_process() {
    use std::os::unix::process::ExitStatusExt;

    for test in ["child_reads_a_map_of_its_own", "child_is_sent_the_signal"] {
        let status = alone(test);
        // A sanitizer's handler, where there is one, reports the fault and leaves with 1.
        let ended = status.signal() == Some(libc::SIGBUS) || status.code() == Some(1);
        assert!(ended, "{test}: {status}");
    }
}

#[test]
#[ignore = "run by its parent in a process of its own"]
fn child_reads_a_map_of_its_own() {
    let file = file_of(LEN as u64);
    let watched = window(&file, 0, LEN, false);
    let own = MmapOptions::new().map_raw_read_only(&file).unwrap();
    file.set_len(0).unwrap();
    assert!(watched.bytes(0, 1)[0] == 0);
    // SAFETY: inside the mapping; the fault is what is tested.
    let byte = unsafe { own.as_ptr().read_volatile() };
    println!("read {byte}");
}

#[test]
#[ignore = "run by its parent in a process of its own"]
fn child_is_sent_the_signal() {
    drop(window(&file_of(LEN as u64), 0, LEN, false));
    // SAFETY: no memory is passed.
    unsafe { libc::raise(libc::SIGBUS) };
}

#[test]
fn a_handler_that_was_there_before_is_called() {
    assert!(alone("child_has_a_handler").success());
}

#[test]
#[ignore = "run by its parent in a process of its own"]
fn child_has_a_handler() {
    extern "C" fn leave(_: i32) {
        // SAFETY: ends the process without running anything.
        unsafe { libc::_exit(0) }
    }
    let handler: extern "C" fn(i32) = leave;
    // SAFETY: a handler with the signature that plain `signal` asks for.
    unsafe { libc::signal(libc::SIGBUS, handler as usize) };
    drop(window(&file_of(LEN as u64), 0, LEN, false));
    // SAFETY: no memory is passed.
    unsafe { libc::raise(libc::SIGBUS) };
    unreachable!("the handler leaves");
}
