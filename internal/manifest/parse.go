package manifest

import (
	"bytes"

	"gopkg.in/yaml.v3"
)

// maxDepth bounds how deep collections may be nested, through aliases too. The
// deepest place the grammar has is below ten; the bound keeps recursion small.
const maxDepth = 100

// parse returns the content of the first YAML document of a manifest, nil when
// there is none, with everything at its place in the file. In what it returns, no
// anchor contains itself and nothing is nested deeper than maxDepth, so it can be
// walked by recursion. Error texts quote nothing that is not in the file.
func parse(f filled) (*yaml.Node, error) {
	doc, stopped, err := parseFirst(f.text)
	if err != nil {
		return nil, syntaxFault(err, f, stopped)
	}
	if len(doc.Content) == 0 {
		return nil, nil
	}
	root := doc.Content[0]
	f.places().mark(root)
	if _, err := (heights{}).of(root, 0, f.source); err != nil {
		return nil, err
	}
	return root, nil
}

// fromFile returns s when the file holds it, and otherwise a stand-in: what the
// file does not hold came from a variable, and may be secret.
func fromFile(s string, source []byte) string {
	if bytes.Contains(source, []byte(s)) {
		return s
	}
	return unshown
}

// heights remembers how many levels of collections each one holds, itself
// included; 0 while that is being found out.
type heights map[*yaml.Node]int

// of returns the height of n, which stands below depth collections.
func (h heights) of(n *yaml.Node, depth int, source []byte) (int, error) {
	target := follow(n)
	if target.Kind == yaml.ScalarNode {
		return 0, nil
	}
	known, seen := h[target]
	if seen && known == 0 {
		return 0, fault(n, "yaml: anchor '%s' value contains itself", fromFile(n.Value, source))
	}
	if depth+max(known, 1) > maxDepth {
		return 0, limit("manifest is nested deeper than %d levels", maxDepth)
	}
	if seen {
		return known, nil
	}
	h[target] = 0
	tallest := 0
	for _, child := range target.Content {
		height, err := h.of(child, depth+1, source)
		if err != nil {
			return 0, err
		}
		tallest = max(tallest, height)
	}
	h[target] = tallest + 1
	return tallest + 1, nil
}

// follow returns what n stands for when it is an alias, and otherwise n.
func follow(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}
