package interop

import (
	"bufio"
	"maps"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// sqllogic is one step of a test file of the reference implementation, in the
// order of its run: loops are unrolled.
type sqllogic struct {
	line  int
	kind  string // statement, query, restart, reset, skip
	arg   string // ok, error, maybe; what a skip is about
	sql   string
	extra string // of a query: its types and sorting
}

// sqllogicFile is a parsed file; unsupported says why it cannot be run at all.
type sqllogicFile struct {
	steps       []sqllogic
	env         map[string]string // names with their defaults
	unsupported string
}

// needs are the requirements that the judge meets.
var needs = map[string]bool{"ducklake": true, "parquet": true, "json": true, "notwindows": true, "64bit": true, "skip_reload": true, "no_alternative_verify": true, "noforcestorage": true, "core_functions": true}

// readSQLLogic reads the subset of sqllogictest that the reference files use.
func readSQLLogic(path string) (*sqllogicFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	p := &sqllogicParser{out: &sqllogicFile{env: map[string]string{}}}
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 8<<20)
	for sc.Scan() {
		p.lines = append(p.lines, strings.TrimSuffix(sc.Text(), "\r"))
	}
	if err := sc.Err(); err != nil {
		return nil, err
	}
	p.block(map[string]string{}, false)
	return p.out, nil
}

type sqllogicParser struct {
	lines []string
	at    int
	out   *sqllogicFile
}

func (p *sqllogicParser) give(s sqllogic) { p.out.steps = append(p.out.steps, s) }

func (p *sqllogicParser) cannot(why string) {
	if p.out.unsupported == "" {
		p.out.unsupported = why
	}
}

// block reads to the end, or to the end of a loop. vars are the loop variables.
func (p *sqllogicParser) block(vars map[string]string, inLoop bool) {
	for p.at < len(p.lines) && p.out.unsupported == "" {
		n := p.at
		words := strings.Fields(p.lines[p.at])
		p.at++
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		switch words[0] {
		case "statement":
			sql, _ := p.body()
			p.give(sqllogic{line: n + 1, kind: "statement", arg: second(words), sql: fill(sql, vars)})
		case "query":
			sql, _ := p.body()
			p.give(sqllogic{line: n + 1, kind: "query", sql: fill(sql, vars), extra: strings.Join(words[1:], " ")})
		case "require":
			if !needs[second(words)] {
				p.cannot("requires " + strings.Join(words[1:], " "))
			}
		case "require-env":
			p.cannot("requires the environment of " + second(words))
		case "test-env":
			p.out.env[second(words)] = strings.Join(words[2:], " ")
		case "loop":
			if len(words) == 4 {
				lo, _ := strconv.Atoi(fill(words[2], vars))
				hi, _ := strconv.Atoi(fill(words[3], vars))
				var values []string
				for i := lo; i < hi; i++ {
					values = append(values, strconv.Itoa(i))
				}
				p.loop(words[1], values, vars)
				continue
			}
			p.cannot("a loop that is not understood")
		case "foreach":
			p.loop(second(words), words[2:], vars)
		case "endloop":
			if inLoop {
				return
			}
		case "restart", "reconnect":
			p.give(sqllogic{line: n + 1, kind: "restart"})
		case "halt":
			p.at = len(p.lines)
		case "mode", "sleep", "set", "tags", "test-config":
		default:
			p.cannot(words[0])
		}
	}
}

func (p *sqllogicParser) loop(name string, values []string, vars map[string]string) {
	start := p.at
	for _, v := range values {
		p.at = start
		inner := map[string]string{name: v}
		maps.Copy(inner, vars)
		p.block(inner, true)
	}
}

func second(words []string) string {
	if len(words) < 2 {
		return ""
	}
	return words[1]
}

// body reads the SQL of a step and drops what is expected of it.
func (p *sqllogicParser) body() (sql string, expected []string) {
	var text []string
	for p.at < len(p.lines) && strings.TrimSpace(p.lines[p.at]) != "" && p.lines[p.at] != "----" {
		if !strings.HasPrefix(p.lines[p.at], "#") {
			text = append(text, p.lines[p.at])
		}
		p.at++
	}
	if p.at < len(p.lines) && p.lines[p.at] == "----" {
		p.at++
		for p.at < len(p.lines) && p.lines[p.at] != "" {
			expected = append(expected, p.lines[p.at])
			p.at++
		}
	}
	return strings.Join(text, "\n"), expected
}

var variable = regexp.MustCompile(`\$?\{([A-Za-z_]+)\}`)

// fill puts variables in; those that are not known stay.
func fill(s string, vars map[string]string) string {
	return variable.ReplaceAllStringFunc(s, func(m string) string {
		if v, ok := vars[strings.Trim(m, "${}")]; ok {
			return v
		}
		return m
	})
}
