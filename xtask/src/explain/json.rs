//! An explanation as JSON.

use serde_json::{Value, json};

use crate::explain::again::Again;
use crate::explain::rests::{Relation, Rests};
use crate::explain::since::Since;
use crate::explain::state::State;
use crate::explain::words;
use crate::explain::{About, Explanation};
use crate::workspace::Workspace;

/// What there is to say of the cell in one run.
pub(crate) fn value(workspace: &Workspace, explanation: &Explanation<'_>) -> Value {
    let Explanation { run, known, about, dependents, .. } = explanation;
    let about = about.as_ref();
    let relations = |all: &[Relation]| all.iter().map(relation).collect::<Vec<_>>();
    json!({
        "run": run.name,
        "folder": workspace.show(run.folder.path()),
        "label": known.label(),
        "is_ordered": known.is_ordered,
        "is_by_product": known.is_by_product,
        "command": explanation.command(),
        "stage": explanation.stage,
        "cell": about.map(|about| about.cell),
        "sentence": about.map(|about| words::sentence(about.cell)),
        "fields": about.map(|about| fields(about)),
        "state": state(&explanation.state),
        "rests_on": about.map(|about| rests(&about.rests)),
        "run_again": about.map(|about| again(&about.again)),
        "since": explanation.since.as_ref().map(since),
        "dependents": {
            "compared": relations(&dependents.compared),
            "scored": relations(&dependents.scored),
        },
    })
}

fn fields(about: &About<'_>) -> Vec<Value> {
    let fields = words::fields(about.cell).into_iter();
    let value =
        |own: words::Field| json!({ "name": own.name, "value": own.value, "meaning": own.meaning });
    fields.map(value).collect()
}

fn state(state: &State) -> Value {
    let mut value = match state {
        State::Done { file, bytes, shared, origin } => {
            let from = &origin.provenance;
            json!({
                "file": file,
                "bytes": bytes,
                "shared": shared,
                "rows": origin.rows,
                "started_at_ms": from.started_at_ms,
                "seconds": from.seconds,
                "tokens": from.tokens,
                "peak_rss_bytes": from.peak_rss_bytes,
                "host": from.host,
                "cpu": from.cpu,
                "device": from.device,
                "versions": from.versions,
            })
        }
        State::Failed { file, failure } => json!({
            "file": file,
            "error": failure.error,
            "started_at_ms": failure.started_at_ms,
            "seconds": failure.seconds,
            "host": failure.host,
        }),
        State::Damaged { file, reason } => json!({ "file": file, "reason": reason }),
        State::Missing { is_ordered, holder } => {
            json!({ "is_ordered": is_ordered, "held_by": holder })
        }
    };
    value["state"] = json!(state.name());
    value
}

fn relation(relation: &Relation) -> Value {
    json!({ "id": relation.id, "label": relation.label, "state": relation.state })
}

fn rests(rests: &Rests) -> Value {
    let inputs = rests.inputs.iter().map(|input| {
        json!({ "what": input.what, "name": input.name, "path": input.path, "hash": input.hash })
    });
    json!({
        "baseline": rests.baseline.as_ref().map(relation),
        "scores": rests.scores.as_ref().map(relation),
        "inputs": inputs.collect::<Vec<_>>(),
    })
}

fn again(again: &Again) -> Value {
    let changes = again
        .changes
        .iter()
        .map(|changed| json!({ "what": changed.what, "then": changed.then, "now": changed.now }));
    json!({
        "would_run": again.would_run,
        "reasons": again.reasons,
        "changes": changes.collect::<Vec<_>>(),
        "pipeline": again.pipeline,
        "id_now": again.id_now,
    })
}

fn since(since: &Since) -> Value {
    json!({
        "code_version_then": since.code_version_then,
        "code_version_now": since.code_version_now,
        "revision_then": since.revision_then,
        "revision_now": since.revision_now,
        "was_dirty": since.was_dirty(),
        "commits": since.commits.as_ref().map(|commits| commits.n),
        "newest_commits": since.commits.as_ref().map(|commits| &commits.newest),
        "uncommitted": since.uncommitted,
    })
}
