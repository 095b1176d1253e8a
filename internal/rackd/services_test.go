package rackd_test

import (
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// TestServices: those of the active release, none of which runs or is reached, in
// the form of a v2 rack.
func TestServices(t *testing.T) {
	m := start(t)
	m.want("no app", m.get("/apps/none/services"), 404, "app not found: none\n")
	m.want("no release", m.get("/apps/web/services"), 200, "[]\n")
	b := rack.Build{ID: "BA", App: "web", Manifest: "services:\n  two:\n    image: ${IMAGE}\n    port: 3000\n  one:\n    image: x\n", Status: rack.BuildComplete}
	m.must(m.stores.Builds.SwapBuild(t.Context(), rack.Build{}, b))
	r := decode[rack.Release](m, m.post("/apps/web/releases", map[string][]string{"build": {"BA"}, "env": {"IMAGE=y"}}))
	m.want("not promoted", m.get("/apps/web/services"), 200, "[]\n")
	m.want("promote", m.post("/apps/web/releases/"+r.ID+"/promote", nil), 200, "ok\n")
	const service = "  {\n    \"count\": 0,\n    \"cpu\": 0,\n    \"domain\": \"\",\n    \"memory\": 0,\n    \"name\": \"NAME\",\n    \"nlb\": null,\n    \"ports\": null\n  }"
	want := "[\n" + strings.Replace(service, "NAME", "two", 1) + ",\n" + strings.Replace(service, "NAME", "one", 1) + "\n]\n"
	m.want("services", m.get("/apps/web/services"), 200, want)
}
