package catalog

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"

	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/storage"
)

// Damaged looks for a file that is not what was written, checksums included:
// it is asked when the engine failed over the files and does not say at which.
// Nil means that all are whole.
func (c *Catalog) Damaged(ctx context.Context, files []File) error {
	for i := range files {
		f := &files[i]
		if err := errs.FromContext(ctx, "look for damage"); err != nil {
			return err
		}
		if err := CheckFile(f.Path, f.Size, f.Footer); err != nil {
			return err
		}
		written, err := c.checksum(ctx, f.ID)
		if err != nil {
			return err
		}
		if written == "" {
			continue
		}
		sum, err := storage.Checksum(f.Path)
		if err != nil || sum != written {
			return errs.Wrap(errs.Corrupt, err, "the file %s is not what was written", filepath.Base(f.Path))
		}
	}
	return nil
}

// checksum is that of the file as it was written; "" when nobody knows.
func (c *Catalog) checksum(ctx context.Context, file int64) (string, error) {
	if c.foreign {
		return "", nil
	}
	var sum string
	err := c.db.QueryRowContext(ctx, `SELECT sha256 FROM supertable_file WHERE file_id = ?`, file).Scan(&sum)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return sum, sqlError(ctx, err, "read the checksums")
}
