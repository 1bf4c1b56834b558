package monitor

import (
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// The types that a stream's columns have, as SQL names them.
const (
	bigint  = "BIGINT"
	double  = "DOUBLE"
	logical = "BOOLEAN"
	varchar = "VARCHAR"
	nothing = "NULL" // no value so far
)

// Column is a column of a stream's table.
type Column struct{ Name, Type string }

// facts are what a batch has under one name.
type facts struct {
	name                            string // in its first spelling
	bools, ints, floats, texts, raw bool
	big, broken                     bool // an integer beyond float64's; a float that is no integer
}

func (f *facts) add(v value) {
	switch v.kind {
	case boolean:
		f.bools = true
	case integer:
		f.ints = true
		f.big = f.big || v.i > 1<<53 || v.i < -(1<<53)
	case float:
		f.floats = true
		f.broken = f.broken || !exactInteger(v.f)
	case text:
		f.texts = true
	case other:
		f.raw = true
	}
}

// natural is the type of the values alone.
func (f *facts) natural() string {
	numbers := f.ints || f.floats
	switch {
	case f.texts || f.raw || f.bools && numbers || f.floats && f.big:
		return varchar
	case f.bools:
		return logical
	case f.floats:
		return double
	case f.ints:
		return bigint
	}
	return nothing
}

// layout says how a batch is written.
type layout struct {
	columns []Column // of the batch
	retype  []Column // columns of the table that need another type first
	index   map[string]int
}

// plan fits rows to the columns of a table (decision 19): numbers unify,
// anything else turns a column into text. It is a pure function.
func plan(table []Column, rows []row) layout {
	all, order := gather(rows)
	l := layout{index: map[string]int{}}
	for _, f := range order {
		typ, was, name := f.natural(), "", f.name
		for _, c := range table {
			if strings.EqualFold(c.Name, name) {
				was, name = c.Type, c.Name
			}
		}
		if was != "" {
			if typ == nothing {
				continue // what is absent is NULL
			}
			typ = f.meet(typ, was)
			if typ != was && was != nothing {
				l.retype = append(l.retype, Column{name, typ})
			}
		}
		for spelling, g := range all {
			if g == f {
				l.index[spelling] = len(l.columns)
			}
		}
		l.columns = append(l.columns, Column{name, typ})
	}
	return l
}

// gather collects the facts per column; all finds them by every spelling.
func gather(rows []row) (all map[string]*facts, order []*facts) {
	all = map[string]*facts{}
	folded := map[string]*facts{}
	for _, r := range rows {
		for _, v := range r {
			f := all[v.name]
			if f == nil {
				l := strings.ToLower(v.name)
				if f = folded[l]; f == nil {
					f = &facts{name: v.name}
					folded[l] = f
					order = append(order, f)
				}
				all[v.name] = f
			}
			f.add(v.value)
		}
	}
	return all, order
}

// meet gives the type that a column of type was needs to hold the values too.
func (f *facts) meet(natural, was string) string {
	whole := natural == bigint || natural == double && !f.broken
	switch {
	case was == varchar || was == natural:
		return was
	case was == nothing:
		return natural
	case was == bigint && natural == double && whole:
		return bigint
	case was == bigint && natural == double:
		return double
	case was == double && natural == bigint && !f.big:
		return double
	case smallInteger[was] && whole:
		return bigint
	case (smallInteger[was] || was == "FLOAT") && (natural == double || natural == bigint && !f.big):
		return double
	}
	return varchar
}

// smallInteger are the types that another writer may have given a column and
// that BIGINT holds.
var smallInteger = map[string]bool{"TINYINT": true, "SMALLINT": true, "INTEGER": true, "UTINYINT": true, "USMALLINT": true, "UINTEGER": true}

var arrowTypes = map[string]arrow.DataType{
	bigint: arrow.PrimitiveTypes.Int64, double: arrow.PrimitiveTypes.Float64, logical: arrow.FixedWidthTypes.Boolean,
	varchar: arrow.BinaryTypes.String, nothing: arrow.Null,
}

// batch makes the rows a stream of one batch. The caller releases it.
func (l layout) batch(rows []row) (array.RecordReader, error) {
	fields := make([]arrow.Field, len(l.columns))
	for i, c := range l.columns {
		fields[i] = arrow.Field{Name: c.Name, Type: arrowTypes[c.Type], Nullable: true}
	}
	schema := arrow.NewSchema(fields, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	b.Reserve(len(rows))
	for n, r := range rows {
		for _, f := range r {
			if i, ok := l.index[f.name]; ok && f.kind != null {
				appendValue(b.Field(i), f.value)
			}
		}
		for i := range fields {
			if c := b.Field(i); c.Len() == n {
				c.AppendNull()
			}
		}
	}
	rec := b.NewRecordBatch()
	defer rec.Release()
	return array.NewRecordReader(schema, []arrow.RecordBatch{rec})
}

func appendValue(b array.Builder, v value) {
	switch b := b.(type) {
	case *array.Int64Builder:
		if v.kind == float {
			b.Append(int64(v.f))
		} else {
			b.Append(v.i)
		}
	case *array.Float64Builder:
		if v.kind == integer {
			b.Append(float64(v.i))
		} else {
			b.Append(v.f)
		}
	case *array.BooleanBuilder:
		b.Append(v.i == 1)
	case *array.StringBuilder:
		b.Append(v.text())
	case *array.NullBuilder:
		b.AppendNull()
	}
}
