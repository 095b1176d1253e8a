package ci

// machine finds all of many strings in one pass over a text, byte by byte
// (Aho and Corasick, "Efficient string matching", 1975). It never changes once
// made, so that many masks can share it.
type machine struct {
	nodes []node     // nodes[0] is the root: nothing recognised
	root  [256]int32 // the root's edges
	skip  *skipper   // what is not worth reading
}

// node stands for the prefix of a pattern.
type node struct {
	edges []edge
	fail  int32 // node of the longest proper suffix that is a prefix too
	match int   // length of the longest pattern that ends here; 0 for none
	open  int   // how many of the last bytes can still become a pattern
}

type edge struct {
	b  byte
	to int32
}

// newMachine makes the machine that finds patterns, none of which is shorter
// than minSecret.
func newMachine(patterns []string) *machine {
	m := &machine{nodes: make([]node, 1), skip: newSkipper(patterns)}
	for _, p := range patterns {
		m.insert(p)
	}
	for _, e := range m.nodes[0].edges {
		m.root[e.b] = e.to
	}
	m.link()
	return m
}

// insert adds the nodes of a pattern.
func (m *machine) insert(pattern string) {
	at := int32(0)
	for i := range len(pattern) {
		to, ok := m.child(at, pattern[i])
		if !ok {
			to = int32(len(m.nodes))
			m.nodes = append(m.nodes, node{open: i + 1})
			m.nodes[at].edges = append(m.nodes[at].edges, edge{pattern[i], to})
		}
		at = to
	}
	m.nodes[at].match = len(pattern)
}

// link sets fail of every node, and match and open where they are inherited,
// short prefixes first: each needs those of shorter ones.
func (m *machine) link() {
	queue := []int32{0}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, e := range m.nodes[at].edges {
			if at != 0 {
				m.nodes[e.to].fail = m.next(m.nodes[at].fail, e.b)
			}
			to := &m.nodes[e.to]
			if to.match == 0 {
				to.match = m.nodes[to.fail].match
			}
			if len(to.edges) == 0 {
				to.open = m.nodes[to.fail].open
			}
			queue = append(queue, e.to)
		}
	}
}

func (m *machine) child(at int32, b byte) (int32, bool) {
	for _, e := range m.nodes[at].edges {
		if e.b == b {
			return e.to, true
		}
	}
	return 0, false
}

// next returns the node after reading b: the longest prefix of any pattern that
// ends with b.
func (m *machine) next(at int32, b byte) int32 {
	for at != 0 {
		if to, ok := m.child(at, b); ok {
			return to
		}
		at = m.nodes[at].fail
	}
	return m.root[b]
}
