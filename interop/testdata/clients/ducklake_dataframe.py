"""Reads a lake with the Python package ducklake-dataframe, which has no DuckDB in it.

    ducklake_dataframe.py CATALOG
"""

import importlib.metadata
import json
import sys

import ducklake_polars

catalog = sys.argv[1]
lake = ducklake_polars.DuckLakeCatalog(catalog)
out = []
for at in sorted(lake.snapshots()["snapshot_id"].to_list()):
    for table in sorted(lake.list_tables(snapshot_version=at)["table_name"].to_list()):
        out.append({"at": at, "table": table, "rows": len(ducklake_polars.read_ducklake(catalog, table, snapshot_version=at)), "changes": -1})
json.dump({"client": f"ducklake-dataframe {importlib.metadata.version('ducklake-dataframe')} (Python, Polars)", "seen": out}, sys.stdout)
