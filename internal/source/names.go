package source

import (
	"fmt"
	"strings"
)

// namesShown is how many names a report spells out: enough to recognize what it is about.
const namesShown = 5

// Names counts files of one kind and knows the first few of them.
type Names struct {
	Count int
	First []string // at most 5 names, as in the archive
}

func (n *Names) add(name string) {
	n.Count++
	if len(n.First) < namesShown {
		n.First = append(n.First, name)
	}
}

// String lists the first names, quoted, and how many more there are. It is "" for none.
func (n Names) String() string {
	var b strings.Builder
	for i, name := range n.First {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", name)
	}
	if more := n.Count - len(n.First); more > 0 {
		fmt.Fprintf(&b, " and %d more", more)
	}
	return b.String()
}
