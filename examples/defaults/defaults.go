// Package defaults holds the constants that the examples share.
package defaults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/supertable-go/supertable"
)

// What the examples work on.
const (
	Organization = "kladna-soft"
	Super        = "example"
	Table        = "facts"
	UserHash     = "0b85b786b16d195439c0da18fd4478df" // of superuser, the same in every SuperTable
)

// Home is SUPERTABLE_HOME, or ~/supertable.
func Home() string {
	if home := os.Getenv("SUPERTABLE_HOME"); home != "" {
		return home
	}
	user, err := os.UserHomeDir()
	if err != nil {
		user = "."
	}
	return filepath.Join(user, "supertable")
}

// Session opens the lake, makes the SuperTable when it is not there, and
// enters it. The caller closes the lake.
func Session(ctx context.Context) (*supertable.Lake, *supertable.Session, error) {
	lake, err := supertable.Open(ctx, Home(), nil)
	if err != nil {
		return nil, nil, err
	}
	st, _, err := lake.Create(ctx, Organization, Super, nil)
	if err == nil {
		var s *supertable.Session
		if s, err = st.Session(ctx, UserHash); err == nil {
			return lake, s, nil
		}
	}
	_ = lake.Close()
	return nil, nil, err
}

// Print runs a query and prints its size, a rule, and what it read.
func Print(ctx context.Context, s *supertable.Session, sql string, width int) (supertable.Report, error) {
	rows, err := s.Query(ctx, sql, nil)
	if err != nil {
		return supertable.Report{}, err
	}
	var n int64
	for rows.Next() {
		n += rows.Batch().NumRows()
	}
	columns := rows.Schema().NumFields()
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return supertable.Report{}, err
	}
	rule := strings.Repeat("-", width)
	fmt.Printf("%s\nRows: %d , Columns: %d\n%s\n", rule, n, columns, rule)
	return rows.Report(), nil
}
