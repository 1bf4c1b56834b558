-- Staged input: what lies under staging/, what was loaded when, and pipes.

-- The index of the staged files. The bytes lie in staging/<area>/<file>.
CREATE TABLE supertable_staged (
  file_id   TEXT NOT NULL PRIMARY KEY,
  area      TEXT NOT NULL COLLATE NOCASE,
  file      TEXT NOT NULL,
  name      TEXT NOT NULL,
  rows      BIGINT NOT NULL,
  bytes     BIGINT NOT NULL,
  sha256    TEXT NOT NULL,
  format    TEXT NOT NULL,
  status    TEXT NOT NULL,
  reason    TEXT NOT NULL,
  created   TEXT NOT NULL,
  principal TEXT NOT NULL
);
CREATE UNIQUE INDEX supertable_staged_file ON supertable_staged (area, file);

-- What became of staged files: loaded into a table, or quarantined. It
-- outlives the files. write_id is the one of the write, so that a load that is
-- recorded twice is one row.
CREATE TABLE supertable_staged_load (
  file_id     TEXT NOT NULL,
  area        TEXT NOT NULL COLLATE NOCASE,
  file        TEXT NOT NULL,
  sha256      TEXT NOT NULL,
  status      TEXT NOT NULL,
  reason      TEXT NOT NULL,
  table_id    BIGINT NOT NULL,
  table_name  TEXT NOT NULL,
  pipe        TEXT NOT NULL,
  write_id    TEXT NOT NULL,
  inserted    BIGINT NOT NULL,
  deleted     BIGINT NOT NULL,
  snapshot_id BIGINT NOT NULL,
  at          TEXT NOT NULL,
  principal   TEXT NOT NULL,
  PRIMARY KEY (file_id, table_id, write_id)
);
CREATE INDEX supertable_staged_load_table ON supertable_staged_load (table_id, sha256);

-- Pipes. target tells two pipes apart that do the same: table and key, folded.
CREATE TABLE supertable_pipe (
  name       TEXT NOT NULL PRIMARY KEY COLLATE NOCASE,
  area       TEXT NOT NULL COLLATE NOCASE,
  table_name TEXT NOT NULL COLLATE NOCASE,
  target     TEXT NOT NULL,
  definition TEXT NOT NULL,
  created    TEXT NOT NULL,
  principal  TEXT NOT NULL
);
CREATE UNIQUE INDEX supertable_pipe_target ON supertable_pipe (area, target);
