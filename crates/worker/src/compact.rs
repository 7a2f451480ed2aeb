//! `worker compact`: the files of a run folded into large ones, partition by partition.

use std::{io::Write as _, path::Path};

use plan::CompactEvent;
use runs::{Attempt, Pace, Retired};
use tables::{Folded, Store};

use crate::{Outcome, fail::Fail, stop::Stop};

/// The claim of whoever folds a run's files; no cell has such an id.
const CLAIM: &str = "compaction";

/// Folds what is scattered; a [`CompactEvent`] a line goes to standard output. With `dry_run` nothing is
/// changed, and with `at_least` nothing is where fewer cells than that have files of their own.
pub(crate) fn compact(results: &Path, dry_run: bool, at_least: usize, unattended: bool) -> Outcome {
    let unusable = |error: runs::StoreError| Fail::Results(error.into());
    if !results.is_dir() {
        let missing = anyhow::anyhow!("{} is no folder of a run", results.display());
        return Err(Fail::Results(missing));
    }
    let stop = Stop::listen(!unattended).map_err(Fail::Usage)?;
    let open: fn(&Path) -> Result<Store, runs::StoreError> = match dry_run {
        true => Store::open_read_only,
        false => Store::open,
    };
    let store = open(results).map_err(unusable)?;
    let mut scattered = store.scattered().map_err(unusable)?;
    let cells = scattered.iter().map(|own| own.n_single()).sum::<usize>();
    if cells < at_least {
        scattered.clear();
    }
    let partitions = scattered.len() as u64;
    say(&CompactEvent::Begin { partitions, cells: if partitions == 0 { 0 } else { cells as u64 } });
    if dry_run || scattered.is_empty() {
        say(&end(Folded::default(), false));
        return Ok(plan::exit::DONE);
    }
    let claims = store.join(Pace::default()).map_err(unusable)?;
    let _claim = match claims.take(CLAIM).map_err(unusable)? {
        Attempt::Taken(claim) => claim,
        Attempt::Held(holder) => {
            let held = anyhow::anyhow!("{holder} folds the files of this run already");
            return Err(Fail::Results(held));
        }
    };
    let (mut all, mut partitions_done) = (Folded::default(), 0);
    let mut retired = Retired::default();
    for partition in &scattered {
        if stop.asked() {
            break;
        }
        all.add(store.fold(partition, &mut retired).map_err(unusable)?);
        partitions_done += 1;
        say(&CompactEvent::Progress { partitions_done, cells_done: all.cells });
    }
    // Before the last word, so that nothing of it is left when that is read.
    drop(retired);
    let stopped = partitions_done < partitions;
    say(&end(all, stopped));
    Ok(if stopped { plan::exit::STOPPED } else { plan::exit::DONE })
}

fn end(folded: Folded, stopped: bool) -> CompactEvent {
    let Folded { partitions, cells, files_before, files_after } = folded;
    CompactEvent::End { partitions, cells, files_before, files_after, stopped }
}

/// Tells the process that started us; if it is gone there is nobody to tell.
fn say(event: &CompactEvent) {
    match serde_json::to_string(event) {
        Ok(line) => drop(writeln!(std::io::stdout().lock(), "{line}")),
        Err(error) => tracing::error!("event cannot be written: {error}"),
    }
}
