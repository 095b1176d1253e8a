package embedded

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/errdefs"
	"github.com/moby/buildkit/worker/runc"
)

// openSnapshots opens the snapshots in a directory and removes what a killed
// daemon left there first. A snapshot's directory is made before its record is
// written, and its number is the record's: the next snapshot is given the same
// number, and a directory of that name would fail the build step it is for.
func openSnapshots(kind runc.SnapshotterFactory, dir string) (snapshots.Snapshotter, error) {
	if err := dropAbandoned(dir); err != nil {
		return nil, err
	}
	return kind.New(dir)
}

// dropAbandoned removes the directories of snapshots that have no record.
func dropAbandoned(dir string) error {
	all := filepath.Join(dir, "snapshots")
	found, err := os.ReadDir(all)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(found) == 0 {
		return nil
	} else if err != nil {
		return err
	}
	recorded, err := recordedSnapshots(filepath.Join(dir, "metadata.db"))
	if err != nil {
		return err
	}
	for _, d := range found {
		if _, kept := recorded[d.Name()]; !kept {
			err = errors.Join(err, os.RemoveAll(filepath.Join(all, d.Name())))
		}
	}
	return err
}

// recordedSnapshots gives the keys of all snapshots by their directories' names.
func recordedSnapshots(file string) (recorded map[string]string, err error) {
	records, err := storage.NewMetaStore(file)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, records.Close()) }()
	err = records.WithTransaction(context.Background(), false, func(ctx context.Context) error {
		recorded, err = storage.IDMap(ctx)
		return err
	})
	if errdefs.IsNotFound(err) { // killed before the first record
		return nil, nil
	}
	return recorded, err
}
