//! Batches side by side: one core each, instead of all cores on one batch.
//!
//! A core that has a batch to itself never waits for another in the middle of a layer, and what it
//! computes does not depend on how many cores there are.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use rayon::ThreadPoolBuilder;

use crate::stop::Stop;

/// Runs `work` on every input and returns the results in the order of the inputs; `None` if asked to
/// stop on the way.
///
/// `done` is told of each input when it is finished, on the calling thread.
///
/// # Errors
/// The error of the first input, by order, that has one; no further input is begun after it.
pub(crate) fn in_order<I: Sync, R: Send, E: Send>(
    inputs: &[I],
    stop: &Stop,
    work: impl Fn(&I) -> Result<R, E> + Sync,
    mut done: impl FnMut(&I),
) -> Result<Option<Vec<R>>, E> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let lanes = cores.min(inputs.len()).max(1);
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<Result<R, E>>>> =
        Mutex::new(inputs.iter().map(|_| None).collect());
    let (sender, receiver) = mpsc::channel();
    let lane = |sender: mpsc::Sender<usize>| {
        while !stop.asked() {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(input) = inputs.get(index) else { return };
            let result = work(input);
            if result.is_err() {
                next.store(inputs.len(), Ordering::Relaxed);
            }
            if let Ok(mut results) = results.lock() {
                results[index] = Some(result);
            }
            let _ = sender.send(index);
        }
    };
    thread::scope(|scope| {
        for _ in 0..lanes {
            let (lane, sender) = (&lane, sender.clone());
            scope.spawn(move || {
                // Parallel loops inside a batch see a pool of this size.
                match ThreadPoolBuilder::new().num_threads(cores / lanes).build() {
                    Ok(pool) => pool.install(|| lane(sender)),
                    Err(_) => lane(sender),
                }
            });
        }
        drop(sender);
        for index in receiver {
            done(&inputs[index]);
        }
    });
    let results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut finished = Vec::with_capacity(results.len());
    let mut missing = false;
    for result in results {
        match result {
            Some(result) => finished.push(result?),
            None => missing = true,
        }
    }
    Ok((!missing).then_some(finished))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_their_order() {
        let inputs: Vec<u64> = (0..50).collect();
        let mut seen = Vec::new();
        let squares =
            in_order(&inputs, &Stop::default(), |i| Ok::<_, ()>(i * i), |i| seen.push(*i));
        assert_eq!(squares, Ok(Some(inputs.iter().map(|i| i * i).collect())));
        seen.sort_unstable();
        assert_eq!(seen, inputs);
    }

    #[test]
    fn the_first_error_ends_it() {
        let inputs: Vec<u64> = (0..50).collect();
        let result =
            in_order(&inputs, &Stop::default(), |i| if *i < 7 { Ok(*i) } else { Err(*i) }, |_| {});
        assert_eq!(result, Err(7));
    }
}
