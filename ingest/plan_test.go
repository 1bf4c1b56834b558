package ingest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/internal/script"
)

// TestPlanSchema runs testdata/plan.txt: lines "have ID NAME TYPE [hollow]
// [required]" are the table's columns, "in NAME TYPE" the input's; the answer
// gives the table's columns after the write, and how each input column gets
// into the file.
func TestPlanSchema(t *testing.T) {
	script.Run(t, "testdata/plan.txt", func(t *testing.T, c *script.Case) string {
		t.Helper()
		st := &state{hollow: map[int64]bool{}, table: catalog.Table{ID: 1, Name: "t"}, nextID: 1}
		var in []inColumn
		for line := range strings.Lines(c.Input) {
			readColumn(t, strings.TrimSpace(line), st, &in)
		}
		o := Options{NewerThan: c.Value("newer_than", "")}
		o.Key, _ = c.Arg("key")
		_, o.DeleteOnly = c.Arg("delete")
		p, err := planSchema(st, in, o)
		if err != nil {
			return fmt.Sprintf("%s: %s", errs.KindOf(err), err)
		}
		return planText(p)
	})
}

func readColumn(t *testing.T, line string, st *state, in *[]inColumn) {
	t.Helper()
	words := strings.SplitN(line, " ", 4)
	if words[0] == "in" {
		typ, err := datafile.ParseSQL(strings.Join(words[2:], " "))
		if err != nil {
			t.Fatal(err)
		}
		*in = append(*in, inColumn{strings.Trim(words[1], "'"), typ})
		return
	}
	id, err := strconv.ParseInt(words[1], 10, 64)
	if err != nil {
		t.Fatal(line, err)
	}
	text, hollow := strings.CutSuffix(words[3], " hollow")
	text, required := strings.CutSuffix(text, " required")
	typ, err := datafile.ParseSQL(text)
	if err != nil {
		t.Fatal(err)
	}
	cols := []datafile.Column{{ID: id, Name: words[2], Type: typ, Nullable: !required}}
	st.nextID = datafile.AssignIDs(cols, max(st.nextID, id+1))
	st.exists, st.columns, st.hollow[id] = true, append(st.columns, cols...), hollow
}

func planText(p *plan) string {
	var b strings.Builder
	for _, c := range p.columns {
		fmt.Fprintf(&b, "%d %s %s\n", c.ID, c.Name, c.Type.SQL())
	}
	if p.changed {
		b.WriteString("changed\n")
	}
	for _, f := range p.file {
		fmt.Fprintf(&b, "%s %s -> %d %s", f.in.Name, f.in.Type.SQL(), f.column.ID, f.column.Type.SQL())
		if f.hollow {
			b.WriteString(", only NULL")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// TestSameFile: a file written for one plan is right for another exactly when
// ids, names and types agree.
func TestSameFile(t *testing.T) {
	in := []inColumn{{"id", datafile.Type{Name: "int64"}}, {"v", datafile.Type{Name: "varchar"}}}
	empty := &state{}
	wider := &state{exists: true, nextID: 3, columns: []datafile.Column{{ID: 1, Name: "ID", Type: datafile.Type{Name: "int64"}, Nullable: true}, {ID: 2, Name: "v", Type: datafile.Type{Name: "varchar"}, Nullable: true}}}
	moved := &state{exists: true, nextID: 4, columns: []datafile.Column{{ID: 3, Name: "id", Type: datafile.Type{Name: "int64"}, Nullable: true}, {ID: 2, Name: "v", Type: datafile.Type{Name: "varchar"}, Nullable: true}}}
	plans := make([]*plan, 3)
	for i, st := range []*state{empty, wider, moved} {
		p, err := planSchema(st, in, Options{})
		if err != nil {
			t.Fatal(err)
		}
		plans[i] = p
	}
	if !plans[0].sameFile(plans[1]) || plans[0].sameFile(plans[2]) {
		t.Errorf("same file: %t and %t, want true and false", plans[0].sameFile(plans[1]), plans[0].sameFile(plans[2]))
	}
}

func TestOptions(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"compression_level", "22", ""},
		{"COMPRESSION_LEVEL", "", ""},
		{"compression_level", "23", "option compression_level takes a whole number from 1 to 22, not \"23\""},
		{"inline_delete_limit", "0", ""},
		{"inline_delete_limit", "many", "option inline_delete_limit takes a whole number from 0 to 100000, not \"many\""},
		{"target_file_size", "1048575", "option target_file_size takes a whole number from 1048576 to 17179869184, not \"1048575\""},
	} {
		err := CheckOption(c.name, c.value)
		if got := fmt.Sprint(err); err == nil && c.want != "" || err != nil && got != c.want {
			t.Errorf("%s=%s: %v, want %q", c.name, c.value, err, c.want)
		}
	}
	if err := CheckOption("nope", "1"); errs.KindOf(err) != errs.InvalidArgument || !strings.Contains(err.Error(), "target_file_size") {
		t.Errorf("an unknown option: %v", err)
	}
	got := mergeOptions(map[string]string{"compression_level": "5", "inline_delete_limit": "7"}, map[string]string{"compression_level": "9"})
	if got["compression_level"] != 9 || got["inline_delete_limit"] != 7 || got["target_file_size"] != fileBytes {
		t.Errorf("merged: %v", got)
	}
}

func TestValidate(t *testing.T) {
	w := &Writer{Super: "main"}
	for name, c := range map[string]struct {
		table string
		o     Options
		want  string
	}{
		"the super's name":   {"MAIN", Options{}, "SimpleTable name can't match with SuperTable name"},
		"newer_than alone":   {"t", Options{NewerThan: "x"}, "newer_than requires overwrite_columns (--key)"},
		"a delete of newer":  {"t", Options{Key: []string{"a"}, NewerThan: "x", DeleteOnly: true}, "newer_than does not go with a delete"},
		"a delete of what":   {"t", Options{DeleteOnly: true}, "a delete needs key columns (--key); to remove every row ask for all (--delete --all)"},
		"all with a key":     {"t", Options{DeleteAll: true, Key: []string{"a"}}, "deleting all rows takes no key columns"},
		"a level":            {"t", Options{CompressionLevel: 23}, "compression level 23 is not between 1 and 22"},
		"a long id":          {"t", Options{WriteID: strings.Repeat("x", 257)}, "a write id has at most 256 bytes, this one has 257"},
		"a long message":     {"t", Options{Message: strings.Repeat("x", 64<<10+1)}, "message and lineage have at most 64 KiB each"},
		"all that is needed": {"t", Options{Key: []string{"a"}, NewerThan: "b", WriteID: strings.Repeat("x", 256), CompressionLevel: 22}, ""},
	} {
		err := w.Check(c.table, c.o)
		if got := fmt.Sprint(err); err == nil && c.want != "" || err != nil && (got != c.want || errs.KindOf(err) != errs.InvalidArgument) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
