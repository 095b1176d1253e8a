package manifest

import (
	"strings"

	"gopkg.in/yaml.v3"
)

// Operation says how many processes a service has and how they come and go.
type Operation struct {
	Scale      Scale
	Agent      Agent
	Deployment Deployment
	Drain      int  // seconds in which a process that ends finishes its requests
	Grace      int  // seconds from asking a process to end to killing it
	Singleton  bool // never two at a time
}

// Agent tells that a service runs once on every machine of the Rack.
type Agent struct {
	Enabled bool
	Ports   []AgentPort // of the machine
}

// AgentPort is a port that an agent has on its machine.
type AgentPort struct {
	Number   int
	Protocol string // "tcp", "udp"; empty if a text gave a number alone, which no Rack can promote
}

// Deployment is how many of the processes run while they are replaced, in percent.
type Deployment struct{ Minimum, Maximum int }

// Times that a service gets that says nothing, in seconds.
const (
	defaultDrain = 30
	defaultGrace = 30
)

var operationKeys = family{
	"agent":      func(d *decoder, s *draft, n *yaml.Node) (err error) { s.Agent, err = d.agent(n); return err },
	"deployment": func(d *decoder, s *draft, n *yaml.Node) (err error) { s.deployment, err = d.deployment(n); return err },
	"drain":      func(d *decoder, s *draft, n *yaml.Node) error { s.Drain = d.integer(n); return nil },
	"singleton":  func(d *decoder, s *draft, n *yaml.Node) error { s.Singleton = d.boolean(n); return nil },
	"termination": func(d *decoder, s *draft, n *yaml.Node) (err error) {
		s.Grace, err = d.termination(n)
		return err
	},
}

// asked are the numbers of a deployment that the file has, nil for those that
// it does not have: their defaults depend on other keys.
type asked struct{ minimum, maximum *int }

// orDefault returns o with what was not written filled in.
func (o Operation) orDefault(w asked) Operation {
	o.Scale = o.Scale.orDefault()
	if o.Drain == 0 {
		o.Drain = defaultDrain
	}
	o.Deployment = Deployment{Minimum: 50, Maximum: 200}
	if o.Agent.Enabled || o.Singleton {
		o.Deployment = Deployment{Minimum: 0, Maximum: 100} // one has to go before the next comes
	}
	if w.minimum != nil {
		o.Deployment.Minimum = *w.minimum
	}
	if w.maximum != nil {
		o.Deployment.Maximum = *w.maximum
	}
	return o
}

// agent reads a boolean, or a mapping. Any mapping turns it on, even one that has
// enabled: false, since Racks do not look at that key.
func (d *decoder) agent(n *yaml.Node) (a Agent, err error) {
	if isNull(n) {
		return a, nil
	}
	if n.Kind == yaml.ScalarNode {
		if on, ok := canonical(n).(bool); ok {
			return Agent{Enabled: on}, nil
		}
	}
	if n.Kind != yaml.MappingNode {
		return a, fault(n, "could not parse agent: %s", d.shown(n))
	}
	a.Enabled = true
	fields, err := d.fields(n, "")
	if err != nil {
		return a, err
	}
	for _, f := range fields {
		if f.key.Value == "ports" && f.value.Kind == yaml.SequenceNode {
			a.Ports, err = d.agentPorts(f.value)
		}
	}
	return a, err
}

func (d *decoder) agentPorts(n *yaml.Node) ([]AgentPort, error) {
	var all []AgentPort
	for _, element := range n.Content {
		if err := d.spend(1); err != nil {
			return nil, err
		}
		p, err := d.agentPort(follow(element))
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// agentPort reads a number, or "NUMBER/PROTOCOL".
func (d *decoder) agentPort(n *yaml.Node) (p AgentPort, err error) {
	if isNull(n) {
		return p, nil
	}
	if number, ok := plainInteger(n); ok {
		return AgentPort{Number: number, Protocol: "tcp"}, nil
	}
	text, ok := plainText(n)
	if !ok {
		return p, fault(n, "invalid port: %s", d.shown(n))
	}
	number, rest, _ := strings.Cut(text, "/")
	p.Protocol, _, _ = strings.Cut(rest, "/")
	p.Number, err = d.parseInteger(n, number)
	return p, err
}

func (d *decoder) deployment(n *yaml.Node) (w asked, err error) {
	entries, err := d.entries(n, "manifest.ServiceDeployment", mergeAny)
	for _, f := range entries {
		switch f.key.Value {
		case "maximum":
			v := d.integer(f.value)
			w.maximum = &v
		case "minimum":
			v := d.integer(f.value)
			w.minimum = &v
		}
	}
	return w, err
}

// termination returns the grace that is written, and the default if none is.
func (d *decoder) termination(n *yaml.Node) (grace int, err error) {
	grace = defaultGrace
	entries, err := d.entries(n, "manifest.ServiceTermination", mergeAny)
	for _, f := range entries {
		if f.key.Value == "grace" {
			grace = d.integer(f.value)
		}
	}
	return grace, err
}
