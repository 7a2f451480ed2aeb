"""Makes requests.json: what lm-evaluation-harness 0.4.13 asks for the made-up items of `items`.

    pip install -r ../../../../../bench/peer/requirements-harness.txt
    python make.py

The harness's own task files and code run (see bench/peer/harness.py). `scored` has what its
`process_results` decides for given log-likelihoods; null stands for NaN there.
"""

import json
import logging
import math
import pathlib
import sys
import tempfile
import warnings

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[4] / "bench/peer"))
import harness  # noqa: E402


def score_lists(count):
    """Log-likelihoods to decide on: all equal, two equal ones, rising, falling, a NaN."""
    rising = [-20.0 + 1.5 * i for i in range(count)]
    tied = [-12.0, -8.0, -8.0, -9.0, -8.0][:count]
    broken = [-4.0] + [math.nan] * (count - 1)
    return [[-8.0] * count, tied, rising, rising[::-1], broken]


def decided(task, doc, scores):
    """acc and, where the task has it, acc_norm."""
    found = task.process_results(doc, [(score, False) for score in scores])
    shown = [None if math.isnan(score) else score for score in scores]
    return {"loglikelihood": shown, **{metric: int(value) for metric, value in found.items()}}


def expected(task):
    items = []
    docs = list(task.eval_docs)
    for doc, (gold, choices, pairs) in zip(docs, harness.requests_of(task, None), strict=True):
        scored = [decided(task, doc, scores) for scores in score_lists(len(pairs))]
        lengths = [len(choice) for choice in choices]
        items.append({"gold": gold, "lengths": lengths, "requests": pairs, "scored": scored})
    return {"version": task.VERSION, "metrics": list(task.aggregation()), "items": items}


def main():
    print(f"lm_eval {harness.lm_eval.__version__}")
    manager = harness.TaskManager()
    parts = []
    with tempfile.TemporaryDirectory() as cache:
        for path in sorted((HERE / "items").glob("*.jsonl")):
            task = harness.local_task(manager, path.stem, path, cache)
            result = expected(task)
            items = result.pop("items")
            lines = ",\n".join(json.dumps(item) for item in items)
            head = json.dumps({path.stem: result})[:-2]
            parts.append(f'{head[1:]}, "items": [\n{lines}\n]}}')
            print(f"{path.stem}: {len(items)} items")
    text = "{\n" + ",\n".join(parts) + "\n}\n"
    json.loads(text)
    (HERE / "requests.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    harness.datasets.disable_progress_bars()
    main()
