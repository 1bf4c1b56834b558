package faulty

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/supertable-go/supertable"
)

// smallDisk mounts a file system of that size, or skips the test.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("no right to mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// fill leaves only so many bytes free.
func fill(t *testing.T, dir string, free int64) (release func()) {
	t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "filler")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	for try := 0; ; try++ { // the log's checkpoints may take room meanwhile
		n := int64(st.Bavail)*st.Bsize - free
		if n <= 0 {
			break
		}
		err := syscall.Fallocate(int(f.Fd()), 0, 0, n)
		if err == nil {
			break
		}
		if try == 20 || syscall.Statfs(dir, &st) != nil {
			t.Fatalf("fill %d: %v", n, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFullDisk lets writes run out of space at many points: in the data file,
// in delete files, in the catalog.
func TestFullDisk(t *testing.T) {
	disk := smallDisk(t, "24m")
	home := filepath.Join(disk, "home")
	s := session(t, open(t, home, supertable.Options{Threads: 1}))
	for i := range 5 {
		mustPut(t, s, "t", i*3000, 3000, "base", nil)
	}
	if err := s.SetOption(t.Context(), "", "inline_delete_limit", "0"); err != nil {
		t.Fatal(err)
	}
	failed, passed := 0, 0
	for i, kb := range []int64{0, 4, 8, 16, 32, 48, 64, 80, 100, 120, 140, 160, 200, 260, 400, 800} {
		for _, write := range []struct {
			name string
			do   func() error
		}{
			{"append", func() error { _, err := put(t.Context(), s, "t", 100_000+i*5000, 5000, "more", nil); return err }},
			{"upsert", func() error { _, err := put(t.Context(), s, "t", i*100, 6000, fmt.Sprint("new", i), byKey); return err }},
			{"alter", func() error {
				_, err := s.Alter(t.Context(), "t", supertable.Alteration{Type: &supertable.ChangeColumnType{Name: "v", Type: "VARCHAR", Cast: true}})
				return err
			}},
		} {
			before := state(t, s, "t")
			if _, err := s.VerifyAudit(t.Context(), ""); err != nil { // the reads before are written, and take no more space
				t.Fatal(err)
			}
			release := fill(t, disk, kb<<10)
			err := write.do()
			release()
			switch {
			case err == nil:
				passed++
			default:
				failed++
				if supertable.KindOf(err) != supertable.Unavailable {
					t.Errorf("%s with %d KiB: got %v (%s), want unavailable", write.name, kb, err, supertable.KindOf(err))
				}
				wantState(t, s, "t", before)
			}
		}
		wantClean(t, s)
		if i%5 == 0 {
			if _, err := s.WriteFiles(t.Context(), "t", nil, &supertable.WriteOptions{DeleteAll: true}); err != nil {
				t.Fatal(err)
			}
			mustPut(t, s, "t", 0, 3000, "base", nil)
		}
	}
	if failed == 0 || passed == 0 {
		t.Errorf("%d writes failed, %d passed: the test tests nothing", failed, passed)
	}
	nextWrites(t, s, "t")
	t.Logf("%d writes failed, %d passed", failed, passed)
}

// TestReadOnlyDisk opens a home on a disk that cannot be written, and later can.
func TestReadOnlyDisk(t *testing.T) {
	disk := smallDisk(t, "64m")
	home := filepath.Join(disk, "home")
	first, err := supertable.Open(t.Context(), home, &supertable.Options{InlineRows: -1})
	if err != nil {
		t.Fatal(err)
	}
	s := session(t, first)
	mustPut(t, s, "t", 0, 100, "base", nil)
	before := state(t, s, "t")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Skipf("no right to remount: %v", err)
	}
	lake := open(t, home, supertable.Options{})
	st, err := lake.SuperTable(t.Context(), "default", "main")
	if err != nil { // the catalog's log needs a folder that can be written (D2)
		wantKind(t, err, supertable.Unavailable)
	} else {
		s, err := st.Session(t.Context(), supertable.Superuser)
		if err != nil {
			t.Fatal(err)
		}
		_, err = put(t.Context(), s, "t", 0, 10, "x", byKey)
		wantKind(t, err, supertable.Unavailable)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, ""); err != nil {
		t.Fatal(err)
	}
	s = session(t, lake)
	wantState(t, s, "t", before)
	nextWrites(t, s, "t")
	wantClean(t, s)
}

// TestFolderWithoutRights takes the right to write into the table's folder away.
func TestFolderWithoutRights(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root writes everywhere")
	}
	home := t.TempDir()
	s := session(t, open(t, home, supertable.Options{}))
	mustPut(t, s, "t", 0, 100, "base", nil)
	before := state(t, s, "t")
	dir := filepath.Join(root(home), "data", "main", "t")
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	_, err := put(t.Context(), s, "t", 0, 10, "x", byKey)
	wantKind(t, err, supertable.Unavailable)
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	wantState(t, s, "t", before)
	nextWrites(t, s, "t")
	wantClean(t, s)
}

const limitEnv = "ST_FAULTY_LIMIT"

// TestMain turns the test binary into a writer whose files may not grow.
func TestMain(m *testing.M) {
	home := os.Getenv(limitEnv)
	if home == "" {
		os.Exit(m.Run())
	}
	signal.Ignore(syscall.SIGXFSZ)
	os.Exit(m.Run())
}

// TestLimitedFiles writes in a process whose files may have so many bytes: the
// system refuses a write in the middle of a file. It needs no rights.
func TestLimitedFiles(t *testing.T) {
	if home := os.Getenv(limitEnv); home != "" {
		writeLimited(t, home)
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLimitedFiles$", "-test.v")
	cmd.Env = append(os.Environ(), limitEnv+"="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func writeLimited(t *testing.T, home string) {
	s := session(t, open(t, home, supertable.Options{Threads: 1}))
	mustPut(t, s, "t", 0, 100, "base", nil)
	before := state(t, s, "t")
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	failed := 0
	for _, kb := range []uint64{1, 16, 64, 200, 500} {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: kb << 10, Max: old.Max}); err != nil {
			t.Fatal(err)
		}
		_, err := put(t.Context(), s, "t", 0, 60_000, "more", byKey)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
			t.Fatal(err)
		}
		if err != nil {
			failed++
			wantKind(t, err, supertable.Unavailable)
			wantState(t, s, "t", before)
		}
	}
	if failed < 4 {
		t.Errorf("only %d writes failed", failed)
	}
	nextWrites(t, s, "t")
	wantClean(t, s)
}
