package buildkit_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/image/buildkit"
	"github.com/convox-ci/convox-ci/internal/image/buildkit/actionscache/actionscachetest"
)

// onActions starts the stand-in for GitHub's cache.
func onActions(t *testing.T) (s *actionscachetest.Service, address string) {
	t.Helper()
	s = actionscachetest.New()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.URL
}

// actionsCache is a cache of GitHub Actions as the engine is told of it.
func actionsCache(environ map[string]string, more ...string) []image.CacheEntry {
	attrs := map[string]string{"token": environ["ACTIONS_RUNTIME_TOKEN"], "url_v2": environ["ACTIONS_RESULTS_URL"], "version": "2"}
	for i := 0; i < len(more); i += 2 {
		attrs[more[i]] = more[i+1]
	}
	return []image.CacheEntry{{Type: "gha", Attrs: attrs}}
}

// buildStaged builds staged with caches, and gives the file that each run of the step makes
// another of.
func buildStaged(t *testing.T, b *buildkit.Builder, from, to []image.CacheEntry) (file, log string) {
	t.Helper()
	s := spec(t, source(t, staged))
	s.Cache.Imports, s.Cache.Exports = from, to
	img, log := mustBuild(t, b, s)
	for _, e := range slices.Concat(from, to) {
		if token := e.Attrs["token"]; strings.Contains(log, token) || strings.Contains(log, "sig=") {
			t.Errorf("the log has the token, or an address that is signed:\n%s", log)
		}
	}
	return contents(t, img)["copied"], log
}

// TestCacheOfActions builds with builders that have nothing in common but the service,
// on a branch and then on others that may read what it has left, or may not.
func TestCacheOfActions(t *testing.T) {
	s, address := onActions(t)
	main := s.Environ(address, "refs/heads/main")
	first, log := buildStaged(t, freshBuilder(t), actionsCache(main), actionsCache(main, "mode", "max"))
	if first == "" || strings.Contains(log, "WARNING") {
		t.Fatalf("file is %q, log:\n%s", first, log)
	}
	feature := s.Environ(address, "refs/heads/feature", "refs/heads/main")
	second, log := buildStaged(t, freshBuilder(t), actionsCache(feature), actionsCache(feature, "mode", "max"))
	if second != first || !strings.Contains(log, "CACHED") || strings.Contains(log, "WARNING") {
		t.Errorf("the step was run again: %q, was %q\n%s", second, first, log)
	}
	for name, from := range map[string][]image.CacheEntry{
		"another branch": actionsCache(s.Environ(address, "refs/heads/other")),
		"another scope":  actionsCache(main, "scope", "web"),
	} {
		if other, log := buildStaged(t, freshBuilder(t), from, nil); other == first || strings.Contains(log, "WARNING") {
			t.Errorf("%s has the step: %s", name, log)
		}
	}
	lists := map[string]int{}
	for _, e := range s.Entries() {
		if strings.HasPrefix(e.Key, "index-buildkit-1-") {
			lists[e.Scope]++
		}
	}
	if lists["refs/heads/main"] != 1 || lists["refs/heads/feature"] != 1 {
		t.Errorf("lists of steps are %v, entries %q", lists, s.Entries())
	}
}

// before answers in place of the service.
type before = func(call, key string, w http.ResponseWriter, r *http.Request) bool

// TestFaultsOfActions: whatever the service does, the build is made, and a line says so.
func TestFaultsOfActions(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	s, address := onActions(t)
	environ := s.Environ(address, "refs/heads/main")
	answer := func(status int) before {
		return func(_, _ string, w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(status); return true }
	}
	hang := func(calls ...string) before {
		return func(call, _ string, _ http.ResponseWriter, r *http.Request) bool {
			if len(calls) > 0 && !slices.Contains(calls, call) {
				return false
			}
			<-r.Context().Done()
			return true
		}
	}
	const ever, soon = "10m", "900ms" // soon is before a second attempt
	for name, c := range map[string]struct {
		before          before
		environ         map[string]string
		read, write     string // timeouts
		unread, unwrote int
		says            string
	}{
		"refuses":          {answer(403), environ, ever, ever, 1, 1, "403 Forbidden"},
		"is broken":        {answer(500), environ, soon, soon, 1, 1, ""},
		"has too much":     {answer(429), environ, soon, soon, 1, 1, ""},
		"is not there":     {nil, s.Environ(gone.URL, "refs/heads/main"), soon, soon, 1, 1, ""},
		"hangs":            {hang(), environ, "50ms", "50ms", 1, 1, "took longer than 50ms"},
		"takes no uploads": {hang("upload"), environ, ever, soon, 0, 1, "took longer than 900ms"},
		"may be read only": {nil, s.ReadOnly(address, "refs/heads/main"), ever, ever, 0, 1, "may only read"},
		"odd token": {nil, map[string]string{"ACTIONS_RESULTS_URL": address, "ACTIONS_RUNTIME_TOKEN": "token-of-nobody"}, ever, ever, 1, 1,
			"ACTIONS_RUNTIME_TOKEN: it is not a token of three parts"},
	} {
		t.Run(name, func(t *testing.T) {
			s.Before = c.before
			_, log := buildStaged(t, freshBuilder(t), actionsCache(c.environ, "timeout", c.read), actionsCache(c.environ, "timeout", c.write, "mode", "max"))
			if n := strings.Count(log, "\nWARNING: the persistent cache was not read: "); n != c.unread {
				t.Errorf("%d lines say that it was not read:\n%s", n, log)
			}
			if n := strings.Count(log, "\nWARNING: the persistent cache was not written: "); n != c.unwrote {
				t.Errorf("%d lines say that it was not written:\n%s", n, log)
			}
			if !strings.Contains(log, c.says) {
				t.Errorf("the log lacks %q:\n%s", c.says, log)
			}
		})
	}
}

// TestLayersOfActionsGone: a step whose layers cannot be had is run again, and the
// build is made.
func TestLayersOfActionsGone(t *testing.T) {
	for name, spoil := range map[string]func(s *actionscachetest.Service){
		"dropped": func(s *actionscachetest.Service) {
			s.Change(func(e actionscachetest.Entry) []byte {
				if strings.HasPrefix(e.Key, "buildkit-blob-") {
					return nil
				}
				return []byte(e.Data)
			})
		},
		"changed": func(s *actionscachetest.Service) {
			s.Change(func(e actionscachetest.Entry) []byte {
				if strings.HasPrefix(e.Key, "buildkit-blob-") {
					return make([]byte, len(e.Data))
				}
				return []byte(e.Data)
			})
		},
		"hanging": func(s *actionscachetest.Service) {
			s.Before = func(call, key string, _ http.ResponseWriter, r *http.Request) bool {
				if call != "download" || !strings.HasPrefix(key, "buildkit-blob-") {
					return false
				}
				<-r.Context().Done()
				return true
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, address := onActions(t)
			environ := s.Environ(address, "refs/heads/main")
			first, _ := buildStaged(t, freshBuilder(t), nil, actionsCache(environ, "mode", "max"))
			spoil(s)
			again, log := buildStaged(t, freshBuilder(t), actionsCache(environ, "timeout", "2s"), nil)
			if again == first || again == "" {
				t.Errorf("file is %q, as before", again)
			}
			asked := slices.DeleteFunc(s.Calls(), func(call string) bool { return !strings.HasPrefix(call, "download buildkit-blob-") })
			if len(asked) > 1 {
				t.Errorf("after a fault it was asked again: %q", asked)
			}
			if n := strings.Count(log, "\nWARNING: the persistent cache was not read: "); n != 1 {
				t.Errorf("%d lines say so:\n%s", n, log)
			}
		})
	}
}
