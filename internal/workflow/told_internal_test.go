package workflow

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/convox-ci/convox-ci/internal/buildlog"
	"github.com/convox-ci/convox-ci/internal/options"
)

// TestDockerfileOfAFault: a log that points at a Dockerfile is believed only where
// the manifest has exactly one that it can mean, and the source has the file.
func TestDockerfileOfAFault(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"convox.yml": "services:\n  web:\n    build: .\n  api:\n    build:\n      path: api\n      manifest: ../deploy/api.Dockerfile\n" +
			"  one:\n    build:\n      path: both\n      manifest: a/Dockerfile\n  two:\n    build:\n      path: both\n      manifest: b/Dockerfile\n" +
			"  gone:\n    build: gone\n  out:\n    build:\n      path: out\n      manifest: ../../Dockerfile\n  image:\n    image: x\n",
		"Dockerfile": "", "deploy/api.Dockerfile": "", "both/a/Dockerfile": "", "both/b/Dockerfile": "",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := Source{Context: options.Path(dir), Manifest: "convox.yml"}
	for _, test := range []struct {
		name  string
		fault buildlog.Fault
		want  string
	}{
		{"of a unit", buildlog.Fault{Unit: ".", File: "Dockerfile", Line: 3}, "Dockerfile"},
		{"by its unit alone", buildlog.Fault{Unit: "./", Line: 3}, "Dockerfile"},
		{"beside its context", buildlog.Fault{Unit: "api", File: "api.Dockerfile", Line: 3}, "deploy/api.Dockerfile"},
		{"by its name alone", buildlog.Fault{File: "api.Dockerfile", Line: 3}, "deploy/api.Dockerfile"},
		{"either of two", buildlog.Fault{Unit: "both", File: "Dockerfile", Line: 3}, ""},
		{"another name", buildlog.Fault{Unit: ".", File: "Other", Line: 3}, ""},
		{"another unit", buildlog.Fault{Unit: "../etc", File: "Dockerfile", Line: 3}, ""},
		{"not there", buildlog.Fault{Unit: "gone", File: "Dockerfile", Line: 3}, ""},
		{"outside", buildlog.Fault{Unit: "out", File: "Dockerfile", Line: 3}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := test.want
			if want != "" {
				want = filepath.Join(dir, filepath.FromSlash(want))
			}
			if got := s.open(test.fault); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}
