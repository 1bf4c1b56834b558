package interop

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// ledger is what a run of the tests compared. The tests fill it; TestMain
// writes it to the folder ST_INTEROP_RESULTS, and TestReport makes the page of
// all that lie there.
type ledger struct {
	Operations map[string]map[string]int `json:"operations"` // operation, direction: snapshots or runs
	Types      map[string]map[string]int `json:"types"`      // type, direction: lakes
	Histories  map[string]history        `json:"histories"`  // by test
	Refusals   map[string]string         `json:"refusals"`   // by test: what was refused, or what else happened
	Clients    map[string]string         `json:"clients"`
	Random     randomRuns                `json:"random"`
	Versions   string                    `json:"versions"`
	Short      bool                      `json:"short"` // some of it is
	Day        string                    `json:"day"`
}

// history is one lake, compared at its snapshots.
type history struct {
	Snapshots int  `json:"snapshots"`
	Failed    bool `json:"failed"`
}

type randomRuns struct {
	Seeds, Steps, Snapshots int
	Least, Most             uint64 // seed
	Failed                  []uint64
}

var results = struct {
	sync.Mutex
	ledger
}{ledger: newLedger()}

func newLedger() ledger {
	return ledger{Operations: map[string]map[string]int{}, Types: map[string]map[string]int{}, Histories: map[string]history{}, Refusals: map[string]string{}, Clients: map[string]string{}}
}

func count(in map[string]map[string]int, row, column string, n int) {
	if in[row] == nil {
		in[row] = map[string]int{}
	}
	in[row][column] += n
}

// Directions of the report.
const (
	oursToDuckDB    = "ours → DuckDB"
	duckDBToOurs    = "DuckDB → ours"
	duckDBOnOurs    = "DuckDB on ours"
	oursOnTheirs    = "ours on DuckDB's"
	randomOurs      = "random, ours"
	randomTheirs    = "random, DuckDB"
	differs         = "differs"
	typeOursInlined = "ours → DuckDB, inlined"
	typeInlined     = "DuckDB → ours, inlined"
	adoptionRefused = "refused as unsupported, by name"
	clientDiffers   = "differs"
)

// direction names who did something to whose lake.
func (l *lake) direction(byUs bool) string {
	switch {
	case l.random && byUs:
		return randomOurs
	case l.random:
		return randomTheirs
	case byUs && l.ours:
		return oursToDuckDB
	case byUs:
		return oursOnTheirs
	case l.ours:
		return duckDBOnOurs
	default:
		return duckDBToOurs
	}
}

// recorded reports the lake when its test ends.
func (l *lake) recorded(t testing.TB) {
	l.compared, l.chores, l.types = map[int64][]string{}, map[string]int{}, map[string]string{}
	t.Cleanup(func() { l.record(t.Name(), t.Failed()) })
}

// note keeps that both read the snapshot equally, and what made it.
func (l *lake) note(at int64) {
	if _, ok := l.compared[at]; !ok && !l.silent {
		l.compared[at] = nil
		l.compared[at] = l.operations(at)
	}
}

func (l *lake) record(test string, failed bool) {
	if l.silent {
		return
	}
	results.Lock()
	defer results.Unlock()
	add := func(operation, direction string, n int) {
		if failed {
			direction, n = differs, 1
		}
		count(results.Operations, operation, direction, n)
	}
	for _, made := range l.compared {
		for _, m := range made {
			operation, direction, _ := strings.Cut(m, "\x00")
			add(operation, direction, 1)
		}
	}
	for operation, n := range l.chores {
		add(operation, l.direction(true), n)
	}
	for operation, n := range l.duck.chores {
		add(operation, l.direction(false), n)
	}
	for typ, direction := range l.types {
		if failed {
			direction = differs
		}
		count(results.Types, typ, direction, 1)
	}
	if l.random {
		results.Random.Snapshots += len(l.compared)
		return
	}
	h := results.Histories[test]
	results.Histories[test] = history{h.Snapshots + len(l.compared), h.Failed || failed}
}

// recordRandom keeps one random history.
func recordRandom(seed uint64, steps int, failed bool) {
	results.Lock()
	defer results.Unlock()
	r := &results.Random
	if r.Seeds == 0 || seed < r.Least {
		r.Least = seed
	}
	r.Seeds, r.Steps, r.Most = r.Seeds+1, r.Steps+steps, max(r.Most, seed)
	if failed {
		r.Failed = append(r.Failed, seed)
	}
}

// recordRefusal keeps that something was refused as it must be.
func recordRefusal(t *testing.T, what string) {
	t.Cleanup(func() {
		results.Lock()
		defer results.Unlock()
		results.Refusals[what] = adoptionRefused
		if t.Failed() {
			results.Refusals[what] = "NOT refused as it must be"
		}
	})
}

// recordClient keeps what another client read.
func recordClient(t *testing.T, client, read string) {
	t.Cleanup(func() {
		results.Lock()
		defer results.Unlock()
		if t.Failed() {
			read = clientDiffers
		}
		results.Clients[client] = read
	})
}

// saveResults writes the ledger where ST_INTEROP_RESULTS says.
func saveResults() error {
	dir := os.Getenv("ST_INTEROP_RESULTS")
	results.Versions = judges.versions
	if dir == "" || len(results.Operations)+len(results.Refusals) == 0 {
		return nil
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	now := time.Now()
	results.Short = testing.Short()
	results.Day = now.Format(time.DateOnly)
	text, err := json.MarshalIndent(results.ledger, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.json", now.UnixNano())), text, 0o666)
}
