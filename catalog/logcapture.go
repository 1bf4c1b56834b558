package catalog

import (
	"context"
	"database/sql/driver"
	"slices"
	"strings"

	"github.com/mattn/go-sqlite3"

	"github.com/supertable-go/supertable/internal/errs"
)

// loggedConnector opens the connection that writes: what its transactions
// change goes into the log. Nothing else of the package knows that there is
// one; a catalog in another database opens its connections without.
type loggedConnector struct {
	connector
	log *commitLog
}

func (c loggedConnector) Connect(context.Context) (driver.Conn, error) {
	conn, err := sqliteDriver.Open(c.dsn)
	if err != nil {
		return nil, err
	}
	return &loggedConn{SQLiteConn: conn.(*sqlite3.SQLiteConn), log: c.log, version: -1}, nil
}

// loggedConn takes down the statements of a transaction and logs them at its
// COMMIT. Statements that only read, and those that were rolled back to a
// savepoint, leave nothing.
type loggedConn struct {
	*sqlite3.SQLiteConn
	log   *commitLog
	tx    transaction
	open  bool
	state *positionStatements

	// As they were when the transaction began: its own changes fire the
	// triggers too.
	at      logPosition
	touched bool

	relaxed bool // see SyncOption

	memory  memory // of the transactions so far
	version int64  // of the catalog, for which it holds; -1 for none
}

// transaction is what a transaction has changed so far: the body of its record.
type transaction struct {
	body []byte // after room for the head
	// opaque: a statement failed half-way or cannot be written down, so only a
	// checkpoint can hold what the transaction changed.
	opaque bool
	marks  []mark
}

// mark is where a savepoint was set.
type mark struct {
	name   string
	length int
	opaque bool
}

func (t *transaction) begin() {
	if cap(t.body) > 1<<20 {
		t.body = nil
	}
	*t = transaction{body: append(t.body[:0], make([]byte, logRecordHead)...), marks: t.marks[:0]}
}

func (t *transaction) changed() bool { return len(t.body) > logRecordHead || t.opaque }

// find gives the newest savepoint of that name.
func (t *transaction) find(name string) int {
	for i, v := range slices.Backward(t.marks) {
		if strings.EqualFold(v.name, name) {
			return i
		}
	}
	return -1
}

func (t *transaction) add(sql string, args []driver.NamedValue, affected int64) {
	body, err := appendStatement(t.body, logged{sql, args, affected})
	if err != nil {
		t.opaque = true
		return
	}
	t.body = body
}

// words gives the first two words of a statement, in upper case.
func words(sql string) (first, second string) {
	first, rest := word(sql)
	second, _ = word(rest)
	return strings.ToUpper(first), strings.ToUpper(second)
}

// word takes the first word off a statement, and what stands before it.
func word(sql string) (first, rest string) {
	sql = strings.TrimLeft(sql, " \t\r\n;(")
	for strings.HasPrefix(sql, "--") {
		_, sql, _ = strings.Cut(sql, "\n")
		sql = strings.TrimLeft(sql, " \t\r\n;(")
	}
	for i := range len(sql) {
		switch sql[i] {
		case ' ', '\t', '\r', '\n', ';', '(':
			return sql[:i], sql[i:]
		}
	}
	return sql, ""
}

// ExecContext runs a statement and takes it down.
func (c *loggedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	first, second := words(query)
	switch first {
	case "COMMIT", "END":
		c.open = false
		err := c.log.commit(ctx, c)
		if err != nil {
			c.lost()
		}
		return driver.ResultNoRows, err
	case "SELECT", "PRAGMA", "EXPLAIN", "VALUES":
		return c.SQLiteConn.ExecContext(ctx, query, args)
	}
	if !c.open && first != "BEGIN" && first != "ROLLBACK" {
		return nil, errs.New(errs.Internal, "a change of the catalog outside of a transaction")
	}
	res, err := c.SQLiteConn.ExecContext(ctx, query, args)
	switch first {
	case "BEGIN":
		if err == nil {
			err = c.begun()
		}
	case "ROLLBACK":
		c.rolledBack(query, second, err)
	case "SAVEPOINT", "RELEASE":
		c.savepoint(first, query, err)
	case "INSERT", "UPDATE", "DELETE", "REPLACE", "WITH":
		if err != nil {
			c.tx.opaque = true
			break
		}
		n, _ := res.RowsAffected()
		if n > 0 {
			c.tx.add(query, args, n)
		}
	default:
		if err != nil {
			c.tx.opaque = true
			break
		}
		c.tx.add(query, args, -1)
	}
	return res, err
}

// begun notes where the log stands, with every other writer kept out.
func (c *loggedConn) begun() (err error) {
	if err = c.recollect(); err != nil {
		_ = c.plain(`ROLLBACK`)
		return err
	}
	c.open = true
	c.tx.begin()
	return nil
}

// recollect keeps the memory when nobody else has committed since.
func (c *loggedConn) recollect() error {
	version, err := c.changes()
	if err != nil || version == c.version {
		return err
	}
	c.memory.forget()
	c.version = -1
	if !c.log.off {
		if c.at, c.touched, err = c.position(); err != nil {
			return err
		}
	}
	c.version = version
	return nil
}

// lost ends the memory: what it holds may never have come to be.
func (c *loggedConn) lost() {
	c.memory.forget()
	c.version = -1
}

func lastWord(query string) string {
	fields := strings.Fields(strings.TrimRight(query, "; \n\t"))
	return fields[len(fields)-1]
}

func (c *loggedConn) rolledBack(query, second string, err error) {
	c.lost()
	if second != "TO" && second != "TRANSACTION" || !strings.Contains(strings.ToUpper(query), " TO ") {
		c.open = false
		c.tx.begin()
		return
	}
	i := c.tx.find(lastWord(query))
	if err != nil || i < 0 {
		c.tx.opaque = true
		return
	}
	m := c.tx.marks[i]
	c.tx.body, c.tx.opaque, c.tx.marks = c.tx.body[:m.length], m.opaque, c.tx.marks[:i+1]
}

func (c *loggedConn) savepoint(first, query string, err error) {
	switch i := c.tx.find(lastWord(query)); {
	case err != nil:
		c.tx.opaque = true
	case first == "SAVEPOINT":
		c.tx.marks = append(c.tx.marks, mark{lastWord(query), len(c.tx.body), c.tx.opaque})
	case i >= 0:
		c.tx.marks = c.tx.marks[:i]
	}
}

// QueryContext runs a statement that gives rows. One that changes some as well
// (RETURNING) is refused: how far it came cannot be taken down.
func (c *loggedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	switch first, _ := words(query); first {
	case "SELECT", "PRAGMA", "EXPLAIN", "VALUES", "WITH":
		return c.SQLiteConn.QueryContext(ctx, query, args)
	}
	return nil, errs.New(errs.Internal, "a change of the catalog that gives rows")
}

// PrepareContext prepares a statement that reads. (database/sql asks for one
// only when the others are not there.)
func (c *loggedConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if first, _ := words(query); first != "SELECT" {
		return nil, errs.New(errs.Internal, "a change of the catalog by a prepared statement")
	}
	return c.SQLiteConn.PrepareContext(ctx, query)
}

// BeginTx is refused: its COMMIT would pass the log by.
func (c *loggedConn) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) {
	return nil, errs.New(errs.Internal, "the catalog is written in transactions of its own making")
}

// Close closes the connection and what it prepared.
func (c *loggedConn) Close() error {
	c.state.close()
	return c.SQLiteConn.Close()
}
