//! Which process a file belongs to, and whether that process is still there.

use std::fmt;
use std::fs;
use std::process;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// Letters of a host's name that a tag keeps.
const HOST_LETTERS: usize = 24;

/// One process on one machine, told from every other that was or will be.
///
/// The machine is a boot of a kernel and a namespace of process numbers, since a number means nothing
/// outside of both; the host's name is for people only, as two machines may share it. Within a machine the
/// instant at which the process began tells it from a later one with its number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Process {
    host: String,
    machine: String,
    pid: u32,
    start: u64,
}

impl Process {
    /// The process that asks.
    pub fn own() -> &'static Process {
        static OWN: OnceLock<Process> = OnceLock::new();
        OWN.get_or_init(|| {
            let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            let letters = name.trim().chars().filter(char::is_ascii_alphanumeric);
            let host: String = letters.take(HOST_LETTERS).collect();
            let pid = process::id();
            Process {
                host: if host.is_empty() { "unknown".to_owned() } else { host },
                machine: machine().unwrap_or_default(),
                pid,
                // Without /proc the number only has to tell this process from others.
                start: running_since(pid).unwrap_or_else(nanoseconds_of_now),
            }
        })
    }

    /// The process that a text made by `Display` names; none where it is no such text.
    pub fn parse(text: &str) -> Option<Process> {
        let mut parts = text.split('-');
        let (host, machine) = (parts.next()?, parts.next()?);
        let (pid, start) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let is_whole = parts.next().is_none() && !host.is_empty();
        is_whole.then(|| Process { host: host.to_owned(), machine: machine.to_owned(), pid, start })
    }

    /// Whether the process is there: `Some` where this machine can tell, none for a process of another.
    pub fn is_living(&self) -> Option<bool> {
        let own = Process::own();
        if self == own {
            return Some(true);
        }
        // Where the processes of other users are hidden, one that is not seen may be there.
        let sees_all = || fs::metadata("/proc/1/stat").is_ok();
        let is_here = !own.machine.is_empty() && self.machine == own.machine;
        (is_here && sees_all()).then(|| running_since(self.pid) == Some(self.start))
    }

    /// As people read it: `process 4711 on node07`.
    pub fn describe(&self) -> String {
        format!("process {} on {}", self.pid, self.host)
    }
}

/// As names of files carry it: `node07-9f86d081884c7d65-4711-88123`.
impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}-{}", self.host, self.machine, self.pid, self.start)
    }
}

/// The boot of this kernel and the namespace of process numbers, as one short word.
fn machine() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    let bytes = boot.trim().bytes().chain(namespace.to_string_lossy().bytes().collect::<Vec<_>>());
    // FNV-1a: few machines, and nobody who tries to collide.
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    Some(format!("{hash:016x}"))
}

/// When a process of this machine began, in ticks since the boot; none where it is gone, or dead and not
/// yet waited for by its parent.
fn running_since(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program, in parentheses, may hold anything: fields count from behind it.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X" | "x") {
        return None;
    }
    // proc(5): `state` is field 3, `starttime` field 22.
    fields.nth(18)?.parse().ok()
}

fn nanoseconds_of_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_its_text() {
        let own = Process::own();
        assert_eq!(Process::parse(&own.to_string()).as_ref(), Some(own));
        assert!(own.describe().starts_with(&format!("process {} on ", process::id())));
        for no_process in ["", "4711", "-a-1-2", "h-m-1", "h-m-x-2", "h-m-1-2-3"] {
            assert_eq!(Process::parse(no_process), None, "{no_process}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_dead_are_told_from_the_living_and_from_strangers() {
        let own = Process::own();
        assert_eq!(own.is_living(), Some(true));
        let mut child = process::Command::new("sleep").arg("60").spawn().unwrap();
        let start = running_since(child.id()).unwrap();
        let asleep = Process { pid: child.id(), start, ..own.clone() };
        assert_eq!(asleep.is_living(), Some(true));
        // Another process that had the number before, or will have it.
        let other = Process { start: start + 1, ..asleep.clone() };
        assert_eq!(other.is_living(), Some(false));
        let stranger = Process { machine: "0123456789abcdef".to_owned(), ..asleep.clone() };
        assert_eq!(stranger.is_living(), None);
        child.kill().unwrap();
        // Killed and not waited for, it still has its number.
        let began = std::time::Instant::now();
        while asleep.is_living() == Some(true) && began.elapsed().as_secs() < 20 {
            std::thread::yield_now();
        }
        assert!(fs::metadata(format!("/proc/{}", child.id())).is_ok());
        assert_eq!(asleep.is_living(), Some(false));
        child.wait().unwrap();
        assert_eq!(asleep.is_living(), Some(false));
    }
}
