package duckdb

/*
#include "every.h"
*/
import "C"

import (
	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/supertable-go/supertable/engine"
)

// everyFunction is the scalar function's name in SQL. It takes any columns and
// is always true.
//
// DuckDB tells the producer of an Arrow stream which columns it wants and which
// rows it can leave out, and believes that it does so; the producer behind its
// C interface does neither. A statement that read the second of two columns got
// the first one's values. So the view above a stream asks st_every for all
// columns: then none is left out, and since the function is volatile, no filter
// goes below it.
const everyFunction = "st_every"

// registerEvery makes st_every known to the instance.
func registerEvery(c bindings.Connection) error {
	f := bindings.CreateScalarFunction()
	defer bindings.DestroyScalarFunction(&f)
	bindings.ScalarFunctionSetName(f, everyFunction)
	t := bindings.CreateLogicalType(bindings.TypeAny)
	defer bindings.DestroyLogicalType(&t)
	bindings.ScalarFunctionSetVarargs(f, t)
	result := bindings.CreateLogicalType(bindings.TypeBoolean)
	defer bindings.DestroyLogicalType(&result)
	bindings.ScalarFunctionSetReturnType(f, result)
	bindings.ScalarFunctionSetSpecialHandling(f) // true for NULLs too
	bindings.ScalarFunctionSetVolatile(f)
	bindings.ScalarFunctionSetFunction(f, C.st_every_run)
	if bindings.RegisterScalarFunction(c, f) != bindings.StateSuccess {
		return &engine.Error{Class: "internal", Message: everyFunction + " was refused"}
	}
	return nil
}

// wholeSQL reads a relation so that no column is left out of it and no filter
// goes below: a filter is only pushed down when it is about bare columns.
func wholeSQL(from string) string {
	return "SELECT TRY(COLUMNS(*)) FROM " + from + " WHERE " + everyFunction + "(*COLUMNS(*))"
}
