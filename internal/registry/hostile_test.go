package registry_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/convox-ci/convox-ci/internal/registry"
)

// zeros is a body that counts what was taken of it.
type zeros struct{ left, taken int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), z.left)
	clear(p[:n])
	z.left, z.taken = z.left-n, z.taken+n
	return int(n), nil
}

// send sends a body without a length, unless one is given, and gives the status; 0
// where the server has cut the line.
func send(t *testing.T, method, url string, body io.Reader, length int64) int {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	q.ContentLength = length
	if method == http.MethodPut {
		q.Header.Set("Content-Type", string(types.OCIManifestSchema1))
	}
	res, err := http.DefaultTransport.RoundTrip(q)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// A manifest of 100 MB, of a length that is said or not, is not taken.
func TestHugeManifestIsRefused(t *testing.T) {
	r := serve(t, t.TempDir(), "")
	for _, length := range []int64{-1, 100 << 20} {
		body := &zeros{left: 100 << 20}
		if status := send(t, "PUT", "http://"+r.host+"/v2/app/manifests/1", body, length); status != 0 && status < 400 {
			t.Errorf("length %d: status %d", length, status)
		}
		if body.taken > 30<<20 { // the limit, and what is under way
			t.Errorf("length %d: %d bytes were taken", length, body.taken)
		}
	}
	if status, _ := ask(t, "GET", "http://"+r.host+"/v2/app/manifests/1", ""); status != 404 {
		t.Errorf("it is there: %d", status)
	}
}

// A layer beyond the limit is refused, whether its length was said or not, and
// cannot be finished; up to it all goes well.
func TestUploadsAreBounded(t *testing.T) {
	const most = 1 << 20
	s := registry.Embedded(t.Context(), t.TempDir(), "")
	s.Limit(most)
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	for _, test := range []struct{ size, length int64 }{{most, -1}, {most + 1, -1}, {most + 1, most + 1}, {64 << 20, -1}} {
		res, err := http.Post(h.URL+"/v2/app/blobs/uploads/", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		status := send(t, "PATCH", res.Header.Get("Location"), &zeros{left: test.size}, test.length)
		if (status == 202) != (test.size <= most) {
			t.Errorf("%d bytes, length %d: status %d", test.size, test.length, status)
		}
	}
}

// TestDeleteIsRefused: also where no password is asked for.
func TestDeleteIsRefused(t *testing.T) {
	r := serve(t, t.TempDir(), "")
	digest := mustPush(t, &registry.Client{}, anImage(t), r.host+"/app:1")
	for _, path := range []string{"app/manifests/" + digest, "app/manifests/1", "app/blobs/" + digest} {
		if status, _ := ask(t, "DELETE", "http://"+r.host+"/v2/"+path, ""); status < 400 {
			t.Errorf("DELETE %s: %d", path, status)
		}
	}
	if got := pulled(t, &registry.Client{}, r.host+"/app:1"); got != digest {
		t.Errorf("pulled %s, want %s", got, digest)
	}
}

// Names that lead out of the registry's directory are no repositories.
func TestNamesOfRepositoriesStayInside(t *testing.T) {
	r := serve(t, t.TempDir(), "")
	for _, name := range []string{"..", "../../x", "%2e%2e/x", "a/../../../x", "/etc"} {
		res, err := http.Post(fmt.Sprintf("http://%s/v2/%s/blobs/uploads/", r.host, name), "", bytes.NewReader(nil))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode == 202 && strings.Contains(res.Header.Get("Location"), "..") {
			t.Errorf("%s: %s", name, res.Header.Get("Location"))
		}
	}
}
