//! What is known of this machine and this process.

use std::{io::IsTerminal as _, time::SystemTime};

/// Peak resident memory of the process since [`reset_peak`], bytes; 0 where the system does not tell.
pub(crate) fn peak_rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Starts a new measurement of the peak, where the system allows it.
pub(crate) fn reset_peak() {
    // 5 = reset the high-water mark (proc(5)); elsewhere the peak is that of the whole process.
    if let Err(error) = std::fs::write("/proc/self/clear_refs", "5") {
        tracing::debug!("peak memory is that of the whole process: {error}");
    }
}

/// Time that the threads of this process have spent on cores so far, seconds; 0 where the system does not
/// tell.
pub(crate) fn core_seconds() -> f64 {
    /// Linux tells it in hundredths of a second (proc_pid_stat(5), fields 14 and 15).
    const TICKS_A_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program, in brackets, may hold anything.
    let behind_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks = behind_name.split(' ').skip(11).take(2).filter_map(|own| own.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS_A_SECOND
}

/// Name of this machine.
pub(crate) fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "unknown".to_owned() } else { name.to_owned() }
}

/// Model name and number of usable cores.
pub(crate) fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find(|line| line.starts_with("model name"));
    let name =
        name.and_then(|line| line.split_once(':')).map_or("unknown", |(_, name)| name.trim());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{name}, {cores} cores")
}

/// This project, its tensor library and its compiler.
pub(crate) fn versions() -> String {
    format!(
        "slim {}; burn {}; rustc {}",
        env!("CARGO_PKG_VERSION"),
        env!("SLIM_BURN_VERSION"),
        env!("SLIM_RUSTC_VERSION")
    )
}

/// Milliseconds since 1970, UTC.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Whether messages may have colours.
pub(crate) fn colours() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}
