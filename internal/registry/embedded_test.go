package registry_test

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/convox-ci/convox-ci/internal/registry"
)

// ask sends a request with a password, "" for none, and gives the status and the challenge.
func ask(t *testing.T, method, url, password string) (int, string) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Accept", string(types.OCIManifestSchema1))
	if password != "" {
		q.SetBasicAuth("anyone", password)
	}
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	return res.StatusCode, res.Header.Get("WWW-Authenticate")
}

func TestPassword(t *testing.T) {
	r := serve(t, t.TempDir(), "s3cret")
	img := anImage(t)
	for name, c := range map[string]*registry.Client{"without": {}, "wrong": {Keychain: knows("other")}} {
		if _, err := c.Push(t.Context(), layoutOf(t, img), r.host+"/app:1"); !errors.Is(err, registry.ErrDenied) {
			t.Errorf("push, password %s: error is %v, want access denied", name, err)
		}
	}
	digest := mustPush(t, &registry.Client{Keychain: knows("s3cret")}, img, r.host+"/app:1")
	if got := pulled(t, &registry.Client{}, r.host+"/app:1"); got != digest {
		t.Errorf("pulled %s, want %s", got, digest)
	}
	at := "http://" + r.host + "/v2/"
	for _, c := range []struct {
		method, path, password string
		want                   int
	}{
		{"GET", "", "", 200},
		{"GET", "", "s3cret", 200},
		{"GET", "", "other", 401},
		{"HEAD", "app/manifests/1", "", 200},
		{"POST", "app/blobs/uploads/", "", 401},
		{"POST", "app/blobs/uploads/", "s3cre", 401},
		{"PATCH", "app/blobs/uploads/x", "", 401},
		{"PUT", "app/manifests/2", "", 401},
		{"DELETE", "app/manifests/" + digest, "", 401},
		{"DELETE", "app/manifests/" + digest, "other", 401},
		{"DELETE", "app/manifests/" + digest, "s3cret", 405},
		{"DELETE", "app/blobs/" + digest, "s3cret", 405},
		{"GET", "app/manifests/" + digest, "", 200},
	} {
		got, challenge := ask(t, c.method, at+c.path, c.password)
		if got != c.want {
			t.Errorf("%s %s with password %q: status %d, want %d", c.method, c.path, c.password, got, c.want)
		}
		if (challenge != "") != (got == 401) {
			t.Errorf("%s %s with password %q: status %d with challenge %q", c.method, c.path, c.password, got, challenge)
		}
	}
}

func TestImagesOutliveTheRegistry(t *testing.T) {
	dir := t.TempDir()
	c := &registry.Client{}
	digest := mustPush(t, c, anImage(t), serve(t, dir, "").host+"/app:web.b1")
	if got := pulled(t, c, serve(t, dir, "").host+"/app:web.b1"); got != digest {
		t.Errorf("pulled %s, want %s", got, digest)
	}
}

func TestManifestNeedsItsBlobs(t *testing.T) {
	r := serve(t, t.TempDir(), "")
	img := anImage(t)
	raw, err := img.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	kind, err := img.MediaType()
	if err != nil {
		t.Fatal(err)
	}
	q, err := http.NewRequestWithContext(t.Context(), "PUT", "http://"+r.host+"/v2/app/manifests/1", strings.NewReader(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Content-Type", string(kind))
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if text, _ := io.ReadAll(res.Body); res.StatusCode != 400 || !strings.Contains(string(text), "MANIFEST_BLOB_UNKNOWN") {
		t.Errorf("status %d, %s; want 400 MANIFEST_BLOB_UNKNOWN", res.StatusCode, text)
	}
}

// TestUploadsThatWereCutOff are gone when the registry is started again.
func TestUploadsThatWereCutOff(t *testing.T) {
	dir := t.TempDir()
	r := serve(t, dir, "")
	digest := mustPush(t, &registry.Client{}, anImage(t), r.host+"/app:1")
	if status, _ := ask(t, "POST", "http://"+r.host+"/v2/app/blobs/uploads/", ""); status != 202 {
		t.Fatalf("status %d, want 202", status)
	}
	if uploads(t, dir) == 0 {
		t.Fatal("no upload is kept, so the test says nothing")
	}
	if got := pulled(t, &registry.Client{}, serve(t, dir, "").host+"/app:1"); got != digest {
		t.Errorf("pulled %s, want %s", got, digest)
	}
	if n := uploads(t, dir); n != 0 {
		t.Errorf("%d files of uploads are left", n)
	}
}

// TestUploadsThatWereGivenUp are gone a day later, and younger ones go on.
func TestUploadsThatWereGivenUp(t *testing.T) {
	dir := t.TempDir()
	calm := registry.Embedded(t.Context(), dir, "") // to which nobody has pushed just now
	r := serve(t, dir, "")
	old, young := r.begin(t, "app"), r.begin(t, "app")
	id := r.must(t, 204, call{method: "GET", path: old}).header.Get("Docker-Upload-UUID")
	begun := filepath.Join(dir, "docker/registry/v2/repositories/app/_uploads", id, "startedat")
	for _, test := range []struct {
		hours  time.Duration
		status int
	}{{23, 204}, {25, 404}} {
		if err := os.WriteFile(begun, []byte(time.Now().Add(-test.hours*time.Hour).UTC().Format(time.RFC3339)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := calm.Collect(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.must(t, test.status, call{method: "GET", path: old})
	}
	r.must(t, 204, call{method: "GET", path: young})
}

// uploads counts the files of uploads below a registry's directory.
func uploads(t *testing.T, dir string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.Contains(path, "/_uploads/") {
			n++
		}
		return err
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return n
}
