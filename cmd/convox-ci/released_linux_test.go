package main

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestReleased runs stories against the binary that is released, made as the
// release makes it.
func TestReleased(t *testing.T) {
	bin := t.TempDir()
	released := filepath.Join(bin, "released")
	if out, err := exec.Command("../../scripts/build", released).CombinedOutput(); err != nil {
		t.Fatalf("scripts/build: %v\n%s", err, out)
	}
	p := stories(t, "testdata/released")
	setUp := p.Setup
	p.Setup = func(env *testscript.Env) error {
		env.Setenv("RELEASED", released)
		return setUp(env)
	}
	testscript.Run(t, p)
}

// TestReleasedIsSmall holds what makes the released binary start at once and in
// little memory: it does without the libraries of the embedded rack. Each of them
// starts with the process, used or not.
func TestReleasedIsSmall(t *testing.T) {
	// -e, since the program to carry is there only while scripts/build runs.
	out, err := exec.Command("go", "list", "-e", "-deps", "-tags", "carrier", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	linked := strings.Fields(string(out))
	if !slices.Contains(linked, "github.com/convox-ci/convox-ci/internal/carried") {
		t.Error("it does not carry the whole program")
	}
	for _, p := range linked {
		for _, heavy := range []string{"github.com/moby/buildkit", "github.com/containerd/", "github.com/distribution/distribution/",
			"github.com/google/go-containerregistry", "google.golang.org/grpc", "github.com/aws/"} {
			if strings.HasPrefix(p, heavy) {
				t.Errorf("%s is linked", p)
			}
		}
	}
}
