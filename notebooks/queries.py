"""Runs what results/README.md tells readers to type, and compares the answers.

    python queries.py RESULTS

RESULTS is a run's folder or holds such folders. The lines are taken from the files as they stand,
with the run's folder in the place of `results/quick`. DuckDB, pandas and polars must agree within
1e-9, and names that look like numbers or dates must come through. All of it is asked again of a copy
whose files are folded (`cargo xtask compact`), where each reader must find the same rows. `cargo xtask
check notebooks` calls this, and names the worker that folds in SLIM_WORKER.
"""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds

PAGE = Path(__file__).resolve().parent.parent / "results/README.md"
TOLERANCE = 1e-9
# Two models that are the same number, and a text that is a date.
ODD_MODELS = ["01001", "1001"]
ODD_DATASET = "2024-01-01"
# What the names of folders say.
HIVE = {"model": pa.string(), "dataset": pa.string(), "sparsity": pa.float64(), "window": pa.int64()}


def blocks(language, mentioning, run):
    """Fenced blocks that read a table of `results/quick`, made to read that of `run`."""
    text = PAGE.read_text(encoding="utf-8")
    fenced = re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    name = f"results/quick/{mentioning}"
    found = [block.replace("results/quick", run.as_posix()) for block in fenced if name in block]
    if not found:
        sys.exit(f"error: {PAGE.name} has no `{language}` block that reads {name}")
    return found


def compare(ours, theirs, columns, what):
    """Both frames have a row for every cell, with the same numbers."""
    both = ours.join(theirs, on="cell_id", suffix="_theirs", validate="1:1")
    if not both.height == ours.height == theirs.height:
        sys.exit(f"error: {what}: {ours.height} and {theirs.height} rows, {both.height} in common")
    for column in columns:
        np.testing.assert_allclose(
            both[column], both[f"{column}_theirs"], rtol=TOLERANCE, err_msg=what
        )
    print(f"{what}: {both.height} cells agree")


def run_quietly(block):
    """The names that a block of Python defines."""
    names = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(block, names)
    return names


def check_windows(run):
    """× dense by polars and by SQL."""
    [block] = blocks("python", "windows", run)
    [query] = blocks("sql", "windows", run)
    ours, theirs = run_quietly(block)["cells"], duckdb.sql(query).pl()
    columns = ["perplexity", "times_dense", "sparsity"]
    compare(ours, theirs, columns, f"{run.name}, × dense by polars and by DuckDB")


def check_items(run):
    """Accuracy with pandas."""
    [block] = blocks("python", "items", run)
    accuracy = run_quietly(block)["accuracy"].rename("accuracy").reset_index()
    files = run / "items/**/*.parquet"
    rows = pl.scan_parquet(files, hive_partitioning=True, missing_columns="insert")
    expected = rows.group_by("cell_id").agg(accuracy=pl.col("correct").mean()).collect()
    ours = pl.from_pandas(accuracy[["cell_id", "accuracy"]])
    compare(ours, expected, ["accuracy"], f"{run.name}, accuracy by pandas and by polars")


def check_names(run, table):
    """Every reader gives models and texts the names that the folders have."""
    with tempfile.TemporaryDirectory() as scratch:
        odd = Path(scratch) / "odd"
        for file in (run / table).rglob("*.parquet"):
            _model, _dataset, *rest = file.relative_to(run / table).parts
            for model in ODD_MODELS:
                folder = odd / table / f"model={model}" / f"dataset={ODD_DATASET}"
                copy = folder.joinpath(*rest)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, copy)
        [block] = blocks("python", table, odd)
        names = run_quietly(block)
        if table == "items":
            frames = {"pandas": names["rows"]}
        else:
            [query] = blocks("sql", table, odd)
            frames = {"polars": names["cells"], "SQL": duckdb.sql(query).pl()}
        expected = {(model, ODD_DATASET) for model in ODD_MODELS}
        for reader, frame in frames.items():
            found = set(zip(frame["model"], frame["dataset"]))
            if found != expected:
                sys.exit(f"error: {reader} reads the names {found}, not {expected}")
    print(f"{run.name}, {table}: names survive ({', '.join(frames)})")


def rows_of(run, table, index):
    """All rows of a table by each reader, sorted, with the columns that the folders give."""
    files = (run / table).as_posix() + "/**/*.parquet"
    # A run without windows of commitment has no value of theirs to tell the type by.
    hive = ds.partitioning(pa.schema(HIVE), flavor="hive")
    hive = ds.dataset(run / table, partitioning=hive).to_table().to_pandas()
    frames = {
        "polars": pl.scan_parquet(files, hive_partitioning=True).collect(),
        "pandas": pl.from_pandas(hive),
        "DuckDB": duckdb.sql(f"SELECT * FROM read_parquet('{files}', hive_partitioning = true)").pl(),
    }
    return {reader: frame.sort("cell_id", *index) for reader, frame in frames.items()}


def check_folded(run, table, index):
    """A copy whose files are folded has the same rows for every reader, each once."""
    worker = os.environ.get("SLIM_WORKER")
    if worker is None:
        print(f"skipped: {run.name}, {table}: no SLIM_WORKER that folds files")
        return
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / run.name
        shutil.copytree(run / table, copy / table)
        before = rows_of(copy, table, index)
        command = [worker, "compact", "--results", copy]
        # It stops when its standard input ends, as it does when who started it is gone.
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as worker:
            if worker.wait() != 0:
                sys.exit(f"error: {run.name}, {table}: the files cannot be folded")
        after = rows_of(copy, table, index)
        n_files = [len(list((own / table).rglob("*.parquet"))) for own in (run, copy)]
        for reader, frame in after.items():
            if not frame.equals(before[reader]):
                sys.exit(f"error: {run.name}, {table}: {reader} reads other rows of folded files")
            if frame.select("cell_id", *index).is_duplicated().any():
                sys.exit(f"error: {run.name}, {table}: {reader} reads a row twice")
        check_windows(copy) if table == "windows" else check_items(copy)
    told = f"{n_files[0]} files folded into {n_files[1]}"
    print(f"{run.name}, {table}: {told}, the same {before['polars'].height} rows ({', '.join(after)})")


def main():
    [results] = map(Path, sys.argv[1:])
    checked = False
    tables = [
        ("windows", check_windows, ["window_index"]),
        ("items", check_items, ["item_index"]),
    ]
    for run in [results, *sorted(results.glob("*"))]:
        for table, check, index in tables:
            if any((run / table).rglob("*.parquet")):
                check(run)
                check_names(run, table)
                check_folded(run, table, index)
                checked = True
    if not checked:
        print(f"skipped: {results} has no run with windows or items")


if __name__ == "__main__":
    main()
