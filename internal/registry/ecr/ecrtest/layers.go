package ecrtest

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
)

// moved is how layers have got into the registry.
type moved struct {
	bytes   int64           // that were sent
	sent    map[string]bool // digests of what was sent
	mounted map[string]bool // digests of what was taken from another repository
}

// Moved tells how layers, and the configurations of images, have got into the
// registry since the last call: how many bytes were sent, and the digests of what was
// sent and of what was mounted.
func (f *Fake) Moved() (sent int64, uploaded, mounted []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.moved
	f.moved = moved{}
	return m.bytes, slices.Sorted(maps.Keys(m.sent)), slices.Sorted(maps.Keys(m.mounted))
}

// Digest is that of the image with a tag, "" for none.
func (f *Fake) Digest(repository, tag string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r := f.repos[repository]; r != nil {
		return r.tagged(tag)
	}
	return ""
}

// upload lets a request of an upload through, and counts what it brings.
func (f *Fake) upload(repo *repository, w http.ResponseWriter, r *http.Request) {
	body := &counted{ReadCloser: r.Body}
	r.Body = body
	told := &watched{ResponseWriter: w}
	repo.handler.ServeHTTP(told, r)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.moved.bytes += body.n
	if digest := r.URL.Query().Get("digest"); told.status == http.StatusCreated && digest != "" {
		mark(&f.moved.sent, digest)
	}
}

func mark(in *map[string]bool, digest string) {
	if *in == nil {
		*in = map[string]bool{}
	}
	(*in)[digest] = true
}

// counted is a body whose bytes are counted.
type counted struct {
	io.ReadCloser
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n += int64(n)
	return n, err
}

// mount takes a layer from another repository, as where a registry has that switched
// on, and tells whether it did: where the layer is not there the client has to send
// it. Who may not read it there may not take it.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/blob-mounting.html
func (f *Fake) mount(to *repository, name string, w http.ResponseWriter, r *http.Request) bool {
	digest, from := r.URL.Query().Get("mount"), r.URL.Query().Get("from")
	f.mu.Lock()
	source := f.repos[from]
	f.mu.Unlock()
	if digest == "" || source == nil {
		return false
	}
	got := httptest.NewRecorder()
	source.handler.ServeHTTP(got, httptest.NewRequest(http.MethodGet, "/v2/"+from+"/blobs/"+digest, nil))
	if got.Code != http.StatusOK {
		return false
	}
	if text := f.allow(User, "ecr:GetDownloadUrlForLayer", from); text != "" {
		refuse(w, http.StatusForbidden, "DENIED", text)
		return true
	}
	begun := httptest.NewRecorder()
	to.handler.ServeHTTP(begun, httptest.NewRequest(http.MethodPost, "/v2/"+name+"/blobs/uploads/", nil))
	at, err := url.Parse(begun.Header().Get("Location"))
	if err != nil {
		return false
	}
	q := at.Query()
	q.Set("digest", digest)
	put := httptest.NewRequest(http.MethodPut, at.Path+"?"+q.Encode(), bytes.NewReader(got.Body.Bytes()))
	put.Header.Set("Content-Type", "application/octet-stream")
	ended := httptest.NewRecorder()
	to.handler.ServeHTTP(ended, put)
	if ended.Code != http.StatusCreated {
		return false
	}
	f.mu.Lock()
	mark(&f.moved.mounted, digest)
	f.mu.Unlock()
	w.Header().Set("Docker-Content-Digest", digest)
	w.Header().Set("Location", "/v2/"+name+"/blobs/"+digest)
	w.WriteHeader(http.StatusCreated)
	return true
}
