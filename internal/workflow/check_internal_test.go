package workflow

import (
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/rack"
)

func TestLargeUpload(t *testing.T) {
	if said := large(largeUpload - 1); said != "" {
		t.Errorf("below the limit: %q", said)
	}
	if said := large(largeUpload); !strings.HasPrefix(said, "100.0 MB are sent with each build") {
		t.Errorf("at the limit: %q", said)
	}
}

// TestBarred: each trouble is said in words of its own, and by its name.
func TestBarred(t *testing.T) {
	for trouble, want := range map[rack.Trouble]string{
		rack.TroubleKey:         "prod at host does not accept the key: WHY",
		rack.TroubleRight:       "prod at host knows the key and does not let it do this: WHY",
		rack.TroubleRack:        "the console accepts the key and has no rack acme/prd for it, did you mean acme/prod?",
		rack.TroubleTarget:      `prod at host answers "WHY": the name of the rack is wrong, or the key is; the answer does not tell`,
		rack.TroubleApp:         "there is no app shop on prod at host",
		rack.TroubleHost:        "nothing has the name of the host: WHY",
		rack.TroubleCertificate: "the certificate of prod at host is not trusted: WHY",
		rack.TroubleClock:       "the certificate of prod at host is over or not begun, or the clock of this machine is wrong: WHY",
		rack.TroubleDown:        "prod at host was not reached, or did not answer as a rack does: WHY",
	} {
		err := &rack.AccessError{Trouble: trouble, Racks: []string{"acme/lab", "acme/prod"}, Err: &rack.Error{Message: "WHY"}}
		f := barred(err, "prod at host", Target{Connection: Connection{Rack: "acme/prd"}, App: "shop"})
		if f.Text != want || f.Subject != string(trouble) {
			t.Errorf("%s: %s", f.Subject, f.Text)
		}
	}
	for want, racks := range map[string][]string{"; it has none": nil, "; it has other/one, other/two": {"other/one", "other/two"}} {
		if got := instead("acme/prod", racks); got != want {
			t.Errorf("instead of %v: %q", racks, got)
		}
	}
}
