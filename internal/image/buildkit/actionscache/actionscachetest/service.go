// Package actionscachetest is a stand-in for the cache service of GitHub Actions, of
// its version 2, and for the store of blobs behind it, in tests. It is not GitHub, and
// says so in the header Server of every answer.
//
// It checks: the routes, the method and the JSON of the calls; the token, its
// signature, its times and its scopes; the form of keys and versions; that keys are not
// given twice; that a scope is written by those who may alone, and that what is found
// is of the scopes of the token, in their order, by the key or by the beginning of one;
// the signatures and the rights of addresses; blocks, their list, and the size that is
// declared at the end; ranges; and how much a repository may have.
package actionscachetest

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Software is the header Server of every answer.
const Software = "actionscachetest (a stand-in for GitHub's cache service, for tests)"

const (
	// maxCall is the longest body of a call, in bytes.
	maxCall = 64 << 10
	// maxKey is the longest key: https://docs.github.com/actions/reference/workflows-and-actions/dependency-caching
	maxKey = 512
	// maxAll is what a repository has before the oldest entries go, in bytes.
	maxAll = 10 << 30
)

// Service is the stand-in, an [http.Handler] at the root of a server.
type Service struct {
	// Now is the time, [time.Now] if nil.
	Now func() time.Time
	// Before is asked about each request, by the name of the call or by "upload",
	// "block", "blocklist" and "download", and by the key of the entry. It may answer in
	// place of the service, and then says so. nil for nobody.
	Before func(call, key string, w http.ResponseWriter, r *http.Request) bool
	// Limit is what the repository may have, in bytes; 0 for what GitHub allows.
	Limit int64

	secret  [32]byte
	mu      sync.Mutex
	entries []*entry // the newest last
	calls   []string
}

// entry is one that was begun.
type entry struct {
	id                  string
	scope, key, version string
	blocks              map[string][]byte // that were sent, by their names
	data                []byte
	uploaded, complete  bool
	used                time.Time
}

// New makes one without entries.
func New() *Service {
	s := &Service{}
	rand.Read(s.secret[:]) // it never fails
	return s
}

// Calls are the requests that came, each as [Service.Before] has it and, after a
// space, the key that it is about.
func (s *Service) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.calls...)
}

// Entry is what can be found.
type Entry struct{ Scope, Key, Data string }

// Entries are all, in the order in which they were begun.
func (s *Service) Entries() (all []Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.entries {
		if e.complete {
			all = append(all, Entry{e.scope, e.key, string(e.data)})
		}
	}
	return all
}

// Change has the bytes of complete entries replaced; nil drops the entry.
func (s *Service) Change(by func(Entry) []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var kept []*entry
	for _, e := range s.entries {
		if e.complete {
			e.data = by(Entry{e.scope, e.key, string(e.data)})
		}
		if !e.complete || e.data != nil {
			kept = append(kept, e)
		}
	}
	s.entries = kept
}

func (s *Service) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

const route = "/twirp/github.actions.results.api.v1.CacheService/"

// ServeHTTP implements [http.Handler].
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", Software)
	name, isCall := strings.CutPrefix(r.URL.Path, route)
	if !isCall {
		s.store(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCall))
	if err != nil {
		fail(w, fault{http.StatusBadRequest, "malformed", err.Error()})
		return
	}
	var q question
	wrong := json.Unmarshal(body, &q)
	s.note(name, q.Key)
	if s.Before != nil && s.Before(name, q.Key, w, r) {
		return
	}
	call, known := map[string]func([]scope, question, *http.Request) (any, *fault){
		"CreateCacheEntry": s.create, "FinalizeCacheEntryUpload": s.finish, "GetCacheEntryDownloadURL": s.find,
	}[name]
	scopes, refused := s.read(r)
	switch {
	case !known || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json":
		fail(w, fault{http.StatusNotFound, "bad_route", "no such call with this method and type"})
		return
	case refused != "":
		fail(w, fault{http.StatusUnauthorized, "unauthenticated", refused})
		return
	case wrong != nil:
		fail(w, fault{http.StatusBadRequest, "malformed", wrong.Error()})
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	answer, no := any(nil), q.check()
	if no == nil {
		answer, no = call(scopes, q, r)
	}
	if no != nil {
		fail(w, *no)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(answer)
}

func (s *Service) note(call, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, strings.TrimSpace(call+" "+key))
}

// question is what the calls take, all in one.
type question struct {
	Key         string
	Version     string
	RestoreKeys []string    `json:"restore_keys"`
	Size        json.Number `json:"size_bytes"` // a string or a number, as protobuf has it
}

// versionForm is the sum of what an entry is of.
var versionForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

func (q question) check() *fault {
	for _, key := range append([]string{q.Key}, q.RestoreKeys...) {
		if key == "" || len(key) > maxKey || strings.Contains(key, ",") {
			return &fault{http.StatusBadRequest, "invalid_argument", "the key is empty, too long or has a comma"}
		}
	}
	if !versionForm.MatchString(q.Version) {
		return &fault{http.StatusBadRequest, "invalid_argument", "the version is not a sum"}
	}
	return nil
}

// fault is an error as Twirp has it.
type fault struct {
	status    int
	code, msg string
}

func fail(w http.ResponseWriter, f fault) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(f.status)
	json.NewEncoder(w).Encode(map[string]string{"code": f.code, "msg": f.msg})
}
