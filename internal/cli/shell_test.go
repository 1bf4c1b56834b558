package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/supertable-go/supertable"
)

func TestCutStatement(t *testing.T) {
	for in, want := range map[string]string{
		"select 1;":                        "select 1|",
		"select 1; select 2;":              "select 1| select 2|",
		"select ';';":                      "select ';'|",
		"select 'it''s;';":                 "select 'it''s;'|",
		`select ";";`:                      `select ";"|`,
		"select 1 -- ; no\n;":              "select 1 -- ; no\n|",
		"select /* ; /* ; */ ; */ 1;":      "select /* ; /* ; */ ; */ 1|",
		"select $$;$$, $a$;$$;$a$;":        "select $$;$$, $a$;$$;$a$|",
		"select $1, $name;":                "select $1, $name|",
		`select e'\';', 'a\';`:             `select e'\';', 'a\'|`,
		"select ename';';":                 "select ename';'|",
		"select 1":                         "",
		"select 'open; ":                   "",
		"select /* open; ":                 "",
		";;":                               "||",
		"select 'žluť;';":                  "select 'žluť;'|",
		"select a$b$;$b$ from t;":          "select a$b$;$b$ from t|",
		"select $a$;":                      "",
		"select 5$$;$$;":                   "select 5$$;$$|",
		"select 1; -- rest\n":              "select 1|",
		"select 'two\nlines;' as \"a;b\";": "select 'two\nlines;' as \"a;b\"|",
	} {
		got := ""
		for text := in; ; {
			s, rest, ok := cutStatement(text)
			if !ok {
				break
			}
			got, text = got+s+"|", rest
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func FuzzCutStatement(f *testing.F) {
	for _, s := range []string{"select 1;", "'a;", "$$;$$", "/*/**/", "e'\\", "--\n;", "$a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, rest, ok := cutStatement(text)
		if ok && s+";"+rest != text || !ok && rest != text {
			t.Errorf("%q is cut into %q and %q", text, s, rest)
		}
		blank(text)
	})
}

func TestBlank(t *testing.T) {
	for in, want := range map[string]bool{
		"": true, " \n\t": true, "-- only a comment": true, "/* a */ -- b\n": true, "x": false, "-- a\nx": false, "/* a */ x": false, "''": false,
	} {
		if got := blank(in); got != want {
			t.Errorf("%q: got %v", in, got)
		}
	}
}

// fake is a session without a lake; what it does not define is not called.
type fake struct {
	session
	asked []string
}

func (f *fake) Tables(ctx context.Context) ([]supertable.TableInfo, error) {
	return []supertable.TableInfo{{Name: "orders", Version: 2, Rows: 10}, {Name: "Odd name"}}, nil
}

func (f *fake) Schema(_ context.Context, table string) ([]supertable.Column, error) {
	if table == "nope" {
		return nil, failf(supertable.NotFound, "Table not found: nope")
	}
	return []supertable.Column{{Name: "order_id", Type: "BIGINT"}, {Name: "country", Type: "VARCHAR", Nullable: true}}, nil
}

func (f *fake) Query(_ context.Context, sql string, _ *supertable.QueryOptions) (*supertable.Rows, error) {
	f.asked = append(f.asked, strings.TrimSpace(sql))
	return nil, failf(supertable.NotFound, "no rows here")
}

func newShell(input string) (*shell, *fake, *bytes.Buffer, *bytes.Buffer) {
	var out, errs bytes.Buffer
	f := &fake{}
	a := &app{stdout: &stdout{w: &out}, stderr: &errs, now: time.Now, flags: globalFlags{format: formatTable, super: "main"}}
	return &shell{app: a, session: f, in: newPipeReader(context.Background(), strings.NewReader(input))}, f, &out, &errs
}

func TestShellGoesOnAfterErrors(t *testing.T) {
	sh, f, out, errs := newShell("select 1; select\n2;\n-- nothing\n;\n\\d nope\n\\d orders\n\\frob\nselect ';\n' ;\\d\nselect 3")
	if err := sh.loop(context.Background()); err != nil {
		t.Fatal(err)
	}
	want := []string{"select 1", "select\n2", "select ';\n'", "select 3"}
	if strings.Join(f.asked, "|") != strings.Join(want, "|") || !sh.failed {
		t.Errorf("asked %q, want %q", f.asked, want)
	}
	if !strings.Contains(out.String(), "order_id") || strings.Count(errs.String(), "\n") != 6 || strings.Count(out.String(), "orders") != 1 {
		t.Errorf("stdout %q, stderr %q", out.String(), errs.String())
	}
}

func TestShellQuits(t *testing.T) {
	for _, word := range []string{`\q`, `\q;`, "quit", "exit"} {
		sh, f, _, _ := newShell("select 1;\n" + word + "\nselect 2;")
		if err := sh.loop(context.Background()); err != nil || len(f.asked) != 1 {
			t.Errorf("%s: %v, asked %q", word, err, f.asked)
		}
	}
}

func TestShellEndsWhenNobodyListens(t *testing.T) {
	sh, f, _, _ := newShell("\\d\nselect 1;")
	sh.app.stdout.w = brokenPipe{}
	if err := sh.loop(context.Background()); err == nil || len(f.asked) != 0 {
		t.Errorf("%v, asked %q", err, f.asked)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	sh, _, _, errs := newShell("select 1;\nselect 2;")
	if err := sh.loop(ctx); err == nil || errs.Len() != 0 {
		t.Errorf("%v, stderr %q", err, errs.String())
	}
}

func TestShellSwitches(t *testing.T) {
	sh, _, _, errs := newShell("\\timing\n\\x\nselect 1;\n\\x\n\\h\n")
	if err := sh.loop(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"timing is on", "expanded rows are on", "expanded rows are off", "Time: ", `\d TABLE`} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("stderr lacks %q: %s", want, errs.String())
		}
	}
	if sh.expanded || !sh.timing {
		t.Error("the switches are wrong")
	}
}

func TestCompletion(t *testing.T) {
	n := &nameCache{session: &fake{}, now: time.Now}
	for _, c := range []struct{ line, head, want string }{
		{"select * from ord", "select * from ", "orders order_id order"},
		{"SEL", "", "SELECT"},
		{"sel", "", "select"},
		{`\t`, "", `\timing`},
		{"select cou", "select ", "country count"},
		{"zzz", "", ""},
	} {
		head, options, tail := n.complete(context.Background(), c.line+" tail", len([]rune(c.line)))
		if head != c.head || tail != " tail" || !sameWords(options, c.want) {
			t.Errorf("%q: %q %q %q, want %q", c.line, head, options, tail, c.want)
		}
	}
	if got := quoteName("Odd name"); got != `"Odd name"` {
		t.Error(got)
	}
}

func sameWords(got []string, want string) bool {
	words := strings.Fields(want)
	slices.Sort(words)
	return slices.Equal(slices.Sorted(slices.Values(got)), words)
}

func TestInterruptibleReadsAllThenEnds(t *testing.T) {
	text := strings.Repeat("line\n", 100_000)
	got, err := io.ReadAll(interruptible(context.Background(), strings.NewReader(text)))
	if err != nil || string(got) != text {
		t.Errorf("read %d bytes (%v), want %d", len(got), err, len(text))
	}
	ctx, cancel := context.WithCancel(context.Background())
	pr, pw := io.Pipe()
	defer pw.Close()
	r := interruptible(ctx, pr)
	cancel()
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, ctx.Err()) {
		t.Errorf("got %v, want the end of the context", err)
	}
}
