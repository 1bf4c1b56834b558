-- Files of a table by id: ids only grow, so what came since is at its end.
CREATE INDEX supertable_idx_data_file_id ON ducklake_data_file (table_id, data_file_id);
