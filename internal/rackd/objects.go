package rackd

import (
	"crypto/rand"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/gorilla/mux"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// key finds the object that a request is about. Slashes in front are
// tolerated, since old builders send one too many.
func (s *Server) key(r *http.Request) (app, key string, err error) {
	app, key = mux.Vars(r)["app"], strings.TrimLeft(mux.Vars(r)["key"], "/")
	if _, err := s.app(r.Context(), app); err != nil {
		return "", "", err
	}
	if len(key) > MaxKey || !utf8.ValidString(key) {
		return "", "", fault(http.StatusBadRequest, "invalid object key: at most %d bytes of UTF-8 are allowed", MaxKey)
	}
	return app, key, nil
}

func (s *Server) putObject(w http.ResponseWriter, r *http.Request) error {
	app, key, err := s.key(r)
	if err != nil {
		return err
	}
	if key == "" { // then the rack chooses
		var b [15]byte
		rand.Read(b[:]) // never fails
		key = "tmp/" + hex.EncodeToString(b[:])
	}
	if err := s.Stores.Objects.PutObject(r.Context(), app, key, http.MaxBytesReader(w, r.Body, maxObject)); err != nil {
		return err
	}
	return render(w, rack.Object{URL: objectURL(app, key)})
}

func (s *Server) getObject(w http.ResponseWriter, r *http.Request) error {
	app, key, err := s.key(r)
	if err != nil {
		return err
	}
	o, err := s.Stores.Objects.OpenObject(r.Context(), app, key)
	if isNotFound(err) {
		return fault(http.StatusNotFound, "key not found: %s", key)
	}
	if err != nil {
		return err
	}
	defer o.Close()
	if _, err := io.Copy(w, o); err != nil {
		panic(http.ErrAbortHandler) // the client must not take for whole what is not
	}
	return nil
}

// headObject answers 200 whether or not there is such an object; the length of
// the body that a GET would have, that of the word true or false and a newline,
// tells which.
func (s *Server) headObject(w http.ResponseWriter, r *http.Request) error {
	app, key, err := s.key(r)
	if err != nil {
		return err
	}
	length := "5"
	o, err := s.Stores.Objects.OpenObject(r.Context(), app, key)
	switch {
	case isNotFound(err):
		length = "6"
	case err != nil:
		return err
	default:
		o.Close()
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", length)
	return nil
}

// listObjects answers with keys, of one level below a prefix.
func (s *Server) listObjects(w http.ResponseWriter, r *http.Request) error {
	app := mux.Vars(r)["app"]
	if _, err := s.app(r.Context(), app); err != nil {
		return err
	}
	keys, err := s.Stores.Objects.ListObjects(r.Context(), app, r.URL.Query().Get("prefix"))
	if err != nil {
		return err
	}
	return render(w, append([]string{}, keys...))
}

func (s *Server) deleteObject(w http.ResponseWriter, r *http.Request) error {
	app, key, err := s.key(r)
	if err != nil {
		return err
	}
	err = s.Stores.Objects.RemoveObject(r.Context(), app, key)
	if isNotFound(err) {
		return fault(http.StatusNotFound, "object not found: %s", key)
	}
	if err != nil {
		return err
	}
	return done(w)
}

// objectScheme begins the URL of a stored object.
const objectScheme = "object://"

func objectURL(app, key string) string { return objectScheme + app + "/" + key }

// parseObjectURL takes an object's URL apart.
func parseObjectURL(u string) (app, key string, ok bool) {
	rest, ok := strings.CutPrefix(u, objectScheme)
	app, key, found := strings.Cut(rest, "/")
	key = strings.TrimLeft(key, "/")
	return app, key, ok && found && app != "" && key != ""
}
