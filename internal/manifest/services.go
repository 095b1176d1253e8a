package manifest

import "gopkg.in/yaml.v3"

// Service is one process type of an app. See
// https://docsv2.convox.com/application/convox-yml.
type Service struct {
	Name  string
	Build Build  // zero when Image is set
	Image string // reference of a ready image; empty when the service is built

	// Environment is the global entries followed by the service's own: NAME for a
	// required variable, NAME=default, or * for the whole environment of the app.
	// A later entry for a name overrides an earlier one.
	Environment []string

	Traffic
	Operation
	Container

	Line, Column int // where the name stands, as in [Error]
}

// draft is a service that is being read.
type draft struct {
	Service
	deployment asked
}

// newDraft has what a key that is not in the file stands for, where a key without
// a value, or with a zero, stands for something else.
func newDraft() *draft {
	s := &draft{}
	s.Sticky = true
	s.Grace = defaultGrace
	s.Scale = Scale{Count: one, Cooldown: slow}
	return s
}

// finish fills in everything else that was not written.
func (s *draft) finish() Service {
	s.Build = s.Build.orDefault(s.Image)
	s.Traffic = s.Traffic.orDefault()
	s.Operation = s.Operation.orDefault(s.deployment)
	return s.Service
}

// family is how the keys of one subject are read into a service.
type family map[string]func(*decoder, *draft, *yaml.Node) error

// families are all keys of a service.
var families = []family{buildKeys, containerKeys, operationKeys, scaleKeys, trafficKeys}

func (d *decoder) services(n *yaml.Node) ([]Service, error) {
	var all []Service
	err := d.each(n, func(key, value *yaml.Node) (*string, error) {
		s, err := d.service(value)
		s.Line, s.Column = key.Line, key.Column
		all = append(all, s)
		return &all[len(all)-1].Name, err
	})
	return all, err
}

func (d *decoder) service(n *yaml.Node) (Service, error) {
	s := newDraft()
	entries, err := d.entries(n, "manifest.Service", mergeAny)
	if err != nil {
		return Service{}, err
	}
	for _, f := range entries {
		for _, keys := range families {
			if read := keys[f.key.Value]; read != nil {
				if err := read(d, s, f.value); err != nil {
					return Service{}, err
				}
			}
		}
	}
	return s.finish(), nil
}
