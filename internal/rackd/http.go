package rackd

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gorilla/mux"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// Handler serves the rack's API. Like a v2 rack it knows no difference between
// an unknown path and a wrong method, and does not clean paths: an object's key
// may begin with a slash.
func (s *Server) Handler() http.Handler {
	r := mux.NewRouter().SkipClean(true)
	empty := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	r.NotFoundHandler, r.MethodNotAllowedHandler = empty, empty
	r.HandleFunc("/check", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }).Methods("GET")
	s.sockets(r)
	for _, t := range slices.Concat(s.routes(), absent()) {
		r.Handle(t.path, s.handle(t.do)).Methods(t.method)
	}
	return r
}

// route is one request that the rack answers.
type route struct {
	method, path string
	do           func(http.ResponseWriter, *http.Request) error
}

func (s *Server) routes() []route {
	return []route{
		{"GET", "/auth", func(w http.ResponseWriter, _ *http.Request) error { return done(w) }},
		{"GET", "/system", s.getSystem},
		{"PUT", "/system", s.putSystem},
		{"POST", "/system/jwt/token", s.createToken},
		{"GET", "/apps", s.listApps},
		{"POST", "/apps", s.createApp},
		{"GET", "/apps/{app}", s.getApp},
		{"PUT", "/apps/{app}", s.changeAppParts},
		{"DELETE", "/apps/{app}", s.deleteApp},
		{"POST", "/apps/{app}/cancel", s.cancelApp},
		{"GET", "/apps/{app}/resources", s.listNothing},
		{"GET", "/apps/{app}/services", s.listServices},
		{"PUT", "/apps/{app}/services/{service}", s.scaleService},
		{"POST", "/apps/{app}/objects/{key:.*}", s.putObject},
		{"GET", "/apps/{app}/objects/{key:.*}", s.getObject},
		{"HEAD", "/apps/{app}/objects/{key:.*}", s.headObject},
		{"DELETE", "/apps/{app}/objects/{key:.*}", s.deleteObject},
		{"GET", "/apps/{app}/objects", s.listObjects},
		{"GET", "/apps/{app}/builds", s.listBuilds},
		{"POST", "/apps/{app}/builds", s.createBuild},
		{"POST", "/apps/{app}/builds/import", s.importBuild},
		{"GET", "/apps/{app}/builds/{id}.tgz", s.exportBuild},
		{"GET", "/apps/{app}/builds/{id}", s.getBuild},
		{"PUT", "/apps/{app}/builds/{id}", s.changeBuild},
		{"POST", "/apps/{app}/builds/{id}/cancel", s.cancelBuild},
		{"GET", "/apps/{app}/releases", s.listReleases},
		{"POST", "/apps/{app}/releases", s.createRelease},
		{"GET", "/apps/{app}/releases/{id}", s.getRelease},
		{"GET", "/apps/{app}/releases/{id}/env", s.getEnvironment},
		{"POST", "/apps/{app}/releases/{id}/promote", s.promoteRelease},
		{"GET", "/apps/{app}/processes", s.listProcesses},
		{"GET", "/apps/{app}/processes/{id}", s.getProcess},
		{"DELETE", "/apps/{app}/processes/{id}", s.stopProcess},
		{"POST", "/apps/{app}/processes/{id}/files", s.putFiles},
		{"GET", "/apps/{app}/processes/{id}/files", s.getFiles},
		{"DELETE", "/apps/{app}/processes/{id}/files", s.deleteFiles},
		{"POST", "/apps/{app}/services/{service}/processes", s.startProcess},
		{"GET", "/registries", s.listRegistries},
		{"POST", "/registries", s.addRegistry},
		{"DELETE", "/registries/{server:.*}", s.removeRegistry},
		{"GET", "/system/releases", s.listSystemReleases},
		{"GET", "/system/processes", s.listSystemProcesses},
		{"GET", "/instances", s.listInstances},
		{"GET", "/certificates", s.listNothing},
		{"GET", "/resources", s.listNothing},
		{"POST", "/events", s.addEvent},
	}
}

// absent are the requests that a real rack answers and this one cannot, with the
// reason that it gives: without one a client would take the path for unknown.
func absent() []route {
	services, machine, aws := "this rack runs no services", "this rack is one machine", "this rack has no AWS account"
	var all []route
	for _, a := range []struct{ method, path, why string }{
		{"POST", "/apps/{app}/services/{service}/restart", services},
		{"GET", "/apps/{app}/metrics", services},
		{"PUT", "/apps/{app}/ssl/{service}/{port}", services},
		{"GET", "/proxy/{host}/{port}", services},
		{"POST", "/apps/{app}/builds/{id}/image", "this rack takes archives of builds, and no images by name"},
		{"GET", "/system/capacity", machine},
		{"GET", "/system/metrics", machine},
		{"POST", "/instances/keyroll", machine},
		{"DELETE", "/instances/{id}", machine},
		{"POST", "/certificates", aws},
		{"POST", "/certificates/generate", aws},
		{"DELETE", "/certificates/{id}", aws},
		{"POST", "/resources", aws},
		{"PUT", "/resources/{name}", aws},
		{"DELETE", "/resources/{name}", aws},
		{"PUT", "/system/jwt/rotate", "another password of the rack takes all its tokens back"},
	} {
		all = append(all, route{a.method, a.path, func(http.ResponseWriter, *http.Request) error {
			return fault(http.StatusNotImplemented, "%s", a.why)
		}})
	}
	return all
}

// handle lets a request in and turns an error into the answer of a rack: the
// error's own status, 500 without one, and its text.
func (s *Server) handle(do func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Request-Id", requestID())
		requireSteady(w, r)
		c, err := s.permit(r)
		if err == nil {
			err = do(w, r)
		}
		if changes(r.Method) {
			s.note(r, c, err)
		}
		if err != nil {
			refuse(w, err)
		}
	})
}

func requestID() string {
	var b [6]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// fault is an error with the status it is answered with.
func fault(status int, format string, args ...any) error {
	return &rack.Error{Status: status, Message: fmt.Sprintf(format, args...)}
}

func statusOf(err error) int {
	var e *rack.Error
	if errors.As(err, &e) && e.Status != 0 {
		return e.Status
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusInternalServerError
}

func isNotFound(err error) bool { return errors.Is(err, rack.ErrNotFound) }
func isConflict(err error) bool { return errors.Is(err, rack.ErrConflict) }

// render answers JSON in the form of a rack: two spaces of indentation and a
// newline at the end.
func render(w http.ResponseWriter, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(append(data, '\n'))
	return err
}

// done answers a command that has no result.
func done(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err := io.WriteString(w, "ok\n")
	return err
}

// maxForm bounds a form, in bytes, as racks do.
const maxForm = 10 << 20

// form reads the options of a request: from its body if that is a form of either
// kind, then from the query. Unknown ones are ignored. A form that cannot be read
// is refused, where a v2 rack goes on as if it were empty. Values become UTF-8:
// the subject of a commit need not be.
func form(r *http.Request) (url.Values, error) {
	r.Body = http.MaxBytesReader(nil, r.Body, maxForm)
	err := r.ParseForm()
	if err == nil {
		err = r.ParseMultipartForm(maxForm)
	}
	if err != nil && !errors.Is(err, http.ErrNotMultipart) {
		return nil, fault(http.StatusBadRequest, "reading the form: %v", err)
	}
	for _, values := range r.Form {
		for i, v := range values {
			values[i] = strings.ToValidUTF8(v, "\uFFFD")
		}
	}
	return r.Form, nil
}

// defaultLimit is the length of a list when the client does not say.
const defaultLimit = 10

// limit reads the option of that name, which only counts in the query.
func limit(r *http.Request) (int, error) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return defaultLimit, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, err
	}
	if n < 1 {
		return 0, fault(http.StatusBadRequest, "limit must be at least 1")
	}
	return n, nil
}
