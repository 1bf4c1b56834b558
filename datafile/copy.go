package datafile

import (
	"fmt"
	"regexp"
	"strconv"
)

// Encoding is how data files are encoded and compressed.
type Encoding struct {
	// Level of Zstandard, 1 to 22.
	Level int64
	// Version of Parquet's encodings. 2 has deltas for whole numbers, times and
	// the lengths of texts, and splits the bytes of floats: files are smaller
	// and quicker to write and to read. 1 is for readers from before 2020.
	Version int64
}

// EncodingOf is what the options compression_level and parquet_version say.
func EncodingOf(options map[string]int64) Encoding {
	return Encoding{Level: options["compression_level"], Version: options["parquet_version"]}
}

// CopySQL gives the statement by which the engine writes the rows of a query as
// a data file of the columns, with fields as FieldIDs has them. More holds
// further options.
func CopySQL(query, path string, cols []Column, fields string, e Encoding, more string) string {
	return fmt.Sprintf("COPY (%s) TO %s (FORMAT parquet, PARQUET_VERSION v%d, COMPRESSION zstd, COMPRESSION_LEVEL %d, FIELD_IDS %s, RETURN_STATS, WRITE_BLOOM_FILTER %t%s)",
		query, QuoteText(path), e.Version, e.Level, fields, !HasFloat(cols), more)
}

// Portable reports whether every reader takes a file of version 2 with these
// statistics. The deltas of columns of 32 bits are to be reckoned in 32 bits,
// with overflow (https://parquet.apache.org/docs/file-format/data-pages/encodings,
// DELTA_BINARY_PACKED); the engine (1.5.5) reckons them in 64, and what then
// has more than 32 bits only it can read. Values that lie less than 2^31 apart
// have no such deltas.
func Portable(leaves []Leaf, stats []Stats) bool {
	byID := map[int64]Stats{}
	for _, s := range stats {
		byID[s.ColumnID] = s
	}
	for _, l := range leaves {
		s, known := byID[l.ID]
		switch l.Type.Name {
		case "int32", "uint32":
			if !known || s.ValueCount > 0 && !near(s) {
				return false
			}
		case "date":
			if !known || s.ValueCount > 0 && (s.Min == nil || s.Max == nil || !plainDate.MatchString(*s.Min) || !plainDate.MatchString(*s.Max)) {
				return false
			}
		}
	}
	return true
}

// plainDate leaves out dates before the year 1, after 9999, and infinity.
var plainDate = regexp.MustCompile(`^\d{4}-\d\d-\d\d$`)

// near reports whether whole numbers lie less than 2^31 apart, and below it.
func near(s Stats) bool {
	if s.Min == nil || s.Max == nil {
		return false
	}
	lo, err := strconv.ParseInt(*s.Min, 10, 64)
	hi, err2 := strconv.ParseInt(*s.Max, 10, 64)
	return err == nil && err2 == nil && hi < 1<<31 && hi-lo < 1<<31
}
