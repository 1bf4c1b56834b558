"""Measures SuperTable beside its peers: the same rows, the same machine, one run, every answer checked.

    make bench-peers                      # 10M rows in 100 files, writes docs/benchmarks-peers.md and its plots
    make bench-peers ARGS='--rows 1000000 --files 20 --runs 3 --out /tmp/peers.md'
    make bench-peers ARGS='--only upsert,delete --systems ours,ducklake'
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import duckdb

HERE = pathlib.Path(__file__).parent
SYSTEMS = ["ours", "raw", "ducklake", "delta", "iceberg"]
TITLES = {"ours": "SuperTable", "raw": "raw DuckDB", "ducklake": "DuckLake", "delta": "delta-rs", "iceberg": "pyiceberg"}

WHY = """## Why

- Files: DuckLake writes Snappy in Parquet's encodings of version 1; SuperTable and raw DuckDB here Zstandard at level 1 in those of version 2, which are smaller and on most columns quicker to unpack (ADR 0019).
- `min` and `max`: DuckLake takes them from its table's statistics, SuperTable from those of the files without dead rows (ADR 0018); files with some are read.
- One hundred appends: every data file of SuperTable is synced with its folder and summed (SHA-256), and each append is one synced transaction with its audit record; DuckLake syncs its catalog and no data file (`strace`).
- With a row filter: SuperTable evaluates the rule for a user of the catalog, the others a condition in the text. Where an expression could fail on a hidden row a fence keeps it above the rule, and the
  conditions of the text that cannot fail are repeated below it: constants that the engine has to reckon (`to_seconds`, `md5`) are reckoned first (ADR 0017). DuckLake offers no rules.
- A random text that is asked for once: filters of its key are made by writes (ADR 0015), and a user with a row filter gets none.
"""

COLUMNS = ("i AS id, (hash(i) % 1000)::INTEGER AS grp, md5(i::VARCHAR) AS uid, ({v} + hash(i * 3) % 1000000) / 128.0 AS amount, "
           "TIMESTAMP '2020-01-01' + to_seconds(i) AS ts, (i % 97)::SMALLINT AS tag")

QUERIES = {
    "count": "SELECT count(*) FROM {t}",
    "sum of one column": "SELECT sum(tag) FROM {t}",
    "sum of two": "SELECT sum(tag), sum(amount) FROM {t}",
    "min and max": "SELECT min(id), max(id), min(amount), max(amount) FROM {t}",
    "group by": "SELECT grp, count(*), sum(amount) FROM {t} GROUP BY grp ORDER BY grp",
    "group by two": "SELECT tag, grp % 10 AS g, count(*) FROM {t} GROUP BY ALL ORDER BY ALL",
    "group by time": "SELECT date_trunc('month', ts) AS m, sum(amount) FROM {t} GROUP BY m ORDER BY m",
    "distinct": "SELECT count(DISTINCT grp) FROM {t}",
    "having": "SELECT grp FROM {t} GROUP BY grp HAVING sum(tag) > 480 * count(*) / 10 ORDER BY grp",
    "top-n": "SELECT id, amount FROM {t} ORDER BY amount DESC, id LIMIT 10",
    "point": "SELECT id, grp, uid, tag FROM {t} WHERE id = {mid}",
    "point by text": "SELECT id FROM {t} WHERE uid = md5('{mid}')",
    "range": "SELECT count(*), sum(tag) FROM {t} WHERE id BETWEEN {mid} AND {mid} + 50000",
    "time range": "SELECT count(*) FROM {t} WHERE ts >= TIMESTAMP '2020-01-01' + to_seconds({mid}) AND ts < TIMESTAMP '2020-01-01' + to_seconds({mid} + 10000)",
    "in": "SELECT count(*), sum(tag) FROM {t} WHERE id IN (1, {mid}, {mid} + 77, {mid} + 100000)",
    "like": "SELECT count(*) FROM {t} WHERE uid LIKE 'abc%'",
    "or": "SELECT count(*) FROM {t} WHERE id < 1000 OR id > {mid} * 2 - 1000",
    "join": "SELECT count(*), sum(a.tag) FROM {t} a JOIN (SELECT id + 1 AS id FROM {t} WHERE grp = 7) b ON a.id = b.id",
    "window": "SELECT count(*) FROM (SELECT id, row_number() OVER (PARTITION BY grp ORDER BY id) AS n FROM {t} WHERE grp < 20) WHERE n <= 3",
    "subquery": "SELECT count(*) FROM {t} WHERE amount > (SELECT avg(amount) FROM {t})",
}


class System:
    """A child process that runs one system."""

    def __init__(self, name, dir):
        self.name = name
        self.argv = [os.environ["ST_OURS"]] if name == "ours" else [sys.executable, str(HERE / "peer.py"), name]
        self.p = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.dir = str(dir / name)
        self.must(op="open", dir=self.dir)

    def do(self, **command):
        self.p.stdin.write(json.dumps(command) + "\n")
        self.p.stdin.flush()
        line = self.p.stdout.readline()
        if not line:
            return {"error": "the process died", "seconds": 0}
        return json.loads(line)

    def must(self, **command):
        a = self.do(**command)
        if a.get("error"):
            raise RuntimeError(f"{self.name}: {command['op']}: {a['error']}")
        return a

    def peak_mb(self):
        for line in open(f"/proc/{self.p.pid}/status"):
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
        return 0

    def close(self):
        self.p.stdin.close()
        self.p.wait(60)


class Run:
    def __init__(self, args):
        self.a, self.rows, self.notes, self.spent = args, [], [], {}
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="supertable-peers-"))
        self.model = duckdb.connect(str(self.dir / "model.duckdb"))
        self.model.execute("SET enable_progress_bar = false")

    def file(self, name, select):
        path = self.dir / f"{name}.parquet"
        self.model.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
        return str(path)

    def make_inputs(self):
        per = self.a.rows // self.a.files
        self.inputs = [self.file(f"in{k}", f"SELECT {COLUMNS.format(v=0)} FROM range({k * per}, {(k + 1) * per}) r(i)") for k in range(self.a.files)]
        self.model.execute(f"CREATE TABLE t AS FROM read_parquet('{self.dir}/in*.parquet')")

    def cell(self, what, name, answers, check=None, unit="s"):
        """Keeps the median of several answers, or what went wrong."""
        bad = next((a["error"] for a in answers if a.get("error")), None)
        if bad is None and check is not None:
            bad = next(("WRONG ANSWER" for a in answers if not check(a)), None)
        times = [a["seconds"] for a in answers]
        self.rows.append((what, name, None if bad else statistics.median(times), None if bad else (min(times), max(times)), bad, unit))
        shown = bad or " / ".join(f"{t * 1000:.1f}" for t in sorted(times)) + " ms"
        print(f"{what:42} {TITLES[name]:12} {shown}", flush=True)

    def expected(self, sql):
        return [[text(v) for v in r] for r in self.model.execute(sql.replace("{t}", "t")).fetchall()]

    def ask(self, what, systems, sql, runs=None, filter=False):
        model = sql.replace("{t}", "(FROM {t} WHERE tag < 50)") if filter else sql
        want = canon(self.expected(model))
        for s in systems:
            answers = []
            for _ in range(runs or self.a.runs):
                answers.append(s.do(op="query", sql=sql, filter=filter))
                if sum(a["seconds"] for a in answers) > 5:
                    break
            self.cell(what, s.name, answers, lambda a: canon(a.get("rows") or []) == want)

    def queries(self, state, systems, filter=False):
        for name, sql in QUERIES.items():
            self.ask(f"{name}, {state}", systems, sql.replace("{mid}", str(self.a.rows // 2)), filter=filter)

    def change(self, what, systems, files, key, delete=False):
        """Upserts or deletes the keys of files everywhere and in the model; then all must agree."""
        on = " AND ".join(f"t.{k} = s.{k}" for k in key)
        for file in files:
            self.model.execute(f"DELETE FROM t USING read_parquet('{file}') s WHERE {on}")
            if not delete:
                self.model.execute(f"INSERT INTO t FROM read_parquet('{file}')")
        probe = "SELECT count(*), count(DISTINCT id), sum(amount) FROM {t}"
        want = canon(self.expected(probe))
        for s in list(systems):
            answers = []
            for file in files:
                answers.append(s.do(op="delete" if delete else "upsert", file=file, key=key))
                self.spent[s.name] = self.spent.get(s.name, 0) + answers[-1]["seconds"]
                if answers[-1].get("error") or self.spent[s.name] > 4 * self.a.patience and file != files[-1]:
                    break
            bad = answers[-1].get("error")
            if bad is None and len(answers) < len(files):
                bad = f"over {4 * self.a.patience:.0f} s for all changes"
                answers[-1]["error"] = bad
            if bad:
                self.cell(what, s.name, answers)
                systems.remove(s)  # its rows are others from here on
                self.notes.append(f"{TITLES[s.name]}: {what}: {bad}. It is left out after it.")
                continue
            rows = s.do(op="query", sql=probe).get("rows") or []
            self.cell(what, s.name, answers, lambda _, rows=rows: canon(rows) == want)

    def run(self):
        self.make_inputs()
        self.systems = [System(n, self.dir) for n in SYSTEMS if n in self.a.systems]
        self.live = [s for s in self.systems if s.name != "raw"]  # raw files replace nothing
        for s in self.systems:
            self.cell(f"append {self.a.rows:,} rows in {self.a.files} appends", s.name, [s.do(op="append", files=self.inputs)])
        for name, section in self.sections().items():
            if not self.a.only or name in self.a.only:
                section()
        for s in self.systems:
            self.rows.append(("peak memory", s.name, s.peak_mb(), None, None, "MB"))
            self.rows.append(("bytes on disk", s.name, (s.do(op="bytes").get("value") or 0) / 1e6, None, None, "MB"))
            s.close()
        self.write()

    def sections(self):
        return {
            "bulk": self.bulk,
            "clean": lambda: self.queries("clean", self.systems),
            "filter": lambda: self.queries("with a row filter", self.systems, filter=True),
            "upsert": self.upserts,
            "delete": self.delete,
            "after": lambda: self.queries("after the changes", self.live),
            "cold": self.cold,
            "commits": self.commits,
            "history": self.history,
        }

    def bulk(self):
        """3M flights (made rows, if the file is not at hand) in one append."""
        flights = pathlib.Path(os.environ.get("ST_DATA", "")) / "flights-3m.parquet"
        if not flights.exists():
            flights = self.file("flights", f"SELECT {COLUMNS.format(v=0)} FROM range(3000000) r(i)")
        want = self.model.execute(f"SELECT count(*) FROM read_parquet('{flights}')").fetchone()[0]
        for s in self.systems:
            answers = [s.do(op="append", files=[str(flights)], table=f"bulk{n}") for n in range(self.a.runs)]
            rows = s.do(op="query", sql="SELECT count(*) FROM {t}", table="bulk0").get("rows")
            self.cell("append 3,000,000 flights in one append", s.name, answers, lambda _, rows=rows: rows == [[str(want)]])

    def upserts(self):
        """One row, 0.01 % and 1 % of the rows, by keys of one and two columns and of random text; each several
        times with other rows, since the second upsert of the same rows is another thing."""
        n, size = self.a.rows, {"1 row": 1, "0.01 %": max(1, self.a.rows // 10000), "1 %": self.a.rows // 100}
        keys = {"uniform": ["id"], "clustered": ["id"], "two columns": ["grp", "id"], "random text": ["uid"]}
        k = 0
        for share, count in size.items():
            for kind, key in keys.items():
                if share == "1 row" and kind == "clustered":
                    continue  # one row is not spread
                files = []
                for run in range(self.a.runs if count < n // 1000 else 1):
                    k += 1
                    ids = f"SELECT DISTINCT (hash(x + {k} * 1000003) % {n})::BIGINT AS i FROM range({count}) r(x)"
                    if kind == "clustered":
                        ids = f"SELECT i FROM range({(n // 2 + k * count) % (n - count)}, {(n // 2 + k * count) % (n - count) + count}) r(i)"
                    files.append(self.file(f"up{k}", f"SELECT {COLUMNS.format(v=k)} FROM ({ids})"))
                self.change(f"upsert {share}, {kind}", self.live, files, key)

    def delete(self):
        n = self.a.rows
        file = self.file("del", f"SELECT DISTINCT (hash(x + 17) % {n})::BIGINT AS id FROM range({n // 100}) r(x)")
        self.change("delete 1 %", self.live, [file], ["id"], delete=True)

    def cold(self):
        """A new process that opens the table, answers one query and ends."""
        sql = f"SELECT id, grp FROM {{t}} WHERE id = {self.a.rows // 2}"
        want = canon(self.expected(sql)) if self.live else []
        for s in self.live:
            answers = []
            for _ in range(self.a.runs):
                start = time.perf_counter()
                p = subprocess.Popen(s.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                lines = json.dumps({"op": "reopen", "dir": s.dir}) + "\n" + json.dumps({"op": "query", "sql": sql}) + "\n"
                out = p.communicate(lines)[0].splitlines()
                a = json.loads(out[-1]) if len(out) == 2 else {"error": "the process died"}
                a["error"] = a.get("error") or json.loads(out[0]).get("error") if out else a.get("error")
                answers.append({**a, "seconds": time.perf_counter() - start})
            self.cell("cold process, one row", s.name, answers, lambda a: canon(a.get("rows") or []) == want)

    def commits(self):
        for writers in (1, 8):
            for s in self.live:
                a = s.do(op="rows", n=self.a.commits, writers=writers)
                a["seconds"] /= self.a.commits
                self.cell(f"one-row commit, {writers} writer{'s' * (writers > 1)}", s.name, [a])

    def history(self):
        """A table of many snapshots: list them. It is filled by one-row commits, as long as a peer may take."""
        for s in self.live:
            have, start = s.do(op="history").get("value") or 0, time.time()
            while have < self.a.snapshots and time.time() - start < self.a.patience:
                a = s.do(op="rows", n=min(500, self.a.snapshots - have), writers=1)
                if a.get("error"):
                    break
                have = s.do(op="history").get("value") or 0
            if have < self.a.snapshots:
                self.notes.append(f"{TITLES[s.name]} had made {have:,} of {self.a.snapshots:,} snapshots when its time was over.")
            self.cell(f"list a history of {self.a.snapshots:,} snapshots", s.name, [s.do(op="history") for _ in range(self.a.runs)], lambda a, have=have: a.get("value") == have)

    def table(self):
        names = [n for n in SYSTEMS if n in self.a.systems]
        lines = ["| what | " + " | ".join(TITLES[n] for n in names) + " | fastest peer / ours |", "|---|" + "--:|" * (len(names) + 1)]
        for what in dict.fromkeys(r[0] for r in self.rows):
            cells = {r[1]: r for r in self.rows if r[0] == what}
            best = min((c[2] for n, c in cells.items() if n not in ("ours", "raw") and c[2]), default=None)
            ours = cells.get("ours", (0, 0, None))[2]
            ratio = f"{best / ours:.2f}" if best and ours else "–"
            lines.append(f"| {what} | " + " | ".join(show(cells.get(n)) for n in names) + f" | {ratio} |")
        return "\n".join(lines)

    def write(self):
        out = pathlib.Path(self.a.out)
        behind = []
        for what in dict.fromkeys(r[0] for r in self.rows):
            cells = {r[1]: r for r in self.rows if r[0] == what}
            ours = cells.get("ours")
            for n, c in cells.items():
                if n not in ("ours", "raw") and ours and ours[2] and c[2] and c[2] < ours[2] / 1.1:
                    behind.append(f"- {what}: {TITLES[n]} {show(c)}, SuperTable {show(ours)}")
        plots = plot(self.rows, out, self.a.systems)
        versions = ", ".join(f"{m} {__import__('importlib.metadata', fromlist=['version']).version(m)}" for m in ("duckdb", "deltalake", "pyiceberg"))
        out.write_text(f"""# Benchmarks against peers

One run of `make bench-peers` on {datetime.date.today()}: {platform.system().lower()}/{platform.machine()}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f} at its end, {self.a.rows:,} rows in {self.a.files}
files, {self.a.commits:,} one-row commits. {versions}. Each system runs in a process of its own; queries are medians of {self.a.runs} runs, with the least and the
greatest behind; a cell whose answer (rows, counts, sums, distinct keys) is not the model's says so in place of a time. Raw DuckDB syncs nothing and has no catalog: it is the floor.
The last column is above 1 where SuperTable is ahead of its fastest peer.

{self.table()}

{chr(10).join(dict.fromkeys(self.notes))}

## Where a peer is faster by more than a tenth

{chr(10).join(behind) or "Nowhere in this run."}

{WHY}
{chr(10).join(plots)}
""")
        print(f"written: {out}")


def show(row):
    if row is None:
        return "–"
    _, _, value, spread, bad, unit = row
    if bad:
        return bad.replace("|", "/")[:60]
    if unit == "MB":
        return f"{value:,.0f} MB"
    t = f"{value * 1000:.1f} ms" if value < 1 else f"{value:.2f} s"
    if spread and spread[1] > spread[0]:
        t += f" ({spread[0] * 1000:.0f}–{spread[1] * 1000:.0f})"
    return t


def text(v):
    if v is None:
        return None
    return repr(v) if isinstance(v, float) else str(v)


def canon(rows):
    """Rows in which numbers count with 12 digits, so that sums in another order are still equal."""
    def one(v):
        try:
            return f"{float(v):.12g}"
        except (TypeError, ValueError):
            return v.replace("T", " ").rstrip("Z") if isinstance(v, str) else v
    return sorted([tuple(one(v) for v in r) for r in rows], key=str)


def plot(rows, out, systems):
    """One SVG per group of rows, by matplotlib."""
    import matplotlib
    matplotlib.use("svg")
    import matplotlib.pyplot as plt
    groups = {"clean": "Queries, clean", "after the changes": "Queries, after upserts and deletes", "upsert": "Upserts", "one-row commit": "One-row commits"}
    links = []
    for key, title in groups.items():
        whats = [w for w in dict.fromkeys(r[0] for r in rows) if key in w]
        if not whats:
            continue
        fig, ax = plt.subplots(figsize=(9, 0.5 + 0.32 * len(whats) * max(1, len(systems)) / 2))
        names = [n for n in SYSTEMS if n in systems]
        for k, n in enumerate(names):
            values = [next((r[2] * 1000 for r in rows if r[0] == w and r[1] == n and r[2]), 0) for w in whats]
            ax.barh([i + k / (len(names) + 1) for i in range(len(whats))], values, height=1 / (len(names) + 1), label=TITLES[n])
        ax.set_yticks([i + 0.4 for i in range(len(whats))], [w.replace(", " + key, "") for w in whats], fontsize=7)
        ax.invert_yaxis()
        ax.set_xscale("log")
        ax.set_xlabel("ms, logarithmic")
        ax.set_title(title)
        ax.legend(fontsize=7)
        fig.tight_layout()
        name = f"{out.stem}-{key.replace(' ', '-')}.svg"
        (out.parent / "img").mkdir(exist_ok=True)
        fig.savefig(out.parent / "img" / name, metadata={"Date": None})
        plt.close(fig)
        links.append(f"![{title}](img/{name})")
    return links


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--rows", type=int, default=10_000_000)
    p.add_argument("--files", type=int, default=100)
    p.add_argument("--runs", type=int, default=5)
    p.add_argument("--commits", type=int, default=1000)
    p.add_argument("--snapshots", type=int, default=10_000)
    p.add_argument("--patience", type=float, default=30, help="seconds that one system may take to fill its history, and four times as many for all its upserts and deletes")
    p.add_argument("--only", default=[], type=lambda s: s.split(","), help="sections: bulk,clean,filter,upsert,delete,after,cold,commits,history")
    p.add_argument("--systems", default=",".join(SYSTEMS), type=lambda s: s.split(","))
    p.add_argument("--out", default="docs/benchmarks-peers.md")
    run = Run(p.parse_args())
    start = time.time()
    try:
        run.run()
    finally:
        shutil.rmtree(run.dir, ignore_errors=True)
    print(f"{time.time() - start:.0f} s")


if __name__ == "__main__":
    main()
