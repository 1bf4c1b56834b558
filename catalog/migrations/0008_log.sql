-- Where the log stands (ADR 0011): one row. It moves in the transaction that
-- the log's record is about, so that the record of a transaction which never
-- came to be is written over by the next one.
CREATE TABLE supertable_log (
  seq     BIGINT NOT NULL, -- the last transaction that is in the log
  segment BIGINT NOT NULL, -- the file that the next record goes into, by its first record
  place   BIGINT NOT NULL, -- where in it
  sum     BIGINT NOT NULL, -- the chain's checksum so far
  touched BIGINT NOT NULL  -- 1: the catalog has what the log has not
);
INSERT INTO supertable_log (seq, segment, place, sum, touched) VALUES (0, 0, 0, 0, 1);

-- Another client's commits fire these; ours do too and take the mark back.
CREATE TRIGGER supertable_log_snapshot_added AFTER INSERT ON ducklake_snapshot BEGIN UPDATE supertable_log SET touched = 1; END;
CREATE TRIGGER supertable_log_snapshot_gone AFTER DELETE ON ducklake_snapshot BEGIN UPDATE supertable_log SET touched = 1; END;
CREATE TRIGGER supertable_log_setting_added AFTER INSERT ON ducklake_metadata BEGIN UPDATE supertable_log SET touched = 1; END;
CREATE TRIGGER supertable_log_setting_changed AFTER UPDATE ON ducklake_metadata BEGIN UPDATE supertable_log SET touched = 1; END;
CREATE TRIGGER supertable_log_setting_gone AFTER DELETE ON ducklake_metadata BEGIN UPDATE supertable_log SET touched = 1; END;
CREATE TRIGGER supertable_log_cleaned AFTER DELETE ON ducklake_files_scheduled_for_deletion BEGIN UPDATE supertable_log SET touched = 1; END;
