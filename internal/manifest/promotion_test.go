package manifest_test

import (
	"testing"

	"github.com/convox-ci/convox-ci/internal/manifest"
)

func TestCheckPromotion(t *testing.T) {
	const web = "services:\n  web:\n"
	for _, tt := range []struct {
		name, text string
		want       fault // none for a zero one
	}{
		{"nothing", "", fault{}},
		{"all types", "resources: {a: {type: efs}, b: {type: mariadb}, c: {type: memcached}, d: {type: mysql}, e: {type: postgres}, f: {type: redis}, g: {type: valkey}}", fault{}},
		{"unknown type", "resources:\n  a: {type: redis}\n  b: {type: Redis}\n", fault{3, 3, "unknown resource type: Redis"}},
		{"good timer", web + "timers:\n  t: {service: web, schedule: '0 3 * * ?'}\n", fault{}},
		{"no service", web + "timers:\n  t: {schedule: bad}\n", fault{4, 3, "no such service: "}},
		{"bad schedule", web + "timers:\n  t: {service: web, schedule: 0 3 *}\n", fault{4, 3, "invalid schedule expression: 0 3 *"}},
		{"resources first", "timers:\n  t: \nresources:\n  a: {type: x}\n", fault{4, 3, "unknown resource type: x"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := manifest.Load([]byte(tt.text), nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := m.CheckPromotion(); err != nil || tt.want != (fault{}) {
				checkFault(t, err, tt.want)
			}
		})
	}
}
