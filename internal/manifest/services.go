package manifest

import (
	"regexp"

	"gopkg.in/yaml.v3"
)

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

	Line, Column int // where the name stands, as in [Error]
}

// serviceName is what a service may be called: image tags, host names and the
// names of cloud resources are made of it.
var serviceName = regexp.MustCompile(`^[a-z]{1}[a-z0-9-]*$`)

func (d *decoder) services(n *yaml.Node) ([]Service, error) {
	entries, err := d.named(n)
	if err != nil {
		return nil, err
	}
	var all []Service
	for _, e := range entries {
		s, err := d.service(e.value)
		if err != nil {
			return nil, err
		}
		if s.Name, err = name(e.key); err != nil {
			return nil, err
		}
		s.Line, s.Column = e.key.Line, e.key.Column
		all = append(all, s)
	}
	return all, nil
}

func (d *decoder) service(n *yaml.Node) (Service, error) {
	var s Service
	fields, err := d.fields(n, "manifest.Service", mergeAny)
	if err != nil {
		return Service{}, err
	}
	for _, f := range fields {
		switch f.key.Value {
		case "build":
			s.Build, err = d.build(f.value)
		case "environment":
			s.Environment, err = d.environment(f.value)
		case "image":
			s.Image = d.text(f.value)
		}
		if err != nil {
			return Service{}, err
		}
	}
	s.Build = s.Build.orDefault(s.Image)
	return s, nil
}

// checkServiceNames holds the names to their pattern and to be different. A
// second service of one name would be built to the image tag of the first.
func checkServiceNames(services []Service) error {
	first := map[string]int{} // name to line
	for _, s := range services {
		if !serviceName.MatchString(s.Name) {
			return faultAt(s.Line, s.Column, "service name %s invalid, must contain only lowercase alphanumeric and dashes", s.Name)
		}
		if line, taken := first[s.Name]; taken {
			e := faultAt(s.Line, s.Column, "service name %s used more than once, first on line %d", s.Name, line)
			e.ours = true
			return e
		}
		first[s.Name] = s.Line
	}
	return nil
}
