package registry

import (
	"context"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/registry/api/errcode"
	v2 "github.com/distribution/distribution/v3/registry/api/v2"
	"github.com/distribution/distribution/v3/registry/storage"
	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/reference"
)

// server speaks the protocol of registries over the storage of distribution. That
// has handlers of its own, whose constructor links clients of services that are
// not used here, and templates: those keep the linker from leaving out what
// nobody calls, in the whole program.
type server struct {
	images distribution.Namespace
	busy   sync.Map // ids of uploads that a request works on
}

// request is one for something in a repository.
type request struct {
	*http.Request
	w     http.ResponseWriter
	in    distribution.Repository
	which string // tag, digest or id
}

// action answers a request; of an error it has written nothing.
type action func(request) error

// serving serves what is in the files of driver.
func serving(ctx context.Context, driver driver.StorageDriver) http.Handler {
	images, err := storage.NewRegistry(ctx, driver,
		storage.EnableValidateImageIndexImagesExist,
		storage.ManifestURLsAllowRegexp(regexp.MustCompile("^$"))) // layers are here, not elsewhere
	if err != nil {
		panic(err) // which only another option could be the reason of
	}
	return &server{images: images}
}

// ServeHTTP implements [http.Handler].
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Docker-Distribution-API-Version", "registry/2.0")
	to := routeOf(r.URL.Path)
	actions := s.actions(to.thing)
	switch {
	case r.URL.Path == "/v2":
		http.Redirect(w, r, "/v2/", http.StatusMovedPermanently)
		return
	case actions == nil:
		http.NotFound(w, r)
		return
	}
	act, ok := actions[r.Method]
	if !ok {
		w.Header().Set("Allow", methods(actions))
		fail(w, errcode.ErrorCodeUnsupported)
		return
	}
	q := request{Request: r, w: w, which: to.which}
	err := error(nil)
	if to.thing != version {
		q.in, err = s.repository(r.Context(), to.name)
	}
	if err == nil {
		err = act(q)
	}
	if err != nil {
		fail(w, err)
	}
}

// actions says what can be done with a thing, by method; nil for nothing. What is
// only refused is among it, so that the answer says so.
func (s *server) actions(of thing) map[string]action {
	switch of {
	case version:
		return map[string]action{http.MethodGet: present, http.MethodHead: present}
	case tagList:
		return map[string]action{http.MethodGet: listTags}
	case manifest:
		return map[string]action{http.MethodGet: getManifest, http.MethodHead: getManifest, http.MethodPut: putManifest}
	case blob:
		return map[string]action{http.MethodGet: getBlob, http.MethodHead: getBlob}
	case uploads:
		return map[string]action{http.MethodPost: s.beginUpload}
	case upload:
		return map[string]action{
			http.MethodGet: resumed(uploadStatus), http.MethodHead: resumed(uploadStatus),
			http.MethodPatch: s.exclusive(appendUpload), http.MethodPut: s.exclusive(finishUpload),
			http.MethodDelete: s.exclusive(cancelUpload),
		}
	}
	return nil
}

// methods is what the header Allow says.
func methods(actions map[string]action) string {
	var names []string
	for _, m := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
		if _, ok := actions[m]; ok {
			names = append(names, m)
		}
	}
	return strings.Join(names, ", ")
}

// repository opens a repository, which need not exist yet. Its name has no port, as
// that of a registry would.
func (s *server) repository(ctx context.Context, name string) (distribution.Repository, error) {
	named, err := reference.WithName(name)
	if err != nil || strings.Contains(name, ":") {
		return nil, errcode.ErrorCodeNameInvalid.WithDetail(map[string]string{"name": name})
	}
	return s.images.Repository(ctx, named)
}

// present answers the version check.
func present(r request) error {
	r.w.Header().Set("Content-Type", "application/json")
	_, err := io.WriteString(r.w, "{}")
	return err
}

// urls makes the addresses of things as the client sees the registry.
func (r request) urls() *v2.URLBuilder { return v2.NewURLBuilderFromRequest(r.Request, false) }
