package ci

// plain is a system that only shows what is printed.
type plain struct{}

func (plain) mask(string) string { return "" }

func (plain) group(title string) (open, end string) {
	return "== " + grammar{}.harmless(title) + "\n", ""
}

func (plain) note(note) string { return "" }

func (plain) hush() (stop, resume string) { return "", "" }

func (plain) output(string, string) (string, error) { return "", nil }
