"""Reads a lake with the Python package duckdb: the count of every table and of its change feed at every snapshot.

    duckdb_python.py CATALOG EXTENSIONS
"""

import json
import sys

import duckdb

catalog, extensions = sys.argv[1:]
con = duckdb.connect(config={"allow_unsigned_extensions": "true"})
for name in ("sqlite_scanner", "ducklake"):
    con.execute(f"LOAD '{extensions}/{name}.duckdb_extension'")
con.execute(f"ATTACH 'ducklake:sqlite:{catalog}' AS lake (READ_ONLY)")
out = []
for (at,) in con.execute("SELECT snapshot_id FROM ducklake_snapshots('lake') ORDER BY 1").fetchall():
    con.execute(f"ATTACH 'ducklake:sqlite:{catalog}' AS past (READ_ONLY, SNAPSHOT_VERSION {at})")
    for (table,) in con.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'past' ORDER BY 1").fetchall():
        rows = con.execute(f'SELECT count(*) FROM past."{table}"').fetchone()[0]
        changes = con.execute(f"SELECT count(*) FROM ducklake_table_changes('past', 'main', '{table}', {at}, {at})").fetchone()[0]
        out.append({"at": at, "table": table, "rows": rows, "changes": changes})
    con.execute("DETACH past")
json.dump({"client": f"duckdb {duckdb.__version__} (Python)", "seen": out}, sys.stdout)
