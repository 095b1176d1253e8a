package registry_test

import (
	"crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/convox-ci/convox-ci/internal/registry"
)

// nobody is a client without a password.
var nobody = &registry.Client{}

// TestWaysToPush pushes a blob in each way that the specification has:
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#push
func TestWaysToPush(t *testing.T) {
	dir := t.TempDir()
	r := serve(t, dir, "")
	const text = "the whole of a layer"
	digest := digestOfText(t, text)
	octets := kind("application/octet-stream")
	span := func(first, last int) http.Header {
		return http.Header{"Content-Range": {fmt.Sprintf("%d-%d", first, last)}}
	}
	query := func(at string) string { // as clients add to an address
		if strings.Contains(at, "?") {
			return at + "&digest=" + digest
		}
		return at + "?digest=" + digest
	}
	next := func(t *testing.T, c call, size int) string {
		t.Helper()
		a := r.must(t, 202, c)
		if got, want := a.header.Get("Range"), fmt.Sprintf("0-%d", size-1); got != want {
			t.Errorf("range is %s, want %s", got, want)
		}
		return a.header.Get("Location")
	}
	for name, push := range map[string]func(t *testing.T, repository string) answer{
		"post": func(t *testing.T, repository string) answer {
			return r.must(t, 201, call{"POST", query(repository + "/blobs/uploads/"), octets, text})
		},
		"post-put": func(t *testing.T, repository string) answer {
			return r.must(t, 201, call{"PUT", query(r.begin(t, repository)), octets, text})
		},
		"stream": func(t *testing.T, repository string) answer {
			at := next(t, call{"PATCH", r.begin(t, repository), octets, text}, len(text))
			return r.must(t, 201, call{method: "PUT", path: query(at)})
		},
		"chunks": func(t *testing.T, repository string) answer {
			at := next(t, call{"PATCH", r.begin(t, repository), span(0, 3), text[:4]}, 4)
			r.refuses(t, []fault{{call{"PATCH", at, span(0, 3), text[:4]}, 416, "RANGE_INVALID"}}) // once more
			at = next(t, call{"PATCH", at, span(4, 9), text[4:10]}, 10)
			if got := r.must(t, 204, call{method: "GET", path: at}).header; got.Get("Range") != "0-9" || got.Get("Location") != at {
				t.Errorf("the upload is at %s of %s", got.Get("Range"), got.Get("Location"))
			}
			return r.must(t, 201, call{"PUT", query(at), span(10, len(text)-1), text[10:]})
		},
		"mount": func(t *testing.T, repository string) answer {
			r.must(t, 201, call{"POST", query("first/blobs/uploads/"), octets, text})
			return r.must(t, 201, call{method: "POST", path: repository + "/blobs/uploads/?from=first&mount=" + digest})
		},
	} {
		t.Run(name, func(t *testing.T) {
			repository := name + "/blobs/uploads/tags/list"
			a := push(t, repository)
			at := a.header.Get("Location")
			if want := "http://" + r.host + "/v2/" + repository + "/blobs/" + digest; at != want || a.header.Get("Docker-Content-Digest") != digest {
				t.Errorf("it is %s at %s, want %s", a.header.Get("Docker-Content-Digest"), at, want)
			}
			got := r.must(t, 200, call{method: "GET", path: at})
			if got.body != text || got.header.Get("Docker-Content-Digest") != digest {
				t.Errorf("it is %q, %s", got.body, got.header.Get("Docker-Content-Digest"))
			}
			head := r.must(t, 200, call{method: "HEAD", path: at})
			if size := head.header.Get("Content-Length"); size != fmt.Sprint(len(text)) || head.body != "" {
				t.Errorf("it has %s bytes", size)
			}
			part := r.must(t, 206, call{method: "GET", path: at, header: http.Header{"Range": {"bytes=4-8"}}})
			if part.body != text[4:9] {
				t.Errorf("a part is %q", part.body)
			}
		})
	}
	if n := uploads(t, dir); n != 0 {
		t.Errorf("%d files of uploads are left", n)
	}
}

// TestMountOfNothing: what cannot be taken from elsewhere is uploaded.
func TestMountOfNothing(t *testing.T) {
	r := serve(t, t.TempDir(), "")
	for _, query := range []string{"mount=" + unknown, "mount=" + unknown + "&from=other", "mount=x&from=other", "mount=" + unknown + "&from=Other", "digest=" + unknown} {
		if r.must(t, 202, call{method: "POST", path: "app/blobs/uploads/?" + query}).header.Get("Location") == "" {
			t.Errorf("%s: the answer does not say where", query)
		}
	}
}

// TestMountByAnotherDigest: a blob that is here is not under its other digests.
func TestMountByAnotherDigest(t *testing.T) {
	const text = "a layer"
	r := serve(t, t.TempDir(), "")
	r.must(t, 201, call{"POST", "first/blobs/uploads/?digest=" + digestOfText(t, text), kind("application/octet-stream"), text})
	other := fmt.Sprintf("sha512:%x", sha512.Sum512([]byte(text)))
	r.do(t, call{"POST", "first/blobs/uploads/?digest=" + other, kind("application/octet-stream"), text})
	a := r.do(t, call{method: "POST", path: "app/blobs/uploads/?from=first&mount=" + other})
	if a.status != 202 {
		t.Errorf("status %d, at %s, want 202", a.status, a.header.Get("Location"))
	}
}

// TestUnknownFaultsNameNoFiles: what is wrong with the disk is said without where.
func TestUnknownFaultsNameNoFiles(t *testing.T) {
	dir := t.TempDir()
	r := serve(t, dir, "")
	mustPush(t, nobody, anImage(t), r.host+"/app:1")
	tag := filepath.Join(dir, "docker/registry/v2/repositories/app/_manifests/tags/1/current/link")
	if err := errors.Join(os.Remove(tag), os.Mkdir(tag, 0o700)); err != nil {
		t.Fatal(err)
	}
	a := r.do(t, call{method: "GET", path: "app/manifests/1"})
	if a.status != 500 || a.code() != "UNKNOWN" || strings.Contains(a.body, dir) || !strings.Contains(a.body, "is a directory") {
		t.Errorf("status %d, %s", a.status, a.body)
	}
}

func TestCancelledUpload(t *testing.T) {
	dir := t.TempDir()
	r := serve(t, dir, "")
	at := r.must(t, 202, call{method: "PATCH", path: r.begin(t, "app"), body: "x"}).header.Get("Location")
	r.must(t, 204, call{method: "DELETE", path: at})
	r.must(t, 404, call{method: "GET", path: at})
	if n := uploads(t, dir); n != 0 {
		t.Errorf("%d files of the upload are left", n)
	}
}

// TestManifestsByTagAndDigest gets what was put, byte for byte, whatever the client
// says that it accepts.
func TestManifestsByTagAndDigest(t *testing.T) {
	r := serve(t, t.TempDir(), "")
	img := anImage(t)
	digest := mustPush(t, nobody, img, r.host+"/app:1")
	text, err := img.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	list := `{"schemaVersion":2,"manifests":[{"mediaType":"` + string(types.OCIManifestSchema1) + `","digest":"` + digest + `","size":` + fmt.Sprint(len(text)) + `}]}`
	put := r.must(t, 201, call{"PUT", "app/manifests/all", kind(string(types.OCIImageIndex)), list})
	if want := "http://" + r.host + "/v2/app/manifests/" + digestOfText(t, list); put.header.Get("Location") != want {
		t.Errorf("it is at %s, want %s", put.header.Get("Location"), want)
	}
	r.must(t, 201, call{"PUT", "app/manifests/" + digest, kind(string(types.OCIManifestSchema1)), string(text)})
	for which, want := range map[string]struct{ kind, digest, text string }{
		"1":                   {string(types.OCIManifestSchema1), digest, string(text)},
		digest:                {string(types.OCIManifestSchema1), digest, string(text)},
		"all":                 {string(types.OCIImageIndex), digestOfText(t, list), list},
		digestOfText(t, list): {string(types.OCIImageIndex), digestOfText(t, list), list},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			a := r.must(t, 200, call{method: method, path: "app/manifests/" + which})
			if method == "GET" && a.body != want.text {
				t.Errorf("%s is %s", which, a.body)
			}
			if a.header.Get("Content-Type") != want.kind || a.header.Get("Docker-Content-Digest") != want.digest || a.header.Get("Content-Length") != fmt.Sprint(len(want.text)) {
				t.Errorf("%s %s: %v", method, which, a.header)
			}
			for _, mark := range []string{want.digest, a.header.Get("Etag")} {
				r.must(t, 304, call{method: method, path: "app/manifests/" + which, header: http.Header{"If-None-Match": {mark}}})
			}
		}
	}
}

// TestPagesOfTags follows the links from page to page.
func TestPagesOfTags(t *testing.T) {
	r := serve(t, t.TempDir(), "")
	img := anImage(t)
	want := []string{"a", "b", "c", "d", "e"}
	for _, tag := range want {
		mustPush(t, nobody, img, r.host+"/some/app:"+tag)
	}
	page := func(path string) (tags []string, next string) {
		a := r.must(t, 200, call{method: "GET", path: path})
		var got struct {
			Name string
			Tags []string
		}
		if err := json.Unmarshal([]byte(a.body), &got); err != nil || got.Name != "some/app" || got.Tags == nil {
			t.Fatalf("%s: %s, %v", path, a.body, err)
		}
		if link := a.header.Get("Link"); link != "" {
			next = strings.TrimSuffix(strings.TrimPrefix(link, "</v2/"), `>; rel="next"`)
		}
		return got.Tags, next
	}
	var got []string
	for at := "some/app/tags/list?n=2"; at != ""; {
		tags, next := page(at)
		if len(tags) > 2 {
			t.Errorf("a page of two has %q", tags)
		}
		got, at = append(got, tags...), next
	}
	if !slices.Equal(got, want) {
		t.Errorf("by pages the tags are %q", got)
	}
	for path, want := range map[string][]string{"": want, "?n=0": {}, "?last=c": {"d", "e"}, "?n=9&last=d": {"e"}, "?last=z": {}} {
		if tags, next := page("some/app/tags/list" + path); !slices.Equal(tags, want) || next != "" {
			t.Errorf("%q: %q, next %q; want %q", path, tags, next, want)
		}
	}
}

// gate is a body that says when it is read, and ends when it may.
type gate struct{ reached, open chan struct{} }

func (g gate) Read([]byte) (int, error) {
	close(g.reached)
	<-g.open
	return 0, io.EOF
}

// TestUploadIsOfOneRequest: another that would write at the same time is sent away.
func TestUploadIsOfOneRequest(t *testing.T) {
	s := registry.Embedded(t.Context(), t.TempDir(), "")
	serve := func(method, at string, body io.Reader) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(method, at, body))
		return w
	}
	at := serve("POST", "/v2/app/blobs/uploads/", nil).Header().Get("Location")
	body := gate{make(chan struct{}), make(chan struct{})}
	first := make(chan *httptest.ResponseRecorder)
	go func() { first <- serve("PATCH", at, body) }()
	<-body.reached
	for _, method := range []string{"PATCH", "PUT", "DELETE"} {
		if got := serve(method, at+"&digest="+unknown, strings.NewReader("x")); got.Code != 429 {
			t.Errorf("%s at the same time: status %d, %s", method, got.Code, got.Body)
		}
	}
	if got := serve("GET", at, nil); got.Code != 204 {
		t.Errorf("its status at the same time: %d, %s", got.Code, got.Body)
	}
	close(body.open)
	if got := <-first; got.Code != 202 {
		t.Errorf("the first: status %d, %s", got.Code, got.Body)
	}
	if got := serve("PATCH", at, strings.NewReader("x")); got.Code != 202 {
		t.Errorf("after it: status %d, %s", got.Code, got.Body)
	}
}

// TestAddressesBehindAProxy are those by which the client knows the registry.
func TestAddressesBehindAProxy(t *testing.T) {
	r := serve(t, t.TempDir(), "")
	h := http.Header{"X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"rack.invalid"}}
	at := r.must(t, 202, call{method: "POST", path: "app/blobs/uploads/", header: h}).header.Get("Location")
	if !strings.HasPrefix(at, "https://rack.invalid/v2/app/blobs/uploads/") {
		t.Errorf("the upload is at %s", at)
	}
}
