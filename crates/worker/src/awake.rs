//! A pool of threads that do not fall asleep between two short tasks.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Runs `body` on a thread of rayon's pool while the others look for work without pause: decoding hands
/// out a task every few hundredths of a millisecond, and waking a thread takes as long.
///
/// Must be called on a thread of a pool; elsewhere `body` runs as it is.
pub(crate) fn awake<R>(body: impl FnOnce() -> R) -> R {
    let Some(own) = rayon::current_thread_index() else { return body() };
    let others = rayon::current_num_threads() - 1;
    let (done, there) = (AtomicBool::new(false), AtomicUsize::new(0));
    rayon::in_place_scope(|scope| {
        // A broadcast runs once on every thread: it cannot be stolen by the one that waits for it.
        scope.spawn_broadcast(|_, context| {
            if context.index() == own {
                return;
            }
            there.fetch_add(1, Ordering::SeqCst);
            while !done.load(Ordering::Relaxed) {
                if rayon::yield_now() != Some(rayon::Yield::Executed) {
                    std::hint::spin_loop();
                }
            }
        });
        while there.load(Ordering::SeqCst) < others {
            std::thread::yield_now();
        }
        let guard = Done(&done);
        let result = body();
        drop(guard);
        result
    })
}

/// Lets the others go, also where `body` panics.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use rayon::{ThreadPoolBuilder, prelude::*};

    use super::*;

    /// Work is done and comes back, on pools of one and of several threads and outside of any.
    #[test]
    fn work_is_done() {
        let squares =
            || (0..1000_u32).into_par_iter().with_max_len(1).map(|i| u64::from(i * i)).sum::<u64>();
        for threads in [1, 3] {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(pool.install(|| awake(squares)), 332_833_500);
        }
        assert_eq!(awake(squares), 332_833_500);
    }

    /// A panic ends it and is passed on.
    #[test]
    fn a_panic_ends_it() {
        let pool = ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let run = || pool.install(|| awake(|| panic!("no")));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err());
    }
}
