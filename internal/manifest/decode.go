package manifest

import (
	"errors"
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"
)

// maxValues bounds how many values are taken from one manifest, with aliases
// expanded and the global environment counted once for each service. Nested
// aliases can make a small file stand for billions; real files hold hundreds.
const maxValues = 1 << 18

// decoder reads a parsed manifest into Go values. A method for one key of the
// grammar takes the key's value, aliases followed. It notes a value of a wrong
// type as a mismatch and goes on; an error ends the decoding.
type decoder struct {
	source     []byte // the file before interpolation
	left       int    // values that may still be taken
	mismatches []*Error
	unlisted   int // mismatches after the first maxListed
}

// spend takes n values from those left.
func (d *decoder) spend(n int) error {
	d.left -= n
	if d.left < 0 {
		return limit("manifest stands for more than %d values", maxValues)
	}
	return nil
}

// pair is an entry of a mapping, aliases followed.
type pair struct{ key, value *yaml.Node }

// mergeRule says which keys of a mapping bring in another mapping.
type mergeRule int

const (
	mergePlain mergeRule = iota // an unquoted <<: above the names of things
	mergeAny                    // a quoted one too: below names a Rack writes the mapping out once more, without quotes
)

func (r mergeRule) matches(key *yaml.Node) bool {
	if r == mergeAny && key.Kind == yaml.ScalarNode && key.Value == "<<" {
		return true
	}
	return key.Tag == "!!merge"
}

// pairs returns the entries of the mapping n in order, each merge key replaced
// by the entries it brings. A key can occur more than once.
func (d *decoder) pairs(n *yaml.Node, rule mergeRule) ([]pair, error) {
	var all []pair
	for i := 0; i+1 < len(n.Content); i += 2 {
		if err := d.spend(1); err != nil {
			return nil, err
		}
		key, value := n.Content[i], follow(n.Content[i+1])
		if !rule.matches(key) {
			all = append(all, pair{follow(key), value})
			continue
		}
		merged, err := d.merged(value, rule)
		if err != nil {
			return nil, err
		}
		all = append(all, merged...)
	}
	return all, nil
}

// merged returns what the value of a merge key brings: the entries of a
// mapping, or of a sequence of mappings, of which the first that has a key wins.
// See https://yaml.org/type/merge.html.
func (d *decoder) merged(value *yaml.Node, rule mergeRule) ([]pair, error) {
	sources := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		sources = value.Content
	}
	var all []pair
	for _, source := range slices.Backward(sources) {
		if err := d.spend(1); err != nil {
			return nil, err
		}
		mapping := follow(source)
		if mapping.Kind != yaml.MappingNode {
			return nil, fault(source, "yaml: map merge requires map or sequence of maps as the value")
		}
		pairs, err := d.pairs(mapping, rule)
		if err != nil {
			return nil, err
		}
		all = append(all, pairs...)
	}
	return all, nil
}

// entries returns the entries of n whose key is a scalar. A null n has none; any
// other n that is no mapping is a mismatch with into. A key can occur more than
// once: who reads them in turn ends with what the last says, and finds the faults
// of those before it, as a Rack finds them.
func (d *decoder) entries(n *yaml.Node, into string, rule mergeRule) ([]pair, error) {
	if isNull(n) {
		return nil, nil
	}
	if n.Kind != yaml.MappingNode {
		if rule == mergePlain {
			d.mismatchAbove(n, into)
		} else {
			d.mismatch(n, into)
		}
		return nil, nil
	}
	all, err := d.pairs(n, rule)
	return slices.DeleteFunc(all, func(p pair) bool { return p.key.Kind != yaml.ScalarNode }), err
}

// fields is [decoder.entries] for the places where a Rack looks at the last value
// of a key alone: each key once, where it stands last.
func (d *decoder) fields(n *yaml.Node, into string) ([]pair, error) {
	all, err := d.entries(n, into, mergeAny)
	last := map[string]int{}
	for i, p := range all {
		last[p.key.Value] = i
	}
	var fields []pair
	for i, p := range all {
		if last[p.key.Value] == i {
			fields = append(fields, p)
		}
	}
	return fields, err
}

// named returns the entries of n, a mapping from names to things, in order. A
// null or an empty sequence has none.
func (d *decoder) named(n *yaml.Node) ([]pair, error) {
	if isNull(n) || n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
		return nil, nil
	}
	if n.Kind != yaml.MappingNode {
		d.mismatchAbove(n, "yaml.MapSlice")
		return nil, nil
	}
	return d.pairs(n, mergePlain)
}

// each reads the entries of n, a mapping from names to things, in order. read reads
// one thing and returns where its name belongs. A Rack stops at the first thing in
// which a value has a wrong type. The others are still read for such values, but
// what else is wrong with them, or with the name of that one, does not count.
func (d *decoder) each(n *yaml.Node, read func(key, value *yaml.Node) (*string, error)) error {
	entries, err := d.named(n)
	if err != nil {
		return err
	}
	start, stopped := d.mismatchCount(), false
	for _, e := range entries {
		to, err := read(e.key, e.value)
		if err == nil && d.mismatchCount() == start {
			*to, err = name(e.key)
		}
		if broken, ok := errors.AsType[*Error](err); ok && (!stopped || broken.ours) {
			return err
		}
		stopped = d.mismatchCount() > start
	}
	return nil
}

// name returns the name that a key gives: a text, or the decimal text of an
// integer.
func name(key *yaml.Node) (string, error) {
	kind := ""
	switch key.Kind {
	case yaml.MappingNode:
		kind = "yaml.MapSlice"
	case yaml.SequenceNode:
		kind = "[]interface {}"
	default:
		switch v := scalar(key).(type) {
		case string:
			return v, nil
		case int:
			return canonicalText(v), nil
		default:
			kind = fmt.Sprintf("%T", v)
		}
	}
	return "", fault(key, "unknown key type: %s", kind)
}

// isNull reports whether n is absent or null, which mean the same everywhere.
func isNull(n *yaml.Node) bool {
	return n == nil || n.Kind == yaml.ScalarNode && scalar(n) == nil
}

// typeName returns the Go type that a Rack's messages name for n: that of the
// value when it is decoded without knowing what is expected, below a name.
func typeName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "map[interface {}]interface {}"
	case yaml.SequenceNode:
		return "[]interface {}"
	}
	return fmt.Sprintf("%T", canonical(n))
}

// describe returns n's tag and, for a scalar, its text, shortened: "!!int `6`". Above
// the names of things that is the text as it is written.
func (d *decoder) describe(n *yaml.Node, asWritten bool) string {
	const whole, part = 10, 7 // bytes of a text shown whole, and of a longer one

	switch n.Kind {
	case yaml.MappingNode:
		return "!!map"
	case yaml.SequenceNode:
		return "!!seq"
	}
	v := canonical(n)
	text := canonicalText(scalar(n))
	if asWritten {
		v, text = scalar(n), n.Value
	}
	switch {
	case d.hidden(n):
		text = unshown
	case len(text) > whole:
		text = text[:part] + unshown
	}
	return fmt.Sprintf("%s `%s`", scalarTag(v), text)
}
