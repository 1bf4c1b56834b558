package cli

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// newNested makes the printer of an array with children.
func newNested(name string, a arrow.Array) (column, error) {
	switch a := a.(type) {
	case *array.Map:
		return newMap(name, a)
	case *array.Struct:
		return newStruct(name, a)
	case array.ListLike:
		return newList(name, a)
	case *array.Dictionary:
		return newDictionary(name, a)
	case array.Union:
		return newUnion(name, a)
	}
	return column{}, unprintable(name, a.DataType())
}

func newList(name string, a array.ListLike) (column, error) {
	elem := arrow.Field{Type: a.ListValues().DataType()}
	if t, ok := a.DataType().(arrow.ListLikeType); ok {
		elem = t.ElemField()
	}
	elem.Name = name
	c, err := newColumn(elem, a.ListValues())
	if err != nil {
		return column{}, err
	}
	return column{form: formNested, plain: func(b []byte, i int) []byte {
		b = append(b, '[')
		start, end := a.ValueOffsets(i)
		for k := start; k < end; k++ {
			if k > start {
				b = append(b, ',')
			}
			b = c.appendJSON(b, int(k))
		}
		return append(b, ']')
	}}, nil
}

func newStruct(name string, a *array.Struct) (column, error) {
	fields := a.DataType().(*arrow.StructType).Fields()
	cells, keys := make([]column, len(fields)), make([][]byte, len(fields))
	for i, unique := range uniqueNames(fields) {
		f := fields[i]
		f.Name = name + "." + f.Name
		c, err := newColumn(f, a.Field(i))
		if err != nil {
			return column{}, err
		}
		cells[i] = c
		if i > 0 {
			keys[i] = append(keys[i], ',')
		}
		keys[i] = append(appendJSONString(keys[i], unique), ':')
	}
	return column{form: formNested, plain: func(b []byte, i int) []byte {
		b = append(b, '{')
		for k := range cells {
			b = cells[k].appendJSON(append(b, keys[k]...), i)
		}
		return append(b, '}')
	}}, nil
}

// newMap makes objects when the keys are text, else arrays of key and value.
func newMap(name string, a *array.Map) (column, error) {
	t := a.DataType().(*arrow.MapType)
	keyField, itemField := t.KeyField(), t.ItemField()
	keyField.Name, itemField.Name = name, name
	key, err := newColumn(keyField, a.Keys())
	if err != nil {
		return column{}, err
	}
	item, err := newColumn(itemField, a.Items())
	if err != nil {
		return column{}, err
	}
	open, close, before, between, after := "[", "]", `{"key":`, `,"value":`, "}"
	if key.text != nil {
		key.form = formText // a JSON value is no name, its text is
		open, close, before, between, after = "{", "}", "", ":", ""
	}
	return column{form: formNested, plain: func(b []byte, i int) []byte {
		b = append(b, open...)
		start, end := a.ValueOffsets(i)
		for k := start; k < end; k++ {
			if k > start {
				b = append(b, ',')
			}
			b = append(key.appendJSON(append(b, before...), int(k)), between...)
			b = append(item.appendJSON(b, int(k)), after...)
		}
		return append(b, close...)
	}}, nil
}

// newDictionary prints the values that the indices point to.
func newDictionary(name string, a *array.Dictionary) (column, error) {
	c, err := newColumn(arrow.Field{Name: name}, a.Dictionary())
	if err != nil {
		return column{}, err
	}
	at := a.GetValueIndex
	out := column{form: c.form, plain: func(b []byte, i int) []byte { return c.plain(b, at(i)) }}
	if c.text != nil {
		out.text = func(i int) string { return c.text(at(i)) }
	}
	if c.isNull != nil {
		out.isNull = func(i int) bool { return a.IsNull(i) || c.null(at(i)) }
	}
	return out, nil
}

// newUnion prints the member that each value is.
func newUnion(name string, a array.Union) (column, error) {
	members := make([]column, a.NumFields())
	for i, f := range a.UnionType().Fields() {
		f.Name = name
		c, err := newColumn(f, a.Field(i))
		if err != nil {
			return column{}, err
		}
		members[i] = c
	}
	at := func(i int) (*column, int) {
		m := &members[a.ChildID(i)]
		if d, ok := a.(*array.DenseUnion); ok {
			return m, int(d.ValueOffset(i))
		}
		return m, i
	}
	return column{
		form:   formNested,
		isNull: func(i int) bool { m, k := at(i); return m.null(k) },
		plain:  func(b []byte, i int) []byte { m, k := at(i); return m.appendJSON(b, k) },
	}, nil
}
