package supertable

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/rbac"
	"github.com/supertable-go/supertable/storage"
)

// restorePrefix is how folders begin that are to become a SuperTable.
const restorePrefix = ".restore-"

// Restore makes the SuperTable org/name, which must not exist, from the backup
// in dir. Everything is verified against the checksums of the backup before
// anything of it can be seen: a backup that is not whole is Corrupt. The name
// and the home may be others than those of the backup. Roles and users are
// those of the backup; whoever restores is the local superuser.
func (l *Lake) Restore(ctx context.Context, principal, org, name, dir string) (BackupResult, error) {
	if err := localSuperuser(principal); err != nil {
		return BackupResult{}, err
	}
	folder, name, err := l.locate(org, name)
	if err != nil {
		return BackupResult{}, err
	}
	root, m, err := openBackup(dir)
	if err != nil {
		return BackupResult{}, err
	}
	defer func() { _ = root.Close() }()
	if err := l.finishDrop(ctx, folder); err != nil {
		return BackupResult{}, err
	}
	if err := vacant(folder, org, name); err != nil {
		return BackupResult{}, err
	}
	parent := filepath.Dir(folder.Root())
	if err := os.MkdirAll(parent, 0o777); err != nil {
		return BackupResult{}, storage.Error(err, "make the organization's folder")
	}
	made, drop, err := restoring(parent, restorePrefix)
	if err != nil {
		return BackupResult{}, err
	}
	defer drop()
	if err := m.restore(ctx, root, storage.At(made), folder, name, l.catalogOptions()); err != nil {
		return BackupResult{}, err
	}
	if err := storage.SyncTree(made); err != nil {
		return BackupResult{}, err
	}
	err = storage.Appear(made, folder.Root())
	if errs.KindOf(err) == errs.AlreadyExists {
		return BackupResult{}, exists(org, name)
	}
	if err != nil {
		return BackupResult{}, err
	}
	return m.result(), storage.SyncDir(l.home)
}

// localSuperuser refuses everybody else: where there is no catalog there are
// no other roles and users.
func localSuperuser(principal string) error {
	if IsSuperuser(principal) {
		return nil
	}
	return errs.New(errs.Denied, "You don't have permission for this (%s).", rbac.Control)
}

func exists(org, name string) error {
	return errs.New(errs.AlreadyExists, "SuperTable %s/%s exists; a restore makes a new one: choose another name or drop it first", org, name)
}

// vacant refuses a place where something lies, be it a SuperTable that lost
// its catalog.
func vacant(folder storage.Folder, org, name string) error {
	entries, err := os.ReadDir(folder.Root())
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	return exists(org, name)
}

// restoring makes a hidden folder in parent, and removes those that killed
// processes left there: the lock keeps one restore or backup apart from the
// next. drop removes what is left.
func restoring(parent, prefix string) (made string, drop func(), err error) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return "", nil, storage.Error(err, "look into the folder above")
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) && e.IsDir() {
			dropPartial(filepath.Join(parent, e.Name()))
		}
	}
	made = filepath.Join(parent, prefix+uuid.NewString())
	if err := os.Mkdir(made, 0o777); err != nil {
		return "", nil, storage.Error(err, "make a folder")
	}
	release, ok, err := storage.LockDir(made)
	if err == nil && !ok {
		err = errs.New(errs.Unavailable, "another process took the folder away")
	}
	if err != nil {
		_ = os.RemoveAll(made)
		return "", nil, err
	}
	return made, func() {
		_ = os.RemoveAll(made)
		release()
	}, nil
}

// openBackup reads the manifest of a backup. Its files are reached through the
// root only, so that no link in it leads out of it.
func openBackup(dir string) (*os.Root, *manifest, error) {
	none := errs.New(errs.NotFound, "%s is no backup: it has no %s", dir, manifestName)
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, errs.New(errs.NotFound, "%s does not exist", dir)
	}
	if err != nil {
		return nil, nil, none
	}
	text, err := root.ReadFile(manifestName)
	if err != nil {
		_ = root.Close()
		if errors.Is(err, fs.ErrPermission) {
			return nil, nil, storage.Error(err, "read the backup")
		}
		return nil, nil, none
	}
	m, err := readManifest(text)
	if err != nil {
		_ = root.Close()
		return nil, nil, err
	}
	return root, m, nil
}

func readManifest(text []byte) (*manifest, error) {
	var m manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, errs.Wrap(errs.Corrupt, err, "the backup's %s cannot be read", manifestName)
	}
	if m.Version != manifestVersion {
		return nil, errs.New(errs.Unsupported, "the backup has version %d, this program reads %d", m.Version, manifestVersion)
	}
	seen := map[string]bool{}
	for _, f := range m.Files {
		sum, err := hex.DecodeString(f.SHA256)
		if err != nil || len(sum) != 32 || f.Bytes < 0 || seen[f.Path] || !restorablePath(f.Path) {
			return nil, errs.New(errs.Corrupt, "the backup's %s has an entry that no backup has: %q", manifestName, f.Path)
		}
		seen[f.Path] = true
	}
	if !seen["catalog.db"] {
		return nil, errs.New(errs.Corrupt, "the backup's %s names no catalog", manifestName)
	}
	return &m, nil
}

// restorablePath holds what a backup may bring: nothing outside of it, and
// nothing that only a living SuperTable has.
func restorablePath(p string) bool {
	local := filepath.FromSlash(p)
	if !filepath.IsLocal(local) || filepath.ToSlash(filepath.Clean(local)) != p {
		return false
	}
	top, _, below := strings.Cut(p, "/")
	return p == "catalog.db" || below && slices.Contains([]string{"data", "staging", "log"}, top)
}

// restore copies the backup into folder, verified, and makes it the SuperTable
// called name whose place will be final.
func (m *manifest) restore(ctx context.Context, root *os.Root, folder, final storage.Folder, name string, o catalog.Options) error {
	jobs := make([]copyJob, 0, len(m.Files))
	for _, f := range m.Files {
		jobs = append(jobs, copyJob{from: f.Path, rel: f.Path, bytes: f.Bytes, sha256: f.SHA256, must: true})
	}
	_, err := copyAll(ctx, folder.Root(), jobs, func(p string) (io.ReadCloser, error) { return root.Open(filepath.FromSlash(p)) })
	if err != nil {
		return err
	}
	if err := folder.Create(); err != nil {
		return err
	}
	info, err := catalog.AdjustRestored(ctx, folder, final, name, o, catalog.Event{
		Action: "restore", Statement: fmt.Sprintf("the backup of %s/%s at snapshot %d, made %s", m.Organization, m.Super, m.Snapshot, m.Created),
	})
	if err != nil {
		return err
	}
	return m.holds(info)
}

// VerifyBackup reads a whole backup and finds what a restore of it would
// refuse: a file that is missing or not what was backed up, a catalog that does
// not hold together or names what is not there. Nothing is written. The
// principal must be the local superuser.
func (l *Lake) VerifyBackup(ctx context.Context, principal, dir string) (BackupResult, error) {
	if err := localSuperuser(principal); err != nil {
		return BackupResult{}, err
	}
	root, m, err := openBackup(dir)
	if err != nil {
		return BackupResult{}, err
	}
	defer func() { _ = root.Close() }()
	for _, f := range m.Files {
		if err := f.verify(ctx, root); err != nil {
			return BackupResult{}, err
		}
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return BackupResult{}, errs.Wrap(errs.NotFound, err, "the backup cannot be found")
	}
	info, err := catalog.LookIntoBackup(ctx, storage.At(abs), l.catalogOptions())
	if errs.KindOf(err) == errs.NotFound {
		err = errs.New(errs.Corrupt, "the backup's catalog is no catalog")
	}
	if err != nil {
		return BackupResult{}, err
	}
	return m.result(), m.holds(info)
}

// verify reads one file of a backup.
func (f manifestFile) verify(ctx context.Context, root *os.Root) error {
	base := path.Base(f.Path)
	in, err := root.Open(filepath.FromSlash(f.Path))
	if errors.Is(err, fs.ErrNotExist) {
		return errs.New(errs.Corrupt, "the file %s is missing", base)
	}
	if err != nil {
		return storage.Error(err, "read the file "+base)
	}
	defer func() { _ = in.Close() }()
	got, err := storage.Sum(ctx, in)
	if err != nil {
		return err
	}
	if got.Bytes != f.Bytes || got.SHA256 != f.SHA256 {
		return errs.New(errs.Corrupt, "the file %s is not what was written", base)
	}
	return nil
}
