"""One system under measurement in a process of its own: JSON commands on standard input, JSON answers on
standard output, as bench/ours speaks for SuperTable. Times are taken around the work alone."""

import json
import os
import pathlib
import sys
import threading
import time

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

EXTENSIONS = os.environ.get("ST_EXTENSIONS", "")


def connect():
    con = duckdb.connect(config={"threads": 2, "allow_unsigned_extensions": "true"})
    con.execute("SET enable_progress_bar = false")
    return con


def text(v):
    if v is None:
        return None
    return repr(v) if isinstance(v, float) else str(v)


class Raw:
    """DuckDB over plain Parquet files: the floor. Nothing is synced, nothing can be replaced."""

    def open(self, dir):
        self.dir = pathlib.Path(dir)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.con, self.n = connect(), 0

    def append(self, files, table="t"):
        (self.dir / table).mkdir(exist_ok=True)
        for f in files:
            self.con.execute(f"COPY (FROM read_parquet('{f}')) TO '{self.dir}/{table}/{self.n}.parquet' (FORMAT parquet, PARQUET_VERSION v2, COMPRESSION zstd, COMPRESSION_LEVEL 1)")
            self.n += 1

    def relation(self, table):
        return f"read_parquet('{self.dir}/{table}/*.parquet')"

    def query(self, sql, table="t"):
        return self.con.execute(sql.replace("{t}", self.relation(table))).fetchall()


class DuckLake(Raw):
    """DuckDB's own DuckLake extension on a SQLite catalog."""

    def open(self, dir):
        self.dir = pathlib.Path(dir)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.con = connect()
        for name in ("sqlite_scanner", "ducklake"):
            self.con.execute(f"LOAD '{EXTENSIONS}/{name}.duckdb_extension'")
        self.con.execute(f"ATTACH 'ducklake:sqlite:{self.dir}/catalog.db' AS lake (DATA_PATH '{self.dir}/data/', META_JOURNAL_MODE 'WAL')")
        self.made = set()

    def append(self, files, table="t"):
        for f in files:
            verb = f"INSERT INTO lake.{table}" if table in self.made else f"CREATE TABLE lake.{table} AS"
            self.con.execute(f"{verb} FROM read_parquet('{f}')")
            self.made.add(table)

    def relation(self, table):
        return f"lake.{table}"

    def upsert(self, file, key):
        on = " AND ".join(f"t.{k} IS NOT DISTINCT FROM s.{k}" for k in key)
        self.con.execute(
            f"BEGIN; DELETE FROM lake.t t USING read_parquet('{file}') s WHERE {on}; INSERT INTO lake.t FROM read_parquet('{file}'); COMMIT")

    def delete(self, file, key):
        on = " AND ".join(f"t.{k} IS NOT DISTINCT FROM s.{k}" for k in key)
        self.con.execute(f"DELETE FROM lake.t t USING read_parquet('{file}') s WHERE {on}")

    def rows(self, n, writers):
        self.con.execute("CREATE TABLE IF NOT EXISTS lake.small (id BIGINT, note VARCHAR)")
        parallel(n, writers, lambda i, con: con.execute(f"INSERT INTO lake.small VALUES ({i}, 'row {i}')"), self.con.cursor)

    def history(self):
        return len(self.con.execute("FROM ducklake_snapshots('lake')").fetchall())


class Delta:
    """delta-rs; its queries run in DuckDB over its Arrow dataset."""

    def open(self, dir):
        import deltalake
        self.lib, self.dir, self.con = deltalake, str(pathlib.Path(dir)), connect()

    def table(self, name="t"):
        return self.lib.DeltaTable(f"{self.dir}/{name}")

    def append(self, files, table="t"):
        for f in files:
            self.lib.write_deltalake(f"{self.dir}/{table}", pq.read_table(f), mode="append")

    def merge(self, file, key):
        on = " AND ".join(f"t.{k} = s.{k}" for k in key)
        return self.table().merge(source=pq.read_table(file), predicate=on, source_alias="s", target_alias="t")

    def upsert(self, file, key):
        self.merge(file, key).when_matched_update_all().when_not_matched_insert_all().execute()

    def delete(self, file, key):
        self.merge(file, key).when_matched_delete().execute()

    def query(self, sql, table="t"):
        self.con.register("delta_t", self.table(table).to_pyarrow_dataset())
        return self.con.execute(sql.replace("{t}", "delta_t")).fetchall()

    def rows(self, n, writers):
        def one(i, _):
            self.lib.write_deltalake(f"{self.dir}/small", pa.table({"id": pa.array([i], pa.int64()), "note": [f"row {i}"]}), mode="append")
        one(0, None)  # the table is there before several begin
        parallel(n, writers, one, lambda: None, first=1)

    def history(self):
        return len(self.table("small").history())


class Iceberg:
    """PyIceberg with its SQL catalog; its queries run in DuckDB over what a scan gives."""

    def open(self, dir):
        from pyiceberg.catalog.sql import SqlCatalog
        path = pathlib.Path(dir)
        path.mkdir(parents=True, exist_ok=True)
        self.catalog = SqlCatalog("bench", uri=f"sqlite:///{path}/catalog.db", warehouse=f"file://{path}/data")
        self.catalog.create_namespace_if_not_exists("b")
        self.con = connect()

    def made(self, name, schema):
        if not self.catalog.table_exists(f"b.{name}"):
            self.catalog.create_table(f"b.{name}", schema)
        return self.catalog.load_table(f"b.{name}")

    def append(self, files, table="t"):
        for f in files:
            rows = pq.read_table(f)
            self.made(table, rows.schema).append(rows)

    def upsert(self, file, key):
        self.catalog.load_table("b.t").upsert(pq.read_table(file), join_cols=key)

    def query(self, sql, table="t"):
        self.con.register("iceberg_t", self.catalog.load_table(f"b.{table}").scan().to_arrow())
        return self.con.execute(sql.replace("{t}", "iceberg_t")).fetchall()

    def rows(self, n, writers):
        def one(i, _):
            rows = pa.table({"id": pa.array([i], pa.int64()), "note": [f"row {i}"]})
            self.made("small", rows.schema).append(rows)
        one(0, None)
        parallel(n, writers, one, lambda: None, first=1)

    def history(self):
        return len(self.catalog.load_table("b.small").history())


def parallel(n, writers, one, open_, first=0):
    """n one-row commits from several threads; the first error ends it."""
    failed = []

    def work(w):
        con = open_()
        for i in range(first + w, n, writers):
            if failed:
                return
            try:
                one(i, con)
            except Exception as e:  # whatever the peer raises is the answer
                failed.append(e)
    threads = [threading.Thread(target=work, args=(w,)) for w in range(writers)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failed:
        raise failed[0]


def folder_bytes(dir):
    return sum(f.stat().st_size for f in pathlib.Path(dir).rglob("*") if f.is_file())


def main():
    peer = {"raw": Raw, "ducklake": DuckLake, "delta": Delta, "iceberg": Iceberg}[sys.argv[1]]()
    where = ""
    for line in sys.stdin:
        c = json.loads(line)
        op, a, start = c["op"], {}, time.perf_counter()
        try:
            if op in ("open", "reopen"):
                where = c["dir"]
                peer.open(where)
            elif op == "query":
                sql = c["sql"]
                if c.get("filter"):
                    sql = sql.replace("{t}", "(FROM {t} WHERE tag < 50)")
                a["rows"] = [[text(v) for v in r] for r in peer.query(sql, c.get("table") or "t")]
            elif op == "bytes":
                a["value"] = folder_bytes(where)
            elif op == "history":
                a["value"] = peer.history()
            else:
                getattr(peer, op)(**{k: v for k, v in c.items() if k != "op"})
        except AttributeError as e:
            a["error"] = f"not offered ({e.name})" if e.name == op else repr(e)
        except Exception as e:
            a["error"] = f"{type(e).__name__}: {str(e).splitlines()[0][:200] if str(e) else ''}"
        a["seconds"] = time.perf_counter() - start
        print(json.dumps(a), flush=True)


if __name__ == "__main__":
    main()
