package examples

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// want is what each program prints, in the order in which they run; the same
// in both rounds.
var want = []struct{ program, output string }{
	{"create_super_table", "Created SuperTable: example\n"},
	{"write_dummy_data", dummy},
	{"write_dummy_data", again},
	{"read_table_data", read},
	{"read_super_data", read},
	{"read_query_plans", plans},
	{"write_single_data", "columns=5, rows=5, inserted=5, deleted=8\n"},
	{"delete_table", "Drop table successful: true\n"},
	{"delete_table", "Drop table successful: false\n"},
	{"write_single_data", "columns=5, rows=5, inserted=5, deleted=0\n"},
	{"delete_super_table", "Drop super table successful: true\n"},
	{"delete_super_table", "Drop super table successful: false\n"},
}

var (
	dummy = writes(0, 0, 0, 0, 1, 4, 4)
	again = writes(5, 6, 5, 5, 4, 6, 4)
)

func writes(deleted ...int) string {
	var b strings.Builder
	for i, ds := range []string{"1", "2", "6", "7", "3", "4", "5"} {
		b.WriteString("\n=== Running write(ds=" + ds + ") === Table: facts ===\ninserted=5, deleted=" + string(rune('0'+deleted[i])) + "\n")
	}
	return b.String()
}

const rule = "----------------------------------------------------\n"

const read = rule + "Rows: 10 , Columns: 6\n" + rule +
	"PARSING\nMETA\nFILTERING\nCONNECTING\nCREATING_REFLECTION\nEXECUTING_QUERY\nEXTENDING_PLAN\nTOTAL_EXECUTE\nmap[TABLE_FILES:7] map[TABLE_ROWS:26]\n"

const plans = rule + "Rows: 5 , Columns: 6\n" + rule +
	"plan: TABLE_FILES\nplan: TABLE_SIZE\nplan: TABLE_ROWS\nplan: REFLECTIONS\nplan: REFLECTION_SIZE\nplan: REFLECTION_ROWS\n" +
	"plan: FILES_BEFORE_PRUNE\nplan: FILES_KEPT\nplan: FILES_PRUNED\nplan: ENGINE\n" +
	"timing: PARSING\ntiming: META\ntiming: FILTERING\ntiming: CONNECTING\ntiming: CREATING_REFLECTION\ntiming: EXECUTING_QUERY\ntiming: EXTENDING_PLAN\ntiming: TOTAL_EXECUTE\n"

var buildFlags = []string{"build"}

// TestExamples builds the programs once and runs them in order, two rounds in
// one home.
func TestExamples(t *testing.T) {
	bin, home := t.TempDir(), t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "go", append(buildFlags, "-o", bin, "./...")...).CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	for range 2 {
		for _, w := range want {
			cmd := exec.CommandContext(t.Context(), filepath.Join(bin, w.program))
			cmd.Env = append(os.Environ(), "SUPERTABLE_HOME="+home)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%s: %v\n%s", w.program, err, out)
			}
			if string(out) != w.output {
				t.Errorf("%s printed\n%s\nwant\n%s", w.program, out, w.output)
			}
		}
	}
}
