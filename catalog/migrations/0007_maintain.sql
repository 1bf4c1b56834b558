-- Files that wait for deletion, with the first snapshot that no longer names
-- them: who reads an older one may still have them open.
CREATE TABLE supertable_obsolete (
  path           TEXT NOT NULL PRIMARY KEY,
  until_snapshot BIGINT NOT NULL
);
