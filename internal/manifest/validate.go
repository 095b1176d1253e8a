package manifest

import (
	"regexp"
	"strings"
)

// serviceName is what a service may be called: image tags, host names and the
// names of cloud resources are made of it.
var serviceName = regexp.MustCompile(`^[a-z]{1}[a-z0-9-]*$`)

// validate applies the rules in the order in which a Rack applies them.
func (m *Manifest) validate(env map[string]string) error {
	for _, s := range m.Services {
		if err := s.checkRequired(env); err != nil {
			return err
		}
	}
	return m.validateNames()
}

// validateNames applies the rules that need no environment.
func (m *Manifest) validateNames() error {
	if err := checkServices(m.Services); err != nil {
		return err
	}
	return checkResources(m.Resources)
}

// checkServices holds the names to their pattern and to be different, and the
// listeners to their rules, service by service. A second service of one name would
// be built to the image tag of the first.
func checkServices(services []Service) error {
	first := map[string]int{} // name to line
	listens := map[int]string{}
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
		if err := checkListeners(s, listens); err != nil {
			return err
		}
	}
	return nil
}

func checkResources(resources []Resource) error {
	for _, r := range resources {
		if strings.TrimSpace(r.Type) == "" {
			return faultAt(r.Line, r.Column, "resource type can not be blank")
		}
	}
	return nil
}
