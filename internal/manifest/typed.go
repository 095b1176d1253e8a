package manifest

import (
	"math"

	"gopkg.in/yaml.v3"
)

// What a null stands for is the zero value of whatever its place needs, in all
// of these.

// text returns the text of n: the canonical text of a scalar, empty when it is
// null. A collection is a mismatch, and its text is empty.
func (d *decoder) text(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode {
		d.mismatch(n, "string")
		return ""
	}
	return canonicalText(scalar(n))
}

// asWritten is [decoder.text] for the one place where a Rack keeps the text of an
// unquoted scalar: the parameters.
func (d *decoder) asWritten(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode && !isNull(n) {
		return n.Value
	}
	return d.text(n)
}

// texts returns the text of each element of n, which must be a sequence. A null
// has none; anything else is a mismatch.
func (d *decoder) texts(n *yaml.Node) ([]string, error) {
	if isNull(n) {
		return nil, nil
	}
	if n.Kind != yaml.SequenceNode {
		d.mismatch(n, "[]string")
		return nil, nil
	}
	var all []string
	for _, element := range n.Content {
		if err := d.spend(1); err != nil {
			return nil, err
		}
		all = append(all, d.text(follow(element)))
	}
	return all, nil
}

// integer returns the integer that n is. A fraction is cut off, as Racks do it.
// A quoted number is a mismatch, as is whatever else is no number.
func (d *decoder) integer(n *yaml.Node) int {
	if isNull(n) {
		return 0
	}
	if n.Kind == yaml.ScalarNode {
		switch v := canonical(n).(type) {
		case int:
			return v
		case float64:
			if v > math.MinInt64 && v < math.MaxInt64 {
				return int(v)
			}
		}
	}
	d.mismatch(n, "int")
	return 0
}

// number returns the number that n is, with its fraction.
func (d *decoder) number(n *yaml.Node) float64 {
	if isNull(n) {
		return 0
	}
	if n.Kind == yaml.ScalarNode {
		switch v := canonical(n).(type) {
		case int:
			return float64(v)
		case uint64:
			return float64(v)
		case float64:
			return v
		}
	}
	d.mismatch(n, "float64")
	return 0
}

// boolean returns the boolean that n is. A text or a number that looks like one
// is a mismatch.
func (d *decoder) boolean(n *yaml.Node) bool {
	if isNull(n) {
		return false
	}
	if n.Kind == yaml.ScalarNode {
		if v, ok := canonical(n).(bool); ok {
			return v
		}
	}
	d.mismatch(n, "bool")
	return false
}

// choice is [decoder.boolean] for a key that may be left open: nil for a null.
func (d *decoder) choice(n *yaml.Node) *bool {
	if isNull(n) {
		return nil
	}
	v := d.boolean(n)
	return &v
}

// plainInteger returns the integer that n is; false if it is anything else, for
// the places where a Rack passes over what is none.
func plainInteger(n *yaml.Node) (int, bool) {
	if n.Kind != yaml.ScalarNode {
		return 0, false
	}
	v, ok := canonical(n).(int)
	return v, ok
}

// plainText returns the text that n is, false if it is anything else.
func plainText(n *yaml.Node) (string, bool) {
	if n.Kind != yaml.ScalarNode {
		return "", false
	}
	v, ok := scalar(n).(string)
	return v, ok
}
