// Package defaults holds the constants that the examples share.
package defaults

import (
	"context"
	"os"
	"path/filepath"

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

// Options make a file of every write, however small, so that the numbers of
// files that the examples print mean something.
func Options() *supertable.Options { return &supertable.Options{InlineRows: -1} }

// Session opens the lake, makes the SuperTable when it is not there, and
// enters it. The caller closes the lake.
func Session(ctx context.Context) (*supertable.Lake, *supertable.Session, error) {
	lake, err := supertable.Open(ctx, Home(), Options())
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
