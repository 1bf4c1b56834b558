package supertable_test

import (
	"bufio"
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module = "github.com/supertable-go/supertable"

	maxFileLines = 800
)

// layer says what the product code of a package, and of the packages below
// it, may import of this module. Imports go down only and siblings never
// import each other; a family (query, query/statement) is one layer.
type layer struct {
	may     []string
	instead string // what to do rather than import something else
}

const (
	declare = "declare the few methods that it needs as an interface of its own (as in ingest.Catalog) and let the root package put them together"
	useRoot = "use the public API of the root package, or add to it"
)

// lower is what the paths stand on; below adds scan, how a table is read at a
// snapshot, which writing and reading share.
var (
	lower = []string{"catalog", "engine", "datafile", "storage", "rbac"}
	below = append([]string{"scan"}, lower...)
)

var layers = map[string]layer{
	"cmd/supertable": {[]string{"internal/cli"}, "call cli.Run: the program is a function"},
	"internal/cli":   {[]string{"."}, useRoot},
	"server":         {[]string{"."}, useRoot},
	"console":        {[]string{"."}, useRoot},
	"examples":       {[]string{"."}, useRoot},
	".":              {append([]string{"ingest", "query", "maintain", "monitor", "audit", "engine/duckdb"}, below...), "move the code down to where it belongs"},

	"ingest":        {below, declare},
	"ingest/source": {[]string{"engine"}, "hand over a reader or a path: a source knows no tables"},
	"query":         {below, declare},
	"maintain":      {below, declare},
	"monitor":       {below, declare},
	"audit":         {below, declare},
	"scan":          {lower, declare},

	// The catalog is about data files and lies in a folder: it speaks datafile
	// and storage. The others of this row do not know each other.
	"catalog":       {[]string{"datafile", "storage"}, declare},
	"engine":        {nil, declare},
	"engine/duckdb": {[]string{"engine"}, declare},
	"datafile":      {nil, declare},
	"storage":       {nil, declare},
	"rbac":          {nil, "pass values in: rbac only decides"},

	"internal/errs":      {nil, "everybody imports it: it imports nobody"},
	"internal/invariant": {nil, "everybody imports it: it imports nobody"},
	"internal/script":    {nil, "it knows text only"},
	"internal/faulty":    {lower, declare},
	"internal/testdb":    {append([]string{".", "engine/duckdb"}, lower...), declare},
	"internal/crash":     {[]string{"*"}, ""},
	"internal/attack":    {[]string{"*"}, ""},
	"interop":            {[]string{"*"}, ""},
	"bench":              {[]string{"*"}, ""},
}

// forAll are the packages that every other may import.
var forAll = []string{"internal/errs", "internal/invariant"}

// only says who may import a package from outside; test files are bound too
// unless tests is set.
var only = []struct {
	pkg     string
	by      []string
	tests   bool
	instead string
}{
	{"github.com/duckdb/duckdb-go-bindings", []string{"engine/duckdb"}, false, "hold the interfaces of package engine"},
	{"github.com/duckdb/duckdb-go/v2", nil, false, "the bindings are used directly (docs/adr/0005)"},
	{"github.com/mattn/go-sqlite3", []string{"catalog", "interop", "internal/testdb", "internal/crash", "bench"}, true, "ask the catalog"},
	{"github.com/FastFilter/xorfilter", []string{"catalog"}, false, "ask the catalog's key filters"},
	{"database/sql", []string{"catalog", "interop", "internal/testdb", "internal/crash", "bench"}, true, "ask the catalog"},
	{"github.com/spf13/cobra", []string{"internal/cli"}, false, "only the command line knows commands and flags"},
	{"github.com/spf13/pflag", []string{"internal/cli"}, false, "only the command line knows commands and flags"},
	{"github.com/vbauerster/mpb/v8", []string{"internal/cli"}, false, "take a callback such as WriteOptions.Progress"},
	{"github.com/jedib0t/go-pretty/v6", []string{"internal/cli", "bench"}, false, "return values and let the command line draw them"},
	{"github.com/peterh/liner", []string{"internal/cli"}, false, "only the command line reads a terminal"},
	{"testing", []string{"internal/script", "internal/testdb", "internal/faulty", "catalog/catalogtest", "storage/storagetest"}, true, "keep test code out of the product: move it to a _test.go file or a test package"},
	{"pgregory.net/rapid", []string{"catalog/catalogtest", "storage/storagetest"}, true, "keep test code out of the product"},
	{"github.com/google/go-cmp", []string{"internal/testdb", "catalog/catalogtest", "storage/storagetest"}, true, "go-cmp is for tests"},
	{"log", nil, false, "use log/slog"},
	{"unsafe", []string{"engine/duckdb", "datafile"}, true, "there is a safe way"},
}

// badNames are names that say nothing about the mission of a package.
var badNames = []string{"util", "utils", "common", "models", "types", "helpers", "misc", "base", "shared", "pkg"}

// source is one parsed Go file.
type source struct {
	path  string // slash-separated, from the root
	dir   string // its package's folder; "." is the root
	test  bool
	lines int
	file  *ast.File
}

func (s source) imports() []string {
	var out []string
	for _, i := range s.file.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		out = append(out, p)
	}
	return out
}

// sources parses every Go file of the tree up to its imports.
func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	fset := token.NewFileSet()
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "bin"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(fset, name, text, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		out = append(out, source{
			path:  name,
			dir:   path.Dir(name),
			test:  strings.HasSuffix(name, "_test.go"),
			lines: bytes.Count(text, []byte("\n")),
			file:  f,
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) == 0 {
		t.Fatal("no Go files found")
	}
	return out
}

// inside reports whether pkg is dir or lies below it.
func inside(pkg, dir string) bool {
	return pkg == dir || strings.HasPrefix(pkg, dir+"/")
}

// layerOf finds the rule of a package: its own, or that of the nearest folder above.
func layerOf(pkg string) (name string, l layer, ok bool) {
	for name = pkg; ; name = path.Dir(name) {
		if l, ok = layers[name]; ok && (name != "." || pkg == ".") {
			return name, l, true
		}
		if name == "." {
			return "", layer{}, false
		}
	}
}

// family is the topmost folder of a package that is one unit with it: query
// of query/statement, but internal/cli of internal/cli/draw.
func family(pkg string) string {
	parts := strings.Split(pkg, "/")
	if parts[0] == "internal" || parts[0] == "cmd" {
		return path.Join(parts[:min(2, len(parts))]...)
	}
	return parts[0]
}

func TestImportsGoDown(t *testing.T) {
	for _, s := range sources(t) {
		name, l, ok := layerOf(s.dir)
		if !ok {
			t.Errorf("%s: the import table in deps_test.go has no line for package %s: add one, and say in ARCHITECTURE.md what it is for", s.path, s.dir)
			continue
		}
		for _, p := range s.imports() {
			if p != module && !inside(p, module) {
				continue
			}
			to := strings.TrimPrefix(strings.TrimPrefix(p, module), "/")
			if to == "" {
				to = "."
			}
			if s.test || slices.Contains(l.may, "*") || slices.Contains(forAll, to) || allowed(s.dir, to, name, l) {
				continue
			}
			t.Errorf("%s imports %s: %s may import %s; %s", s.path, to, name, may(l), l.instead)
		}
	}
}

// allowed reports whether the product code of package from may import to.
func allowed(from, to, name string, l layer) bool {
	if to == "engine/duckdb" { // named, never inherited: consumers hold package engine
		return slices.Contains(l.may, to)
	}
	for _, m := range l.may {
		if m == to || m != "." && inside(to, m) {
			return true
		}
	}
	// A family is one unit, unless the package has a line of its own.
	return family(from) == family(to) && from != "." && name == family(from)
}

func may(l layer) string {
	if len(l.may) == 0 {
		return "nothing but " + strings.Join(forAll, " and ")
	}
	return strings.Join(l.may, ", ")
}

func TestOutsideImports(t *testing.T) {
	for _, s := range sources(t) {
		for _, p := range s.imports() {
			for _, o := range only {
				if p != o.pkg && !(strings.Contains(o.pkg, ".") && inside(p, o.pkg)) {
					continue
				}
				if o.tests && s.test || slices.ContainsFunc(o.by, func(d string) bool { return inside(s.dir, d) }) {
					continue
				}
				who := "nobody may"
				if len(o.by) > 0 {
					who = "only " + strings.Join(o.by, ", ") + " may"
				}
				t.Errorf("%s imports %s: %s; %s", s.path, p, who, o.instead)
			}
		}
	}
}

// TestDependenciesAreExplained holds that each module that we import ourselves
// has its line in the decision record.
func TestDependenciesAreExplained(t *testing.T) {
	const record = "docs/adr/0009-dependencies.md"
	text, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	required := requirements(t)
	seen := map[string]bool{}
	for _, s := range sources(t) {
		for _, p := range s.imports() {
			first, _, _ := strings.Cut(p, "/")
			if !strings.Contains(first, ".") || inside(p, module) {
				continue
			}
			mod := ""
			for _, r := range required {
				if inside(p, r) && len(r) > len(mod) {
					mod = r
				}
			}
			if seen[mod] {
				continue
			}
			seen[mod] = true
			if !strings.Contains(string(text), "`"+mod+"`") {
				t.Errorf("%s imports %s: say in %s why `%s` and not another; the default answer is no", s.path, p, record, mod)
			}
		}
	}
}

// requirements reads the module paths of go.mod.
func requirements(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for sc := bufio.NewScanner(bytes.NewReader(text)); sc.Scan(); {
		words := strings.Fields(strings.TrimPrefix(strings.TrimSpace(sc.Text()), "require "))
		if len(words) >= 2 && strings.HasPrefix(words[1], "v") {
			out = append(out, words[0])
		}
	}
	return out
}

func TestPackageNames(t *testing.T) {
	for _, s := range sources(t) {
		for _, name := range []string{s.file.Name.Name, path.Base(s.dir)} {
			if slices.Contains(badNames, strings.TrimSuffix(name, "_test")) {
				t.Errorf("%s: a package named %q says nothing: name it after its part of the mission, or put the code beside its one user", s.path, name)
			}
		}
	}
}

// TestPackageDocs holds that every package has exactly one doc comment.
func TestPackageDocs(t *testing.T) {
	docs := map[string][]string{} // folder → files with a package comment
	product := map[string]bool{}  // folders with other than test files
	for _, s := range sources(t) {
		if _, ok := docs[s.dir]; !ok {
			docs[s.dir] = nil
		}
		product[s.dir] = product[s.dir] || !s.test
		if s.file.Doc == nil {
			continue
		}
		docs[s.dir] = append(docs[s.dir], s.path)
		name := s.file.Name.Name
		want := "Package " + name + " "
		if name == "main" {
			want = "Command "
			if strings.HasPrefix(s.dir, "examples/") {
				want = ""
			}
		}
		if !strings.HasPrefix(s.file.Doc.Text(), want) {
			t.Errorf("%s: the package comment begins with %q, want %q and its part of the mission", s.path, firstWords(s.file.Doc.Text()), want)
		}
	}
	for dir, files := range docs {
		if len(files) == 1 || len(files) == 0 && dir == "." {
			continue
		}
		slices.Sort(files)
		switch {
		case len(files) > 1:
			t.Errorf("package %s has %d package comments (%s): keep one, in the file that a reader opens first", dir, len(files), strings.Join(files, ", "))
		case product[dir]:
			t.Errorf("package %s has no package comment: say its part of the mission in one sentence above the package clause", dir)
		default:
			t.Errorf("test package %s has no package comment: say in one file what it proves", dir)
		}
	}
}

func firstWords(s string) string {
	words := strings.Fields(s)
	return strings.Join(words[:min(3, len(words))], " ")
}

func TestFileLength(t *testing.T) {
	for _, s := range sources(t) {
		if s.lines > maxFileLines {
			t.Errorf("%s has %d lines, at most %d: split it by step of the path", s.path, s.lines, maxFileLines)
		}
	}
}

// TestImportTable holds the table itself: a line for a name nobody may use is
// a spelling mistake.
func TestImportTable(t *testing.T) {
	known := func(name string) bool {
		_, ok := layers[name]
		return ok || name == "*" || name == "engine/duckdb"
	}
	for name, l := range layers {
		for _, m := range l.may {
			if !known(m) {
				t.Errorf("layer %s may import %s, which is not in the table", name, m)
			}
		}
	}
	for _, c := range []struct {
		from, to string
		want     bool
	}{
		{"cmd/supertable", "internal/cli", true},
		{"cmd/supertable", ".", false},
		{"internal/cli", ".", true},
		{"internal/cli", "query", false},
		{".", "ingest", true},
		{".", "engine/duckdb", true},
		{"ingest", "query", false},
		{"ingest", "catalog", true},
		{"ingest", "ingest/source", true},
		{"ingest", "engine/duckdb", false},
		{"ingest", ".", false},
		{"ingest/source", "engine", true},
		{"ingest/source", "catalog", false},
		{"query/statement", "rbac", true},
		{"query", "query/statement", true},
		{"query", "scan", true},
		{"scan", "query", false},
		{"catalog", "scan", false},
		{"catalog", "datafile", true},
		{"catalog", "rbac", false},
		{"datafile", "catalog", false},
		{"catalog/catalogtest", "catalog", true},
		{"engine/duckdb", "engine", true},
		{"engine", "engine/duckdb", false},
		{"rbac", "catalog", false},
	} {
		name, l, ok := layerOf(c.from)
		if got := ok && allowed(c.from, c.to, name, l); got != c.want {
			t.Errorf("%s → %s: allowed = %v, want %v", c.from, c.to, got, c.want)
		}
	}
	if _, _, ok := layerOf("somewhere/new"); ok {
		t.Error("a package without a line was accepted")
	}
}
