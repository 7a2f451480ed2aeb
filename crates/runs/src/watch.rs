//! Whether a process on another machine still lives, by the sign that it gives.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Looks that a silence takes at least: a pause of everything, such as of the disk that all share, is then
/// no silence of the one who is looked at.
const LOOKS: u32 = 4;

/// How often a worker gives a sign, and how long it may be silent before it counts as dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Between two signs.
    pub beat: Duration,
    /// Without a new sign, by the clock of the one who looks.
    pub silence: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        // A shared disk may show a new sign some seconds late, and a loaded one half a minute.
        Pace { beat: Duration::from_secs(10), silence: Duration::from_secs(120) }
    }
}

/// What was seen of others so far.
///
/// A sign is a number that its giver raises. Only whether it changes counts, and only the watcher's own
/// monotonic clock: no instant of another machine is read, nor one of a file, so clocks may differ at will.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    seen: BTreeMap<String, Seen>,
}

#[derive(Debug)]
struct Seen {
    sign: Vec<u8>,
    looked: Instant,
    quiet: Duration,
}

impl Watch {
    /// Takes in the sign that `who` gives `now`; whether it has been silent for too long.
    pub(crate) fn is_silent(
        &mut self,
        who: &str,
        sign: Vec<u8>,
        now: Instant,
        silence: Duration,
    ) -> bool {
        match self.seen.get_mut(who) {
            Some(seen) if seen.sign == sign => {
                let passed = now.saturating_duration_since(seen.looked);
                seen.quiet += passed.min(silence / LOOKS);
                seen.looked = now;
                seen.quiet >= silence
            }
            _ => {
                let seen = Seen { sign, looked: now, quiet: Duration::ZERO };
                self.seen.insert(who.to_owned(), seen);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENCE: Duration = Duration::from_secs(120);

    #[test]
    fn silence_is_counted_from_the_last_new_sign() {
        let (mut watch, start) = (Watch::default(), Instant::now());
        let mut look = |seconds: u64, sign: &str| {
            let now = start + Duration::from_secs(seconds);
            watch.is_silent("a", sign.into(), now, SILENCE)
        };
        let mut quiet = |from: u64, to: u64, sign: &str| {
            (from..=to).step_by(10).map(|second| look(second, sign)).collect::<Vec<bool>>()
        };
        assert_eq!(quiet(0, 110, "1"), [false; 12]);
        // A smaller number is as new as a larger one.
        assert_eq!(quiet(115, 225, "0"), [false; 12]);
        assert_eq!(quiet(235, 235, "0"), [true]);
        assert_eq!(quiet(236, 236, "7"), [false]);
    }

    #[test]
    fn one_long_gap_is_no_silence() {
        let (mut watch, start) = (Watch::default(), Instant::now());
        let mut looks = 0;
        let mut now = start;
        // Everything stood still between the looks, the watched one too.
        while !watch.is_silent("a", b"1".to_vec(), now, SILENCE) {
            looks += 1;
            now += Duration::from_secs(100_000);
        }
        assert_eq!(looks, LOOKS);
    }

    #[test]
    fn each_is_watched_alone() {
        let (mut watch, start) = (Watch::default(), Instant::now());
        for second in 0..1_000 {
            let now = start + Duration::from_secs(second);
            let beating = second.to_string().into_bytes();
            assert!(!watch.is_silent("living", beating, now, SILENCE));
            let is_silent = watch.is_silent("dead", b"3".to_vec(), now, SILENCE);
            assert_eq!(is_silent, second >= 120, "{second}");
        }
    }
}
