package registry

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxUpload bounds the body of one request, in bytes: what all images of a build
// may come to in an archive. It holds for those whose length is not said as well.
const maxUpload = 64 << 30

// Storage is a registry on this machine's disk, and the way to what of it no
// client may do. Make one with [Embedded].
type Storage struct {
	registry  http.Handler
	dir, root string // of its files, and below of those in the layout of distribution
	most      int64  // bytes of the body of a request

	pushing  sync.RWMutex // held, to read, by each request that changes something
	pushed   atomic.Int64 // when the last of them came or ended, in nanoseconds of Unix time
	mu       sync.Mutex   // over what follows
	declared map[string]bool
	unswept  bool // links to blobs were removed since the last sweep
}

func newStorage(dir string) *Storage {
	return &Storage{dir: dir, root: filepath.Join(dir, "docker", "registry", "v2"), most: maxUpload, declared: map[string]bool{}}
}

// ServeHTTP implements [http.Handler].
func (s *Storage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		s.registry.ServeHTTP(w, r)
		return
	}
	s.push(w, r) // which begins with a question for a layer, a HEAD
	s.sweep()    // by the last of those whose pushes were in its way
}

func (s *Storage) push(w http.ResponseWriter, r *http.Request) {
	s.pushing.RLock()
	defer s.pushing.RUnlock()
	s.pushed.Store(time.Now().UnixNano())
	defer func() { s.pushed.Store(time.Now().UnixNano()) }()
	if s.absent(r.URL.Path) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"errors":[{"code":"NAME_UNKNOWN","message":"the repository does not exist"}]}`)
		return
	}
	if r.ContentLength > s.most {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, s.most)
	s.registry.ServeHTTP(w, r)
}

// absent tells whether a request is for a repository that has to be created
// first and was not.
func (s *Storage) absent(path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.declared {
		if strings.HasPrefix(path, "/v2/"+name+"/") {
			_, err := os.Stat(s.repository(name))
			return err != nil
		}
	}
	return false
}

func (s *Storage) repository(name string) string {
	return filepath.Join(s.root, "repositories", filepath.FromSlash(name))
}
