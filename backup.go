package supertable

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/rbac"
	"github.com/supertable-go/supertable/storage"
)

// BackupResult says what a backup holds, or what a restore brought back.
type BackupResult struct {
	Snapshot int64 `json:"snapshot"` // the newest one
	Files    int64 `json:"files"`    // all files, the catalog's too
	Bytes    int64 `json:"bytes"`
}

// manifestName is the file that makes a folder a backup. It is written last.
const manifestName = "backup.json"

// manifestVersion is the version of a backup's layout that we write and read.
const manifestVersion = 1

// manifest says what a backup holds.
type manifest struct {
	Version      int            `json:"version"`
	Organization string         `json:"organization"`
	Super        string         `json:"super"`
	Snapshot     int64          `json:"snapshot"`
	Created      string         `json:"created"`
	Files        []manifestFile `json:"files"`
}

type manifestFile struct {
	Path   string `json:"path"` // below the backup, with slashes
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

func (m *manifest) result() BackupResult {
	r := BackupResult{Snapshot: m.Snapshot, Files: int64(len(m.Files))}
	for _, f := range m.Files {
		r.Bytes += f.Bytes
	}
	return r
}

// Backup copies the SuperTable into the folder dir, which must not exist or be
// empty and must lie outside of the home: the catalog with all its snapshots,
// every file that one of them names, the staging areas and a log. Writers go
// on meanwhile; the backup holds the state of one moment. Every file is
// verified against its checksum on the way: a damaged one is Corrupt and there
// is no backup. The folder appears when everything in it is on disk. It needs
// CONTROL.
func (s *Session) Backup(ctx context.Context, dir string) (out BackupResult, err error) {
	defer s.kept(ctx, "backup", "", false, func() int { return int(out.Files) })(&err)
	if err := s.need(ctx, rbac.Control, ""); err != nil {
		return BackupResult{}, err
	}
	target, err := backupTarget(dir, s.st.lake.home)
	if err != nil {
		return BackupResult{}, err
	}
	if err := s.st.catalog.CatchUp(ctx); err != nil {
		return BackupResult{}, err
	}
	release, err := s.st.catalog.Protect(ctx)
	if err != nil {
		return BackupResult{}, err
	}
	defer release()
	made, drop, err := besides(target)
	if err != nil {
		return BackupResult{}, err
	}
	defer drop()
	m := &manifest{Version: manifestVersion, Organization: s.st.org, Super: s.st.name, Created: catalog.FormatTime(s.st.lake.opts.Now())}
	if err := s.st.copyInto(ctx, made, m); err != nil {
		return BackupResult{}, err
	}
	if err := m.write(made); err != nil {
		return BackupResult{}, err
	}
	if err := storage.SyncTree(made); err != nil {
		return BackupResult{}, err
	}
	return m.result(), storage.Appear(made, target)
}

// backupTarget resolves where a backup goes and refuses what is in the way.
func backupTarget(dir, home string) (string, error) {
	if dir == "" {
		return "", errs.New(errs.InvalidArgument, "the folder of the backup has no name")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", errs.Wrap(errs.InvalidArgument, err, "the folder of the backup cannot be found")
	}
	if info, err := os.Lstat(abs); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if abs, err = filepath.EvalSymlinks(abs); err != nil {
			return "", errs.New(errs.AlreadyExists, "%s is a link that leads nowhere", dir)
		}
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(abs))
	if info, serr := os.Stat(filepath.Dir(abs)); err != nil || serr == nil && !info.IsDir() {
		return "", errs.New(errs.NotFound, "the folder %s does not exist; make it first", filepath.Dir(dir))
	}
	target := filepath.Join(parent, filepath.Base(abs))
	if real, err := filepath.EvalSymlinks(home); err == nil {
		home = real
	}
	if rel, err := filepath.Rel(home, target); err == nil && filepath.IsLocal(rel) {
		return "", errs.New(errs.InvalidArgument, "%s lies inside the home; a backup belongs elsewhere, best on another disk", dir)
	}
	entries, err := os.ReadDir(target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case errors.Is(err, syscall.ENOTDIR):
		return "", errs.New(errs.AlreadyExists, "%s is a file; name a folder that does not exist or is empty", dir)
	case err != nil:
		return "", storage.Error(err, "look into the folder of the backup")
	case len(entries) > 0:
		return "", errs.New(errs.AlreadyExists, "%s is not empty; name a folder that does not exist or is empty", dir)
	}
	return target, nil
}

// besides makes a hidden folder beside target that is to become it.
func besides(target string) (made string, drop func(), err error) {
	return restoring(filepath.Dir(target), "."+filepath.Base(target)+".partial-")
}

// dropPartial removes an unfinished folder unless its maker lives.
func dropPartial(dir string) {
	if release, ok, err := storage.LockDir(dir); err == nil && ok {
		_ = os.RemoveAll(dir)
		release()
	}
}

// copyInto copies the SuperTable into dir and enters what it copied.
func (s *SuperTable) copyInto(ctx context.Context, dir string, m *manifest) error {
	info, err := s.catalog.CopyTo(ctx, dir)
	if err != nil {
		return err
	}
	m.Snapshot = info.Snapshot
	if err := m.enterTree(ctx, dir); err != nil {
		return err
	}
	jobs := make([]copyJob, 0, len(info.Files)+len(info.Staged))
	for _, f := range info.Files {
		jobs = append(jobs, copyJob{from: f.Path, rel: "data/" + f.Rel, bytes: f.Size, sha256: f.SHA256, must: true})
	}
	for _, f := range info.Staged {
		jobs = append(jobs, copyJob{from: s.folder.Staged(f.Area, f.File), rel: stagedPath(f), bytes: f.Bytes, sha256: f.SHA256})
	}
	files, err := copyAll(ctx, dir, jobs, openPlain)
	if err != nil {
		return err
	}
	m.Files = append(m.Files, files...)
	return s.removedMeanwhile(ctx, info.Staged, m)
}

// stagedPath is where a staged file lies in a backup.
func stagedPath(f catalog.StagedFile) string { return "staging/" + f.Area + "/" + f.File }

// removedMeanwhile holds that the staged files which the backup has not were
// removed while it was made: a file that the index still names is lost.
func (s *SuperTable) removedMeanwhile(ctx context.Context, staged []catalog.StagedFile, m *manifest) error {
	has := m.byPath()
	for _, f := range staged {
		if _, ok := has[stagedPath(f)]; ok {
			continue
		}
		named, err := s.catalog.NamesStaged(ctx, f.Area, f.File)
		if err != nil {
			return err
		}
		if named {
			return errs.New(errs.Corrupt, "the staged file %s is missing; remove it with: stage rm %s %s", f.File, f.Area, f.File)
		}
	}
	return nil
}

func (m *manifest) byPath() map[string]manifestFile {
	out := make(map[string]manifestFile, len(m.Files))
	for _, f := range m.Files {
		out[f.Path] = f
	}
	return out
}

// holds compares a backup with what its catalog names: every file of a snapshot
// must be in it, with the bytes that were written, and so must staged files
// unless they were removed while it was made.
func (m *manifest) holds(info catalog.CopyInfo) error {
	if info.Snapshot != m.Snapshot {
		return errs.New(errs.Corrupt, "the backup's catalog is at snapshot %d, its %s says %d", info.Snapshot, manifestName, m.Snapshot)
	}
	has := m.byPath()
	for _, f := range info.Files {
		got, ok := has["data/"+f.Rel]
		if !ok {
			return errs.New(errs.Corrupt, "the backup has no file %s, which its catalog names", filepath.Base(f.Rel))
		}
		if got.Bytes != f.Size || f.SHA256 != "" && got.SHA256 != f.SHA256 {
			return errs.New(errs.Corrupt, "the backup's file %s is not what was written", filepath.Base(f.Rel))
		}
	}
	for _, f := range info.Staged {
		if got, ok := has[stagedPath(f)]; ok && (got.Bytes != f.Bytes || got.SHA256 != f.SHA256) {
			return errs.New(errs.Corrupt, "the backup's staged file %s is not what was staged", f.File)
		}
	}
	return nil
}

// enterTree enters what lies in dir already.
func (m *manifest) enterTree(ctx context.Context, dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return storage.Error(err, "list the backup")
		}
		if err := errs.FromContext(ctx, "backup"); err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return errs.Wrap(errs.Internal, err, "list the backup")
		}
		info, err := d.Info()
		if err != nil {
			return storage.Error(err, "list the backup")
		}
		sum, err := storage.Checksum(path)
		m.Files = append(m.Files, manifestFile{filepath.ToSlash(rel), info.Size(), sum})
		return err
	})
}

// copyJob is one file to copy. bytes -1 and sha256 "" are not known before.
type copyJob struct {
	from, rel string
	bytes     int64
	sha256    string
	must      bool // it may not be missing
}

// copiers is how many files are copied at a time: their syncs go together.
const copiers = 4

// copyAll copies files to their places below dir. The first error ends it.
func copyAll(ctx context.Context, dir string, jobs []copyJob, open func(string) (io.ReadCloser, error)) ([]manifestFile, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out := make([]manifestFile, len(jobs))
	next := make(chan int)
	var wg sync.WaitGroup
	for range copiers {
		wg.Go(func() {
			for i := range next {
				f, err := jobs[i].run(ctx, dir, open)
				if err != nil {
					cancel(err)
				}
				out[i] = f
			}
		})
	}
	for i := range jobs {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wg.Wait()
	if ctx.Err() != nil {
		if err := context.Cause(ctx); errs.KindOf(err) != errs.Internal {
			return nil, err
		}
		return nil, errs.FromContext(ctx, "copy the files")
	}
	return slices.DeleteFunc(out, func(f manifestFile) bool { return f.Path == "" }), nil
}

func openPlain(path string) (io.ReadCloser, error) { return os.Open(path) }

// run copies one file and verifies it. A file that may be missing and is gives
// the zero value.
func (j copyJob) run(ctx context.Context, dir string, open func(string) (io.ReadCloser, error)) (manifestFile, error) {
	base := filepath.Base(j.from)
	in, err := open(j.from)
	if errors.Is(err, fs.ErrNotExist) {
		if !j.must {
			return manifestFile{}, nil
		}
		return manifestFile{}, errs.New(errs.Corrupt, "the file %s is missing", base)
	}
	if err != nil {
		return manifestFile{}, storage.Error(err, "copy the file "+base)
	}
	c, err := storage.CopyTo(ctx, in, filepath.Join(dir, filepath.FromSlash(j.rel)))
	if err != nil {
		return manifestFile{}, err
	}
	if j.bytes >= 0 && c.Bytes != j.bytes || j.sha256 != "" && c.SHA256 != j.sha256 {
		return manifestFile{}, errs.New(errs.Corrupt, "the file %s is not what was written", base)
	}
	return manifestFile{j.rel, c.Bytes, c.SHA256}, nil
}

func (m *manifest) write(dir string) error {
	slices.SortFunc(m.Files, func(a, b manifestFile) int { return strings.Compare(a.Path, b.Path) })
	text, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return errs.Wrap(errs.Internal, err, "write %s", manifestName)
	}
	return storage.WriteFile(filepath.Join(dir, manifestName), append(text, '\n'))
}
