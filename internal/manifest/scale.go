package manifest

import (
	"strings"

	"gopkg.in/yaml.v3"
)

// Scale says how many processes of a service there are and what each gets.
type Scale struct {
	Count    Range
	CPU      int // units, of which a processor has 1024
	Memory   int // MB
	Cooldown Cooldown
	Targets  Targets
}

// Range is how many processes there may be. Max can be below Min: a Rack does not
// refuse that.
type Range struct{ Min, Max int }

// Cooldown is how long to wait after a change before the next, in seconds.
type Cooldown struct{ Up, Down int }

// Targets are the figures by which the number of processes is changed; 0 for none.
type Targets struct {
	CPU, Memory int // percent
	Requests    int // a minute
	Custom      []Metric
}

// Metric is a figure of the app's own that its number of processes follows.
type Metric struct {
	Namespace, Name string
	Aggregate       string
	Dimensions      []Setting
	Value           float64
}

// What a service gets that says nothing.
const (
	defaultCPU      = 256
	defaultMemory   = 512
	defaultCooldown = 60 // seconds
)

var (
	one       = Range{Min: 1, Max: 1}
	slow      = Cooldown{Up: defaultCooldown, Down: defaultCooldown}
	scaleKeys = family{
		"scale": func(d *decoder, s *draft, n *yaml.Node) (err error) { s.Scale, err = d.scale(n); return err },
	}
)

// orDefault returns s with what was not written, or was written as 0, filled in.
func (s Scale) orDefault() Scale {
	if s.CPU == 0 {
		s.CPU = defaultCPU
	}
	if s.Memory == 0 {
		s.Memory = defaultMemory
	}
	return s
}

// scale reads a count, or a mapping. A key without a value, or with an empty
// mapping, asks for no process at all, while a mapping that says something else
// than the count asks for one.
func (d *decoder) scale(n *yaml.Node) (Scale, error) {
	s := Scale{Cooldown: slow}
	if isNull(n) {
		return s, nil
	}
	if n.Kind == yaml.MappingNode {
		return d.scaleMap(n)
	}
	_, isNumber := plainInteger(n)
	if _, isText := plainText(n); !isText && !isNumber {
		return s, fault(n, "unknown type for service scale: %s", typeName(n))
	}
	var err error
	s.Count, err = d.count(n)
	return s, err
}

func (d *decoder) scaleMap(n *yaml.Node) (Scale, error) {
	s := Scale{Cooldown: slow}
	fields, err := d.fields(n, "")
	if err != nil {
		return s, err
	}
	if len(fields) > 0 {
		s.Count = one
	}
	for _, f := range fields {
		switch f.key.Value {
		case "cooldown":
			s.Cooldown, err = d.cooldown(f.value)
		case "count":
			s.Count, err = d.count(f.value)
		case "cpu":
			s.CPU, _ = plainInteger(f.value)
		case "memory":
			s.Memory, _ = plainInteger(f.value)
		case "targets":
			s.Targets, err = d.targets(f.value)
		}
		if err != nil {
			return s, err
		}
	}
	return s, nil
}

// count reads a number, "N", "MIN-MAX", or a mapping.
func (d *decoder) count(n *yaml.Node) (Range, error) {
	if isNull(n) {
		return Range{}, nil
	}
	if n.Kind == yaml.MappingNode {
		low, high, err := d.two(n, "min", "max", "invalid scale")
		return Range{Min: low, Max: high}, err
	}
	if v, ok := plainInteger(n); ok {
		return Range{Min: v, Max: v}, nil
	}
	text, ok := plainText(n)
	if !ok || strings.Count(text, "-") > 1 {
		return Range{}, fault(n, "invalid scale: %s", d.shown(n))
	}
	low, high, isRange := strings.Cut(text, "-")
	if !isRange {
		high = low
	}
	least, err := d.parseInteger(n, low)
	if err != nil {
		return Range{}, err
	}
	most, err := d.parseInteger(n, high)
	return Range{Min: least, Max: most}, err
}

// cooldown reads a number for both directions, or a mapping. A direction that
// this leaves out has none.
func (d *decoder) cooldown(n *yaml.Node) (Cooldown, error) {
	const wrong = "invalid cooldown"

	if isNull(n) {
		return Cooldown{}, nil
	}
	if n.Kind == yaml.MappingNode {
		down, up, err := d.two(n, "down", "up", wrong)
		return Cooldown{Up: up, Down: down}, err
	}
	v, ok, err := d.numeric(n)
	if err == nil && !ok {
		err = fault(n, "%s: %s", wrong, d.shown(n))
	}
	return Cooldown{Up: v, Down: v}, err
}

// two reads the two numbers of a mapping, in the order in which a Rack looks at
// them. Either may be missing.
func (d *decoder) two(n *yaml.Node, first, second, wrong string) (a, b int, err error) {
	fields, err := d.fields(n, "")
	if err != nil {
		return 0, 0, err
	}
	for i, key := range []string{first, second} {
		for _, f := range fields {
			if f.key.Value != key || isNull(f.value) {
				continue
			}
			v, ok, err := d.numeric(f.value)
			if err != nil {
				return 0, 0, err
			}
			if !ok {
				return 0, 0, fault(f.value, "%s: %s", wrong, d.shown(n))
			}
			if i == 0 {
				a = v
			} else {
				b = v
			}
		}
	}
	return a, b, nil
}

// numeric returns the integer that n is or, as a text, stands for; false if it is
// neither a number nor a text.
func (d *decoder) numeric(n *yaml.Node) (v int, ok bool, err error) {
	if v, ok := plainInteger(n); ok {
		return v, true, nil
	}
	text, ok := plainText(n)
	if !ok {
		return 0, false, nil
	}
	v, err = d.parseInteger(n, text)
	return v, true, err
}

func (d *decoder) targets(n *yaml.Node) (t Targets, err error) {
	fields, err := d.fields(n, "manifest.ServiceScaleTargets")
	if err != nil {
		return t, err
	}
	for _, f := range fields {
		switch f.key.Value {
		case "cpu":
			t.CPU = d.integer(f.value)
		case "custom":
			t.Custom, err = d.metrics(f.value)
		case "memory":
			t.Memory = d.integer(f.value)
		case "requests":
			t.Requests = d.integer(f.value)
		}
		if err != nil {
			return t, err
		}
	}
	return t, nil
}

// metrics reads a mapping of NAMESPACE/NAME to metrics, in the order of the file.
func (d *decoder) metrics(n *yaml.Node) ([]Metric, error) {
	fields, err := d.fields(n, "map[string]manifest.ServiceScaleMetric")
	if err != nil {
		return nil, err
	}
	var all []Metric
	for _, f := range fields {
		m, err := d.metric(f.value)
		if err != nil {
			return nil, err
		}
		name := d.text(f.key)
		last := strings.LastIndex(name, "/")
		m.Namespace, m.Name = name[:max(last, 0)], name[last+1:]
		all = append(all, m)
	}
	return all, nil
}

func (d *decoder) metric(n *yaml.Node) (m Metric, err error) {
	fields, err := d.fields(n, "manifest.ServiceScaleMetric")
	if err != nil {
		return m, err
	}
	for _, f := range fields {
		switch f.key.Value {
		case "aggregate":
			m.Aggregate = d.text(f.value)
		case "dimensions":
			m.Dimensions, err = d.settings(f.value, "map[string]string")
		case "value":
			m.Value = d.number(f.value)
		}
		if err != nil {
			return m, err
		}
	}
	return m, nil
}
