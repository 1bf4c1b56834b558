"""Reads the data files of a folder with pyarrow and with Polars, and compares every value with what DuckDB reads.

    parquet_readers.py FOLDER
"""

import json
import pathlib
import sys

import duckdb
import polars
import pyarrow.parquet

con = duckdb.connect()
con.execute("SET TimeZone = 'UTC'")
files, different = [], []


def total(relation, types):
    values = ", ".join(f'"{name}"::{typ}' for name, typ in types)
    return con.execute(f"SELECT count(*), bit_xor(hash({values})) FROM {relation}").fetchone()


for path in sorted(pathlib.Path(sys.argv[1]).rglob("*.parquet")):
    if path.name.endswith("-delete.parquet"):
        continue
    theirs = f"read_parquet('{path}')"
    types = [(r[0], r[1]) for r in con.execute(f"DESCRIBE SELECT * FROM {theirs}").fetchall()]
    want = total(theirs, types)
    encodings = con.execute(f"SELECT DISTINCT unnest(string_split(encodings, ', ')) FROM parquet_metadata('{path}') ORDER BY 1").fetchall()
    for reader, read in {"pyarrow": pyarrow.parquet.read_table, "polars": lambda p: polars.read_parquet(p).to_arrow()}.items():
        try:
            con.register("seen", read(path))
            got = total("seen", types)
        except Exception as e:  # what it says is the result
            got = f"{type(e).__name__}: {e}"
        if got != want:
            different.append(f"{path.parent.name}/{path.name} by {reader}: {got}, want {want}")
    files.append({"table": path.parent.name, "rows": want[0], "encodings": [e[0] for e in encodings]})
json.dump({"files": files, "different": different}, sys.stdout)
