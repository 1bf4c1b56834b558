#include "every.h"

#include <stdbool.h>
#include <string.h>

// The part of DuckDB's C interface that is used here; handles are opaque.
extern uint64_t duckdb_data_chunk_get_size(void *chunk);
extern void *duckdb_vector_get_data(void *vector);

void st_every_run(void *info, void *input, void *output) {
	(void)info;
	memset(duckdb_vector_get_data(output), true, duckdb_data_chunk_get_size(input) * sizeof(bool));
}
