//! How much memory and time a task asks for, from what the dry run expects.

use plan::Inspection;
use serde::Serialize;

use super::Share;

pub(super) const MEBIBYTE: u64 = 1 << 20;
/// Memory is asked for in steps of so many MiB.
const STEP: u64 = 256;
/// Time is asked for in steps of so many minutes.
const MINUTES: u64 = 10;

/// What each task asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Requests {
    /// As `--mem` takes it.
    pub(super) mem: String,
    /// As `--time` takes it.
    pub(super) time: String,
    /// Minutes of `time`, where it was worked out here.
    pub(super) minutes: Option<u64>,
    /// Which of them the user gave.
    #[serde(skip)]
    is_given: [bool; 2],
}

impl Requests {
    /// A quarter more memory than expected, and twice the time of the dearest share and ten minutes:
    /// neither calibration nor other processors are in the expectation. A share that takes longer all the
    /// same is stopped in time and goes back into the queue.
    pub(super) fn of(
        inspection: &Inspection,
        shares: &[Share],
        time: Option<String>,
        mem: Option<String>,
    ) -> Requests {
        let bytes = inspection.peak_memory_bytes;
        let mebibytes = (bytes + bytes / 4).div_ceil(MEBIBYTE * STEP) * STEP + STEP;
        let dearest = shares.iter().map(|share| share.seconds_expected).fold(0.0, f64::max);
        let minutes = ((2.0 * dearest / 60.0 / MINUTES as f64).ceil() as u64 + 1) * MINUTES;
        let is_given = [mem.is_some(), time.is_some()];
        Requests {
            mem: mem.unwrap_or_else(|| format!("{mebibytes}M")),
            minutes: time.is_none().then_some(minutes),
            time: time.unwrap_or_else(|| slurm_time(minutes)),
            is_given,
        }
    }

    /// What a task asks for, with its GPUs.
    pub(super) fn told(&self, gpus: u64) -> String {
        let gpus = match gpus {
            0 => String::new(),
            1 => "1 GPU, ".to_owned(),
            gpus => format!("{gpus} GPUs, "),
        };
        format!("{gpus}{} of memory and {} of time", self.mem, self.time)
    }

    /// One line for people.
    pub(super) fn line(&self) -> String {
        let mem = self.mem.strip_suffix('M').and_then(|mem| mem.parse().ok());
        let mem = mem.map_or_else(|| self.mem.clone(), super::gibibytes);
        let how = |is_given| if is_given { "as given" } else { "from what the dry run expects" };
        let [mem_given, time_given] = self.is_given;
        format!(
            "each task asks for {mem} of memory ({}) and {} of time ({})",
            how(mem_given),
            self.time,
            how(time_given)
        )
    }
}

/// `1-02:30:00`, `00:40:00`.
fn slurm_time(minutes: u64) -> String {
    let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
    match days {
        0 => format!("{hours:02}:{minutes:02}:00"),
        _ => format!("{days}-{hours:02}:{minutes:02}:00"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(peak_memory_bytes: u64, seconds: &[f64]) -> Requests {
        let inspection = Inspection {
            models: Vec::new(),
            cells: Vec::new(),
            peak_memory_bytes,
            seconds_expected: seconds.iter().sum(),
        };
        let share = |seconds: &f64| Share {
            cells: Vec::new(),
            flops_expected: Vec::new(),
            seconds_expected: *seconds,
        };
        Requests::of(&inspection, &seconds.iter().map(share).collect::<Vec<_>>(), None, None)
    }

    #[test]
    fn more_is_asked_for_than_is_expected() {
        let small = requests(100 * MEBIBYTE, &[1.0, 2.0]);
        assert_eq!((small.mem.as_str(), small.time.as_str()), ("512M", "00:20:00"));
        let nothing = requests(0, &[]);
        assert_eq!((nothing.mem.as_str(), nothing.time.as_str()), ("256M", "00:10:00"));
        let large = requests(20 << 30, &[12.0 * 3600.0, 13.0 * 3600.0]);
        assert_eq!((large.mem.as_str(), large.time.as_str()), ("25856M", "1-02:10:00"));
        assert!(large.line().contains("25.25 GiB"), "{}", large.line());
    }

    #[test]
    fn what_is_given_stays() {
        let inspection = Inspection {
            models: Vec::new(),
            cells: Vec::new(),
            peak_memory_bytes: 5,
            seconds_expected: 0.0,
        };
        let own = Requests::of(&inspection, &[], Some("08:00:00".into()), Some("12G".into()));
        assert_eq!((own.mem.as_str(), own.time.as_str()), ("12G", "08:00:00"));
        assert_eq!(own.minutes, None);
        assert_eq!(own.told(2), "2 GPUs, 12G of memory and 08:00:00 of time");
    }
}
