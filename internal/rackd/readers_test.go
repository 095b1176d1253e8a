package rackd_test

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/gorilla/mux"

	"github.com/convox-ci/convox-ci/internal/rackd"
)

// request is one that a rack answers, with names in the place of variables.
type request struct{ method, path string }

var variable = regexp.MustCompile(`\{[^}]*\}`)

// requests lists all that the rack answers.
func (m *machine) requests() (all []request) {
	m.Helper()
	router, ok := m.server.Handler().(*mux.Router)
	if !ok {
		m.Fatal("the handler is no router")
	}
	m.must(router.Walk(func(r *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		path, err := r.GetPathTemplate()
		if err != nil {
			return err
		}
		methods, err := r.GetMethods()
		for _, method := range methods {
			path := strings.Replace(path, "{app}", "web", 1)
			all = append(all, request{method, variable.ReplaceAllString(path, "x")})
		}
		return err
	}))
	if len(all) < 60 {
		m.Errorf("only %d requests are answered", len(all))
	}
	return all
}

// notes collects what an audit is told.
type notes struct {
	mu  sync.Mutex
	all []rackd.Change
}

func (n *notes) keep(c *rackd.Config) {
	c.Access.Audit = func(c rackd.Change) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.all = append(n.all, c)
	}
}

// taken is what was noted since it was asked last.
func (n *notes) taken() []rackd.Change {
	n.mu.Lock()
	defer n.mu.Unlock()
	defer func() { n.all = nil }()
	return n.all
}

// TestReadersChangeNothing tries every request that the rack answers with a token
// to read: what could change anything is refused before it is looked at. Each
// leaves one note, as does each by those who may.
func TestReadersChangeNothing(t *testing.T) {
	var n notes
	m := start(t, password("secret"), tokens, n.keep)
	read := m.ask("read", "1")
	n.taken()
	changing := 0
	for _, r := range m.requests() {
		what := r.method + " " + r.path
		if strings.HasSuffix(r.path, "/logs") || r.path == "/check" {
			continue // streams to read, and what needs nobody
		}
		if strings.HasSuffix(r.path, "/exec") {
			if said := m.rest(m.socket(r.path, read)); !strings.HasSuffix(said, "ERROR: process exec requires write access\n") {
				t.Errorf("%s: %q", what, said)
			}
			if got := n.taken(); len(got) != 1 || got[0].Status != 403 {
				t.Errorf("%s: noted %+v", what, got)
			}
			continue
		}
		a := m.do(r.method, r.path, read, nil)
		if r.method == "GET" || r.method == "HEAD" {
			if a.status == http.StatusUnauthorized || len(n.taken()) > 0 {
				t.Errorf("%s: %d %q", what, a.status, a.body)
			}
			continue
		}
		changing++
		m.want(what, a, 401, "you are unauthorized to access this\n")
		if got := n.taken(); len(got) != 1 || got[0].Status != 401 || got[0].User != "system-read" || got[0].Method+" "+got[0].Path != what {
			t.Errorf("%s: noted %+v", what, got)
		}
	}
	if changing < 30 {
		t.Errorf("only %d requests change anything", changing)
	}
	for _, r := range m.requests() {
		if r.method == "GET" || r.method == "HEAD" {
			continue
		}
		a := m.do(r.method, r.path, nil, io.Reader(strings.NewReader("")))
		if got := n.taken(); len(got) != 1 || got[0].Status != a.status || got[0].User != "password" {
			t.Errorf("%s %s: answered %d, noted %+v", r.method, r.path, a.status, got)
		}
	}
}
