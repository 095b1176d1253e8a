package manifest

import (
	"slices"
	"strings"
)

// resourceTypes are the types of resources that v2 Racks have. See
// https://docsv2.convox.com/application/convox-yml.
var resourceTypes = []string{"efs", "mariadb", "memcached", "mysql", "postgres", "redis", "valkey"}

// CheckPromotion finds what a build lets pass and a promote refuses: a resource of
// an unknown type, and a timer without a service or with a schedule that is none.
// The error is an [*Error], the first in the order of the file, resources first.
func (m *Manifest) CheckPromotion() error {
	for _, r := range m.Resources {
		if !slices.Contains(resourceTypes, r.Type) {
			return faultAt(r.Line, r.Column, "unknown resource type: %s", r.Type)
		}
	}
	for _, t := range m.Timers {
		if !slices.ContainsFunc(m.Services, func(s Service) bool { return s.Name == t.Service }) {
			return faultAt(t.Line, t.Column, "no such service: %s", t.Service)
		}
		if _, ok := t.Cron(); !ok {
			return faultAt(t.Line, t.Column, "invalid schedule expression: %s", t.Schedule)
		}
	}
	return nil
}

// Cron returns the schedule with the field for years, which may be left out; false
// if it has another number of fields. One space parts two fields: two have an empty
// one between them.
func (t Timer) Cron() (string, bool) {
	switch strings.Count(t.Schedule, " ") {
	case 4:
		return t.Schedule + " *", true
	case 5:
		return t.Schedule, true
	}
	return "", false
}
