package main

import (
	"fmt"

	"github.com/supertable-go/supertable"
)

// governed measures what rules cost: the queries as a user who sees a part of
// the rows and columns, beside the same query of ours without any rule, and
// beside raw with the rules written into its statement by hand.
func (b *bench) governed() error {
	const part = "(SELECT id, grp, name, amount, tag FROM %s WHERE grp < 900)"
	const rules = `"role": "reader", "tables": ["t"], "columns": ["id", "grp", "name", "amount", "tag"], "filters": {"grp": {"operation": "<", "value": 900}}`
	if err := b.govern(rules); err != nil {
		return err
	}
	for _, q := range queries {
		if err := b.ruled("filter and columns, "+q.name, q.sql, "filtered", part, true); err != nil {
			return err
		}
	}
	// These can fail on a value: a fence keeps them from the hidden rows.
	fenced := []struct{ name, sql string }{
		{"sum of an integer expression", "SELECT sum(tag) FROM %s WHERE tag + 1 > 3"},
		{"group by with a cast", "SELECT grp, count(*), sum(amount) FROM %s WHERE CAST(tag AS TINYINT) > 3 GROUP BY grp ORDER BY grp"},
		{"point with a cast", "SELECT * FROM %s WHERE id = 4711711 AND CAST(tag AS TINYINT) >= 0"},
	}
	for _, q := range fenced {
		if err := b.ruled("filter and columns, fenced, "+q.name, q.sql, "filtered", part, false); err != nil {
			return err
		}
	}
	const masked = "(SELECT id, grp, right(name, 2) AS name, NULL::DOUBLE AS amount, tag FROM %s WHERE grp < 900)"
	for _, q := range []struct{ name, sql string }{
		{"group by the masked text", "SELECT name, count(*) FROM %s GROUP BY name ORDER BY name"},
		{"group by another column", "SELECT grp, count(*), sum(amount) FROM %s GROUP BY grp ORDER BY grp"},
	} {
		if err := b.ruled("masks, "+q.name, q.sql, "masked", masked, false); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) govern(rules string) error {
	st, err := b.peers.lake.SuperTable(b.ctx, "bench", "lake")
	if err != nil {
		return err
	}
	b.peers.ruled = map[string]*supertable.Session{}
	for name, masks := range map[string]string{"filtered": "", "masked": `, "masks": {"name": {"type": "last", "n": 2}, "amount": {"type": "null"}}`} {
		if _, err := b.peers.session.CreateRole(b.ctx, []byte(`{"name": "`+name+`", `+rules+masks+`}`)); err != nil {
			return err
		}
		if _, err := b.peers.session.CreateUser(b.ctx, name, []string{name}, nil); err != nil {
			return err
		}
		if b.peers.ruled[name], err = st.Session(b.ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// ruled runs one query as a user with rules, as one without, and raw with the
// rules written by hand, whose answer must be the same.
func (b *bench) ruled(name, sql, user, part string, aimed bool) error {
	all := "read_parquet('" + b.path("rawt") + "/*.parquet')"
	var ours, want [][]string
	var err error
	mine, err := b.median(func() error {
		ours, err = collect(b, b.peers.ruled[user], fmt.Sprintf(sql, "t"))
		return err
	})
	if err != nil {
		return err
	}
	free, err := b.median(func() error { _, err := collect(b, b.peers.session, fmt.Sprintf(sql, "t")); return err })
	if err != nil {
		return err
	}
	raw, err := b.median(func() error {
		want, err = drain(b, b.peers.rawConn, fmt.Sprintf(sql, fmt.Sprintf(part, all)))
		return err
	})
	if err != nil {
		return err
	}
	r := row{name: name, unit: "s", ours: mine, raw: raw, free: free}
	if aimed {
		r.target, r.met = "≤ 1.3× ours without rules", mine <= 1.3*free
	}
	if !same(ours, want) {
		r.wrong = fmt.Sprintf("%.200v, raw has %.200v", ours, want)
	}
	b.add(r)
	return nil
}
