package registry

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"io"
	"net/http"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	"github.com/distribution/distribution/v3/registry/storage"
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
// It works until ctx ends.
func Embedded(ctx context.Context, dir, password string) *Storage {
	dropUploads(ctx, dir)
	config := &configuration.Configuration{
		Storage: configuration.Storage{
			"filesystem":  configuration.Parameters{"rootdirectory": dir},
			"maintenance": configuration.Parameters{"uploadpurging": map[any]any{"enabled": false}},
		},
	}
	config.HTTP.Secret = rand.Text() // signs the state of uploads, none of which outlives the process
	config.Catalog.MaxEntries = maxCatalog
	s := newStorage(dir)
	s.registry = writers(password, handlers.NewApp(ctx, config))
	return s
}

// dropUploads removes what uploads have left that were cut off when an earlier
// process ended. Nobody can go on with them, since the secret is a new one. The
// registry's own purge would only begin after up to an hour, and spare them for
// a week.
func dropUploads(ctx context.Context, dir string) {
	driver := filesystem.New(filesystem.DriverParameters{RootDirectory: dir, MaxThreads: 1})
	storage.PurgeUploads(ctx, driver, time.Now(), true) // what cannot be removed is in nobody's way
}

// maxCatalog is the longest page of repositories that is handed out, the
// default of the registry's own program.
const maxCatalog = 1000

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
