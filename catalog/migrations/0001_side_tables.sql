-- Our own facts beside the format's tables, joined by its ids. Types stay
-- portable (TEXT, BIGINT); ids and times come from Go.

-- One row per change of a table: its history and its version.
CREATE TABLE supertable_change (
  snapshot_id BIGINT NOT NULL,
  table_id    BIGINT NOT NULL,
  table_name  TEXT NOT NULL,
  version     BIGINT NOT NULL,
  operation   TEXT NOT NULL,
  inserted    BIGINT NOT NULL,
  deleted     BIGINT NOT NULL,
  skipped     BIGINT NOT NULL,
  principal   TEXT NOT NULL,
  message     TEXT NOT NULL,
  lineage     TEXT,
  PRIMARY KEY (snapshot_id, table_id)
);
CREATE INDEX supertable_change_table ON supertable_change (table_id, snapshot_id);

-- The live state of each table, kept by the commits, so that listing costs
-- O(tables) and not O(files).
CREATE TABLE supertable_table (
  table_id BIGINT NOT NULL PRIMARY KEY,
  version  BIGINT NOT NULL,
  rows     BIGINT NOT NULL,
  files    BIGINT NOT NULL,
  bytes    BIGINT NOT NULL,
  updated  TEXT NOT NULL
);

-- Write ids, unique per table; signature tells a repeated write from another
-- one under the same id.
CREATE TABLE supertable_write_id (
  table_id    BIGINT NOT NULL,
  write_id    TEXT NOT NULL,
  signature   TEXT NOT NULL,
  result      TEXT NOT NULL,
  PRIMARY KEY (table_id, write_id)
);

-- Who has unfinished files under tmp/ (ADR 0007).
CREATE TABLE supertable_lease (
  lease_id TEXT NOT NULL PRIMARY KEY,
  holder   TEXT NOT NULL,
  expires  TEXT NOT NULL
);

-- What the bytes of a file were when it was written.
CREATE TABLE supertable_file (
  file_id BIGINT NOT NULL PRIMARY KEY,
  sha256  TEXT NOT NULL
);

-- Options; table_id -1 is the SuperTable.
CREATE TABLE supertable_option (
  table_id BIGINT NOT NULL,
  name     TEXT NOT NULL,
  value    TEXT NOT NULL,
  PRIMARY KEY (table_id, name)
);

-- Plain indexes on the format's tables, for planning.
CREATE INDEX supertable_idx_table_name ON ducklake_table (table_name COLLATE NOCASE);
CREATE INDEX supertable_idx_column ON ducklake_column (table_id);
CREATE INDEX supertable_idx_data_file ON ducklake_data_file (table_id, begin_snapshot);
CREATE INDEX supertable_idx_delete_file ON ducklake_delete_file (table_id, data_file_id);
CREATE INDEX supertable_idx_file_stats ON ducklake_file_column_stats (table_id, column_id, data_file_id);
CREATE INDEX supertable_idx_file_stats_file ON ducklake_file_column_stats (data_file_id);
CREATE INDEX supertable_idx_schema_versions ON ducklake_schema_versions (table_id);
CREATE INDEX supertable_idx_table_column_stats ON ducklake_table_column_stats (table_id, column_id);
CREATE INDEX supertable_idx_table_stats ON ducklake_table_stats (table_id);
