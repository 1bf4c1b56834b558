package cli

import (
	"context"
	"slices"
	"strings"
	"time"
)

// keywords that Tab completes; names come first.
var keywords = strings.Fields(`
	all and as asc at between by case cast count cross current_date describe desc distinct
	else end except exists explain false filter from full group having ilike in inner intersect is join
	lateral left like limit max min not null offset on or order outer over partition pivot qualify
	right rollup select show sum tables then timestamp true union unnest using values version when
	where window with avg coalesce date_trunc`)

var metaCommands = []string{`\d`, `\h`, `\q`, `\timing`, `\x`}

const (
	// namesAge is how old the list of names may become.
	namesAge = 30 * time.Second
	// namesTables bounds of how many tables the columns are offered.
	namesTables = 100
	// namesPatience bounds how long Tab may take.
	namesPatience = 2 * time.Second
)

// nameCache knows the names of tables and columns, for completion.
type nameCache struct {
	session session
	now     func() time.Time
	names   []string
	read    time.Time
}

// complete completes the word that ends at pos.
func (n *nameCache) complete(ctx context.Context, line string, pos int) (head string, options []string, tail string) {
	runes := []rune(line)
	pos = min(pos, len(runes))
	before, tail := string(runes[:pos]), string(runes[pos:])
	start := len(before)
	for start > 0 && (isWord(before[start-1]) || before[start-1] == '\\') {
		start--
	}
	head, word := before[:start], before[start:]
	if strings.HasPrefix(word, `\`) {
		return head, matching(metaCommands, word), tail
	}
	options = matching(n.list(ctx), word)
	if word == "" {
		return head, options, tail
	}
	for _, k := range matching(keywords, word) {
		if word == strings.ToUpper(word) {
			k = strings.ToUpper(k)
		}
		if !slices.Contains(options, k) {
			options = append(options, k)
		}
	}
	return head, options, tail
}

// matching finds the names that begin with prefix in any case.
func matching(names []string, prefix string) []string {
	var out []string
	for _, n := range names {
		if len(n) >= len(prefix) && strings.EqualFold(n[:len(prefix)], prefix) {
			out = append(out, n)
		}
	}
	return out
}

// list returns the names, read again when they are old. A failure offers what
// was known.
func (n *nameCache) list(ctx context.Context) []string {
	if now := n.now(); n.read.IsZero() || now.Sub(n.read) > namesAge {
		n.read = now
		ctx, cancel := context.WithTimeout(ctx, namesPatience)
		defer cancel()
		if names := n.load(ctx); len(names) > 0 {
			n.names = names
		}
	}
	return n.names
}

func (n *nameCache) load(ctx context.Context) []string {
	tables, err := n.session.Tables(ctx)
	if err != nil {
		return nil
	}
	var names []string
	for i, t := range tables {
		names = append(names, quoteName(t.Name))
		if i >= namesTables {
			continue
		}
		columns, err := n.session.Schema(ctx, t.Name)
		if err != nil {
			continue
		}
		for _, c := range columns {
			names = append(names, quoteName(c.Name))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// quoteName puts a name in quotes when SQL needs them.
func quoteName(name string) string {
	if paramName.MatchString(name) {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}
