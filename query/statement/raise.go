package statement

func mayRaise(n node) bool { return true }
