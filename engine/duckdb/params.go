package duckdb

import (
	"fmt"
	"math/big"
	"strings"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/supertable-go/supertable/engine"
)

// bind gives every parameter its value, by name.
func (s *statement) bind(params map[string]any) error {
	for name, v := range params {
		var index bindings.IdxT
		if bindings.BindParameterIndex(s.prep, &index, name) != bindings.StateSuccess {
			return &engine.Error{Class: "invalid input", Message: fmt.Sprintf("the statement has no parameter %q", name)}
		}
		if err := s.bindValue(index, v); err != nil {
			return &engine.Error{Class: "invalid input", Message: fmt.Sprintf("parameter %q: %v", name, err)}
		}
	}
	return nil
}

func (s *statement) bindValue(i bindings.IdxT, v any) error {
	var state bindings.State
	switch v := v.(type) {
	case nil:
		state = bindings.BindNull(s.prep, i)
	case bool:
		state = bindings.BindBoolean(s.prep, i, v)
	case int:
		state = bindings.BindInt64(s.prep, i, int64(v))
	case int64:
		state = bindings.BindInt64(s.prep, i, v)
	case uint64:
		state = bindings.BindUInt64(s.prep, i, v)
	case float64:
		state = bindings.BindDouble(s.prep, i, v)
	case string:
		state = bindings.BindVarchar(s.prep, i, v)
	case engine.Decimal:
		d, err := parseDecimal(string(v))
		if err != nil {
			return err
		}
		state = bindings.BindDecimal(s.prep, i, d)
	default:
		return fmt.Errorf("a value of type %T cannot be a parameter", v)
	}
	if state != bindings.StateSuccess {
		return fmt.Errorf("refused: %s", bindings.PrepareError(s.prep))
	}
	return nil
}

// maxDigits is the widest decimal of the engine.
const maxDigits = 38

// parseDecimal reads text such as "-12.340" without losing a digit: it is a
// DECIMAL(5,3).
func parseDecimal(text string) (bindings.Decimal, error) {
	rest := strings.TrimPrefix(text, "-")
	whole, fraction, point := strings.Cut(rest, ".")
	digits := whole + fraction
	if digits == "" || point && fraction == "" || strings.Trim(digits, "0123456789") != "" {
		return bindings.Decimal{}, fmt.Errorf("%q is not a decimal", text)
	}
	width := max(len(strings.TrimLeft(whole, "0"))+len(fraction), 1)
	if width > maxDigits {
		return bindings.Decimal{}, fmt.Errorf("%q has more than %d digits", text, maxDigits)
	}
	n, _ := new(big.Int).SetString(digits, 10)
	low := new(big.Int).And(n, new(big.Int).SetUint64(^uint64(0))).Uint64()
	high := new(big.Int).Rsh(n, 64).Int64()
	if strings.HasPrefix(text, "-") {
		low, high = -low, ^high
		if low == 0 {
			high++
		}
	}
	return bindings.NewDecimal(uint8(width), uint8(len(fraction)), bindings.NewHugeInt(low, high)), nil
}
