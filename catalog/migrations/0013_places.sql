-- DuckDB takes inlined tables that are empty and no longer the newest away
-- without a snapshot; the log has to hear of it.
CREATE TRIGGER supertable_log_place_gone AFTER DELETE ON ducklake_inlined_data_tables BEGIN UPDATE supertable_log SET touched = 1; END;
