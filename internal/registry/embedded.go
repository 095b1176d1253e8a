package registry

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"io"
	"net/http"
	"time"

	"github.com/distribution/distribution/v3/registry/storage"
	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
)

// DefaultAddress is where the registry of an embedded rack listens unless it is
// told otherwise or another process does, and the host by which a manifest can
// name the rack's own images wherever it really listens.
const DefaultAddress = "127.0.0.1:5017"

// Embedded is a registry that keeps what it has below dir, which nobody else may
// use. Everybody may pull; to push, a client gives the password (any user name),
// unless that is empty; nobody may delete: what runs may need it, and the rack
// itself removes what is not kept. It has to do so unasked, as the clients of
// this package do: that nobody needs to sign in is what the version check says.
// What uploads of an earlier process have left is gone when it returns.
func Embedded(ctx context.Context, dir, password string) *Storage {
	driver := filesystem.New(filesystem.DriverParameters{RootDirectory: dir, MaxThreads: maxThreads})
	dropUploads(ctx, driver, time.Now())
	s := newStorage(dir)
	s.registry = writers(password, serving(ctx, driver))
	return s
}

// maxThreads is how many operations on files the registry does at a time, the
// default of its library.
const maxThreads = 100

// dropUploads removes what uploads have left that were begun before a time and cut
// off: those of an earlier process have lost their clients with it.
func dropUploads(ctx context.Context, driver driver.StorageDriver, before time.Time) {
	storage.PurgeUploads(ctx, driver, before, true) // what cannot be removed is in nobody's way
}

// writers lets requests that change something pass only with the password.
func writers(password string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, got, given := r.BasicAuth()
		a, b := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(password)) // or the time would tell the length
		ok := subtle.ConstantTimeCompare(a[:], b[:]) == 1
		reads := r.Method == http.MethodGet || r.Method == http.MethodHead
		// The version check is where clients learn that they must sign in, and
		// where "docker login" tries a password.
		ping := r.URL.Path == "/v2/" && given
		if password != "" && !ok && (!reads || ping) {
			w.Header().Set("WWW-Authenticate", `Basic realm="convox-ci"`)
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
			return
		}
		next.ServeHTTP(w, r)
	})
}
