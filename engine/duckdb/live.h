// st_live(token, file_index, file_row_number): see live.go for what it means.
#ifndef ST_LIVE_H
#define ST_LIVE_H

#include <stdint.h>

// One file's dead rows: bit i of words[i / 64] is row i. Words may be NULL.
typedef struct {
	const uint64_t *words;
	uint64_t nbits;
} st_bitmap;

// The sets of one engine instance, by token.
typedef struct st_registry st_registry;

st_registry *st_registry_new(void);
void st_registry_free(st_registry *r);

// st_registry_add keeps files, which came from malloc, until the token is
// removed. It returns 0 when there is no memory; files is freed then.
int st_registry_add(st_registry *r, uint64_t token, st_bitmap *files, uint64_t nfiles);

// st_registry_remove returns when no thread reads the set any more.
void st_registry_remove(st_registry *r, uint64_t token);

// st_live_run is the scalar function, in DuckDB's calling convention; its extra
// info is the st_registry.
void st_live_run(void *info, void *input, void *output);

#endif
