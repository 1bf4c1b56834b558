-- Names of snapshots. What a tag names does not expire.
CREATE TABLE supertable_tag (
  name        TEXT NOT NULL PRIMARY KEY COLLATE NOCASE,
  snapshot_id BIGINT NOT NULL,
  created     TEXT NOT NULL,
  principal   TEXT NOT NULL
);
