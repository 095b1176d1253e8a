package workflow

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/convox-ci/convox-ci/internal/bake"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// buildForImport makes the images and has the rack import them, as if they came
// from another rack. It gives the build its id and its release; until then there
// is none, and a build that fails leaves nothing there.
func (w *workshop) buildForImport(ctx context.Context) (rack.Build, error) {
	if w.options.WildcardDomain != nil {
		w.Log.Warn("wildcard-domain: an import does not carry it; nothing is changed by it")
	}
	b := rack.Build{ID: rack.NewID("B"), App: w.in.App, Description: w.options.Description, GitSHA: w.options.GitSHA,
		Manifest: string(w.text), Status: rack.BuildComplete, Started: time.Now().UTC()}
	kept := &keeping{Registry: w.engine.Registry(Credentials{}), layouts: map[string]string{}}
	if _, err := w.bake(ctx, b.ID, "convox/"+w.in.App, kept); err != nil {
		return rack.Build{}, err
	}
	stored, err := w.storeLog(ctx, b.ID) // which an import does not carry either: the record tells where it is
	if err != nil {
		return rack.Build{}, err
	}
	b.Logs, b.Ended = stored.URL, time.Now().UTC()
	images, err := w.packed(ctx, kept.layouts)
	if err != nil {
		return rack.Build{}, err
	}
	length := int64(0)
	for _, i := range images {
		length += i.Size
	}
	w.printf("Sending the images, %s", size(length))
	arrived, err := w.importing(ctx, w.in.App, func(context.Context) (io.ReadCloser, error) {
		return parcelled(rack.Parcel{Build: b, Images: images}), nil
	}, true)
	if err != nil || w.entrypoint == "" {
		return arrived, err
	}
	// An import leaves the entry point out.
	if _, err := w.Rack.UpdateBuild(ctx, b.App, arrived.ID, rack.BuildChanges{Entrypoint: w.entrypoint}); err != nil {
		w.Log.Warn("the entry point of the build could not be recorded: " + err.Error())
	}
	return arrived, nil
}

// packed are the images as the rack can read them.
func (w *workshop) packed(ctx context.Context, layouts map[string]string) ([]rack.Packed, error) {
	if !w.v3 {
		length, write, err := w.engine.Save(ctx, layouts)
		return []rack.Packed{{Size: length, Write: write}}, err
	}
	var images []rack.Packed
	for _, ref := range slices.Sorted(maps.Keys(layouts)) {
		_, tag, _ := strings.Cut(ref, ":")
		service, _, _ := strings.Cut(tag, ".")
		length, write, err := w.engine.Save(ctx, map[string]string{ref: layouts[ref]})
		if err != nil {
			return nil, err
		}
		images = append(images, rack.Packed{Service: service, Size: length, Write: write})
	}
	return images, nil
}

// parcelled writes a parcel while it is read.
func parcelled(p rack.Parcel) io.ReadCloser {
	r, w := io.Pipe()
	go func() { w.CloseWithError(p.Write(w)) }()
	return r
}

// keeping pulls from registries, and keeps what is to be pushed where it is.
type keeping struct {
	bake.Registry
	layouts map[string]string // directories, by the names of their images
}

// Push notes where an image is; nothing leaves the machine.
func (k *keeping) Push(_ context.Context, layout, ref string) (digest string, err error) {
	text, err := os.ReadFile(filepath.Join(layout, "index.json"))
	if err != nil {
		return "", err
	}
	var index struct {
		Manifests []struct{ Digest string }
	}
	if err := json.Unmarshal(text, &index); err != nil || len(index.Manifests) != 1 {
		return "", fmt.Errorf("the engine has written an image layout of %d images for %s (%v)", len(index.Manifests), ref, err)
	}
	k.layouts[ref] = layout
	return index.Manifests[0].Digest, nil
}
