// Reads a lake with the npm package @duckdb/node-api: the count of every table
// and of its change feed at every snapshot.
//
//   duckdb_node.mjs CATALOG EXTENSIONS NODE_MODULES
import { createRequire } from 'node:module';

const [catalog, extensions, modules] = process.argv.slice(2);
const require = createRequire(modules + '/');
const { DuckDBInstance } = require('@duckdb/node-api');
const { version } = require('@duckdb/node-api/package.json');
const instance = await DuckDBInstance.create(':memory:', { allow_unsigned_extensions: 'true' });
const con = await instance.connect();
const rows = async (sql) => (await con.runAndReadAll(sql)).getRows().map((r) => r.map((v) => (typeof v === 'bigint' ? Number(v) : v)));
for (const name of ['sqlite_scanner', 'ducklake']) await con.run(`LOAD '${extensions}/${name}.duckdb_extension'`);
await con.run(`ATTACH 'ducklake:sqlite:${catalog}' AS lake (READ_ONLY)`);
const seen = [];
for (const [at] of await rows("SELECT snapshot_id FROM ducklake_snapshots('lake') ORDER BY 1")) {
  await con.run(`ATTACH 'ducklake:sqlite:${catalog}' AS past (READ_ONLY, SNAPSHOT_VERSION ${at})`);
  for (const [table] of await rows("SELECT table_name FROM duckdb_tables() WHERE database_name = 'past' ORDER BY 1")) {
    const [[n]] = await rows(`SELECT count(*) FROM past."${table}"`);
    const [[changes]] = await rows(`SELECT count(*) FROM ducklake_table_changes('past', 'main', '${table}', ${at}, ${at})`);
    seen.push({ at, table, rows: n, changes });
  }
  await con.run('DETACH past');
}
console.log(JSON.stringify({ client: `@duckdb/node-api ${version} (Node)`, seen }));
