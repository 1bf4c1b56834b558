-- Data files that have the bytes of an earlier one: a rollback or an undrop
-- brought its rows back under a new name. origin is the first of them; written
-- is the snapshot whose columns the bytes have.
CREATE TABLE supertable_restored (
  file_id  BIGINT NOT NULL PRIMARY KEY,
  table_id BIGINT NOT NULL,
  origin   BIGINT NOT NULL,
  written  BIGINT NOT NULL
);
CREATE INDEX supertable_restored_table ON supertable_restored (table_id);
