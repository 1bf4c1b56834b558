-- What a comparison of two snapshots looks for: files by when they ended, and
-- by up to where they hold rows of several snapshots. Most files do neither and
-- are in none of these.
CREATE INDEX supertable_idx_data_file_end ON ducklake_data_file (table_id, end_snapshot) WHERE end_snapshot IS NOT NULL;
CREATE INDEX supertable_idx_data_file_partial ON ducklake_data_file (table_id, partial_max) WHERE partial_max IS NOT NULL;
CREATE INDEX supertable_idx_delete_file_begin ON ducklake_delete_file (table_id, begin_snapshot);
CREATE INDEX supertable_idx_delete_file_end ON ducklake_delete_file (table_id, end_snapshot) WHERE end_snapshot IS NOT NULL;
CREATE INDEX supertable_idx_delete_file_partial ON ducklake_delete_file (table_id, partial_max) WHERE partial_max IS NOT NULL;
