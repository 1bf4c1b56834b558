package datafile_test

import (
	"testing"

	"github.com/supertable-go/supertable/datafile"
)

// TestLiteral: a text is a constant of a type exactly, or none.
func TestLiteral(t *testing.T) {
	for _, tt := range []struct{ typ, text, want string }{
		{"TINYINT", "127", "CAST('127' AS TINYINT)"},
		{"TINYINT", "-128", "CAST('-128' AS TINYINT)"},
		{"TINYINT", "128", ""},
		{"TINYINT", "-129", ""},
		{"UTINYINT", "255", "CAST('255' AS UTINYINT)"},
		{"UTINYINT", "256", ""},
		{"UTINYINT", "-1", ""},
		{"BIGINT", "9223372036854775807", "CAST('9223372036854775807' AS BIGINT)"},
		{"BIGINT", "9223372036854775808", ""},
		{"UBIGINT", "18446744073709551615", "CAST('18446744073709551615' AS UBIGINT)"},
		{"BIGINT", "1.0", ""},
		{"BIGINT", "1e3", ""},
		{"BIGINT", " 1", ""},
		{"BIGINT", "", ""},
		{"BIGINT", "0x10", ""},
		{"DECIMAL(4,2)", "12.340", "CAST('12.340' AS DECIMAL(4,2))"},
		{"DECIMAL(4,2)", "12.345", ""},
		{"DECIMAL(4,2)", "123", ""},
		{"DECIMAL(4,2)", "0099", "CAST('0099' AS DECIMAL(4,2))"},
		{"DECIMAL(4,2)", ".", ""},
		{"DECIMAL(4,2)", "-.5", "CAST('-.5' AS DECIMAL(4,2))"},
		{"DOUBLE", "1e3", "CAST('1e3' AS DOUBLE)"},
		{"DOUBLE", "NaN", "CAST('NaN' AS DOUBLE)"},
		{"DOUBLE", "x", ""},
		{"FLOAT", "1e300", ""},
		{"BOOLEAN", "TRUE", "CAST('true' AS BOOLEAN)"},
		{"BOOLEAN", "1", ""},
		{"VARCHAR", "O'Brien", "'O''Brien'"},
		{"VARCHAR", "a\x00b", ""},
		{"UUID", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "CAST('6ba7b810-9dad-11d1-80b4-00c04fd430c8' AS UUID)"},
		{"UUID", "6ba7b810", ""},
		{"DATE", "2026-01-31", "CAST('2026-01-31' AS DATE)"},
		{"DATE", "2026-02-30", ""},
		{"DATE", "2026-01-31 10:00:00", ""},
		{"TIMESTAMP", "2026-01-31", "CAST('2026-01-31 00:00:00' AS TIMESTAMP)"},
		{"TIMESTAMP", "2026-01-31T10:00:00.5", "CAST('2026-01-31 10:00:00.5' AS TIMESTAMP)"},
		{"TIMESTAMP", "2026-01-31T10:00:00.1234567", ""},
		{"TIMESTAMP", "2026-01-31T10:00:00Z", ""},
		{"TIMESTAMP_S", "2026-01-31T10:00:00.5", ""},
		{"TIMESTAMP_NS", "2026-01-31T10:00:00.123456789", "CAST('2026-01-31 10:00:00.123456789' AS TIMESTAMP_NS)"},
		{"TIMESTAMP WITH TIME ZONE", "2026-01-31T10:00:00+02:00", "CAST('2026-01-31 08:00:00+00' AS TIMESTAMP WITH TIME ZONE)"},
		{"TIMESTAMP WITH TIME ZONE", "2026-01-31 10:00:00", "CAST('2026-01-31 10:00:00+00' AS TIMESTAMP WITH TIME ZONE)"},
		{"TIME", "10:00:00.000001", "CAST('10:00:00.000001' AS TIME)"},
		{"TIME", "25:00:00", ""},
		{"BLOB", "x", ""},
		{"INTEGER[]", "[1]", ""},
	} {
		typ, err := datafile.ParseSQL(tt.typ)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := datafile.Literal(typ, tt.text)
		if ok != (tt.want != "") || ok && got != tt.want {
			t.Errorf("%s %q: %s %t, want %s", tt.typ, tt.text, got, ok, tt.want)
		}
	}
}
