package staging

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/internal/errs"
)

// maxName leaves room for the time in front of a name: file systems allow 255 bytes.
const maxName = 200

// CheckArea holds the rule for names of areas, which is that of tables.
func CheckArea(area string) error {
	if catalog.CheckTableName(area, "") != nil {
		return errs.New(errs.InvalidArgument, "Invalid staging area: %s. Areas are named as tables are: letters, digits and _, not a digit first, at most 128.", quoted(area))
	}
	return nil
}

// checkName refuses names that could leave the area, hide in it or break a line.
func checkName(name string) error {
	reason := ""
	switch {
	case name == "" || strings.Trim(name, ". ") == "":
		reason = "it is empty"
	case len(name) > maxName:
		return errs.New(errs.InvalidArgument, "Invalid file name: it has %d bytes, at most %d are allowed", len(name), maxName)
	case !utf8.ValidString(name):
		reason = "it is not UTF-8"
	case strings.ContainsAny(name, `/\`):
		reason = "it leaves its area"
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		reason = "it has characters that cannot be printed"
	}
	if reason != "" {
		return errs.New(errs.InvalidArgument, "Invalid file name %s: %s", quoted(name), reason)
	}
	return nil
}

// parquetName gives a name that ends in .parquet, once.
func parquetName(name string) string {
	const ext = ".parquet"
	if len(name) >= len(ext) && strings.EqualFold(name[len(name)-len(ext):], ext) {
		return name
	}
	return name + ext
}

// stamped puts the time in front of a name: UTC, to the millisecond, so that
// names sort by it.
func stamped(t time.Time, name string) string {
	stamp := t.UTC().Format("20060102150405.000")
	return strings.Replace(stamp, ".", "", 1) + "_" + name
}

// quoted shows a name in a message, on one line and not too long.
func quoted(name string) string {
	if len(name) > 80 {
		name = name[:80] + "…"
	}
	return strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '·'
	}, `"`+name+`"`), "·")
}

// find picks the file called name: by its whole name, or by the one it was
// given when only one file has that.
func find(files []catalog.StagedFile, area, name string) (catalog.StagedFile, error) {
	var named []catalog.StagedFile
	for _, f := range files {
		if f.File == name {
			return f, nil
		}
		if f.Name == name {
			named = append(named, f)
		}
	}
	switch len(named) {
	case 0:
		return catalog.StagedFile{}, errs.New(errs.NotFound, "Staged file not found: %s in %s", quoted(name), quoted(area))
	case 1:
		return named[0], nil
	}
	return catalog.StagedFile{}, errs.New(errs.InvalidArgument, "%d files in %s are named %s; give the whole name, such as %s", len(named), area, quoted(name), named[len(named)-1].File)
}
