package interop

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestReport writes the page ST_INTEROP_REPORT of the results that other runs
// left in ST_INTEROP_RESULTS (make interop-report).
func TestReport(t *testing.T) {
	out := os.Getenv("ST_INTEROP_REPORT")
	if out == "" {
		t.Skip("ST_INTEROP_REPORT names no page")
	}
	files, err := filepath.Glob(filepath.Join(os.Getenv("ST_INTEROP_RESULTS"), "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no results in ST_INTEROP_RESULTS: %v", err)
	}
	all := newLedger()
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		one := newLedger()
		if err := json.Unmarshal(text, &one); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		all.add(one)
	}
	if err := os.WriteFile(out, []byte(page(all)), 0o666); err != nil {
		t.Fatal(err)
	}
	if list := lacking(all); len(list) > 0 {
		t.Errorf("the page is not whole:\n%s", strings.Join(list, "\n"))
	}
}

// add counts another run in.
func (l *ledger) add(o ledger) {
	for _, m := range []struct{ to, from map[string]map[string]int }{{l.Operations, o.Operations}, {l.Types, o.Types}} {
		for row, cells := range m.from {
			for column, n := range cells {
				count(m.to, row, column, n)
			}
		}
	}
	maps.Copy(l.Histories, o.Histories)
	maps.Copy(l.Refusals, o.Refusals)
	maps.Copy(l.Clients, o.Clients)
	r := &l.Random
	if o.Random.Seeds > 0 {
		if r.Seeds == 0 {
			r.Least = o.Random.Least
		}
		r.Least, r.Most = min(r.Least, o.Random.Least), max(r.Most, o.Random.Most)
	}
	r.Seeds, r.Steps, r.Snapshots = r.Seeds+o.Random.Seeds, r.Steps+o.Random.Steps, r.Snapshots+o.Random.Snapshots
	r.Failed = append(r.Failed, o.Random.Failed...)
	l.Short = l.Short || o.Short
	l.Versions, l.Day = cmp.Or(l.Versions, o.Versions), max(l.Day, o.Day)
}

// page is the report in Markdown.
func page(l ledger) string {
	var b strings.Builder
	snapshots, failed := 0, 0
	for _, h := range l.Histories {
		snapshots += h.Snapshots
		if h.Failed {
			failed++
		}
	}
	fmt.Fprintf(&b, `# Interop report

Written by TestReport (`+"`make interop-report`"+`) on %s from what the tests in interop/ counted, never by hand. Judge: %s, in a process of its own. %s

%s snapshots of %d lakes were read by both: tables, columns, rows and change feed, by the client that is attached to the head, with AT (VERSION), and by one attached to the
snapshot. %s

%s

## Operations

A number counts the snapshots that the operation made and that both clients read equally; of those that make no snapshot (expire, clean, checkpoint), the runs after which
everything was equal. What a snapshot did is read from its catalog. – is a combination that does not exist, MISSING one that no history had.

`, l.Day, cmp.Or(l.Versions, "unknown"), form(l.Short), grouped(snapshots), len(l.Histories), verdict(failed, "history differs", "histories differ"), randomText(l.Random))
	directions := []string{oursToDuckDB, oursOnTheirs, duckDBToOurs, duckDBOnOurs, randomOurs, randomTheirs}
	table(&b, "operation", withMissing(l), directions)
	b.WriteString("\n## Types\n\nLakes with values of the type, NULLs, extremes, in one file and in several, replaced and deleted, that both read equally.\n\n")
	table(&b, "type", l.Types, []string{oursToDuckDB, typeOursInlined, duckDBToOurs, typeInlined})
	b.WriteString("\n## Refused\n\nWhat we could read or adopt wrong is refused with an error that names it.\n\n| what | result |\n|---|---|\n")
	for _, what := range slices.Sorted(maps.Keys(l.Refusals)) {
		fmt.Fprintf(&b, "| %s | %s |\n", what, l.Refusals[what])
	}
	b.WriteString("\n## Other clients\n\nCounts of rows (and of changes, where the client tells them) of every table of a lake of ours at every snapshot.\n\n| client | result |\n|---|---|\n")
	for _, c := range slices.Sorted(maps.Keys(l.Clients)) {
		fmt.Fprintf(&b, "| %s | %s |\n", c, l.Clients[c])
	}
	for _, c := range clients {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(l.Clients)), func(have string) bool { return strings.HasPrefix(have, c) }) {
			fmt.Fprintf(&b, "| %s | MISSING |\n", strings.TrimSpace(c))
		}
	}
	b.WriteString("\n## Histories\n\n| test | snapshots compared | result |\n|---|--:|---|\n")
	for _, name := range slices.Sorted(maps.Keys(l.Histories)) {
		h := l.Histories[name]
		result := "equal"
		if h.Failed {
			result = "DIFFERS"
		}
		fmt.Fprintf(&b, "| %s | %d | %s |\n", strings.ReplaceAll(name, "_", " "), h.Snapshots, result)
	}
	return b.String()
}

// withMissing are the operations with what should have a result and has none.
func withMissing(l ledger) map[string]map[string]int {
	for row, directions := range required {
		for _, d := range directions {
			if l.Operations[row][directionOf[d]] == 0 {
				count(l.Operations, row, directionOf[d], -1)
			}
		}
	}
	return l.Operations
}

// form tells how thorough the runs were.
func form(short bool) string {
	if short {
		return "This was the short form: the client attached to a snapshot looked at every third, and tables that a snapshot does not touch were not read again."
	}
	return "This was the long form."
}

func randomText(r randomRuns) string {
	if r.Seeds == 0 {
		return "No random history was part of it."
	}
	slices.Sort(r.Failed)
	text := fmt.Sprintf("Random histories: %s seeds (between %d and %d), %s steps by both clients in turn, %s snapshots read by both. %s",
		grouped(r.Seeds), r.Least, r.Most, grouped(r.Steps), grouped(r.Snapshots), verdict(len(r.Failed), "seed differs", "seeds differ"))
	if len(r.Failed) > 0 {
		text += fmt.Sprintf(" %v", r.Failed)
	}
	return text
}

func verdict(n int, one, many string) string {
	switch n {
	case 0:
		return "No difference."
	case 1:
		return "1 " + one + "."
	}
	return fmt.Sprintf("%d %s.", n, many)
}

// table writes rows of counts; a column of differences only where there are any.
func table(b *strings.Builder, first string, rows map[string]map[string]int, columns []string) {
	for _, cells := range rows {
		if cells[differs] > 0 {
			columns = append(slices.Clip(columns), differs)
			break
		}
	}
	fmt.Fprintf(b, "| %s | %s |\n|---|%s\n", first, strings.Join(columns, " | "), strings.Repeat("--:|", len(columns)))
	for _, row := range slices.Sorted(maps.Keys(rows)) {
		fmt.Fprintf(b, "| %s |", row)
		for _, c := range columns {
			cell := "–"
			switch n := rows[row][c]; {
			case n > 0:
				cell = grouped(n)
			case n < 0:
				cell = "MISSING"
			}
			fmt.Fprintf(b, " %s |", cell)
		}
		b.WriteByte('\n')
	}
}

// grouped writes a number with commas.
func grouped(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// TestPage holds the page of a small ledger.
func TestPage(t *testing.T) {
	t.Parallel()
	l, more := newLedger(), newLedger()
	count(l.Operations, "append", oursToDuckDB, 3)
	count(more.Operations, "append", oursToDuckDB, 1234)
	count(more.Operations, "append", differs, 1)
	l.Histories["TestX/a_b"] = history{4, false}
	more.Random = randomRuns{Seeds: 2, Steps: 30, Snapshots: 25, Least: 7, Most: 8, Failed: []uint64{8}}
	l.add(more)
	got := page(l)
	for _, want := range []string{"| append | 1,237 | MISSING | MISSING | MISSING | MISSING | MISSING | 1 |", "| duckdb | MISSING |", "| view | – | – | MISSING | MISSING | – | – | – |", "| TestX/a b | 4 | equal |", "2 seeds (between 7 and 8), 30 steps", "1 seed differs. [8]"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
