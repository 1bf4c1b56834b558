package errs

// Cut keeps the first characters of what a message shows: it may be of any length.
func Cut(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
