package ingest

import (
	"testing"

	"github.com/supertable-go/supertable/catalog"
)

func TestAsksFilters(t *testing.T) {
	for _, c := range []struct {
		keys    int64
		perFile int
		files   int
		want    bool
	}{
		{1, keysPerFile, 3, false},
		{1, keysPerFile, 4, true},
		{8, keysPerFile, 4, true},
		{9, keysPerFile, 4, false},
		{200, keysPerFile, 100, true},
		{201, keysPerFile, 100, false},
		{0, keysPerFile, 100, false},
		{1600, keysPerFile * rowsPerKey, 100, true},
	} {
		if got := asksFilters(c.keys, c.perFile, c.files); got != c.want {
			t.Errorf("%d keys and %d files: %v", c.keys, c.files, got)
		}
	}
}

func TestFiltersToMake(t *testing.T) {
	for name, c := range map[string]struct {
		records []int64
		rows    int64
		files   int
		want    int64 // rows of what is made
	}{
		"all":                            {[]int64{10, 20, 30}, 100, 10, 60},
		"as many as the rows allow":      {[]int64{10, 20, 30, 40}, 35, 10, 30},
		"exactly":                        {[]int64{10, 20, 30}, 60, 10, 60},
		"as many as the files allow":     {[]int64{10, 20, 30}, 100, 2, 30},
		"the first, however large":       {[]int64{500, 20}, 100, 10, 500},
		"none that does not fit memory":  {[]int64{mostRows + 1, 20}, 100, 10, 20},
		"none without rows":              {[]int64{0, -1, 20}, 100, 10, 20},
		"a later one that is too large ": {[]int64{10, 500, 20}, 100, 10, 10},
		"nothing":                        {nil, 100, 10, 0},
	} {
		var files []*catalog.File
		for _, n := range c.records {
			files = append(files, &catalog.File{Records: n})
		}
		var got int64
		for _, f := range filtersToMake(files, c.rows, c.files) {
			got += f.Records
		}
		if got != c.want {
			t.Errorf("%s: %d rows, want %d", name, got, c.want)
		}
	}
}
