// Package monitor keeps streams of monitoring records: what programs log, how
// each query ended, what each write did.
//
// A stream is a system table __<stream>__ of the same lake, written through the
// ordinary write path, so that SQL reads it. Records on their way there wait as
// chunks beside the catalog (catalog.Chunk): durable, and outside of every
// snapshot, so that reading the lake never moves it. The transaction that
// writes records into the table removes their chunk, so a record is never lost
// and never doubled, whoever is killed when and however many processes log.
//
// Reading order: record.go (what a record is), columns.go (how records of any
// shape meet a table), store.go (chunks and tables), logger.go, reader.go,
// notes.go (records that the lake keeps of itself), retention.go.
package monitor

import (
	"strings"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/rbac"
)

// The streams that a lake keeps of itself: how queries ended, what writes did.
const (
	Plans = "plans"
	Stats = "stats"
)

// Stream gives the name of a stream; __metrics__ is metrics too.
func Stream(name string) (string, error) {
	if SystemTable(name) {
		name = name[2 : len(name)-2]
	}
	if strings.EqualFold(name, auditStream) {
		return "", errs.New(errs.InvalidArgument, "the stream name %s is reserved: the audit keeps itself, and audit show reads it", auditStream)
	}
	if name == "" || catalog.CheckTableName(Table(name), "") != nil {
		return "", errs.New(errs.InvalidArgument, "Invalid stream name: %q. Stream names contain only letters, digits and underscores, at most 124.", errs.Cut(name, 80))
	}
	return strings.ToLower(name), nil
}

// Table is the table of a stream.
func Table(stream string) string { return "__" + stream + "__" }

// SystemTable reports whether a table is a stream's.
func SystemTable(name string) bool { return rbac.SystemTable(name) }

// Own reports whether the lake writes the stream itself.
func Own(stream string) bool { return stream == Plans || stream == Stats }

// auditStream would be the name of the table __audit__, which is no stream.
const auditStream = "audit"
