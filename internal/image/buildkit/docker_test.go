package buildkit_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/image/buildkit"
)

// TestDockerKeepsNoImage: what a build leaves in the engine is cache alone; with
// containerd's image store the image never was there.
func TestDockerKeepsNoImage(t *testing.T) {
	b := onDocker(t)
	_, log := mustBuild(t, b, spec(t, source(t, map[string]string{"Dockerfile": "COPY text /text\n", "text": "t"})))
	e, err := shared.engine()
	if err != nil {
		t.Fatal(err)
	}
	direct, err := e.OnContainerd()
	if named := strings.Contains(log, "naming to "); err != nil || named == direct {
		t.Errorf("that the image got a name in the engine is %v, %v:\n%s", named, err, log)
	}
	if images, err := e.Images(); err != nil || len(images) > 0 {
		t.Errorf("images in the engine: %q, %v", images, err)
	}
}

func TestDialDockerFaults(t *testing.T) {
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	says := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"message":"no BuildKit here"}`)
	}))
	defer says.Close()
	accepted := "is not the address of a Docker engine; accepted: unix:///var/run/docker.sock, tcp://127.0.0.1:2375"
	for address, want := range map[string]string{
		"":                               `"" ` + accepted,
		"/var/run/docker.sock":           `"/var/run/docker.sock" ` + accepted,
		"unix://":                        `"unix://" ` + accepted,
		"ssh://someone@builds.test":      `"ssh://someone@builds.test" ` + accepted,
		"npipe:////./pipe/docker_engine": `"npipe:////./pipe/docker_engine" ` + accepted,
		"unix://" + filepath.Join(t.TempDir(), "sock"):      "dial unix ",
		"tcp://" + strings.TrimPrefix(other.URL, "http://"): "docker: POST /grpc: 404 Not Found",
		"tcp://" + strings.TrimPrefix(says.URL, "http://"):  "docker: POST /grpc: no BuildKit here",
	} {
		d, err := buildkit.DialDocker(t.Context(), address, nil)
		if err == nil {
			d.Close()
			t.Errorf("%q: no error", address)
			continue
		}
		if !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: error %q, want %q", address, err, want)
		}
	}
}
