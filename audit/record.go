package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/internal/errs"
)

// The outcomes of a record.
const (
	OK     = "ok"
	Begun  = "begun"  // a read that is about to run, when reads wait for their record
	Denied = "denied" // not allowed, whatever the caller was told
	Failed = "error"
)

// Record says who did what, and how it ended.
type Record struct {
	Seq           int64     // its number in the chain
	Time          time.Time // when it ended
	Principal     string
	Roles         []string // hashes of the roles that held
	Policy        int64    // version of the rules that held
	Action        string   // query, append, upsert, alter, drop, role_create, login, …
	Tables        []string
	Snapshot      *int64 // read, or made
	Statement     string // the text, when it is kept
	StatementHash string // SHA-256 of the whole text; "" without a statement
	Rows          int64  // returned or changed
	Outcome       string
	Reason        string // why not
	Took          time.Duration
	Hash          string // the head of the chain after it
}

// Most bytes of a text that are kept; the hash is of the whole.
const (
	maxStatement = 64 << 10
	maxShort     = 1 << 10
	maxTables    = 1000
)

// State puts the statement into the record: its hash, and its text when keep is set.
func (r *Record) State(text string, keep bool) {
	if text == "" {
		return
	}
	r.StatementHash = sum(text)
	if keep {
		r.Statement = text
	}
}

// End says how it ended.
func (r *Record) End(err error) {
	switch errs.KindOf(err) {
	case "":
		r.Outcome = OK
	case errs.Denied:
		r.Outcome, r.Reason = Denied, err.Error()
	default:
		r.Outcome, r.Reason = Failed, err.Error()
	}
}

// cut keeps the beginning of a text, at a border of its characters.
func cut(s string, most int) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + "…"
}

// content is the canonical form of a record: this JSON, fields in this order,
// is what is stored and hashed. A new field must be omitted while empty, so
// that old records keep their bytes.
type content struct {
	Time          string   `json:"time"`
	Principal     string   `json:"principal"`
	Roles         []string `json:"roles"`
	Policy        int64    `json:"policy"`
	Action        string   `json:"action"`
	Tables        []string `json:"tables"`
	Snapshot      *int64   `json:"snapshot"`
	Statement     string   `json:"statement"`
	StatementHash string   `json:"statement_hash"`
	Rows          int64    `json:"rows"`
	Outcome       string   `json:"outcome"`
	Reason        string   `json:"reason"`
	Micros        int64    `json:"duration_us"`
}

const timeForm = "2006-01-02T15:04:05.000000Z"

// normal gives r as it reads after it was stored.
func (r Record) normal() Record {
	r.Time = r.Time.UTC().Truncate(time.Microsecond)
	r.Took = r.Took.Truncate(time.Microsecond)
	r.Principal, r.Action = cut(r.Principal, maxShort), cut(r.Action, maxShort)
	r.Statement, r.Reason = cut(r.Statement, maxStatement), cut(r.Reason, maxShort)
	tables := r.Tables
	r.Tables = []string{}
	for i, t := range tables {
		if i == maxTables {
			r.Tables = append(r.Tables, "…")
			break
		}
		r.Tables = append(r.Tables, cut(t, maxShort))
	}
	r.Roles = append([]string{}, r.Roles...)
	return r
}

// link stores r after the head of a chain.
func (r Record) link(last catalog.AuditHead) catalog.AuditRow {
	r = r.normal()
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	_ = e.Encode(content{ // of these types, all of it can be encoded
		Time: r.Time.Format(timeForm), Principal: r.Principal, Roles: r.Roles, Policy: r.Policy, Action: r.Action, Tables: r.Tables, Snapshot: r.Snapshot,
		Statement: r.Statement, StatementHash: r.StatementHash, Rows: r.Rows, Outcome: r.Outcome, Reason: r.Reason, Micros: r.Took.Microseconds(),
	})
	row := catalog.AuditRow{Seq: last.Seq + 1, Time: catalog.FormatTime(r.Time), Principal: r.Principal, Content: strings.TrimSuffix(text.String(), "\n")}
	row.Hash = hash(last.Hash, row)
	return row
}

// hash is the head after a row: that of a batch of one, whose id is its number
// and whose bytes are its content.
func hash(head string, row catalog.AuditRow) string {
	return Next(head, BatchHash([]string{strconv.FormatInt(row.Seq, 10)}, sum(row.Content)))
}

// parse reads a stored row.
func parse(row catalog.AuditRow) (Record, error) {
	var c content
	if err := json.Unmarshal([]byte(row.Content), &c); err != nil {
		return Record{}, errs.Wrap(errs.Corrupt, err, "the audit's record %d cannot be read", row.Seq)
	}
	at, err := time.Parse(timeForm, c.Time)
	if err != nil {
		return Record{}, errs.Wrap(errs.Corrupt, err, "the audit's record %d has no time", row.Seq)
	}
	return Record{
		Seq: row.Seq, Time: at, Principal: c.Principal, Roles: c.Roles, Policy: c.Policy, Action: c.Action, Tables: c.Tables, Snapshot: c.Snapshot,
		Statement: c.Statement, StatementHash: c.StatementHash, Rows: c.Rows, Outcome: c.Outcome, Reason: c.Reason,
		Took: time.Duration(c.Micros) * time.Microsecond, Hash: row.Hash,
	}, nil
}

// Call is who makes a change and since when. It rides on the context down to
// the commit, where the change is recorded. It decides nothing: that is the
// grant's, which travels as an argument.
type Call struct {
	Principal string
	Roles     []string
	Policy    int64
	Statement string
	Began     time.Time
}

type callKey struct{}

// With lets the records of the changes that are made under ctx tell of the call.
func With(ctx context.Context, c Call) context.Context { return context.WithValue(ctx, callKey{}, c) }

// Recorder makes the records of changes. It is the catalog's Options.Audit.
type Recorder struct {
	Now func() time.Time
	// Owner acts where a call names nobody.
	Owner Call
}

// Record makes the record of a change, inside the change's transaction.
func (o Recorder) Record(ctx context.Context, last catalog.AuditHead, e catalog.Event) catalog.AuditRow {
	now := o.Now()
	r := Record{Time: now, Principal: e.Principal, Action: e.Action, Tables: e.Tables, Snapshot: e.Snapshot, Rows: e.Rows, Outcome: OK}
	call, ok := ctx.Value(callKey{}).(Call)
	if !ok {
		call = o.Owner
	}
	if e.Principal == "" || e.Principal == call.Principal { // not what others did and this call only found
		r.Principal, r.Roles, r.Policy = call.Principal, call.Roles, call.Policy
		r.State(call.Statement, true)
		if !call.Began.IsZero() {
			r.Took = now.Sub(call.Began)
		}
	}
	if e.Statement != "" {
		r.State(e.Statement, true)
	}
	return r.link(last)
}
