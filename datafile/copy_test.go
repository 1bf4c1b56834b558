package datafile_test

import (
	"testing"

	"github.com/supertable-go/supertable/datafile"
)

func TestPortable(t *testing.T) {
	for _, c := range []struct {
		typ, lo, hi string
		want        bool
	}{
		{"INTEGER", "-1073741824", "1073741823", true},
		{"INTEGER", "0", "2147483647", true},
		{"INTEGER", "-1", "2147483647", false},
		{"INTEGER", "-2147483648", "2147483647", false},
		{"INTEGER", "?", "1", false},
		{"UINTEGER", "0", "2147483647", true},
		{"UINTEGER", "0", "2147483648", false},
		{"UINTEGER", "4294967295", "4294967295", false},
		{"SMALLINT", "-32768", "32767", true},
		{"BIGINT", "-9223372036854775808", "9223372036854775807", true},
		{"DATE", "0001-01-01", "9999-12-31", true},
		{"DATE", "0044-03-15 (BC)", "2024-01-01", false},
		{"DATE", "2024-01-01", "infinity", false},
		{"VARCHAR", "?", "?", true},
	} {
		text := func(s string) *string {
			if s == "?" {
				return nil
			}
			return &s
		}
		leaf := []datafile.Leaf{{ID: 1, Type: parse(t, c.typ)}}
		if got := datafile.Portable(leaf, []datafile.Stats{{ColumnID: 1, ValueCount: 2, Min: text(c.lo), Max: text(c.hi)}}); got != c.want {
			t.Errorf("%s from %s to %s: %t", c.typ, c.lo, c.hi, got)
		}
		if !datafile.Portable(leaf, []datafile.Stats{{ColumnID: 1, NullCount: 2}}) {
			t.Errorf("%s of NULL", c.typ)
		}
	}
	if datafile.Portable([]datafile.Leaf{{ID: 1, Type: parse(t, "INTEGER")}}, nil) {
		t.Error("without statistics")
	}
}
