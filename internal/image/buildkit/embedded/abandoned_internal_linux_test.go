package embedded

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/plugins/snapshots/native"
	"github.com/moby/buildkit/worker/runc"
)

// TestAbandonedSnapshots opens what a daemon left that was killed after it made
// the directory of a snapshot and before the record was written.
func TestAbandonedSnapshots(t *testing.T) {
	kinds := []runc.SnapshotterFactory{snapshotter(t.TempDir()), {Name: "native", New: native.NewSnapshotter}}
	for _, kind := range kinds {
		for _, first := range []bool{true, false} {
			name := kind.Name + " after others"
			if first {
				name = kind.Name + " the first"
			}
			t.Run(name, func(t *testing.T) {
				dir := t.TempDir()
				if !first {
					taken(t, kind, dir, func(s snapshots.Snapshotter) { prepare(t, s, "before") })
				}
				number := map[bool]string{true: "1", false: "2"}[first]
				abandoned := filepath.Join(dir, "snapshots", number, "fs")
				if err := os.MkdirAll(abandoned, 0o700); err != nil {
					t.Fatal(err)
				}
				taken(t, kind, dir, func(s snapshots.Snapshotter) {
					if _, err := os.Stat(abandoned); !os.IsNotExist(err) {
						t.Errorf("the abandoned directory is there: %v", err)
					}
					if !first {
						if _, err := s.Stat(context.Background(), "before"); err != nil {
							t.Errorf("a recorded snapshot: %v", err)
						}
						if found, err := os.ReadDir(filepath.Join(dir, "snapshots", "1")); err != nil {
							t.Errorf("a recorded snapshot's files: %v %v", found, err)
						}
					}
					prepare(t, s, "after")
				})
			})
		}
	}
}

func taken(t *testing.T, kind runc.SnapshotterFactory, dir string, use func(snapshots.Snapshotter)) {
	t.Helper()
	s, err := openSnapshots(kind, dir)
	if err != nil {
		t.Fatal(err)
	}
	use(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func prepare(t *testing.T, s snapshots.Snapshotter, key string) {
	t.Helper()
	if _, err := s.Prepare(context.Background(), key, ""); err != nil {
		t.Fatalf("prepare %s: %v", key, err)
	}
}
