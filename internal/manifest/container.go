package manifest

import "gopkg.in/yaml.v3"

// Container says what a process of a service gets besides its image.
type Container struct {
	Command    []string // empty for that of the image
	Test       string   // command of the client's tests, which a Rack does not run
	Init       bool     // a first process that takes care of those that lost their parent
	Privileged bool
	Links      []string // services whose addresses it gets
	Resources  []string // resources whose addresses it gets
	Volumes    []string // "PATH" or "SOURCE:PATH"
	Policies   []string // ARNs of what it may do in the cloud
	Tags       []Setting
}

var containerKeys = family{
	"command":    func(d *decoder, s *draft, n *yaml.Node) (err error) { s.Command, err = d.command(n); return err },
	"init":       func(d *decoder, s *draft, n *yaml.Node) error { s.Init = d.boolean(n); return nil },
	"links":      func(d *decoder, s *draft, n *yaml.Node) (err error) { s.Links, err = d.texts(n); return err },
	"policies":   func(d *decoder, s *draft, n *yaml.Node) (err error) { s.Policies, err = d.texts(n); return err },
	"privileged": func(d *decoder, s *draft, n *yaml.Node) error { s.Privileged = d.boolean(n); return nil },
	"resources":  func(d *decoder, s *draft, n *yaml.Node) (err error) { s.Resources, err = d.texts(n); return err },
	"tags": func(d *decoder, s *draft, n *yaml.Node) (err error) {
		s.Tags, err = d.settings(n, "map[string]string")
		return err
	},
	"test":    func(d *decoder, s *draft, n *yaml.Node) error { s.Test = d.text(n); return nil },
	"volumes": func(d *decoder, s *draft, n *yaml.Node) (err error) { s.Volumes, err = d.texts(n); return err },
}

// command reads a text for a shell, or a sequence of words that are texts.
func (d *decoder) command(n *yaml.Node) ([]string, error) {
	const wrong = "unknown type for service command: %s"

	if isNull(n) {
		return nil, nil
	}
	if text, ok := plainText(n); ok {
		return []string{"sh", "-c", text}, nil
	}
	if n.Kind != yaml.SequenceNode {
		return nil, fault(n, wrong, typeName(n))
	}
	var words []string
	for _, element := range n.Content {
		if err := d.spend(1); err != nil {
			return nil, err
		}
		word, ok := plainText(follow(element))
		if !ok {
			return nil, fault(element, wrong, typeName(follow(element)))
		}
		words = append(words, word)
	}
	return words, nil
}
