package registry_test

import (
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// call is a request as a client sends it.
type call struct {
	method, path string // below /v2/, or an address
	header       http.Header
	body         string
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// code is that of the first error.
func (a answer) code() string {
	var e struct{ Errors []struct{ Code string } }
	if json.Unmarshal([]byte(a.body), &e) != nil || len(e.Errors) == 0 {
		return ""
	}
	return e.Errors[0].Code
}

func (s *spied) do(t *testing.T, c call) answer {
	t.Helper()
	at := c.path
	if !strings.HasPrefix(at, "http://") {
		at = "http://" + s.host + "/v2/" + at
	}
	q, err := http.NewRequestWithContext(t.Context(), c.method, at, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	if c.header != nil {
		q.Header = c.header
	}
	res, err := http.DefaultTransport.RoundTrip(q)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.Header.Get("Docker-Distribution-Api-Version") != "registry/2.0" {
		t.Errorf("%s %s: no version in the header", c.method, c.path)
	}
	return answer{res.StatusCode, res.Header, string(body)}
}

// must is do for what has to come to a status.
func (s *spied) must(t *testing.T, status int, c call) answer {
	t.Helper()
	a := s.do(t, c)
	if a.status != status {
		t.Fatalf("%s %s: status %d, %s; want %d", c.method, c.path, a.status, a.body, status)
	}
	return a
}

// begin begins an upload to a repository and gives its address.
func (s *spied) begin(t *testing.T, repository string) string {
	t.Helper()
	a := s.must(t, 202, call{method: "POST", path: repository + "/blobs/uploads/"})
	at := a.header.Get("Location")
	if id := a.header.Get("Docker-Upload-UUID"); id == "" || !strings.Contains(at, id) {
		t.Fatalf("upload %q is at %q", id, at)
	}
	return at
}

func kind(name string) http.Header { return http.Header{"Content-Type": {name}} }

func digestOfText(t *testing.T, text string) string {
	t.Helper()
	d, _, err := v1.SHA256(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

const unknown = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

// fault is a request that is refused, and how.
type fault struct {
	call
	status int
	code   string
}

func (s *spied) refuses(t *testing.T, faults []fault) {
	t.Helper()
	for _, f := range faults {
		a := s.do(t, f.call)
		if a.status != f.status || a.code() != f.code {
			t.Errorf("%s %s %v: status %d, %.200s; want %d %s", f.method, f.path, f.header, a.status, a.body, f.status, f.code)
		}
		if a.status == 405 && a.header.Get("Allow") == "" {
			t.Errorf("%s %s: does not say what is allowed", f.method, f.path)
		}
	}
}

func TestFaultsOfRoutes(t *testing.T) {
	r := serve(t, t.TempDir(), "")
	img := anImage(t)
	mustPush(t, nobody, img, r.host+"/app:1")
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	layer, err := layers[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	r.refuses(t, []fault{
		{call{method: "GET", path: "../"}, 404, ""},
		{call{method: "GET", path: "_catalog"}, 404, ""},
		{call{method: "GET", path: "app"}, 404, ""},
		{call{method: "GET", path: "app/referrers/" + unknown}, 404, ""},
		{call{method: "GET", path: "app/uploads/x"}, 404, ""},
		{call{method: "POST", path: ""}, 405, "UNSUPPORTED"},

		{call{method: "GET", path: "nobody/tags/list"}, 404, "NAME_UNKNOWN"},
		{call{method: "GET", path: "NOBODY/tags/list"}, 400, "NAME_INVALID"},
		{call{method: "GET", path: "host:5000/app/tags/list"}, 400, "NAME_INVALID"},
		{call{method: "GET", path: "tags/list"}, 404, ""},
		{call{method: "GET", path: "app/tags/list?n=x"}, 400, "PAGINATION_NUMBER_INVALID"},
		{call{method: "GET", path: "app/tags/list?n=-1"}, 400, "PAGINATION_NUMBER_INVALID"},
		{call{method: "GET", path: "app/tags/list?n=99999999999999999999"}, 400, "PAGINATION_NUMBER_INVALID"},
		{call{method: "GET", path: "app/tags/list?last=%00"}, 400, "TAG_INVALID"},
		{call{method: "GET", path: "app/tags/list?last=../x"}, 400, "TAG_INVALID"},
		{call{method: "PUT", path: "app/tags/list"}, 405, "UNSUPPORTED"},

		{call{method: "GET", path: "app/blobs/" + unknown}, 404, "BLOB_UNKNOWN"},
		{call{method: "HEAD", path: "app/blobs/" + unknown}, 404, ""},
		{call{method: "GET", path: "other/blobs/" + layer.String()}, 404, "BLOB_UNKNOWN"},
		{call{method: "GET", path: "app/blobs/1"}, 400, "DIGEST_INVALID"},
		{call{method: "GET", path: "app/blobs/md5:" + strings.Repeat("0", 32)}, 400, "DIGEST_INVALID"},
		{call{method: "GET", path: "/blobs/" + layer.String()}, 400, "NAME_INVALID"},
		{call{method: "DELETE", path: "app/blobs/" + layer.String()}, 405, "UNSUPPORTED"},
		{call{method: "GET", path: "app/blobs/" + layer.String(), header: http.Header{"Range": {"bytes=9999999-"}}}, 416, ""},
	})
}

func TestFaultsOfManifests(t *testing.T) {
	const index, image = string(types.OCIImageIndex), string(types.OCIManifestSchema1)
	r := serve(t, t.TempDir(), "")
	img := anImage(t)
	mustPush(t, nobody, img, r.host+"/app:1")
	good, err := img.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	part := func(kind, digest, more string) string {
		return `{"mediaType":"` + kind + `","digest":"` + digest + `","size":1` + more + `}`
	}
	config := part("application/vnd.oci.image.config.v1+json", m.Config.Digest.String(), "")
	with := func(list, parts string) string {
		if list == "layers" {
			parts += `],"config":` + config + `,"x":[`
		}
		return `{"schemaVersion":2,"` + list + `":[` + parts + `]}`
	}
	put := func(which, kindOf, body string) call {
		return call{"PUT", "app/manifests/" + which, kind(kindOf), body}
	}
	far := `,"urls":["https://foreign.invalid/layer"]`
	r.refuses(t, []fault{
		{call{method: "GET", path: "app/manifests/2"}, 404, "MANIFEST_UNKNOWN"},
		{call{method: "HEAD", path: "app/manifests/2"}, 404, ""},
		{call{method: "GET", path: "app/manifests/" + unknown}, 404, "MANIFEST_UNKNOWN"},
		{call{method: "GET", path: "nobody/manifests/1"}, 404, "MANIFEST_UNKNOWN"},
		{call{method: "GET", path: "app/manifests/" + unknown, header: http.Header{"If-None-Match": {unknown}}}, 404, "MANIFEST_UNKNOWN"},
		{call{method: "GET", path: "app/manifests/sha256:0"}, 400, "DIGEST_INVALID"},
		{call{method: "GET", path: "app/manifests/-"}, 400, "TAG_INVALID"},
		{call{method: "GET", path: "app/manifests/" + strings.Repeat("a", 129)}, 400, "TAG_INVALID"},
		{call{method: "GET", path: "app/manifests/"}, 400, "TAG_INVALID"},
		{call{method: "GET", path: "a//b/manifests/1"}, 400, "NAME_INVALID"},
		{call{method: "DELETE", path: "app/manifests/1"}, 405, "UNSUPPORTED"},
		{call{method: "POST", path: "app/manifests/1"}, 405, "UNSUPPORTED"},
		{put("-", image, string(good)), 400, "TAG_INVALID"},
		{put("2", "", string(good)), 400, "MANIFEST_INVALID"},
		{put("2", "text/plain", string(good)), 400, "MANIFEST_INVALID"},
		{put("2", index, string(good)), 400, "MANIFEST_INVALID"},
		{put("2", image, strings.Replace(string(good), `"schemaVersion":2`, `"schemaVersion":1`, 1)), 400, "MANIFEST_INVALID"},
		{put("2", index, `{"schemaVersion":1,"manifests":[]}`), 400, "MANIFEST_INVALID"},
		{put("2", image, "{"), 400, "MANIFEST_INVALID"},
		{put("2", image, string(good)+strings.Repeat(" ", 4<<20)), 400, "MANIFEST_INVALID"},
		{put(unknown, image, string(good)), 400, "DIGEST_INVALID"},
		{put("2", image, with("layers", part("application/vnd.oci.image.layer.v1.tar", unknown, ""))), 400, "MANIFEST_BLOB_UNKNOWN"},
		{put("2", image, with("layers", part("application/vnd.oci.image.layer.v1.tar", "sha256:0", ""))), 400, "MANIFEST_INVALID"},
		{put("2", image, with("layers", part("application/vnd.oci.image.layer.nondistributable.v1.tar", unknown, far))), 400, "MANIFEST_INVALID"},
		{put("2", index, with("manifests", part(image, unknown, ""))), 400, "MANIFEST_BLOB_UNKNOWN"},
	})
	if a := r.must(t, 200, call{method: "GET", path: "app/tags/list"}); !strings.Contains(a.body, `"tags":["1"]`) {
		t.Errorf("tags are %s", a.body)
	}
}

func TestFaultsOfUploads(t *testing.T) {
	dir := t.TempDir()
	r := serve(t, dir, "")
	r.begin(t, "app/startedat") // where ".." leads to
	at := r.begin(t, "app")
	plain, _, _ := strings.Cut(at, "?")
	piece := func(span string) http.Header { return http.Header{"Content-Range": {span}} }
	no := "app/blobs/uploads/00000000-0000-0000-0000-000000000000"
	r.refuses(t, []fault{
		{call{method: "GET", path: "app/blobs/uploads/"}, 405, "UNSUPPORTED"},
		{call{method: "POST", path: "App/blobs/uploads/"}, 400, "NAME_INVALID"},
		{call{method: "POST", path: plain}, 405, "UNSUPPORTED"},
		{call{method: "GET", path: no}, 404, "BLOB_UPLOAD_UNKNOWN"},
		{call{method: "PATCH", path: no, body: "x"}, 404, "BLOB_UPLOAD_UNKNOWN"},
		{call{method: "PUT", path: no + "?digest=" + unknown}, 404, "BLOB_UPLOAD_UNKNOWN"},
		{call{method: "DELETE", path: no}, 404, "BLOB_UPLOAD_UNKNOWN"},
		{call{method: "PATCH", path: "app/blobs/uploads/..", body: "x"}, 404, "BLOB_UPLOAD_UNKNOWN"},
		{call{method: "PATCH", path: "app/blobs/uploads/%2e%2e", body: "x"}, 404, "BLOB_UPLOAD_UNKNOWN"},
		{call{method: "PATCH", path: strings.Replace(plain, "/app/", "/other/", 1), body: "x"}, 404, "BLOB_UPLOAD_UNKNOWN"},
		{call{method: "PATCH", path: at, header: piece("x"), body: "x"}, 416, "RANGE_INVALID"},
		{call{method: "PATCH", path: at, header: piece("1-1"), body: "x"}, 416, "RANGE_INVALID"},
		{call{method: "PATCH", path: at, header: piece("0-4"), body: "x"}, 400, "SIZE_INVALID"},
		{call{method: "PATCH", path: plain + "?offset=1", body: "x"}, 416, "RANGE_INVALID"},
		{call{method: "PUT", path: at, body: "x"}, 400, "DIGEST_INVALID"},
		{call{method: "PUT", path: plain + "?digest=sha256:0", body: "x"}, 400, "DIGEST_INVALID"},
		{call{method: "PUT", path: plain + "?digest=" + unknown, header: piece("1-1"), body: "x"}, 416, "RANGE_INVALID"},
	})
	if got := r.must(t, 204, call{method: "GET", path: at}).header.Get("Range"); got != "0-0" {
		t.Errorf("after what was refused the upload is at %s", got)
	}
	r.refuses(t, []fault{
		{call{method: "PUT", path: plain + "?digest=" + unknown, body: "x"}, 400, "DIGEST_INVALID"},
		{call{method: "GET", path: plain}, 404, "BLOB_UPLOAD_UNKNOWN"}, // it was another blob, and is removed
		{call{method: "POST", path: "app/blobs/uploads/?digest=" + unknown, body: "x"}, 400, "DIGEST_INVALID"},
		{call{method: "POST", path: "app/blobs/uploads/?digest=x", body: "x"}, 400, "DIGEST_INVALID"},
	})
	if n := uploads(t, filepath.Join(dir, "docker/registry/v2/repositories/app/_uploads")); n != 0 {
		t.Errorf("%d files of uploads are left", n)
	}
}
