package source

import (
	"github.com/supertable-go/supertable/internal/errs"
)

// remedy says, for each type that data files cannot keep exactly, what to cast
// the column to.
var remedy = map[string]string{
	"HUGEINT":             "DECIMAL(38,0) or VARCHAR",
	"UHUGEINT":            "DECIMAL(38,0) or VARCHAR",
	"BIGNUM":              "DECIMAL(38,0) or VARCHAR",
	"INTERVAL":            "BIGINT (a number of microseconds) or VARCHAR",
	"TIME WITH TIME ZONE": "TIME or VARCHAR",
	"TIME_NS":             "TIME or VARCHAR",
	"BIT":                 "VARCHAR or BLOB",
	"VARIANT":             "JSON or a STRUCT",
	"GEOMETRY":            "BLOB (WKB) or VARCHAR (WKT)",
	tEnum:                 "VARCHAR",
	tUnion:                "a STRUCT or JSON",
	tArray:                "a list",
}

// CheckStorable refuses the first column whose type data files cannot keep
// exactly, naming the column, the type and what to cast it to. The kind of the
// error is type_conflict.
func CheckStorable(cols []Column) error {
	for _, c := range cols {
		t, err := parseType(c.Type)
		if err != nil {
			return errs.New(errs.TypeConflict, "column %s: %s cannot be stored: cast it to VARCHAR or BLOB", quoteShort(c.Name), oneLine(c.Type, 80))
		}
		if err := storable(c.Name, t); err != nil {
			return err
		}
	}
	return nil
}

func storable(name string, t *sqlType) error {
	var err error
	t.contains(func(in *sqlType) bool {
		err = storableHere(name, t, in)
		return err != nil
	})
	return err
}

// storableHere judges one type inside the whole type of a column.
func storableHere(name string, whole, in *sqlType) error {
	if to, ok := remedy[in.name]; ok {
		if in.name == tArray {
			to = in.elem.String() + "[]"
		}
		if in == whole {
			return errs.New(errs.TypeConflict, "column %s: %s cannot be stored: cast it to %s", quoteShort(name), oneLine(in.String(), 80), to)
		}
		return errs.New(errs.TypeConflict, "column %s: %s inside %s cannot be stored: cast it to %s",
			quoteShort(name), in.name, oneLine(whole.String(), 80), to)
	}
	if in.name != tStruct {
		return nil
	}
	if len(in.field) == 0 {
		return errs.New(errs.TypeConflict, "column %s: a struct without fields cannot be stored: cast it to JSON", quoteShort(name))
	}
	seen := make(map[string]bool, len(in.field))
	for _, f := range in.field {
		if f.name == "" {
			return errs.New(errs.TypeConflict, "column %s: a struct with unnamed fields cannot be stored: cast it to a STRUCT with names", quoteShort(name))
		}
		if seen[fold(f.name)] {
			return errs.New(errs.InvalidArgument, "column %s: two fields are named %s (case does not count)", quoteShort(name), quoteShort(f.name))
		}
		seen[fold(f.name)] = true
	}
	return nil
}
