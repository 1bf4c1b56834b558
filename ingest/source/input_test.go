package source

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/supertable-go/supertable/internal/errs"
)

func TestOddFileNames(t *testing.T) {
	c := connect(t)
	dir := t.TempDir()
	for _, n := range []string{"axb.csv", "x.csv", "qy.csv", "axb.parquet", "axb.json"} { // what patterns would match
		if err := os.WriteFile(filepath.Join(dir, n), []byte("wrong\n1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []string{"a*b", "[x]", "q?", "it's", `say "hi"`, "sp ace", `back\slash`, `back\*`, "{a,b}", "~home", "ž🐎", "new\nline", "a;b", "-x", "**", "semi%20", "$HOME", "file:x"} {
		csv, json := filepath.Join(dir, n+".csv"), filepath.Join(dir, n+".json")
		for p, content := range map[string]string{csv: "a\n5\n", json: `{"a":5}`} {
			if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		parquet := filepath.Join(dir, n+".parquet")
		if err := os.Rename(copied(t, c, "x.parquet", "SELECT 5 AS a"), parquet); err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{csv, json, parquet} {
			diff(t, rows(t, c, open(t, c, nil, p)), []string{"5"})
		}
	}
	t.Chdir(dir)
	for _, p := range []string{"-x.csv", "./a*b.csv", "~home.csv", "file:x.csv"} {
		diff(t, rows(t, c, open(t, c, nil, p)), []string{"5"})
	}
}

func TestInputsThatCannotBeRead(t *testing.T) {
	c := connect(t)
	missing := filepath.Join(t.TempDir(), "no-such-file.parquet")
	_, err := Open(context.Background(), c, []string{missing}, nil)
	wantErr(t, err, errs.NotFound, missing)
	_, err = Open(context.Background(), c, []string{t.TempDir()}, &Options{Format: "csv"})
	wantErr(t, err, errs.InvalidArgument, "is a folder")
	_, err = Open(context.Background(), c, nil, nil)
	wantErr(t, err, errs.InvalidArgument, "no input files")
	for _, p := range []string{"s3://bucket/x.parquet", "http://host/x.csv", "https://host/x.csv", "gs://b/x.json"} {
		wantErr(t, failure(t, c, nil, p), errs.Unsupported, p)
	}
	for _, p := range []string{"x", "x.txt", "x.parquet.bz2"} {
		wantErr(t, failure(t, c, nil, put(t, p, "a\n1\n")[len(os.TempDir())+1:]), errs.InvalidArgument, "the name does not tell the format")
	}
	wantErr(t, failure(t, c, &Options{Format: "xml"}, put(t, "x.csv", "a\n1\n")), errs.InvalidArgument, `input format "xml"`)
	wantErr(t, failure(t, c, nil, put(t, "x.arrow.gz", pack(t, "gz", "ARROW1"))), errs.InvalidArgument, "x.arrow.gz: not a whole Arrow file")
	wantErr(t, failure(t, c, nil, ""), errs.InvalidArgument)
	wantErr(t, failure(t, c, nil, "a\x00b.csv"), errs.InvalidArgument)
	if os.Getuid() != 0 {
		p := put(t, "closed.csv", "a\n1\n")
		if err := os.Chmod(p, 0); err != nil {
			t.Fatal(err)
		}
		wantErr(t, failure(t, c, nil, p), errs.InvalidArgument, "no permission")
	}
}

func TestStandardInputAndPipes(t *testing.T) {
	c := connect(t)
	parquet, err := os.ReadFile(copied(t, c, "x.parquet", "SELECT 5 AS a"))
	if err != nil {
		t.Fatal(err)
	}
	rec := ipcOf(t, batchOf(t, "a", int64Type, "[5]"), false, 1)
	for format, content := range map[string]string{"csv": "a\n5\n", "json": `[{"a":5}]`, "ndjson": `{"a":5}`, "parquet": string(parquet), "arrow": rec} {
		r := open(t, c, &Options{Format: format, Stdin: strings.NewReader(content)}, "-")
		diff(t, rows(t, c, r), []string{"5"})
		fifo := filepath.Join(t.TempDir(), "pipe")
		if err := syscall.Mkfifo(fifo, 0o600); err != nil {
			t.Fatal(err)
		}
		go func() { _ = os.WriteFile(fifo, []byte(content), 0o600) }()
		diff(t, rows(t, c, open(t, c, &Options{Format: format}, fifo)), []string{"5"})
	}
	wantErr(t, failure(t, c, &Options{Stdin: strings.NewReader("x")}, "-"), errs.InvalidArgument, "say which format")
	wantErr(t, failure(t, c, &Options{Format: "csv", Stdin: strings.NewReader("a,b\n1\n")}, "-"), errs.InvalidArgument, "-: line 2")
}

func TestCancelledWhileScanning(t *testing.T) {
	c := connect(t)
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	defer w.Close()
	go func() {
		for ctx.Err() == nil {
			_, _ = w.Write([]byte("1,2\n"))
		}
		w.CloseWithError(io.ErrUnexpectedEOF)
	}()
	time.AfterFunc(20*time.Millisecond, cancel)
	_, err := Open(ctx, c, []string{"-"}, &Options{Format: "csv", Stdin: r, SpillDir: t.TempDir()})
	wantErr(t, err, errs.Cancelled)
	done, cancel := context.WithCancel(context.Background())
	cancel()
	for _, p := range []string{put(t, "x.csv", "a\n1\n"), put(t, "x.json", "{}"), copied(t, c, "x.parquet", "SELECT 1 AS a")} {
		_, err := Open(done, c, []string{p}, nil)
		wantErr(t, err, errs.Cancelled)
	}
}

func TestFileGoneBeforeReading(t *testing.T) {
	c := connect(t)
	for _, p := range []string{put(t, "x.csv", "a\n1\n"), put(t, "x.json", `{"a":1}`), copied(t, c, "x.parquet", "SELECT 1 AS a")} {
		r := open(t, c, nil, p)
		if err := os.Remove(p); err != nil {
			t.Fatal(err)
		}
		_, err := rowsErr(c, r)
		wellFormed(t, err)
		wantErr(t, err, errs.NotFound, filepath.Base(p))
	}
}

func TestDeclaredColumns(t *testing.T) {
	c := connect(t)
	p := put(t, "codes.csv", "code,n,day,amount\n007,5,2024-01-31,1.10\n010,6,2024-02-01,2.20\n")
	cols, err := ParseColumns("code:varchar,N:bigint,day:date,amount:decimal(10,2)")
	if err != nil {
		t.Fatal(err)
	}
	r := open(t, c, &Options{Declared: cols}, p)
	diff(t, types(r), []string{"code VARCHAR", "n BIGINT", "day DATE", "amount DECIMAL(10,2)"})
	diff(t, rows(t, c, r), []string{"007|5|2024-01-31|1.10", "010|6|2024-02-01|2.20"})
	wantErr(t, failure(t, c, &Options{Declared: []Column{{"cod", "VARCHAR"}}}, p), errs.InvalidArgument, `"cod", which no text input has`)
	wantErr(t, failure(t, c, &Options{Declared: cols}, copied(t, c, "x.parquet", "SELECT 1 AS code")), errs.InvalidArgument, "text formats")
	wantErr(t, failure(t, c, &Options{Declared: []Column{{"code", "HUGEINT"}}}, p), errs.TypeConflict, "HUGEINT cannot be stored")
	both := open(t, c, &Options{Declared: []Column{{"n", "VARCHAR"}}, Table: []Column{{"n", "BIGINT"}, {"amount", "DECIMAL(5,1)"}, {"CODE", "VARCHAR"}}}, put(t, "x.csv", "n,code\nabc,01\n"))
	diff(t, types(both), []string{"n VARCHAR", "code VARCHAR"})
}

func TestParseColumns(t *testing.T) {
	for spec, want := range map[string][]Column{
		"":                   nil,
		"a:bigint, b : date": {{"a", "BIGINT"}, {"b", "DATE"}},
		"a:int,d:decimal(10,2),s:struct(a int, b varchar)":        {{"a", "INTEGER"}, {"d", "DECIMAL(10,2)"}, {"s", "STRUCT(a INTEGER, b VARCHAR)"}},
		`"odd, ""name"":x":text[],"t":map(text, timestamptz)`:     {{`odd, "name":x`, "VARCHAR[]"}, {"t", "MAP(VARCHAR, TIMESTAMP WITH TIME ZONE)"}},
		"ž:numeric,z:double precision,t:varchar(20)":              {{"ž", "DECIMAL(18,3)"}, {"z", "DOUBLE"}, {"t", "VARCHAR"}},
		`s:struct("a b" timestamp with time zone, "end" int[][])`: {{"s", `STRUCT("a b" TIMESTAMP WITH TIME ZONE, "end" INTEGER[][])`}},
	} {
		got, err := ParseColumns(spec)
		if err != nil {
			t.Error(err)
		}
		diff(t, got, want)
	}
	for spec, words := range map[string]string{
		"a": "name:type", "a:": "a type is missing", ":int": "name:type", "a:number": `unknown type "number"`, "a:decimal(39,2)": "1 to 38", "a:decimal(5,6)": "0 to 5",
		"a:int,": "name:type", "a:int,,b:int": "name:type", "a:int,A:date": "given twice", "a:struct(x int": "expected ,", "a:int)": "unexpected", `"a:int`: "name:type", "a:int b": "unexpected",
		"a:struct()": "a type is missing", "a:map(int)": "expected ,", "a:int[0]": "1 to 100000", "a:enum(x)": "text in quotes",
		"a:" + strings.Repeat("struct(x ", 100): "too deep",
	} {
		_, err := ParseColumns(spec)
		wantErr(t, err, errs.InvalidArgument, words)
	}
	for _, spec := range []string{"a:hugeint", "a:interval", "a:float[3]", "a:struct(x timetz)"} {
		_, err := ParseColumns(spec)
		wantErr(t, err, errs.TypeConflict, "cannot be stored")
	}
}

// TestCompressedBinaryFiles: Parquet and Arrow files may be compressed as a
// whole; they are unpacked into a copy, which goes whatever happens.
func TestCompressedBinaryFiles(t *testing.T) {
	c := connect(t)
	read := func(path string) string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	plain := read(copied(t, c, "a.parquet", "SELECT range AS n FROM range(3)"))
	var ipcBytes bytes.Buffer
	w := ipc.NewWriter(&ipcBytes, ipc.WithSchema(batchOf(t, "n", arrow.PrimitiveTypes.Int64, "[0,1,2]").Schema()))
	if err := errors.Join(w.Write(batchOf(t, "n", arrow.PrimitiveTypes.Int64, "[0,1,2]")), w.Close()); err != nil {
		t.Fatal(err)
	}
	for _, how := range []string{"gz", "zst"} {
		for name, content := range map[string]string{"a.parquet." + how: plain, "a.arrow." + how: ipcBytes.String()} {
			r := open(t, c, nil, put(t, name, pack(t, how, content)))
			diff(t, rows(t, c, r), []string{"0", "1", "2"})
			temps := slices.Clone(r.temps)
			if err := r.Close(); err != nil || len(temps) != 1 {
				t.Errorf("%v %v", temps, err)
			}
			if _, err := os.Stat(temps[0]); !os.IsNotExist(err) {
				t.Errorf("%s: its copy stays", name)
			}
		}
		wantErr(t, failure(t, c, nil, put(t, "b.parquet."+how, pack(t, how, "a,b\n1,2\n3,4\n"))), errs.InvalidArgument, "b.parquet."+how+": not a Parquet file")
		wantErr(t, failure(t, c, nil, put(t, "b.parquet."+how, pack(t, how, pack(t, how, plain)))), errs.InvalidArgument, "b.parquet."+how+": is compressed twice")
		wantErr(t, failure(t, c, nil, put(t, "b.parquet."+how, pack(t, how, plain)[:40])), errs.InvalidArgument, "b.parquet."+how+": ")
	}
	diff(t, rows(t, c, open(t, c, &Options{Format: "parquet", Stdin: strings.NewReader(pack(t, "gz", plain))}, "-")), []string{"0", "1", "2"})
}

// TestDamagedParquetWords: neither words of the engine nor the name of a copy
// are shown.
func TestDamagedParquetWords(t *testing.T) {
	c := connect(t)
	zeros := "PAR1" + strings.Repeat("\x00", 20) + "PAR1"
	root := "PAR1" + "\x15\x02\x19\x1c\x48\x06schema\x15\x00\x00\x16\x00\x19\x0c\x00" // a footer with the root alone
	root += string(binary.LittleEndian.AppendUint32(nil, uint32(len(root)-4))) + "PAR1"
	for content, want := range map[string]string{
		zeros: "-: not a whole Parquet file: it is damaged",
		root:  "-: the Parquet file has no columns",
	} {
		err := failure(t, c, &Options{Format: "parquet", Stdin: strings.NewReader(content)}, "-")
		if err == nil || err.Error() != want || errs.KindOf(err) != errs.InvalidArgument {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
