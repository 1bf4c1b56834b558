package ingest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/datafile"
	"github.com/supertable-go/supertable/internal/script"
)

// TestPlanRestore shows plans as text. A line of input is a file: then or now,
// its id, its rows, and the dead ones.
func TestPlanRestore(t *testing.T) {
	script.Run(t, "testdata/restore.txt", func(t *testing.T, c *script.Case) string {
		t.Helper()
		sides := map[string][]fileState{}
		for line := range strings.Lines(c.Input) {
			w := strings.Fields(line)
			id, _ := strconv.ParseInt(w[1], 10, 64)
			rows, _ := strconv.ParseInt(w[2], 10, 64)
			f := fileState{file: catalog.File{ID: id, Records: rows}, dead: datafile.NewBitmap(rows)}
			for _, d := range w[3:] {
				p, _ := strconv.ParseInt(d, 10, 64)
				f.dead.Set(p)
			}
			sides[w[0]] = append(sides[w[0]], f)
		}
		p := planRestore(sides["then"], sides["now"])
		out := fmt.Sprintf("remove %v\n", p.remove)
		for _, r := range p.restore {
			out += fmt.Sprintf("restore %d dead %v\n", r.file.ID, r.dead.Positions())
		}
		return out + fmt.Sprintf("inserted %d deleted %d", p.inserted, p.deleted)
	})
}
