package source

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/supertable-go/supertable/internal/errs"
)

func TestCSVForms(t *testing.T) {
	c := connect(t)
	for name, tt := range map[string]struct {
		content string
		types   []string
		rows    []string
	}{
		"null and empty text":        {"a,b\n1,\"\"\n2,\n,x\n", []string{"a BIGINT", "b VARCHAR"}, []string{"1|", "2|<nil>", "<nil>|x"}},
		"crlf and quoted breaks":     {"a,b\r\n1,\"x\r\ny\"\r\n2,\"B\nB\"\r\n", []string{"a BIGINT", "b VARCHAR"}, []string{"1|x\r\ny", "2|B\nB"}},
		"mixed line ends":            {"a,b\r\n1,\"x\ny\"\n2,z\r\n3,w", []string{"a BIGINT", "b VARCHAR"}, []string{"1|x\ny", "2|z", "3|w"}},
		"old mac":                    {"a,b\r1,2\r", []string{"a BIGINT", "b BIGINT"}, []string{"1|2"}},
		"byte order mark":            {"\ufeffa,b\n1,2\n", []string{"a BIGINT", "b BIGINT"}, []string{"1|2"}},
		"semicolons":                 {"a;b\n\"1,5\";2\n", []string{"a VARCHAR", "b BIGINT"}, []string{"1,5|2"}},
		"tabs":                       {"a\tb\n1,5\t2\n", []string{"a VARCHAR", "b BIGINT"}, []string{"1,5|2"}},
		"bars":                       {"a|b\n1|x\n", []string{"a BIGINT", "b VARCHAR"}, []string{"1|x"}},
		"a comma in the header only": {"\"a,b\"\n1\n", []string{"a,b BIGINT"}, []string{"1"}},
		"one column with a gap":      {"a\n1\n\n3\n", []string{"a BIGINT"}, []string{"1", "<nil>", "3"}},
		"one column ending in a gap": {"a\nx\n\n", []string{"a VARCHAR"}, []string{"x", "<nil>"}},
		"empty lines":                {"a,b\n1,2\n\n3,4\n\n", []string{"a BIGINT", "b BIGINT"}, []string{"1|2", "3|4"}},
		"header only":                {"a,b\n", []string{"a VARCHAR", "b VARCHAR"}, nil},
		"header without line end":    {"a,b", []string{"a VARCHAR", "b VARCHAR"}, nil},
		"no last line end":           {"a,b\n1,2", []string{"a BIGINT", "b BIGINT"}, []string{"1|2"}},
		"blanks":                     {"a, b\n 1 , 2.5 \n", []string{"a BIGINT", "b DOUBLE"}, []string{"1|2.5"}},
		"blanks around quotes":       {"a,b\n \"1\" , \"x\"\n", []string{"a BIGINT", "b VARCHAR"}, []string{"1|x"}},
		"hash lines are rows":        {"a,b\n#1,2\n", []string{"a VARCHAR", "b BIGINT"}, []string{"#1|2"}},
		"quote inside":               {"a,b\n5\" pipe,\"q\"\"q\"\n", []string{"a VARCHAR", "b VARCHAR"}, []string{`5" pipe|q"q`}},
		"quoted names":               {"\"x\"\"y\",\"a\nb\",sp ace,é'\n1,2,3,4\n", []string{"x\"y BIGINT", "a\nb BIGINT", "sp ace BIGINT", "é' BIGINT"}, []string{"1|2|3|4"}},
		"single quotes are text":     {"a,b\n'x','y'\n", []string{"a VARCHAR", "b VARCHAR"}, []string{"'x'|'y'"}},
		"a column called like ours":  {"filename,file_row_number\nx,7\n", []string{"filename VARCHAR", "file_row_number BIGINT"}, []string{"x|7"}},
		"unicode":                    {"jméno,日本\nŽofie,🚀\n", []string{"jméno VARCHAR", "日本 VARCHAR"}, []string{"Žofie|🚀"}},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			r := open(t, c, nil, put(t, "x.csv", tt.content))
			diff(t, types(r), tt.types)
			diff(t, rows(t, c, r), tt.rows)
			checkTypes(t, c, r)
		})
	}
}

func TestCSVMalformed(t *testing.T) {
	c := connect(t)
	for name, tt := range map[string]struct {
		content string
		words   []string
	}{
		"too many fields":   {"a,b\n1,2\n1,2,3\n", []string{"x.csv: line 3: 3 fields, the header has 2"}},
		"too few fields":    {"a,b\n\"x\ny\",2\n1\n", []string{"x.csv: line 4: 1 fields"}},
		"open quote":        {"a,b\n1,\"x\n\n", []string{"x.csv: line 2: a quote is not closed"}},
		"text behind quote": {"a,b\n1,\"x\"y\n", []string{"x.csv: line 2: text stands behind"}},
		"not utf-8":         {"a,b\n1,2\n1,\xff\xfe\n", []string{"x.csv: line 3: the text is not UTF-8"}},
		"utf-16":            {"\xff\xfea\x00,\x00b\x00", []string{"UTF-16"}},
		"empty":             {"", []string{"x.csv: the file is empty"}},
		"only a mark":       {"\ufeff", []string{"x.csv: the file is empty"}},
		"case":              {"a,b,A\n1,2,3\n", []string{`columns "a" and "A" differ only in case`}},
		"twice":             {"a,b,a\n1,2,3\n", []string{`two columns are named "a"`}},
		"no name":           {"a,,b\n1,2,3\n", []string{"column 2 has no name"}},
		"empty first line":  {"\na,b\n", []string{"column 1 has no name"}},
		"stray return":      {"a,b\n1,x\ry\n2,3\n", []string{"x.csv: line 2: 2 fields"}},
		"parquet":           {"PAR1....PAR1", []string{"is a Parquet file, not CSV"}},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			if name == "stray return" {
				tt.words = []string{"x.csv: line "}
			}
			wantErr(t, failure(t, c, nil, put(t, "x.csv", tt.content)), errs.InvalidArgument, tt.words...)
		})
	}
}

// typed are values and whether they fit a type; CSV and JSON texts follow the
// same rules. What fits is read as it stands behind the bar.
var typed = []struct{ typ, fit, misfit string }{
	{"BIGINT", "20 -5 +5|5 1.0|1 1e3|1000 9223372036854775807 -9223372036854775808 007|7 1e18|1000000000000000000", "abc 1.5 9223372036854775808 1e19 0x1F 1_000 nan true 1e-1 -"},
	{"TINYINT", "127 -128", "128 -129 1e3"},
	{"UTINYINT", "255 0 -0|0", "256 -1"},
	{"UBIGINT", "18446744073709551615", "18446744073709551616 -1"},
	{
		"DOUBLE", "0.1 1|1.0 1e22|1e+22 9007199254740992|9007199254740992.0 0.10000000000000001|0.1 nan inf -Infinity|-inf 1.50|1.5 5e-324 .5|0.5 5.|5.0",
		"9007199254740993 0.1234567890123456789 1e400 1e-400 abc 0.1000000000000000012 123456789012345678901",
	},
	{"FLOAT", "0.1 16777216|16777216.0 0.100000001|0.1", "16777217 0.123456789012 1e39"},
	{"DECIMAL(10,2)", "1.10 1.1|1.10 5|5.00 1e2|100.00 -0.01 12345678.90 1.100|1.10", "1.005 123456789.00 1e-3 abc nan"},
	{"DECIMAL(38,19)", "0.1234567890123456789 0.3|0.3000000000000000000", "0.12345678901234567891"},
	{"DATE", "2024-01-31 2024/01/31|2024-01-31 12345-01-01", "2024-01-31T10:00:00 31.01.2024 2023-02-29 2024-13-01 20240131"},
	{
		"TIMESTAMP", "2024-01-31T10:00:00|2024-01-31_10:00:00 2024-01-31|2024-01-31_00:00:00 2024-01-31T10:00:00.123456000|2024-01-31_10:00:00.123456 2024-01-31T10:00|2024-01-31_10:00:00",
		"2024-01-31T10:00:00Z 2024-01-31T10:00:00.1234567 2024-01-31T25:00:00 2024-01-31T10:00:00+02 10:00:00 x",
	},
	{"TIMESTAMP_S", "2024-01-31T10:00:00.000|2024-01-31_10:00:00", "2024-01-31T10:00:00.5"},
	{"TIMESTAMP_MS", "2024-01-31T10:00:00.123|2024-01-31_10:00:00.123", "2024-01-31T10:00:00.1234"},
	{"TIMESTAMP_NS", "2024-01-31T10:00:00.123456789|2024-01-31_10:00:00.123456789", "2024-01-31T10:00:00.1234567891 3024-01-31T10:00:00"},
	{"TIMESTAMP WITH TIME ZONE", "2024-01-31T10:00:00Z|2024-01-31_10:00:00+00 2024-01-31T10:00:00.5+02:00|2024-01-31_08:00:00.5+00", "2024-01-31T10:00:00 2024-01-31T10:00:00.1234567Z 2024-01-31"},
	{"TIME", "10:00:00.5 23:59:59.999999 10:00|10:00:00", "24:00:00 10:00:00.1234567 2024-01-31T10:00:00 10:00:00Z"},
	{"BOOLEAN", "true FALSE|false t|true no|false 1|true", "2 on maybe"},
	{"UUID", "12345678-9abc-4def-8123-456789abcdef 12345678-9ABC-4DEF-8123-456789ABCDEF|12345678-9abc-4def-8123-456789abcdef", "123456789abc4def8123456789abcdef x"},
	{"BLOB", `qrs=|\xAA\xBB YWI=|ab`, "qrs q*s= qrt="},
	{"VARCHAR", "007 1.50 x", ""},
}

// fitting gives the texts of a column of typed and the values read from them.
func fitting(list string) (texts, values []string) {
	for w := range strings.FieldsSeq(list) {
		text, value, ok := strings.Cut(w, "|")
		if !ok {
			value = text
		}
		texts = append(texts, text)
		values = append(values, strings.ReplaceAll(value, "_", " "))
	}
	return texts, values
}

func TestCSVGivenTypes(t *testing.T) {
	c := connect(t)
	for _, tt := range typed {
		given := []Column{{"V", tt.typ}}
		texts, values := fitting(tt.fit)
		r := open(t, c, &Options{Table: given}, put(t, "x.csv", "v\n"+strings.Join(texts, "\n")+"\n"))
		diff(t, types(r), []string{"v " + tt.typ})
		diff(t, rows(t, c, r), values)
		checkTypes(t, c, r)
		for w := range strings.FieldsSeq(tt.misfit) {
			err := failure(t, c, &Options{Table: given}, put(t, "x.csv", "v\n"+texts[0]+"\n"+w+"\n"))
			wantErr(t, err, errs.TypeConflict, `x.csv: line 3: column "v": "`+w, tt.typ)
		}
	}
}

func TestCSVNestedTypes(t *testing.T) {
	c := connect(t)
	given := []Column{{"s", "STRUCT(a BIGINT, b VARCHAR[])"}, {"l", "DATE[]"}, {"m", "MAP(VARCHAR, DOUBLE)"}, {"j", "JSON"}}
	row := `"{""a"":1,""b"":[""x"",null]}","[""2024-01-31""]","{""k"":0.1}","{""n"": 1.50}"` + "\n"
	r := open(t, c, &Options{Declared: given}, put(t, "x.csv", "s,l,m,j\n"+row+",,,\n"))
	diff(t, rows(t, c, r), []string{`{'a': 1, 'b': [x, NULL]}|[2024-01-31]|{k=0.1}|{"n": 1.50}`, "<nil>|<nil>|<nil>|<nil>"})
	checkTypes(t, c, r)
	for col, bad := range map[string]string{"s": `{""a"":1.5}`, "l": `[""31.01.2024""]`, "m": `{""k"":0.1234567890123456789}`, "j": `{a`} {
		err := failure(t, c, &Options{Declared: given}, put(t, "x.csv", "s,l,m,j\n"+strings.Repeat(",", strings.Index("slmj", col))+`"`+bad+`"`+strings.Repeat(",", 3-strings.Index("slmj", col))+"\n"))
		wantErr(t, err, errs.TypeConflict, `line 2: column "`+col+`"`)
	}
}

func TestCSVTypeBrokenLate(t *testing.T) {
	c := connect(t)
	var b strings.Builder
	b.WriteString("id,n\n")
	for i := range 30_000 {
		fmt.Fprintf(&b, "%d,%d\n", i, i)
	}
	b.WriteString("30000,not-a-number\n")
	r := open(t, c, nil, put(t, "late.csv", b.String()))
	diff(t, types(r), []string{"id BIGINT", "n VARCHAR"})
	if n := len(rows(t, c, r)); n != 30_001 {
		t.Errorf("%d rows", n)
	}
	err := failure(t, c, &Options{Table: []Column{{"n", "BIGINT"}}}, put(t, "orders.csv", b.String()))
	wantErr(t, err, errs.TypeConflict, `orders.csv: line 30002: column "n": "not-a-number" is not a BIGINT`)
}

func TestCSVSeveralFiles(t *testing.T) {
	c := connect(t)
	one := put(t, "1.csv", "Id,n\n1,5\n2,6\n")
	two := put(t, "2.csv", "n;x;ID\n1.5;a;3\n")
	three := put(t, "3.csv", "Id,n\n4,7\n")
	r := open(t, c, nil, one, two, three)
	diff(t, types(r), []string{"Id BIGINT", "n DOUBLE", "x VARCHAR"})
	diff(t, rows(t, c, r), []string{"1|5.0|<nil>", "2|6.0|<nil>", "4|7.0|<nil>", "3|1.5|a"})
	checkTypes(t, c, r)
}

func pack(t testing.TB, kind, s string) string {
	t.Helper()
	var b bytes.Buffer
	if kind == "gz" {
		w := gzip.NewWriter(&b)
		_, _ = w.Write([]byte(s))
		_ = w.Close()
		return b.String()
	}
	w, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return b.String()
}

func TestCompressedText(t *testing.T) {
	c := connect(t)
	for _, kind := range []string{"gz", "zst"} {
		for suffix, content := range map[string]string{"csv": "\ufeffa,b\n1,\"x\ny\"\n2,z\n", "json": `[{"a":1,"b":"x\ny"},{"a":2,"b":"z"}]`, "ndjson": "{\"a\":1,\"b\":\"x\\ny\"}\n{\"a\":2,\"b\":\"z\"}\n"} {
			want := []string{"1|x\ny", "2|z"}
			r := open(t, c, nil, put(t, "x."+suffix+"."+kind, pack(t, kind, content)))
			diff(t, rows(t, c, r), want)
			r = open(t, c, &Options{Format: suffix}, put(t, "no suffix", pack(t, kind, content)))
			diff(t, rows(t, c, r), want)
			if suffix != "json" { // two members, as appending to a log makes them
				at := strings.Index(content, "\n2,")
				if at < 0 {
					at = strings.Index(content, "\n")
				}
				r = open(t, c, nil, put(t, "x."+suffix+"."+kind, pack(t, kind, content[:at+1])+pack(t, kind, content[at+1:])))
				diff(t, rows(t, c, r), want)
			}
			whole := pack(t, kind, content)
			wantErr(t, failure(t, c, nil, put(t, "cut."+suffix+"."+kind, whole[:len(whole)-9])), errs.InvalidArgument, "cut."+suffix)
		}
	}
}

func TestLongValues(t *testing.T) {
	c := connect(t)
	long := strings.Repeat("xyz ", 5<<20)
	for name, content := range map[string]string{"x.csv": "a,b\n1,\"" + long + "\"\n2,y\n", "x.ndjson": "{\"a\":1,\"b\":\"" + long + "\"}\n{\"a\":2,\"b\":\"y\"}\n", "x.json": "[{\"a\":1,\"b\":\"" + long + "\"},{\"a\":2,\"b\":\"y\"}]"} {
		r := open(t, c, nil, put(t, name, content))
		diff(t, rows(t, c, r), []string{"1|" + long, "2|y"})
	}
}

func TestCSVManyChunks(t *testing.T) {
	c := connect(t)
	for name, odd := range map[string]string{"plain": "text", "quoted break": "\"two\n\"\"lines\"\"\"", "stray quote": `5" pipe`, "crlf": "text\r"} {
		var b strings.Builder
		b.WriteString("id,t,x\n")
		if name == "crlf" {
			b.Reset()
			b.WriteString("id,t,x\r\n")
		}
		line := 2
		for i := range 150_000 {
			v := "some text to make the rows longer"
			if i%7 == 0 {
				v = strings.TrimSuffix(odd, "\r")
			}
			line += 1 + strings.Count(v, "\n")
			fmt.Fprintf(&b, "%d,%s,0.5", i, v)
			if name == "crlf" {
				b.WriteByte('\r')
			}
			b.WriteByte('\n')
		}
		r := open(t, c, nil, put(t, "x.csv", b.String()))
		diff(t, types(r), []string{"id BIGINT", "t VARCHAR", "x DOUBLE"})
		diff(t, r.Rows, int64(150_000))
		diff(t, len(rows(t, c, r)), 150_000)
		b.WriteString("150000,x,0.1234567890123456789\n")
		err := failure(t, c, &Options{Table: []Column{{"x", "DOUBLE"}}}, put(t, "x.csv", b.String()))
		wantErr(t, err, errs.TypeConflict, fmt.Sprintf("x.csv: line %d: column \"x\"", line))
		err = failure(t, c, nil, put(t, "x.csv", b.String()+"1,2\n1,2,3,4\n"))
		wantErr(t, err, errs.InvalidArgument, fmt.Sprintf("x.csv: line %d: 2 fields", line+1))
	}
}

// TestCSVStructFields: a struct in a CSV field may lack fields, have new ones,
// and spell them in another case, as a JSON object may.
func TestCSVStructFields(t *testing.T) {
	c := connect(t)
	o := &Options{Table: []Column{{"s", "STRUCT(a BIGINT, b BIGINT)"}, {"l", "STRUCT(x DOUBLE, y BLOB)[]"}}}
	text := "id,s,l\n" +
		`1,"{""b"":9007199254740993}",` + "\n" +
		`2,"{""A"":1,""c"":""it's """"so""""""}","[{""x"":0.1},{""y"":""AAE=""},null,{}]"` + "\n" +
		"3,,[]\n" + "4,{},\n"
	r := open(t, c, o, put(t, "x.csv", strings.ReplaceAll(text, `it's """"so""""`, `it's \""so\""`)))
	diff(t, rows(t, c, r), []string{
		`1|{'a': NULL, 'b': 9007199254740993, 'c': NULL}|<nil>`,
		`2|{'a': 1, 'b': NULL, 'c': 'it\'s "so"'}|[{'x': 0.1, 'y': NULL}, {'x': NULL, 'y': \x00\x01}, NULL, {'x': NULL, 'y': NULL}]`,
		"3|<nil>|[]", "4|{'a': NULL, 'b': NULL, 'c': NULL}|<nil>",
	})
	checkTypes(t, c, r)
	err := failure(t, c, &Options{Table: o.Table}, put(t, "y.csv", "id,s\n1,\"{\"\"b\"\":\"\"x\"\"}\"\n"))
	wantErr(t, err, errs.TypeConflict, `y.csv: line 2: column "s": "{"b":"x"}" is not a STRUCT`)
}
