package manifest

import (
	"strings"

	"gopkg.in/yaml.v3"
)

// Listener is a port of the network load balancer that all services share.
type Listener struct {
	Port, ContainerPort int
	Protocol            string // "tcp" or "tls"
	Scheme              string // "public" or "internal"
	Certificate         string // ARN, for "tls" alone
	CrossZone           *bool  // nil leaves it to the Rack
	PreserveClientIP    *bool  // likewise
	AllowCIDR           []string

	Line, Column int // where it stands, as in [Error]
}

func (d *decoder) listeners(n *yaml.Node) ([]Listener, error) {
	if isNull(n) {
		return nil, nil
	}
	if n.Kind != yaml.SequenceNode {
		d.mismatch(n, "[]manifest.ServiceNLBPort")
		return nil, nil
	}
	var all []Listener
	for _, element := range n.Content {
		if err := d.spend(1); err != nil {
			return nil, err
		}
		l, err := d.listener(follow(element))
		if err != nil {
			return nil, err
		}
		l.Line, l.Column = element.Line, element.Column
		all = append(all, l)
	}
	return all, nil
}

func (d *decoder) listener(n *yaml.Node) (l Listener, err error) {
	entries, err := d.entries(n, "manifest.ServiceNLBPort", mergeAny)
	if err != nil {
		return l, err
	}
	for _, f := range entries {
		switch f.key.Value {
		case "allow_cidr":
			l.AllowCIDR, err = d.texts(f.value)
		case "certificate":
			l.Certificate = d.text(f.value)
		case "containerPort":
			l.ContainerPort = d.integer(f.value)
		case "cross_zone":
			l.CrossZone = d.choice(f.value)
		case "port":
			l.Port = d.integer(f.value)
		case "preserve_client_ip":
			l.PreserveClientIP = d.choice(f.value)
		case "protocol":
			l.Protocol = d.text(f.value)
		case "scheme":
			l.Scheme = d.text(f.value)
		}
		if err != nil {
			return l, err
		}
	}
	return l.orDefault(), nil
}

// orDefault returns l with its words in one form and with what was not written
// filled in.
func (l Listener) orDefault() Listener {
	l.Protocol, l.Scheme = word(l.Protocol, "tcp"), word(l.Scheme, "public")
	if l.ContainerPort == 0 {
		l.ContainerPort = l.Port
	}
	return l
}

// maxWord bounds the words that are put in one form, in bytes. A longer one is
// none of those that are known, and could be copied for thousands of listeners.
const maxWord = 100

// word returns a word of the grammar without the spaces around it and in lower
// case, or the default if that is empty.
func word(text, otherwise string) string {
	if len(text) > maxWord {
		return text
	}
	if w := strings.ToLower(strings.TrimSpace(text)); w != "" {
		return w
	}
	return otherwise
}
