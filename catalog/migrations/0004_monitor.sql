-- Monitoring records that wait for the table of their stream: durable, outside
-- of every snapshot, in chunks of JSON lines.
CREATE TABLE supertable_chunk (
  stream   TEXT NOT NULL,
  chunk_id TEXT NOT NULL,
  records  BIGINT NOT NULL,
  body     TEXT NOT NULL,
  PRIMARY KEY (stream, chunk_id)
);
