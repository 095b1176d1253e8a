package manifest

import (
	"errors"
	"fmt"
	"strconv"

	"gopkg.in/yaml.v3"
)

// Bounds of what a message shows of a value: enough of any that a person wrote,
// and little of one that aliases or variables have made long.
const (
	maxShownText   = 200 // bytes of a text
	maxShownValues = 100 // scalars and collections, those in others included
)

// unshown stands in a message for what it does not show.
const unshown = "..."

// shown returns n as the messages of Racks show a value whose type they do not
// expect, in the layout of Go's %v. Text that the file does not hold came from a
// variable, and may be secret: it is not shown.
func (d *decoder) shown(n *yaml.Node) string {
	left := maxShownValues
	return fmt.Sprint(d.sketch(n, &left))
}

// sketch returns a Go value that prints as n does, of at most left values.
func (d *decoder) sketch(n *yaml.Node, left *int) any {
	*left--
	switch {
	case *left < 0:
		return unshown
	case n.Kind == yaml.SequenceNode:
		var all []any
		for _, element := range n.Content[:min(len(n.Content), *left+1)] {
			all = append(all, d.sketch(follow(element), left))
		}
		return all
	case n.Kind == yaml.MappingNode:
		entries, err := d.pairs(n, mergeAny)
		if err != nil {
			return unshown // too many values, which ends the decoding soon
		}
		all := map[any]any{}
		for _, e := range entries[:min(len(entries), *left+1)] {
			key := any(unshown)
			if e.key.Kind == yaml.ScalarNode {
				key = d.sketch(e.key, left)
			}
			all[key] = d.sketch(e.value, left)
		}
		return all
	}
	if v, isText := canonical(n).(string); isText {
		return d.excerpt(n, v)
	}
	if d.hidden(n) {
		return unshown
	}
	return canonical(n)
}

// excerpt returns text, which is a part of the scalar n, as it may be shown.
func (d *decoder) excerpt(n *yaml.Node, text string) string {
	if d.hidden(n) {
		return unshown
	}
	return shortened(text)
}

func shortened(text string) string {
	if len(text) > maxShownText {
		return text[:maxShownText] + unshown
	}
	return text
}

// hidden tells whether the text of the scalar n is not the file's own.
func (d *decoder) hidden(n *yaml.Node) bool { return fromFile(n.Value, d.source) != n.Value }

// parseInteger returns the integer that text stands for, which is the scalar n or
// a part of it. The message is that of https://pkg.go.dev/strconv#Atoi.
func (d *decoder) parseInteger(n *yaml.Node, text string) (int, error) {
	v, err := strconv.Atoi(text)
	if wrong, ok := errors.AsType[*strconv.NumError](err); ok {
		wrong.Num = d.excerpt(n, text)
		return 0, fault(n, "%v", wrong)
	}
	return v, nil
}
