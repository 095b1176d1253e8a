package rack_test

import (
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/wire"
)

// setParameters reads the parameters there are, as a client does that wants no
// name to be passed over, and changes some.
func setParameters(t *testing.T, r wire.Recording) {
	c, p := play(t, r)
	askSystem(t, c, r)
	params := map[string]string{}
	for _, word := range r.Argv[4:] {
		name, value, _ := strings.Cut(word, "=")
		params[name] = value
	}
	err := c.SetParameters(t.Context(), params)
	if last := last(r); last.Status >= 400 {
		wantKind(t, err, nil, last.Body)
	} else if err != nil {
		t.Error(err)
	}
	p.done()
}
