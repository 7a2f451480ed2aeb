"""Reads what `cargo xtask report --export lm-eval DIR` wrote with lm-evaluation-harness itself.

Prints the harness's own table of every results file, finds the samples by the harness's own names, and
works every number of a task and a group out again from the samples, by the harness's aggregations.
"""

import argparse
import json
import pathlib
import sys

from lm_eval.api.metrics import mean, mean_stderr, perplexity, pooled_sample_stderr
from lm_eval.utils import (
    get_file_datetime,
    get_file_task_name,
    get_results_filenames,
    get_sample_results_filenames,
    make_table,
)

TOLERANCE = 1e-12


def samples_of(names, date):
    """Task name -> its samples, of one results file."""
    found = {}
    for name in names:
        file = pathlib.Path(name)
        if get_file_datetime(file.name) == date:
            lines = file.read_text(encoding="utf-8").splitlines()
            found[get_file_task_name(file.name)] = [json.loads(line) for line in lines]
    return found


def close(name, ours, theirs):
    """Fails where two numbers differ; NaN does."""
    if not abs(ours - theirs) <= TOLERANCE:
        sys.exit(f"{name}: the file says {ours}, its samples come to {theirs}")


def check_task(name, told, samples):
    """Numbers of a task from its samples; its accuracies also from the log-likelihoods."""
    for sample in samples:
        answers = [float(logprob) for logprob, _ in sample["filtered_resps"]]
        if len(answers) > 1:
            # numpy's argmax: the first of equals
            best = answers.index(max(answers))
            close(f"{name} {sample['doc_id']}", sample["acc"], float(str(best) == sample["target"]))
    for metric in samples[0]["metrics"]:
        values = [sample[metric] for sample in samples]
        aggregate = perplexity if metric == "perplexity" else mean
        close(f"{name} {metric}", told[f"{metric},none"], aggregate(values))
        stderr = told[f"{metric}_stderr,none"]
        if stderr != "N/A":
            close(f"{name} {metric}_stderr", stderr, mean_stderr(values))


def check_group(name, told, members, results):
    """Numbers of a group from those of its members."""
    sizes = [results[member]["sample_len"] for member in members]
    for metric in ["acc", "acc_norm"]:
        if f"{metric},none" not in told:
            continue
        values = [results[member][f"{metric},none"] for member in members]
        whole = sum(value * size for value, size in zip(values, sizes)) / sum(sizes)
        close(f"{name} {metric}", told[f"{metric},none"], whole)
        stderrs = [results[member][f"{metric}_stderr,none"] for member in members]
        if told[f"{metric}_stderr,none"] != "N/A":
            pooled = float(pooled_sample_stderr(stderrs, sizes))
            close(f"{name} {metric}_stderr", told[f"{metric}_stderr,none"], pooled)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path, help="DIR of --export lm-eval DIR")
    folder = parser.parse_args().folder
    names = sorted(str(path) for path in folder.rglob("*") if path.is_file())
    results_files = get_results_filenames(names)
    if not results_files:
        sys.exit(f"{folder} holds no results file")
    n_samples = 0
    for name in results_files:
        file = pathlib.Path(name)
        results = json.loads(file.read_text(encoding="utf-8"))
        print(f"\n{results['model_name']}  ({results['config']['model_args']['recipe']})\n")
        print(make_table(results))
        if "groups" in results:
            print(make_table(results, "groups"))
        date = get_file_datetime(file.name.replace(".json", ""))
        beside = [own for own in names if pathlib.Path(own).parent == file.parent]
        samples = samples_of(get_sample_results_filenames(beside), date)
        groups = results["group_subtasks"]
        if set(samples) != set(results["results"]) - set(groups):
            sys.exit(f"{name}: samples of {sorted(samples)}, results of {sorted(results['results'])}")
        for task, own in samples.items():
            check_task(task, results["results"][task], own)
            n_samples += len(own)
        for group, members in groups.items():
            check_group(group, results["results"][group], members, results["results"])
    print(f"{len(results_files)} results files and {n_samples} samples agree with the harness's aggregations")


if __name__ == "__main__":
    main()
