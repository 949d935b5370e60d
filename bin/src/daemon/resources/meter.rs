//! Reads from the system what the process takes, as far as the system tells.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

/// What the process takes, and what there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// Processor time since its start, of all of its threads.
    pub(super) cpu: Option<Duration>,
    /// Bytes of memory that it has.
    pub(super) memory: Option<u64>,
    /// Bytes of memory that it could have on top of that: of the machine, or of the control group that it is in.
    pub(super) available: Option<u64>,
    /// Files and connections that are open.
    pub(super) open_files: Option<u64>,
    /// How many of these there may be.
    pub(super) most_files: Option<u64>,
}

/// Reads all of it.
pub(super) fn read() -> Reading {
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    let text = |path: &str| std::fs::read_to_string(path).ok();
    let machine = text("/proc/meminfo").and_then(|text| kibibytes(&text, "MemAvailable:"));
    let group = text("/proc/self/cgroup").and_then(|text| left_in(&group_of(&text)?));
    Reading {
        cpu: u64::try_from(cpu.tv_sec)
            .ok()
            .zip(u32::try_from(cpu.tv_nsec).ok())
            .map(|(seconds, nanos)| Duration::new(seconds, nanos)),
        memory: text("/proc/self/status").and_then(|text| kibibytes(&text, "VmRSS:")),
        available: machine.into_iter().chain(group).min(),
        // The one that lists them is among them.
        open_files: std::fs::read_dir("/proc/self/fd")
            .ok()
            .map(|all| (all.count() as u64).saturating_sub(1)),
        most_files: getrlimit(Resource::Nofile).current,
    }
}

/// The bytes of a line such as `VmRSS:      1234 kB`.
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let number = line.trim().strip_suffix("kB")?.trim_end();
    number.parse::<u64>().ok()?.checked_mul(1024)
}

/// The folder of a control group (cgroups v2) that `/proc/self/cgroup` names.
fn group_of(text: &str) -> Option<PathBuf> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let plain = !path.split('/').any(|part| part == "..");
    plain.then(|| Path::new("/sys/fs/cgroup").join(path))
}

/// Bytes that a control group may still have; what it has of files can be had back.
fn left_in(group: &Path) -> Option<u64> {
    let text = |name: &str| std::fs::read_to_string(group.join(name)).ok();
    let number = |name| text(name)?.trim().parse::<u64>().ok();
    // Where there is no limit, it is a word.
    let (most, has) = (number("memory.max")?, number("memory.current")?);
    let files = text("memory.stat").and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("file "))?;
        line.parse::<u64>().ok()
    });
    Some(most.saturating_sub(has.saturating_sub(files.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_system_are_read_and_others_are_nothing() {
        let text =
            "MemTotal: 10 kB\nMemAvailable:     2048 kB\nVmRSS:\t7 kB\nOdd: 3 MB\nNone: kB\n";
        let cases = [
            ("MemAvailable:", Some(2048 * 1024)),
            ("VmRSS:", Some(7 * 1024)),
            ("Odd:", None),
            ("None:", None),
            ("Missing:", None),
        ];
        for (name, expected) in cases {
            assert_eq!(kibibytes(text, name), expected, "{name}");
        }
        let huge = format!("VmRSS: {} kB", u64::MAX);
        assert_eq!(kibibytes(&huge, "VmRSS:"), None);
    }

    #[test]
    fn a_group_has_what_its_limit_leaves_and_what_it_has_of_files() {
        assert_eq!(
            group_of("12:cpu:/x\n0::/user.slice/a.service\n"),
            Some("/sys/fs/cgroup/user.slice/a.service".into())
        );
        assert_eq!(group_of("0::/../a\n"), None);
        assert_eq!(group_of("1:cpu:/x\n"), None);
        let dir = tempfile::TempDir::new().unwrap();
        assert_eq!(left_in(dir.path()), None);
        let write = |name, text| std::fs::write(dir.path().join(name), text).unwrap();
        write("memory.max", "max\n");
        write("memory.current", "700\n");
        assert_eq!(left_in(dir.path()), None);
        write("memory.max", "1000\n");
        assert_eq!(left_in(dir.path()), Some(300));
        write("memory.stat", "anon 400\nfile 250\n");
        assert_eq!(left_in(dir.path()), Some(550));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_read() {
        let before = read();
        let _file = std::fs::File::open("/dev/null").unwrap();
        let reading = read();
        assert!(reading.memory.unwrap() > 100_000, "{reading:?}");
        assert!(
            reading.available.is_some() && reading.cpu >= before.cpu,
            "{reading:?}"
        );
        assert!(reading.open_files.unwrap() > 3, "{reading:?}");
        assert_eq!(reading.most_files, before.most_files);
    }
}
