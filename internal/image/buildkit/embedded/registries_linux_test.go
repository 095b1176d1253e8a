package embedded

import "testing"

// TestRegistries asks for hosts that no test can listen at.
func TestRegistries(t *testing.T) {
	where := registries(map[string]string{
		"docker.io": "mirror.test:5000", "own.test:5017": "own.test:5017", "other.test": "own.test:5017",
	})
	for host, want := range map[string]string{
		"docker.io":     "http://mirror.test:5000/v2",
		"own.test:5017": "http://own.test:5017/v2",
		"other.test":    "http://own.test:5017/v2",
		"quay.io":       "https://quay.io/v2",
	} {
		hosts, err := where(host)
		if err != nil {
			t.Fatal(err)
		}
		if len(hosts) != 1 {
			t.Errorf("%s: %d places, want one", host, len(hosts))
		}
		if got := hosts[0].Scheme + "://" + hosts[0].Host + hosts[0].Path; got != want {
			t.Errorf("%s is asked at %s, want %s", host, got, want)
		}
	}
}
