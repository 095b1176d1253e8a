package embedded_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/image/buildkit"
	"github.com/convox-ci/convox-ci/internal/image/buildkit/embedded"
)

// start runs a daemon for a test and gives a builder on it.
func start(t *testing.T, root string) (*buildkit.Builder, *embedded.Daemon) {
	t.Helper()
	d, err := embedded.Start(t.Context(), embedded.Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	c, err := buildkit.Ready(t.Context(), embedded.Address, d.Dialer())
	if err != nil {
		t.Fatal(err)
	}
	return buildkit.New(c), d
}

func TestBuild(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\nCOPY Dockerfile /copy\n"), 0o644)
	root := t.TempDir()
	b, d := start(t, root)
	var log bytes.Buffer
	layout := filepath.Join(t.TempDir(), "layout")
	err := b.Build(context.Background(), image.Spec{Context: dir, Dockerfile: filepath.Join(dir, "Dockerfile"), Layout: layout}, &log)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(log.String())
	if !strings.Contains(log.String(), "COPY Dockerfile /copy") {
		t.Errorf("log lacks the step:\n%s", log.String())
	}
	if _, err := os.Stat(filepath.Join(layout, "index.json")); err != nil {
		t.Error(err)
	}
	b.Close()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
