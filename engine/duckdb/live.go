package duckdb

import bindings "github.com/duckdb/duckdb-go-bindings"

type liveSets struct{}

func newLiveSets() *liveSets { return nil }

func (l *liveSets) register(bindings.Connection) error { return nil }
func (l *liveSets) close()                             {}
