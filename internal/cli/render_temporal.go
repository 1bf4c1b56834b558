package cli

import (
	"math"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// newTemporal makes the printer of dates, times, timestamps and intervals.
//
// Years before 1 and after 9999 stand as the engine writes and reads them:
// 0044-03-15 (BC), 12024-01-31. Infinite dates and timestamps are infinity and
// -infinity.
func newTemporal(a arrow.Array) (column, bool) {
	switch a := a.(type) {
	case *array.Date32:
		return word(func(b []byte, i int) []byte { return appendDate32(b, int32(a.Value(i))) })
	case *array.Date64:
		return word(func(b []byte, i int) []byte {
			day, _ := floorDiv(int64(a.Value(i)), 86_400_000)
			return appendDay(b, day)
		})
	case *array.Time32:
		unit := perSecond(a.DataType().(*arrow.Time32Type).Unit)
		return word(func(b []byte, i int) []byte { return appendClock(b, int64(a.Value(i)), unit) })
	case *array.Time64:
		unit := perSecond(a.DataType().(*arrow.Time64Type).Unit)
		return word(func(b []byte, i int) []byte { return appendClock(b, int64(a.Value(i)), unit) })
	case *array.Timestamp:
		t := a.DataType().(*arrow.TimestampType)
		unit, zoned := perSecond(t.Unit), t.TimeZone != ""
		return word(func(b []byte, i int) []byte { return appendTimestamp(b, int64(a.Value(i)), unit, zoned) })
	}
	return newInterval(a)
}

func newInterval(a arrow.Array) (column, bool) {
	switch a := a.(type) {
	case *array.Duration:
		unit := perSecond(a.DataType().(*arrow.DurationType).Unit)
		return word(func(b []byte, i int) []byte { return appendInterval(b, 0, 0, int64(a.Value(i)), unit) })
	case *array.MonthInterval:
		return word(func(b []byte, i int) []byte { return appendInterval(b, int64(a.Value(i)), 0, 0, 1) })
	case *array.DayTimeInterval:
		return word(func(b []byte, i int) []byte {
			v := a.Value(i)
			return appendInterval(b, 0, int64(v.Days), int64(v.Milliseconds), 1000)
		})
	case *array.MonthDayNanoInterval:
		return word(func(b []byte, i int) []byte {
			v := a.Value(i)
			return appendInterval(b, int64(v.Months), int64(v.Days), v.Nanoseconds, 1_000_000_000)
		})
	}
	return column{}, false
}

// perSecond is how many units a second has.
func perSecond(u arrow.TimeUnit) int64 { return [...]int64{1, 1e3, 1e6, 1e9}[u] }

// floorDiv divides towards minus infinity, so the rest is never negative.
func floorDiv(v, by int64) (quotient, rest int64) {
	quotient, rest = v/by, v%by
	if rest < 0 {
		quotient, rest = quotient-1, rest+by
	}
	return quotient, rest
}

// The engine's infinities are the largest value and its negation.
const (
	infinity    = "infinity"
	minInfinity = "-infinity"
)

func appendDate32(b []byte, day int32) []byte {
	switch day {
	case math.MaxInt32:
		return append(b, infinity...)
	case -math.MaxInt32:
		return append(b, minInfinity...)
	}
	return appendDay(b, int64(day))
}

// appendDay appends the date that is day days after 1970-01-01.
func appendDay(b []byte, day int64) []byte {
	// Eras of 400 years, years that begin in March (Hinnant, days to civil).
	era, doe := floorDiv(day+719468, 146097)
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	month, year := mp+3, yoe+era*400
	if mp >= 10 {
		month, year = mp-9, year+1
	}
	bc := year < 1
	if bc {
		year = 1 - year
	}
	for limit := int64(1000); limit > 1 && year < limit; limit /= 10 {
		b = append(b, '0')
	}
	b = strconv.AppendInt(b, year, 10)
	b = append2(append(b, '-'), month)
	b = append2(append(b, '-'), doy-(153*mp+2)/5+1)
	if bc {
		b = append(b, " (BC)"...)
	}
	return b
}

func append2(b []byte, v int64) []byte { return append(b, byte('0'+v/10), byte('0'+v%10)) }

// appendClock appends hh:mm:ss and the fraction as far as it is not zero; v is
// not negative. Hours may pass 24.
func appendClock(b []byte, v, unit int64) []byte {
	second, rest := v/unit, v%unit
	hour := second / 3600
	if hour < 100 {
		b = append2(b, hour)
	} else {
		b = strconv.AppendInt(b, hour, 10)
	}
	b = append2(append(b, ':'), second/60%60)
	b = append2(append(b, ':'), second%60)
	if rest == 0 {
		return b
	}
	b = append(b, '.')
	for ; rest != 0; rest %= unit {
		unit /= 10
		b = append(b, byte('0'+rest/unit))
	}
	return b
}

func appendTimestamp(b []byte, v, unit int64, zoned bool) []byte {
	switch v {
	case math.MaxInt64:
		return append(b, infinity...)
	case -math.MaxInt64:
		return append(b, minInfinity...)
	}
	day, rest := floorDiv(v, 86400*unit)
	b = appendClock(append(appendDay(b, day), 'T'), rest, unit)
	if zoned {
		b = append(b, 'Z')
	}
	return b
}

// appendInterval appends an interval as the engine writes it: 1 year 2 months
// 3 days 04:05:06.5, and 00:00:00 for none.
func appendInterval(b []byte, months, days, v, unit int64) []byte {
	start := len(b)
	for _, p := range []struct {
		n    int64
		name string
	}{{months / 12, " year"}, {months % 12, " month"}, {days, " day"}} {
		if p.n == 0 {
			continue
		}
		if len(b) > start {
			b = append(b, ' ')
		}
		b = append(strconv.AppendInt(b, p.n, 10), p.name...)
		if p.n != 1 && p.n != -1 {
			b = append(b, 's')
		}
	}
	if v == 0 && len(b) > start {
		return b
	}
	if len(b) > start {
		b = append(b, ' ')
	}
	if v < 0 {
		b = append(b, '-')
		if v == math.MinInt64 {
			v++ // its negation does not exist; one unit of 292 years
		}
		v = -v
	}
	return appendClock(b, v, unit)
}
