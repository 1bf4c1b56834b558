package cli

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/supertable-go/supertable"
)

// session is what the commands need of a supertable.Session.
type session interface {
	WriteFiles(ctx context.Context, table string, paths []string, o *supertable.WriteOptions) (supertable.WriteResult, error)
	WriteFrom(ctx context.Context, table string, r io.Reader, o *supertable.WriteOptions) (supertable.WriteResult, error)
	Query(ctx context.Context, sql string, o *supertable.QueryOptions) (*supertable.Rows, error)
	Tables(ctx context.Context) ([]supertable.TableInfo, error)
	Schema(ctx context.Context, table string) ([]supertable.Column, error)
	HistoryOf(ctx context.Context, table string, o *supertable.HistoryOptions) ([]supertable.HistoryEntry, error)
	Diff(ctx context.Context, table string, from, to int64, o *supertable.DiffOptions) (*supertable.Rows, error)
	Changes(ctx context.Context, table string, from int64, o *supertable.ChangesOptions) (*supertable.Rows, error)
	Rollback(ctx context.Context, table string, to int64, o *supertable.RollbackOptions) (supertable.RollbackResult, error)
	Undrop(ctx context.Context, table string) (supertable.UndropResult, error)
	CreateTag(ctx context.Context, name string, at *int64) (supertable.Tag, error)
	Tags(ctx context.Context) ([]supertable.Tag, error)
	DeleteTag(ctx context.Context, name string) (bool, error)
	Alter(ctx context.Context, table string, c supertable.Alteration) (supertable.AlterResult, error)
	Options(ctx context.Context, table string) ([]supertable.Option, error)
	SetOption(ctx context.Context, table, name, value string) error
	DropTable(ctx context.Context, table string) (bool, error)
	DropSuperTable(ctx context.Context) error
	Check(ctx context.Context, deep bool) (supertable.CheckReport, error)
	Backup(ctx context.Context, dir string) (supertable.BackupResult, error)
	maintainer
	governing
	Audit(ctx context.Context, o *supertable.AuditOptions, each func(supertable.AuditRecord) error) error
	VerifyAudit(ctx context.Context, head string) (supertable.AuditVerification, error)
	stagingSession
	monitoring
}

// governing is what the commands about roles and users need.
type governing interface {
	CreateRole(ctx context.Context, document []byte) (string, error)
	Roles(ctx context.Context) ([]supertable.Role, error)
	Role(ctx context.Context, hashOrName string) (supertable.Role, error)
	DeleteRole(ctx context.Context, hashOrName string) (bool, error)
	CreateUser(ctx context.Context, name string, roles []string, attributes map[string]any) (supertable.User, error)
	Users(ctx context.Context) ([]supertable.User, error)
	User(ctx context.Context, nameOrHash string) (supertable.User, error)
	ModifyUser(ctx context.Context, nameOrHash string, change supertable.UserChange) (supertable.User, error)
	DeleteUser(ctx context.Context, nameOrHash string) (bool, error)
	Explain(ctx context.Context, user, table string) ([]supertable.Access, error)
	PolicyHistory(ctx context.Context) ([]supertable.PolicyChange, error)
}

var _ session = (*supertable.Session)(nil)

// lakeOptions are what the flags and the environment say of the home.
func (a *app) lakeOptions() *supertable.Options {
	return &supertable.Options{Now: a.now, MemoryBytes: a.flags.memory.bytes}
}

// withLake opens the home for the time of do.
func (a *app) withLake(ctx context.Context, do func(*supertable.Lake) error) (err error) {
	lake, err := supertable.Open(ctx, a.flags.home, a.lakeOptions())
	if err != nil {
		return err
	}
	defer func() {
		if e := lake.Close(); err == nil {
			err = e
		}
		if n := lake.AuditLost(); n > 0 { // also when quiet
			writeString(a.stderr, "supertable: warning: the audit could not be written, lost "+plural(n, "record")+"\n")
		}
	}()
	return do(lake)
}

// read opens the session of the flags for do. It creates nothing.
func (a *app) read(ctx context.Context, do func(session) error) error { return a.readFor(ctx, "", do) }

// readFor is read for the sake of a query: when the user is turned away, that
// is how the query ended.
func (a *app) readFor(ctx context.Context, query string, do func(session) error) error {
	return a.withLake(ctx, func(lake *supertable.Lake) error {
		st, err := lake.SuperTable(ctx, a.flags.org, a.flags.super)
		if err != nil {
			return err
		}
		s, err := st.Session(ctx, a.flags.user)
		if err != nil && query != "" {
			_, err = st.Query(ctx, a.flags.user, query, nil)
		}
		if err != nil {
			return err
		}
		return do(s)
	})
}

// write opens the session of the flags for do and creates the SuperTable when
// it is not there; ready is asked before that, so that nothing is made for a
// write that is refused.
func (a *app) write(ctx context.Context, ready func(*supertable.Lake) error, do func(session) error) error {
	return a.withLake(ctx, func(lake *supertable.Lake) (err error) {
		created := false
		defer func() {
			if created && (err == nil || a.flags.format != formatJSON) { // an error stands alone in JSON
				a.note("created SuperTable %s", a.flags.super)
			}
		}()
		st, err := lake.SuperTable(ctx, a.flags.org, a.flags.super)
		if errors.Is(err, supertable.NotFound) {
			if err := ready(lake); err != nil {
				return err
			}
			st, created, err = a.createForWrite(ctx, lake)
			a.did(created)
		}
		if err != nil {
			return err
		}
		s, err := st.Session(ctx, a.flags.user)
		if errors.Is(err, supertable.Denied) {
			return nobodyWrites()
		}
		if err != nil {
			return err
		}
		return do(s)
	})
}

// nobodyWrites is a write's answer to a user that does not exist.
func nobodyWrites() error { return failf(supertable.Denied, "Invalid or nonexistent user.") }

func (a *app) createForWrite(ctx context.Context, lake *supertable.Lake) (*supertable.SuperTable, bool, error) {
	if a.mayCreate() != nil {
		return nil, false, nobodyWrites()
	}
	return lake.Create(ctx, a.flags.org, a.flags.super, nil)
}

// holdStdin keeps standard input in a file without a name, to be read twice.
func (a *app) holdStdin(ctx context.Context) (*os.File, error) {
	f, err := os.CreateTemp("", "supertable-*")
	if err != nil {
		return nil, failf(supertable.Unavailable, "standard input: no temporary file can be made")
	}
	_ = os.Remove(f.Name())
	if _, err := io.Copy(f, interruptible(ctx, a.stdin)); err != nil {
		_ = f.Close()
		return nil, failf(supertable.Unavailable, "standard input: cannot be kept in a temporary file")
	}
	a.stdin = f
	return f, rewind(f)
}

// checkStdin runs check, which reads standard input, and lets it be read again.
func (a *app) checkStdin(ctx context.Context, check func(io.Reader) error) error {
	f, err := a.holdStdin(ctx)
	if err == nil {
		err = check(f)
	}
	if err == nil {
		err = rewind(f)
	}
	return err
}

func rewind(f *os.File) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return failf(supertable.Unavailable, "standard input: cannot be read again")
	}
	return nil
}

// mayCreate refuses to make a SuperTable for anybody but the superuser: nobody
// else is somebody in one that does not exist.
func (a *app) mayCreate() error {
	if !supertable.IsSuperuser(a.flags.user) {
		return failf(supertable.Denied, "User does not exist or is invalid.")
	}
	return nil
}
