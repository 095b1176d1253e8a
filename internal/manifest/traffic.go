package manifest

import (
	"strings"

	"gopkg.in/yaml.v3"
)

// Traffic says how requests reach a service.
type Traffic struct {
	Port      Port       // that the router sends requests to
	Domains   []string   // besides the one that the Rack gives
	Health    Health     // how the router finds out whether a process can take requests
	Listeners []Listener // ports of a network load balancer

	Internal            bool // reachable from within the Rack only
	InternalAndExternal bool // both; Internal is then set too
	Sticky              bool // requests of one visitor go to one process
}

// Port is the port that a service listens on.
type Port struct {
	Number int    // 0 for none; the range is not checked
	Scheme string // "http", "https", "grpc", "secure-grpc"; others are not refused
}

// Health says how a service is checked. Times are in seconds.
type Health struct {
	Path                     string
	Interval, Grace, Timeout int
}

var trafficKeys = family{
	"domain":              func(d *decoder, s *draft, n *yaml.Node) (err error) { s.Domains, err = d.domains(n); return err },
	"health":              func(d *decoder, s *draft, n *yaml.Node) (err error) { s.Health, err = d.health(n); return err },
	"internal":            func(d *decoder, s *draft, n *yaml.Node) error { s.Internal = d.boolean(n); return nil },
	"internalAndExternal": func(d *decoder, s *draft, n *yaml.Node) error { s.InternalAndExternal = d.boolean(n); return nil },
	"nlb":                 func(d *decoder, s *draft, n *yaml.Node) (err error) { s.Listeners, err = d.listeners(n); return err },
	"port":                func(d *decoder, s *draft, n *yaml.Node) (err error) { s.Port, err = d.port(n); return err },
	"sticky":              func(d *decoder, s *draft, n *yaml.Node) error { s.Sticky = d.boolean(n); return nil },
}

// orDefault returns t with what was not written filled in.
func (t Traffic) orDefault() Traffic {
	if t.Port.Number > 0 && t.Port.Scheme == "" {
		t.Port.Scheme = "http"
	}
	t.Health = t.Health.orDefault()
	t.Internal = t.Internal || t.InternalAndExternal
	return t
}

// defaultInterval is the time between two checks, in seconds.
const defaultInterval = 5

func (h Health) orDefault() Health {
	if h.Path == "" {
		h.Path = "/"
	}
	if h.Interval == 0 {
		h.Interval = defaultInterval
	}
	if h.Grace == 0 {
		h.Grace = h.Interval
	}
	if h.Timeout == 0 {
		h.Timeout = h.Interval - 1
	}
	return h
}

// domains reads a text with commas, or a sequence of texts. Blank ones drop out,
// so that a variable that is not set gives none.
func (d *decoder) domains(n *yaml.Node) ([]string, error) {
	if isNull(n) {
		return nil, nil
	}
	var parts []string
	if text, ok := plainText(n); ok {
		if err := d.spend(strings.Count(text, ",")); err != nil { // before they are made
			return nil, err
		}
		parts = strings.Split(text, ",")
	} else if n.Kind != yaml.SequenceNode {
		return nil, fault(n, "unknown type for service domain: %s", typeName(n))
	}
	if n.Kind == yaml.SequenceNode {
		if err := d.spend(len(n.Content)); err != nil {
			return nil, err
		}
		for _, element := range n.Content {
			text, ok := plainText(follow(element))
			if !ok {
				return nil, fault(element, "unknown type for service domain: %s", typeName(follow(element)))
			}
			parts = append(parts, text)
		}
	}
	var all []string
	for _, part := range parts {
		if domain := strings.TrimSpace(part); domain != "" {
			all = append(all, domain)
		}
	}
	return all, nil
}

// health reads a path, or a mapping. A value of a wrong type in that is passed
// over without a word, as a Rack passes over it.
func (d *decoder) health(n *yaml.Node) (h Health, err error) {
	if isNull(n) {
		return h, nil
	}
	if path, ok := plainText(n); ok {
		return Health{Path: path}, nil
	}
	if n.Kind != yaml.MappingNode {
		return h, fault(n, "unknown type for service health: %s", typeName(n))
	}
	fields, err := d.fields(n, "")
	for _, f := range fields {
		switch f.key.Value {
		case "grace":
			h.Grace, _ = plainInteger(f.value)
		case "interval":
			h.Interval, _ = plainInteger(f.value)
		case "path":
			h.Path, _ = plainText(f.value)
		case "timeout":
			h.Timeout, _ = plainInteger(f.value)
		}
	}
	return h, err
}

// port reads a number, "SCHEME:NUMBER", or a mapping.
func (d *decoder) port(n *yaml.Node) (Port, error) {
	if isNull(n) {
		return Port{}, nil
	}
	if n.Kind == yaml.MappingNode {
		return d.portMap(n)
	}
	p, ok, err := d.shortPort(n)
	if err == nil && !ok {
		err = fault(n, "invalid port: %s", d.shown(n))
	}
	return p, err
}

// shortPort reads the forms that are no mapping; false if n has none of them. What
// stands after a second colon does not count.
func (d *decoder) shortPort(n *yaml.Node) (p Port, ok bool, err error) {
	if number, ok := plainInteger(n); ok {
		return Port{Number: number}, true, nil
	}
	text, ok := plainText(n)
	if !ok {
		return Port{}, false, nil
	}
	if scheme, rest, found := strings.Cut(text, ":"); found {
		p.Scheme = scheme
		text, _, _ = strings.Cut(rest, ":")
	}
	p.Number, err = d.parseInteger(n, text)
	return p, true, err
}

func (d *decoder) portMap(n *yaml.Node) (p Port, err error) {
	fields, err := d.fields(n, "")
	if err != nil {
		return Port{}, err
	}
	known, scheme := true, (*yaml.Node)(nil)
	for _, f := range fields {
		switch {
		case isNull(f.value):
		case f.key.Value == "port":
			if p, known, err = d.shortPort(f.value); err != nil {
				return Port{}, err
			}
		case f.key.Value == "scheme":
			scheme = f.value
		}
	}
	if scheme != nil {
		text, ok := plainText(scheme)
		known = known && ok
		p.Scheme = text
	}
	if !known || p.Number == 0 {
		return Port{}, fault(n, "could not parse port: %s", d.shown(n))
	}
	return p, nil
}
