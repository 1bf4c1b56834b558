package query

import (
	"math"
	"time"

	"github.com/supertable-go/supertable/scan"
)

// report collects what a query read and how long its parts took, under the
// documented names (scenario R29).
type report struct {
	now         func() time.Time
	begin, last time.Time
	timings     []map[string]float64
	counts      scan.Counts
	rows        int64
	head        int64
	snapshots   map[string]int64
	engine      string
	finished    bool
	reflections int64
}

func (r *report) start(now func() time.Time) {
	r.now = now
	r.begin = now()
	r.last = r.begin
	r.snapshots = map[string]int64{}
}

func (r *report) done(phase string) {
	t := r.now()
	r.timings = append(r.timings, map[string]float64{phase: seconds(t.Sub(r.last))})
	r.last = t
}

func seconds(d time.Duration) float64 { return math.Round(d.Seconds()*1e6) / 1e6 }

func (r *report) snapshot(s *Super, id int64, own bool) {
	r.snapshots[s.Name] = id
	if own {
		r.head = id
	}
}

func (r *report) add(c scan.Counts) {
	r.counts.FilesTotal += c.FilesTotal
	r.counts.FilesRead += c.FilesRead
	r.counts.BytesTotal += c.BytesTotal
	r.counts.BytesRead += c.BytesRead
	r.counts.Rows += c.Rows
	r.counts.RowsRead += c.RowsRead
	r.reflections++
}

func (r *report) finish() {
	if r.finished {
		return
	}
	r.finished = true
	r.done("EXTENDING_PLAN")
	r.timings = append(r.timings, map[string]float64{"TOTAL_EXECUTE": seconds(r.last.Sub(r.begin))})
}

// Report says what the query read; complete after the end or Close.
type Report struct {
	Timings                                                []map[string]float64
	PlanStats                                              []map[string]any
	FilesTotal, FilesRead, BytesTotal, BytesRead, Rows, At int64
	Snapshots                                              map[string]int64 // nil for one SuperTable
	Engine                                                 string
}

// Report gives the report so far.
func (r *Rows) Report() Report { return r.q.report.public() }

func (r *report) public() Report {
	out := Report{
		Timings: r.timings, FilesTotal: r.counts.FilesTotal, FilesRead: r.counts.FilesRead, BytesTotal: r.counts.BytesTotal, BytesRead: r.counts.BytesRead,
		Rows: r.rows, At: r.head, Engine: r.engine,
		PlanStats: []map[string]any{
			{"TABLE_FILES": r.counts.FilesTotal},
			{"TABLE_SIZE": r.counts.BytesTotal},
			{"TABLE_ROWS": r.counts.Rows},
			{"REFLECTIONS": r.reflections},
			{"REFLECTION_SIZE": r.counts.BytesRead},
			{"REFLECTION_ROWS": r.counts.RowsRead},
			{"FILES_BEFORE_PRUNE": r.counts.FilesTotal},
			{"FILES_KEPT": r.counts.FilesRead},
			{"FILES_PRUNED": r.counts.FilesTotal - r.counts.FilesRead},
			{"ENGINE": r.engine},
		},
	}
	if len(r.snapshots) > 1 {
		out.Snapshots = r.snapshots
	}
	return out
}
