package rackd_test

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
	"github.com/convox-ci/convox-ci/internal/rackd/disk"
	registries "github.com/convox-ci/convox-ci/internal/registry"
)

// FuzzImport holds: an archive that is refused leaves nothing. All are, since
// nobody answers for the registry and none has no images.
func FuzzImport(f *testing.F) {
	record := piece{name: "build.json", data: []byte(`{"id":"B"}`)}
	f.Add(packed(f, record, piece{name: "a.tar", data: dockerArchive(f, "x:one.B")}))
	f.Add(packed(f, piece{name: "build.log", data: []byte("Building: .\n")}, piece{name: "web.B.tar", data: ociArchive(f)}, record))
	dir := f.TempDir()
	store, err := disk.Open(filepath.Join(dir, "data"), "the test")
	if err != nil {
		f.Fatal(err)
	}
	defer store.Close()
	stores := store.Stores()
	server, err := rackd.New(f.Context(), rackd.Config{Name: "local", Stores: stores, Spool: filepath.Join(dir, "spool"),
		Registry: "127.0.0.1:1", Images: &registries.Client{}})
	if err != nil {
		f.Fatal(err)
	}
	defer server.Close()
	if err := store.SwapApp(f.Context(), rack.App{}, rack.App{Name: "web", Status: rack.AppRunning}); err != nil {
		f.Fatal(err)
	}
	handler := server.Handler()
	f.Fuzz(func(t *testing.T, plain []byte) {
		for _, archive := range [][]byte{plain, zip(t, plain)} {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "POST", "/apps/web/builds/import", bytes.NewReader(archive)))
			if w.Code != 500 || w.Body.Len() == 0 || json.Valid(w.Body.Bytes()) {
				t.Errorf("answer is %d %s", w.Code, w.Body)
			}
		}
		if bs, err := store.ListBuilds(t.Context(), "web", 0); err != nil || len(bs) != 0 {
			t.Errorf("builds are %v, %v", bs, err)
		}
		if left, err := os.ReadDir(filepath.Join(dir, "spool", "work")); err != nil || len(left) != 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
}
