package manifest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// everything is the entry that stands for all variables of the app.
const everything = "*"

// environment reads a list of entries. Lists in the list are spliced in, one
// level deep, so that a shared list can be an anchor. What is not text is
// dropped without a word, as a Rack drops it.
//
// The key is the only one whose values are joined when it is written more than once
// in a mapping, or merged into it: all entries count, in the order in which they
// stand. Of every other key the last value counts. Both is what Racks do, which
// read such a list by adding to the entries that are there: a service that merges
// one in requires its variables as well, and a check that let them go would pass
// what the build then refuses. The value of a variable does not depend on it, since
// a later entry for a name overrides an earlier one.
func (d *decoder) environment(n *yaml.Node) ([]string, error) {
	if isNull(n) {
		return nil, nil
	}
	if n.Kind != yaml.SequenceNode {
		return nil, fault(n, "unknown type for service environment: %s", typeName(n))
	}
	var all []string
	for _, element := range n.Content {
		list := []*yaml.Node{element}
		if inner := follow(element); inner.Kind == yaml.SequenceNode {
			list = inner.Content
		}
		if err := d.spend(max(1, len(list))); err != nil {
			return nil, err
		}
		for _, entry := range list {
			if text, ok := entryText(follow(entry)); ok {
				all = append(all, text)
			}
		}
	}
	return all, nil
}

func entryText(n *yaml.Node) (string, bool) {
	if n.Kind != yaml.ScalarNode {
		return "", false
	}
	text, ok := scalar(n).(string)
	return text, ok
}

// combineEnvironment puts the global entries before those of each service.
func (m *Manifest) combineEnvironment(d *decoder) error {
	for i := range m.Services {
		s := &m.Services[i]
		if err := d.spend(len(m.Environment)); err != nil {
			return err
		}
		s.Environment = slices.Concat(m.Environment, s.Environment)
	}
	return nil
}

// Resolve returns the variables that a Rack gives to the service when env is the
// environment of the app: of each name that is declared its value in env, and
// where that has none, the last default. What is required and missing is left
// out; [Load] refuses it.
func (s *Service) Resolve(env map[string]string) map[string]string {
	all := map[string]string{}
	for _, entry := range s.Environment {
		if name, value, ok := strings.Cut(entry, "="); ok {
			all[name] = value
		}
	}
	for _, entry := range s.Environment {
		if entry == everything {
			maps.Copy(all, env)
			continue
		}
		name, _, _ := strings.Cut(entry, "=")
		if value, ok := env[name]; ok {
			all[name] = value
		}
	}
	return all
}

// checkRequired finds the entries without a default whose name env lacks. Each
// entry is judged alone: a default in another entry of the name does not help,
// and a name that two entries require is named twice.
func (s *Service) checkRequired(env map[string]string) error {
	missing := s.missing(env)
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	e := faultAt(s.Line, s.Column, "required env: %s", listed(missing))
	e.missing = true
	return e
}

// listed joins names for a message, of very many or very long ones a part.
func listed(names []string) string {
	var text []string
	for i, name := range names {
		if i == maxShownValues {
			text = append(text, fmt.Sprintf("and %d more", len(names)-i))
			break
		}
		text = append(text, shortened(name))
	}
	return strings.Join(text, ", ")
}

// missing returns the names of those entries.
func (s *Service) missing(env map[string]string) []string {
	var missing []string
	for _, entry := range s.Environment {
		if strings.Contains(entry, "=") || entry == everything {
			continue
		}
		if _, ok := env[entry]; !ok {
			missing = append(missing, entry)
		}
	}
	return missing
}
