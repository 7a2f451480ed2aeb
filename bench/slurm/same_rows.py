"""Whether two runs hold the same rows, bit for bit, but for when and where they were computed.

    python same_rows.py RUN_A RUN_B

Every table of either run is read as users read it, by DuckDB over all its Parquet files, and compared row by
row in both directions. Columns that tell of the moment and the machine are left out. Prints one JSON object
and ends with 1 where anything differs.
"""

import json
import pathlib
import sys

import duckdb

# What two computations of one cell need not share; the code that computes is a column of its own, `code_version`.
OWN = {"started_at", "seconds", "peak_rss_bytes", "host", "cpu", "revision", "command"}


def files(run, table):
    return sorted(str(path) for path in (run / table).rglob("*.parquet") if not path.name.startswith("."))


def differences(table, a, b):
    def rows(paths):
        return f"read_parquet({paths!r}, hive_partitioning = false)"

    columns = [name for name, *_ in duckdb.sql(f"DESCRIBE SELECT * FROM {rows(a)}").fetchall()]
    # A number's text has all its digits; so a NaN equals itself, and -0 is not 0.
    chosen = ", ".join(f'CAST("{name}" AS VARCHAR) AS "{name}"' for name in columns if name not in OWN)
    one_way = "SELECT count(*) FROM (SELECT {0} FROM {1} EXCEPT ALL SELECT {0} FROM {2})"
    count = duckdb.sql(f"SELECT count(*) FROM {rows(a)}").fetchall()[0][0]
    only_a = duckdb.sql(one_way.format(chosen, rows(a), rows(b))).fetchall()[0][0]
    only_b = duckdb.sql(one_way.format(chosen, rows(b), rows(a))).fetchall()[0][0]
    return {"table": table, "rows": count, "only_a": only_a, "only_b": only_b}


def main():
    a, b = map(pathlib.Path, sys.argv[1:3])
    tables = sorted({path.name for run in (a, b) for path in run.iterdir() if files(run, path.name)})
    found = []
    for table in tables:
        of_a, of_b = files(a, table), files(b, table)
        if of_a and of_b:
            found.append(differences(table, of_a, of_b))
        else:
            found.append({"table": table, "only_a": len(of_a), "only_b": len(of_b), "rows": 0})
    is_same = bool(found) and all(own["only_a"] == own["only_b"] == 0 for own in found)
    print(json.dumps({"same": is_same, "tables": found}))
    sys.exit(0 if is_same else 1)


if __name__ == "__main__":
    main()
