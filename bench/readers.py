"""Times other readers on a table of a run, as it lies and with other row groups.

    python bench/readers.py RUN [TABLE]

RUN is a run's folder, of single files or folded (`cargo xtask compact`). Each reader counts cells and adds
up one column. Of a folded run the same rows are also written with one row group a cell, and with one a
file, and read again. Prints a table in Markdown.
"""

import sys
import tempfile
import time
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

COLUMNS = {"windows": "nll_nats", "items": "word_logprob_nats"}
REPEATS = 3


def with_polars(folder, column):
    rows = pl.scan_parquet(f"{folder}/**/*.parquet", hive_partitioning=True)
    cells = rows.group_by("cell_id").agg(pl.col(column).sum()).collect()
    return cells.height, cells[column].sum()


def with_duckdb(folder, column):
    files = f"read_parquet('{folder}/**/*.parquet', hive_partitioning = true)"
    query = f"SELECT count(DISTINCT cell_id), sum({column}) FROM {files}"
    return duckdb.sql(query).fetchall()[0]


def with_pandas(folder, column):
    table = ds.dataset(folder, partitioning="hive").to_table(columns=["cell_id", column])
    frame = table.to_pandas()
    return frame["cell_id"].nunique(), frame[column].sum()


READERS = {"polars": with_polars, "DuckDB": with_duckdb, "pandas": with_pandas}


def regrouped(folder, target, group_of):
    """Writes every file anew, with the row groups that `group_of` makes of its rows."""
    for file in sorted(folder.rglob("*.parquet")):
        table = pq.ParquetFile(file).read()
        copy = target / file.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        with pq.ParquetWriter(copy, table.schema, compression="snappy") as writer:
            for first, rows in group_of(table):
                writer.write_table(table.slice(first, rows), row_group_size=rows)


def by_cell(table):
    """Rows of one cell follow each other."""
    ids = table["cell_id"].combine_chunks()
    if len(ids) == 1:
        return [(0, 1)]
    changes = pc.not_equal(ids.slice(1), ids.slice(0, len(ids) - 1))
    starts = [0, *(i + 1 for i, is_new in enumerate(changes.to_pylist()) if is_new)]
    return list(zip(starts, [b - a for a, b in zip(starts, [*starts[1:], len(ids)])]))


def timed(folder, column):
    answers, seconds = [], []
    for reader in READERS.values():
        best = float("inf")
        for _ in range(REPEATS):
            began = time.perf_counter()
            answer = reader(folder.as_posix(), column)
            best = min(best, time.perf_counter() - began)
        answers.append(answer)
        seconds.append(best)
    n_cells = {int(cells) for cells, _ in answers}
    if len(n_cells) != 1:
        sys.exit(f"error: the readers count {n_cells} cells in {folder}")
    return n_cells.pop(), seconds


def main():
    run, table = Path(sys.argv[1]), (sys.argv[2:] or ["windows"])[0]
    folder, column = run / table, COLUMNS[table]
    files = list(folder.rglob("*.parquet"))
    is_folded = any(file.name.startswith("cells-") for file in files)
    print(f"| rows of | cells | files | {' | '.join(READERS)} |")
    print(f"| --- | --: | --: {'| --: ' * len(READERS)}|")

    def line(name, folder):
        n_cells, seconds = timed(folder, column)
        times = " | ".join(f"{own:.2f} s" for own in seconds)
        print(f"| {name} | {n_cells} | {len(files)} | {times} |", flush=True)

    line("folded files" if is_folded else "files of one cell", folder)
    if is_folded:
        with tempfile.TemporaryDirectory() as scratch:
            regrouped(folder, Path(scratch) / "cell", by_cell)
            line("the same, a row group a cell", Path(scratch) / "cell")
            regrouped(folder, Path(scratch) / "file", lambda table: [(0, table.num_rows)])
            line("the same, a row group a file", Path(scratch) / "file")


if __name__ == "__main__":
    main()
