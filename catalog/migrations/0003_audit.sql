-- The audit: one row per read, write, change of governance and denial,
-- appended and never changed. Content is package audit's, and so is the chain
-- of the hashes; time and principal stand beside the content to be looked for.
CREATE TABLE supertable_audit (
  seq       BIGINT NOT NULL PRIMARY KEY,
  time      TEXT NOT NULL,
  principal TEXT NOT NULL,
  content   TEXT NOT NULL,
  hash      TEXT NOT NULL
);

-- The end of the chain in a second place, so that records cut off its end are
-- missed, and where it begins since the oldest were trimmed. One row.
CREATE TABLE supertable_audit_head (
  seq          BIGINT NOT NULL,
  hash         TEXT NOT NULL,
  trimmed_seq  BIGINT NOT NULL,
  trimmed_hash TEXT NOT NULL
);
INSERT INTO supertable_audit_head (seq, hash, trimmed_seq, trimmed_hash) VALUES
  (0, '0000000000000000000000000000000000000000000000000000000000000000',
   0, '0000000000000000000000000000000000000000000000000000000000000000');
