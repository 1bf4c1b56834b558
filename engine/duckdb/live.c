#include "live.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

// The part of DuckDB's C interface that is used here; handles are opaque.
extern uint64_t duckdb_data_chunk_get_size(void *chunk);
extern void *duckdb_data_chunk_get_vector(void *chunk, uint64_t column);
extern void *duckdb_vector_get_data(void *vector);
extern uint64_t *duckdb_vector_get_validity(void *vector);
extern bool duckdb_validity_row_is_valid(uint64_t *validity, uint64_t row);
extern void *duckdb_scalar_function_get_extra_info(void *info);
extern void duckdb_scalar_function_set_error(void *info, const char *error);

typedef struct st_set {
	uint64_t token;
	uint64_t nfiles;
	st_bitmap *files;
	struct st_set *next;
} st_set;

enum { BUCKETS = 256 };

struct st_registry {
	pthread_rwlock_t lock; // guards the chains and all that hangs on them
	st_set *buckets[BUCKETS];
};

st_registry *st_registry_new(void) {
	st_registry *r = calloc(1, sizeof *r);
	if (r != NULL) {
		pthread_rwlock_init(&r->lock, NULL);
	}
	return r;
}

static void free_set(st_set *s) {
	free(s->files);
	free(s);
}

void st_registry_free(st_registry *r) {
	for (int i = 0; i < BUCKETS; i++) {
		while (r->buckets[i] != NULL) {
			st_set *s = r->buckets[i];
			r->buckets[i] = s->next;
			free_set(s);
		}
	}
	pthread_rwlock_destroy(&r->lock);
	free(r);
}

int st_registry_add(st_registry *r, uint64_t token, st_bitmap *files, uint64_t nfiles) {
	st_set *s = malloc(sizeof *s);
	if (s == NULL) {
		free(files);
		return 0;
	}
	st_set **bucket = &r->buckets[token % BUCKETS];
	*s = (st_set){token, nfiles, files, NULL};
	pthread_rwlock_wrlock(&r->lock);
	s->next = *bucket;
	*bucket = s;
	pthread_rwlock_unlock(&r->lock);
	return 1;
}

void st_registry_remove(st_registry *r, uint64_t token) {
	pthread_rwlock_wrlock(&r->lock);
	st_set **at = &r->buckets[token % BUCKETS];
	while (*at != NULL && (*at)->token != token) {
		at = &(*at)->next;
	}
	st_set *found = *at;
	if (found != NULL) {
		*at = found->next;
	}
	pthread_rwlock_unlock(&r->lock);
	if (found != NULL) {
		free_set(found);
	}
}

// find needs the lock.
static const st_set *find(st_registry *r, uint64_t token) {
	const st_set *s = r->buckets[token % BUCKETS];
	while (s != NULL && s->token != token) {
		s = s->next;
	}
	return s;
}

// The chunk of a call; DuckDB has flattened its vectors.
typedef struct {
	uint64_t n;
	const uint64_t *token, *file;
	const int64_t *row;
	bool *live;
} st_chunk;

// has_null reports whether any argument is NULL. A scan never asks that, and an
// answer would either show a dead row or hide a live one.
static bool has_null(void *input, uint64_t n) {
	for (uint64_t column = 0; column < 3; column++) {
		uint64_t *validity = duckdb_vector_get_validity(duckdb_data_chunk_get_vector(input, column));
		for (uint64_t i = 0; validity != NULL && i < n; i++) {
			if (!duckdb_validity_row_is_valid(validity, i)) {
				return true;
			}
		}
	}
	return false;
}

// uniform reports whether all rows ask for one token and one file, as they do
// when a scan asks. Without branches, so that the compiler can vectorise it.
static bool uniform(const st_chunk *c) {
	uint64_t differ = 0;
	for (uint64_t i = 0; i < c->n; i++) {
		differ |= (c->token[i] ^ c->token[0]) | (c->file[i] ^ c->file[0]);
	}
	return differ == 0;
}

static bool any_negative(const st_chunk *c) {
	int64_t all = 0;
	for (uint64_t i = 0; i < c->n; i++) {
		all |= c->row[i];
	}
	return all < 0;
}

static bool is_live(st_bitmap b, uint64_t row) {
	return row >= b.nbits || (b.words[row >> 6] >> (row & 63) & 1) == 0;
}

// consecutive reports whether the rows count up by one and have bits in b.
static bool consecutive(const st_chunk *c, st_bitmap b) {
	uint64_t first = (uint64_t)c->row[0], differ = 0;
	for (uint64_t i = 0; i < c->n; i++) {
		differ |= (uint64_t)c->row[i] ^ (first + i);
	}
	return differ == 0 && first < b.nbits && c->n <= b.nbits - first;
}

// fill_run answers for consecutive rows: mostly whole words without a dead row.
static void fill_run(st_bitmap b, const st_chunk *c) {
	uint64_t row = (uint64_t)c->row[0];
	memset(c->live, true, c->n);
	for (uint64_t i = 0; i < c->n;) {
		uint64_t left = c->n - i, step = 64 - (row & 63);
		uint64_t bits = b.words[row >> 6] >> (row & 63);
		if (step > left) {
			step = left;
			bits &= (UINT64_C(1) << left) - 1; // left < 64 here
		}
		for (; bits != 0; bits &= bits - 1) {
			c->live[i + (uint64_t)__builtin_ctzll(bits)] = false;
		}
		i += step;
		row += step;
	}
}

// fill answers for all rows; false when a token, file or row cannot be.
static bool fill(st_registry *r, const st_chunk *c) {
	const st_set *s = NULL;
	if (any_negative(c)) {
		return false;
	}
	if (c->n > 0 && uniform(c)) {
		s = find(r, c->token[0]);
		if (s == NULL || c->file[0] >= s->nfiles) {
			return false;
		}
		st_bitmap b = s->files[c->file[0]];
		if (b.nbits == 0) {
			memset(c->live, true, c->n);
			return true;
		}
		if (consecutive(c, b)) {
			fill_run(b, c);
			return true;
		}
	}
	for (uint64_t i = 0; i < c->n; i++) {
		if (s == NULL || s->token != c->token[i]) {
			s = find(r, c->token[i]);
		}
		if (s == NULL || c->file[i] >= s->nfiles) {
			return false;
		}
		c->live[i] = is_live(s->files[c->file[i]], (uint64_t)c->row[i]);
	}
	return true;
}

void st_live_run(void *info, void *input, void *output) {
	st_registry *r = duckdb_scalar_function_get_extra_info(info);
	st_chunk c = {
	    .n = duckdb_data_chunk_get_size(input),
	    .token = duckdb_vector_get_data(duckdb_data_chunk_get_vector(input, 0)),
	    .file = duckdb_vector_get_data(duckdb_data_chunk_get_vector(input, 1)),
	    .row = duckdb_vector_get_data(duckdb_data_chunk_get_vector(input, 2)),
	    .live = duckdb_vector_get_data(output),
	};
	if (has_null(input, c.n)) {
		duckdb_scalar_function_set_error(info, "st_live: an argument is NULL");
		return;
	}
	pthread_rwlock_rdlock(&r->lock);
	bool ok = fill(r, &c);
	pthread_rwlock_unlock(&r->lock);
	if (!ok) {
		duckdb_scalar_function_set_error(info, "st_live: unknown token, file or row");
	}
}
