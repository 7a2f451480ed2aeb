"""Runs lm-evaluation-harness itself over local task files, for comparison with `choice-*` rows.

Each task is the harness's own: its yaml file, its code, its metrics. Only the data set is
another: the file of items in the tasks folder (raw fields, one JSON object a line) stands in for
what would come from the Hub. Zero-shot, float32, on the CPU.

  --hash           no model, no tokenizer: SHA-256 over all requests of each file (the form is
                   that of requests.json in the tasks folder)
  --requests-only  no forward pass: strings, gold and token ids of each request
  otherwise        log-likelihoods, acc and acc_norm as the harness decides them, and seconds
"""

import argparse
import hashlib
import json
import logging
import os
import pathlib
import sys
import tempfile
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("TQDM_DISABLE", "1")

import datasets
import lm_eval
import torch
import transformers
from lm_eval.api.registry import get_model
from lm_eval.evaluator import evaluate
from lm_eval.tasks import TaskManager

NAMES = "hellaswag piqa arc_easy arc_challenge openbookqa winogrande boolq rte copa sciq".split()
# The harness reads sciq's test split; items of another split have their file named after it.
ENDINGS = ["", "_validation"]
MMLU = "mmlu_"


def task_files(folder):
    """Task name -> file, for each file of the folder that belongs to a task."""
    found = {}
    for name in NAMES:
        paths = [folder / f"{name}{ending}.jsonl" for ending in ENDINGS]
        found.update({name: path for path in paths if path.is_file()})
    subjects = sorted((folder / "mmlu_test").glob("*.jsonl"))
    found.update({MMLU + path.stem: path for path in subjects})
    return found


def local_task(manager, name, path, cache):
    """The harness's task `name`; every split that its yaml names is read from `path`."""
    entry, factory = manager.task_index[name], manager._factory
    config = factory._load_full_config(entry)
    splits = ["training_split", "validation_split", "test_split", "fewshot_split"]
    files = {config[split]: str(path) for split in splits if config.get(split)}
    local = {"data_files": files, "cache_dir": cache}
    changed = {"dataset_path": "json", "dataset_name": None, "dataset_kwargs": local}
    return factory.build(entry, overrides=changed, registry=manager.task_index)


def gold_of(task, doc):
    """Index of the right choice, found as ConfigurableTask.process_results finds it."""
    gold = task.doc_to_text(doc) if task.multiple_input else task.doc_to_target(doc)
    return task.doc_to_choice(doc).index(gold) if isinstance(gold, str) else int(gold)


def requests_of(task, limit):
    """For each item: its gold, its choices, its (context, continuation) pairs."""
    task.build_all_requests(limit=limit)
    pairs = {}
    for instance in task.instances:
        pairs.setdefault(instance.doc_id, []).append(instance.args)
    for item, doc in task.doc_iterator(limit=limit):
        yield gold_of(task, doc), task.doc_to_choice(doc), pairs[item]


def digest(task, limit):
    """Items, requests and SHA-256 as requests.json has them."""
    sha, items, count = hashlib.sha256(), 0, 0
    for gold, _choices, pairs in requests_of(task, limit):
        for context, continuation in pairs:
            sha.update(context.encode() + b"\x00" + continuation.encode() + b"\x01")
        sha.update(str(gold).encode() + b"\x02")
        items, count = items + 1, count + len(pairs)
    return {"items": items, "requests": count, "sha256": sha.hexdigest()}


def watched_model(args):
    """The harness's model, which also keeps the ids of each request and the time they took.

    With --requests-only nothing but config and tokenizer is read.
    """

    class Watched(get_model("hf")):
        def _create_model(self, *positional, **named):
            self._model = None
            if not args.requests_only:
                super()._create_model(*positional, **named)

        def _loglikelihood_tokens(self, requests, **named):
            self.ids = [(context, continuation) for _, context, continuation in requests]
            if args.requests_only:
                return [(0.0, False)] * len(requests)
            return super()._loglikelihood_tokens(requests, **named)

        def loglikelihood(self, requests, disable_tqdm=True):
            start = time.perf_counter()
            answers = super().loglikelihood(requests, disable_tqdm=disable_tqdm)
            self.seconds = time.perf_counter() - start
            return answers

    return Watched(
        pretrained=str(args.model),
        device="cpu",
        dtype="float32",
        batch_size=args.batch_size,
        max_length=args.max_length,
        softmax_dtype=args.softmax_dtype,
        add_bos_token=args.add_bos_token,
    )


def choices_of(sample, ids, with_scores):
    """One entry a choice: log-likelihood, how many ids its context has, ids of its continuation."""
    choices = []
    for (context, continuation), (score, _greedy) in zip(ids, sample["filtered_resps"], strict=True):
        scores = {"loglikelihood": score} if with_scores else {}
        counts = {"n_context_ids": len(context), "continuation_ids": continuation}
        choices.append({**scores, **counts})
    return choices


def measure(model, task, name, limit, with_scores):
    """One task: what the harness says of each item and of all."""
    if with_scores:
        task.build_all_requests(limit=2)
        model.loglikelihood(task.instances)  # warm-up
    found = evaluate(model, {"tasks": {name: task}}, limit=limit)
    samples = sorted(found["samples"][name], key=lambda sample: sample["doc_id"])
    metrics = samples[0]["metrics"]
    items, ids = [], iter(model.ids)
    for sample in samples:
        own = [next(ids) for _ in sample["filtered_resps"]]
        entry = {"item": sample["doc_id"], "gold": gold_of(task, sample["doc"])}
        if with_scores:
            entry.update({metric: int(sample[metric]) for metric in metrics})
        entry["choices"] = choices_of(sample, own, with_scores)
        items.append(entry)
    result = {"version": task.VERSION, "n_items": len(items)}
    if with_scores:
        result["seconds"] = model.seconds
        for metric in metrics:
            for key in (metric, metric + "_stderr"):
                value = found["results"][name][f"{key},none"]
                # With one item there is no standard error.
                result[key] = None if value == "N/A" or value != value else float(value)
    return {**result, "items": items}


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=pathlib.Path, help="Hugging Face folder (not for --hash)")
    parser.add_argument(
        "--tasks-dir",
        type=pathlib.Path,
        default=pathlib.Path(os.environ.get("SLIM_TASKS", "../shared/tasks")),
        help="folder of the task files; SLIM_TASKS or ../shared/tasks when left out",
    )
    parser.add_argument("--task", action="append", help="a task's name; may be given again; all when left out")
    parser.add_argument("--limit", type=int, help="the first N items of each task; all when left out")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--max-length", type=int, help="positions; the model's own when left out")
    parser.add_argument(
        "--softmax-dtype",
        help="float64: log-probabilities to the last digit that float32 logits have; the logits' own when left out",
    )
    parser.add_argument("--threads", type=int, help="PyTorch's own choice when left out")
    parser.add_argument(
        "--add-bos-token",
        action=argparse.BooleanOptionalAction,
        help="whether special tokens go in front; the tokenizer decides when left out",
    )
    parser.add_argument("--requests-only", action="store_true", help="no forward pass")
    parser.add_argument("--hash", action="store_true", help="SHA-256 over the requests of each file")
    parser.add_argument("--json", default="-", metavar="OUT", help="where the result goes; - is standard output")
    args = parser.parse_args()
    if args.model is None and not args.hash:
        parser.error("--model is missing")
    if args.limit is not None and args.limit < 1:
        parser.error("--limit must be at least 1")
    files = task_files(args.tasks_dir)
    for name in args.task or []:
        if name not in files:
            parser.error(f"{args.tasks_dir} has no file for task {name}; it has: {' '.join(files)}")
    return args, {name: files[name] for name in args.task or files}


def main():
    args, files = parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    result, model = {"tasks": {}}, None
    if not args.hash:
        model = watched_model(args)
        about = {"lm_eval": lm_eval.__version__, "transformers": transformers.__version__}
        about |= {"torch": torch.__version__, "model": args.model.name}
        about |= {"batch_size": args.batch_size, "threads": torch.get_num_threads()}
        result = {**about, "tasks": {}}
    manager = TaskManager()
    with tempfile.TemporaryDirectory() as cache:
        for name, path in files.items():
            task = local_task(manager, name, path, cache)
            file = path.relative_to(args.tasks_dir).with_suffix("").as_posix()
            if args.hash:
                result["tasks"][file] = digest(task, args.limit)
                continue
            measured = measure(model, task, name, args.limit, not args.requests_only)
            result["tasks"][name] = {"file": f"{file}.jsonl", **measured}
            shown = {k: v for k, v in measured.items() if k not in ("items", "version")}
            print(name, json.dumps(shown), file=sys.stderr)
    text = json.dumps(result["tasks"], indent=1) if args.hash else json.dumps(result)
    if args.json == "-":
        print(text)
    else:
        pathlib.Path(args.json).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    logging.getLogger().setLevel(logging.ERROR)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    main()
