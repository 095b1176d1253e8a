package registry_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/registry"
)

// FuzzRoutes holds: whatever a path is, the registry answers, knows what it did, and
// writes nothing outside of its directory.
func FuzzRoutes(f *testing.F) {
	for _, path := range []string{"/v2/", "/v2", "/v2/app/tags/list", "/v2/app/manifests/1", "/v2/app/manifests/" + unknown,
		"/v2/app/blobs/" + unknown, "/v2/app/blobs/uploads/", "/v2/app/blobs/uploads/..", "/v2/a/blobs/uploads/manifests/x",
		"/v2/../../blobs/uploads/", "/v2//blobs/uploads", "/v2/app/blobs/uploads/00000000-0000-0000-0000-000000000000", "/v2/app:5/x/blobs/uploads/"} {
		for i := range 5 {
			f.Add(uint8(i), path)
		}
	}
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH"}
	f.Fuzz(func(t *testing.T, m uint8, path string) {
		if thing, name, which := registry.RouteOf(path); name+which != "" {
			tail, ok := strings.CutPrefix(path, "/v2/"+name)
			if thing == 0 || !ok || !strings.HasSuffix(tail, which) || strings.Contains(which, "/") {
				t.Errorf("%q leads to %d %q %q", path, thing, name, which)
			}
		}
		outside := t.TempDir()
		s := registry.Embedded(t.Context(), filepath.Join(outside, "within"), "")
		r := httptest.NewRequest(methods[int(m)%len(methods)], "/", strings.NewReader("x"))
		r.URL.Path = path
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%s %q: status %d, %s", r.Method, path, w.Code, w.Body)
		}
		left, err := os.ReadDir(outside)
		if err != nil || len(left) > 1 || len(left) == 1 && left[0].Name() != "within" {
			t.Errorf("outside are %v, %v", left, err)
		}
	})
}

// FuzzContentRange holds: what is read is a span of bytes, and is what was written.
func FuzzContentRange(f *testing.F) {
	for _, text := range []string{"0-0", "0-1023", "5-4", "-", "1-", "-1", "0-9223372036854775807", "9223372036854775808-9223372036854775809", "+1-2", "bytes 0-1/2", "1--2", "00-01"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		first, last, ok := registry.ContentRange(text)
		if !ok {
			return
		}
		a, b, _ := strings.Cut(text, "-")
		if first < 0 || last < first || !same(a, first) || !same(b, last) {
			t.Errorf("%q is %d to %d", text, first, last)
		}
	})
}

// same tells whether digits, perhaps after zeros, are a number.
func same(digits string, n int64) bool {
	return strings.TrimLeft(digits, "0") == strings.TrimLeft(strconv.FormatInt(n, 10), "0")
}
