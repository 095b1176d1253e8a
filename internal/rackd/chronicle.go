package rackd

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/mux"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// ownSource is the source of what the rack itself says in logs. Clients that wait
// for an update show the lines whose source begins with "system/".
const ownSource = "system/rack"

// chronicle is what the rack says itself, of each app and of all, while it runs.
type chronicle struct {
	began time.Time
	all   *journal

	mu   sync.Mutex
	news *news // that of the processes, whose output stands in the same logs
	of   map[string]*journal
}

func newChronicle(n *news) *chronicle {
	return &chronicle{began: now(), all: newJournal(ownSource, n), news: n, of: map[string]*journal{}}
}

// app gives the journal of an app.
func (c *chronicle) app(name string) *journal {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of[name] == nil {
		c.of[name] = newJournal(ownSource, c.news)
	}
	return c.of[name]
}

func (c *chronicle) forget(app string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.of, app)
}

// event tells what has happened in the log of the rack, and in that of an app
// where words for it are given.
func (s *Server) event(action, app, words string) {
	fmt.Fprintf(s.chronicle.all, "%s\n", oneLine(action+" app="+app+" "+words))
	if words != "" {
		fmt.Fprintf(s.chronicle.app(app), "%s\n", oneLine(words))
	}
}

// maxEvent bounds what one event takes of a log, in bytes.
const maxEvent = 4 << 10

func oneLine(text string) string {
	text = strings.ToValidUTF8(text[:min(len(text), maxEvent)], "\uFFFD")
	return strings.Join(strings.Fields(text), " ")
}

// addEvent takes what a client says has happened. A Rack publishes it; here it
// stands in the rack's log.
func (s *Server) addEvent(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	data, err := url.ParseQuery(f.Get("data"))
	if err != nil {
		return err
	}
	s.event(oneLine(f.Get("action")), oneLine(data.Get("app")), "")
	if cause := f.Get("error"); cause != "" {
		fmt.Fprintf(s.chronicle.all, "%s error=%s\n", oneLine(f.Get("action")), oneLine(cause))
	}
	return done(w)
}

// openSystemLog gives the log of the rack itself.
func (s *Server) openSystemLog(ctx context.Context, r *http.Request) (io.ReadCloser, error) {
	wish, err := readWish(r, logAge)
	if err != nil {
		return nil, err
	}
	list := []*journal{s.chronicle.all}
	return &lineReader{
		logWish: wish, client: ctx, rack: s.work, news: s.processes.news, at: map[*journal]int{},
		journals: func() []*journal { return list }, last: func() bool { return false },
	}, nil
}

// listSystemReleases answers with the only version that this process has had.
func (s *Server) listSystemReleases(w http.ResponseWriter, _ *http.Request) error {
	return render(w, []rack.Release{{ID: Version, App: s.Name, Created: s.chronicle.began}})
}

// listSystemProcesses answers with the rack itself, which is one process, and with
// those of the apps if all are asked for.
func (s *Server) listSystemProcesses(w http.ResponseWriter, r *http.Request) error {
	list := []rack.Process{{
		ID: "000000000000", App: s.Name, Name: "rack", Ports: []string{}, Release: Version, Started: s.chronicle.began,
		Status: rack.ProcessRunning, Placement: rack.Placement{Host: "127.0.0.1", Instance: s.Name},
	}}
	if r.URL.Query().Get("all") == "true" {
		apps, err := s.Stores.Apps.ListApps(r.Context())
		if err != nil {
			return err
		}
		for _, a := range apps {
			for _, p := range s.processes.of(a.Name) {
				list = append(list, p.show())
			}
		}
	}
	return render(w, list)
}

// listInstances answers with the one machine that there is. Nobody measures it.
func (s *Server) listInstances(w http.ResponseWriter, _ *http.Request) error {
	return render(w, []rack.Instance{{
		ID: s.Name, PrivateIP: "127.0.0.1", Processes: s.processes.count(), Status: "active", Started: s.chronicle.began,
	}})
}

// count tells how many processes of apps run.
func (t *processes) count() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.byID {
		if p.show().Status == rack.ProcessRunning {
			n++
		}
	}
	return n
}

// listNothing answers for what a rack on one machine has none of: certificates
// and resources. Those that the manifest of an app declares are not made.
func (s *Server) listNothing(w http.ResponseWriter, r *http.Request) error {
	if app, ok := mux.Vars(r)["app"]; ok {
		if _, err := s.app(r.Context(), app); err != nil {
			return err
		}
	}
	return render(w, []struct{}{})
}
