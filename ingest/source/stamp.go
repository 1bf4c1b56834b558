package source

// stamp is what the text of a date or time says.
type stamp struct {
	date, time, zoned bool // which parts are there
	iso               bool // the date is written YYYY-MM-DD
	year              int
	frac              int // fraction digits that are not trailing zeros
}

// daysIn is the length of each month in a leap year.
var daysIn = [13]int{0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

// parseStamp reads YYYY-MM-DD, HH:MM[:SS[.f]], or both with a blank or a T
// between them and, after the time, Z or an offset. Slashes may stand for the
// dashes; " (BC)" may follow the date as the engine writes it.
func parseStamp(b []byte) (s stamp, ok bool) {
	p := stampText{b: b}
	if len(b) > 4 && b[2] != ':' && b[1] != ':' {
		if !p.dateTo(&s) {
			return s, false
		}
		if p.pos == len(b) {
			return s, true
		}
		if c := b[p.pos]; c != ' ' && c != 'T' {
			return s, false
		}
		p.pos++
	}
	if !p.timeTo(&s) || !p.zoneTo(&s) || p.pos != len(b) {
		return s, false
	}
	return s, s.date || !s.zoned
}

type stampText struct {
	b   []byte
	pos int
}

// digits reads a number of least to most digits.
func (p *stampText) digits(least, most int) (n int, ok bool) {
	start := p.pos
	for p.pos < len(p.b) && p.pos-start < most && p.b[p.pos] >= '0' && p.b[p.pos] <= '9' {
		n = n*10 + int(p.b[p.pos]-'0')
		p.pos++
	}
	return n, p.pos-start >= least
}

func (p *stampText) take(c byte) bool {
	if p.pos < len(p.b) && p.b[p.pos] == c {
		p.pos++
		return true
	}
	return false
}

// isoDate reads YYYY-MM-DD at the beginning of b.
func isoDate(b []byte) (year, month, day int, ok bool) {
	if len(b) < 10 || b[4] != '-' || b[7] != '-' {
		return 0, 0, 0, false
	}
	bad := false
	two := func(i int) int {
		x, y := b[i]-'0', b[i+1]-'0'
		bad = bad || x > 9 || y > 9
		return int(x)*10 + int(y)
	}
	year, month, day = two(0)*100+two(2), two(5), two(8)
	return year, month, day, !bad && (len(b) == 10 || b[10]-'0' > 9)
}

func (p *stampText) dateTo(s *stamp) bool {
	if year, month, day, ok := isoDate(p.b); ok && month >= 1 && month <= 12 && day >= 1 && day <= 28 && year > 0 && (len(p.b) < 12 || p.b[11] != '(') {
		p.pos = 10
		s.date, s.iso, s.year = true, true, year
		return true
	}
	var month, day int
	var ok bool
	if s.year, ok = p.digits(4, 6); !ok || p.pos == len(p.b) {
		return false
	}
	width, sep := p.pos, p.b[p.pos]
	if sep != '-' && sep != '/' {
		return false
	}
	p.pos++
	if month, ok = p.digits(1, 2); !ok || !p.take(sep) {
		return false
	}
	if day, ok = p.digits(1, 2); !ok {
		return false
	}
	s.date = true
	s.iso = width == 4 && sep == '-' && p.pos == 10
	if s.year == 0 || month < 1 || month > 12 || day < 1 || day > daysIn[month] {
		return false
	}
	const bc = " (BC)"
	if len(p.b)-p.pos >= len(bc) && string(p.b[p.pos:p.pos+len(bc)]) == bc {
		p.pos += len(bc)
		s.iso, s.year = false, 1-s.year
	}
	leap := s.year%4 == 0 && (s.year%100 != 0 || s.year%400 == 0)
	return month != 2 || day < 29 || leap
}

func (p *stampText) timeTo(s *stamp) bool {
	hour, ok := p.digits(1, 2)
	if !ok || hour > 23 || !p.take(':') {
		return false
	}
	if minute, ok := p.digits(2, 2); !ok || minute > 59 {
		return false
	}
	s.time = true
	if !p.take(':') {
		return p.pos == len(p.b) // the engine takes no zone without seconds
	}
	if second, ok := p.digits(2, 2); !ok || second > 59 {
		return false
	}
	if !p.take('.') {
		return true
	}
	start := p.pos
	for p.pos < len(p.b) && p.b[p.pos] >= '0' && p.b[p.pos] <= '9' {
		p.pos++
		if p.b[p.pos-1] != '0' {
			s.frac = p.pos - start
		}
	}
	return p.pos > start
}

func (p *stampText) zoneTo(s *stamp) bool {
	if p.pos == len(p.b) {
		return true
	}
	s.zoned = true
	if p.take('Z') {
		return true
	}
	if !p.take('+') && !p.take('-') {
		return false
	}
	if hour, ok := p.digits(2, 2); !ok || hour > 15 {
		return false
	}
	if p.take(':') {
		minute, ok := p.digits(2, 2)
		return ok && minute < 60
	}
	return true
}

// kinds are the types that a text of this form can be read as when types
// are inferred: only the unambiguous ISO form counts.
func (s stamp) kinds() kinds {
	switch {
	case s.date && !s.iso:
		return 0
	case s.zoned:
		if s.frac <= 6 {
			return kZoned
		}
	case s.date:
		k := kinds(0)
		if !s.time {
			k |= kDate
		}
		if s.frac <= 6 {
			k |= kStamp
		}
		if s.frac <= 9 && s.year > 1677 && s.year < 2262 {
			k |= kStampNS
		}
		return k
	case s.time && s.frac <= 6:
		return kTime
	}
	return 0
}
