package supertable

import (
	"context"
	"os"
	"path"
	"sort"
	"strings"

	"github.com/supertable-go/supertable/catalog"
	"github.com/supertable-go/supertable/internal/errs"
	"github.com/supertable-go/supertable/storage"
)

// staging compares the index of staged files with the folder, which was listed
// before. Files come and go meanwhile: what looks wrong is looked at again.
func (c *checker) staging(ctx context.Context, stored []string, leased map[string]bool) error {
	var rows []catalog.StagedFile
	err := c.s.st.catalog.Read(ctx, func(v *catalog.View) (err error) { rows, err = v.StagedFiles(ctx, ""); return err })
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, f := range rows {
		known[f.Area+"/"+f.File] = true
		if err := errs.FromContext(ctx, "check"); err != nil {
			return err
		}
		kind, detail := c.stagedFile(f)
		if kind == "" {
			continue
		}
		if named, err := c.s.st.catalog.NamesStaged(ctx, f.Area, f.File); err != nil || named {
			c.find(kind, f.File, detail)
		}
	}
	sort.Strings(stored)
	for _, rel := range stored {
		if known[rel] || leased["staging/"+rel] {
			continue
		}
		area, file, _ := strings.Cut(rel, "/")
		if _, err := os.Stat(c.s.st.folder.Staged(area, file)); err == nil {
			c.find("unknown_file", path.Base(rel), "lies in the staging folder and the index does not name it; put it with stage put")
		}
	}
	return nil
}

// stagedFile says what is wrong with a staged file; "" is nothing.
func (c *checker) stagedFile(f catalog.StagedFile) (kind, detail string) {
	at := c.s.st.folder.Staged(f.Area, f.File)
	info, err := os.Stat(at)
	switch {
	case err != nil:
		return "missing_file", "the staged file is missing"
	case info.Size() != f.Bytes:
		return "damaged_file", "the staged file does not have the size that it was put with"
	case !c.deep:
		return "", ""
	}
	if sum, err := storage.Checksum(at); err != nil || sum != f.SHA256 {
		return "bad_checksum", "the bytes are not those that were staged"
	}
	return "", ""
}
