// st_every(column, ...): see every.go for what it means.
#ifndef ST_EVERY_H
#define ST_EVERY_H

#include <stdint.h>

// st_every_run is the scalar function, in DuckDB's calling convention.
void st_every_run(void *info, void *input, void *output);

#endif
