package interop

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// required are the rows of the page, each with the directions that must have a
// result: o ours → DuckDB, t ours on DuckDB's, d DuckDB → ours, n DuckDB on
// ours, r and R the random histories, ours and DuckDB's. What is left out does
// not exist, such as a rollback by DuckDB.
var required = map[string]string{
	"add column":                       "otdnrR",
	"add column with a default":        "otdrR",
	"another default":                  "d",
	"append":                           "otdnrR",
	"append, rows in the catalog":      "otdnrR",
	"checkpoint":                       "dn",
	"clean":                            "otdnrR",
	"comment":                          "dn",
	"create table":                     "otdnrR",
	"delete, dead rows in the catalog": "odnrR",
	"delete, delete files":             "otdnrR",
	"drop column":                      "otdnrR",
	"drop table":                       "odnrR",
	"expire":                           "otdnrR",
	"files added by name":              "d",
	"flush":                            "otdnrR",
	"macro":                            "d",
	"merge files":                      "otdnrR",
	"nested: add column":               "otd",
	"nested: drop column":              "d",
	"nested: rename column":            "d",
	"nested: widen column":             "o",
	"partition":                        "dnR",
	"rename column":                    "otdnrR",
	"rename table":                     "otdnrR",
	"rewrite files":                    "otdnrR",
	"rollback":                         "otr",
	"sort order":                       "dR",
	"undrop":                           "otr",
	"upsert or update, dead rows in the catalog": "otrR",
	"upsert or update, delete files":             "otdnrR",
	"upsert or update, rows in the catalog":      "otdnrR",
	"view":                                       "dn",
	"widen column":                               "otdnr",
}

var directionOf = map[rune]string{'o': oursToDuckDB, 't': oursOnTheirs, 'd': duckDBToOurs, 'n': duckDBOnOurs, 'r': randomOurs, 'R': randomTheirs}

// clients are those of which the page has a result, by the start of their names.
var clients = []string{"@duckdb/node-api ", "duckdb ", "ducklake-dataframe "}

// manySeeds is how many random histories have everything in them.
const manySeeds = 200

// lacking lists what a page of all tests must have and this one has not, or has
// with a difference.
func lacking(l ledger) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	for _, row := range slices.Sorted(maps.Keys(required)) {
		for _, d := range required[row] {
			if l.Operations[row][directionOf[d]] <= 0 && (l.Random.Seeds >= manySeeds || d != 'r' && d != 'R') {
				say("%s, %s: no result", row, directionOf[d])
			}
		}
	}
	for _, v := range values {
		for _, d := range []string{oursToDuckDB, typeOursInlined, duckDBToOurs, typeInlined} {
			if l.Types[v.typ][d] == 0 {
				say("%s, %s: no result", v.typ, d)
			}
		}
	}
	for _, c := range clients {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(l.Clients)), func(have string) bool { return strings.HasPrefix(have, c) }) {
			say("client %s: no result", strings.TrimSpace(c))
		}
	}
	if l.Random.Seeds == 0 {
		say("random histories: no result")
	}
	for name, h := range l.Histories {
		if h.Failed {
			say("%s differs", name)
		}
	}
	for what, result := range l.Refusals {
		if result != adoptionRefused {
			say("%s: %s", what, result)
		}
	}
	for client, result := range l.Clients {
		if result == clientDiffers {
			say("client %s differs", client)
		}
	}
	for _, seed := range l.Random.Failed {
		say("seed %d differs", seed)
	}
	slices.Sort(out)
	return out
}

// TestLacking: a page lacks each row, type, client and direction that no test
// had, and says what differs.
func TestLacking(t *testing.T) {
	t.Parallel()
	whole := func() ledger {
		l := newLedger()
		for row, directions := range required {
			for _, d := range directions {
				count(l.Operations, row, directionOf[d], 1)
			}
		}
		for _, v := range values {
			for _, d := range []string{oursToDuckDB, typeOursInlined, duckDBToOurs, typeInlined} {
				count(l.Types, v.typ, d, 1)
			}
		}
		for _, c := range clients {
			l.Clients[c+"1.0"] = "equal at 3 snapshots"
		}
		l.Random.Seeds = manySeeds
		return l
	}
	if got := lacking(whole()); len(got) > 0 {
		t.Errorf("a whole page lacks %v", got)
	}
	for want, change := range map[string]func(*ledger){
		"append, ours → DuckDB: no result":      func(l *ledger) { delete(l.Operations["append"], oursToDuckDB) },
		"flush, random, DuckDB: no result":      func(l *ledger) { delete(l.Operations["flush"], randomTheirs) },
		"BLOB, DuckDB → ours: no result":        func(l *ledger) { delete(l.Types["BLOB"], duckDBToOurs) },
		"client duckdb: no result":              func(l *ledger) { delete(l.Clients, "duckdb 1.0") },
		"client duckdb 1.0 differs":             func(l *ledger) { l.Clients["duckdb 1.0"] = clientDiffers },
		"TestX differs":                         func(l *ledger) { l.Histories["TestX"] = history{3, true} },
		"seed 7 differs":                        func(l *ledger) { l.Random.Failed = []uint64{7} },
		"adopted: x: NOT refused as it must be": func(l *ledger) { l.Refusals["adopted: x"] = "NOT refused as it must be" },
	} {
		l := whole()
		change(&l)
		if got := lacking(l); len(got) != 1 || got[0] != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	few := whole()
	few.Random.Seeds = 3
	delete(few.Operations["rollback"], randomOurs)
	if got := lacking(few); len(got) > 0 {
		t.Errorf("few seeds: %v", got)
	}
}
