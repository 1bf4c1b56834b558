package duckdb

import (
	"context"
	"strings"

	"github.com/supertable-go/supertable/engine"
)

// classes maps the word in front of " Error: " in DuckDB's messages, lower
// case, to the class of an engine.Error. What is not here is "other".
var classes = map[string]string{
	"parser":                 "parser",
	"syntax":                 "parser",
	"binder":                 "binder",
	"parameter not resolved": "binder",
	"parameter not allowed":  "binder",
	"catalog":                "catalog",
	"conversion":             "conversion",
	"mismatch type":          "conversion",
	"decimal":                "conversion",
	"invalid input":          "invalid input",
	"divide by zero":         "invalid input",
	"expression":             "invalid input",
	"out of range":           "out of range",
	"constraint":             "constraint",
	"io":                     "io",
	"network":                "io",
	"http":                   "io",
	"out of memory":          "out of memory",
	"interrupt":              "interrupt",
	"permission":             "permission",
	"internal":               "internal",
	"fatal":                  "internal",
}

// parseError splits DuckDB's message "Binder Error: …" into class and text.
func parseError(msg string) *engine.Error {
	word, text, found := strings.Cut(msg, " Error: ")
	if !found || len(word) > 30 {
		return &engine.Error{Class: "other", Message: msg}
	}
	class, known := classes[strings.ToLower(word)]
	if !known {
		class = "other"
	}
	return &engine.Error{Class: class, Message: text}
}

// ended turns err into ctx's error once ctx is done: whatever the statement
// still said then, it is because it was interrupted.
func ended(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
