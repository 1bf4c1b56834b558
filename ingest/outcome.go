package ingest

import "github.com/supertable-go/supertable/catalog"

// Outcome is what one write does, for those who keep a record of it.
type Outcome struct {
	Table                            string
	Key                              []string
	Columns                          int // width of the input
	Rows, Inserted, Deleted, Skipped int64
	NewFiles, EndedFiles             int // data files that the write names, and that it leaves without a row
}

// note gives the change the record that it keeps of itself.
func (o Options) note(ch *catalog.Change, res *Result) {
	if o.Note == nil {
		return
	}
	ch.Note = func(catalog.Committed) *catalog.Chunk {
		return o.Note(Outcome{
			Table: res.Table, Key: o.Key, Columns: res.Columns, Rows: res.Rows, Inserted: res.Inserted, Deleted: res.Deleted, Skipped: res.Skipped,
			NewFiles: len(ch.Add), EndedFiles: len(ch.Remove),
		})
	}
}
