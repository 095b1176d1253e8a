package rackd

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/gorilla/mux"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// listProcesses answers with the commands that run, or ended lately: this rack
// starts no services.
func (s *Server) listProcesses(w http.ResponseWriter, r *http.Request) error {
	app := mux.Vars(r)["app"]
	if _, err := s.app(r.Context(), app); err != nil {
		return err
	}
	service, release := r.URL.Query().Get("service"), r.URL.Query().Get("release")
	all := []rack.Process{}
	for _, p := range s.processes.of(app) {
		if (service == "" || service == p.service) && (release == "" || release == p.release) {
			all = append(all, p.show())
		}
	}
	return render(w, all)
}

func (s *Server) getProcess(w http.ResponseWriter, r *http.Request) error {
	p, err := s.process(r)
	if err != nil {
		return err
	}
	return render(w, p.show())
}

// process finds the process that a request is about, or gives the answer for
// one that does not exist.
func (s *Server) process(r *http.Request) (*process, error) {
	app, id := mux.Vars(r)["app"], mux.Vars(r)["id"]
	if _, err := s.app(r.Context(), app); err != nil {
		return nil, err
	}
	if p := s.processes.find(app, id); p != nil {
		return p, nil
	}
	return nil, fault(http.StatusNotFound, "process not found: %s", id)
}

// startProcess answers when the container is there, which on a v2 rack takes
// seconds too.
func (s *Server) startProcess(w http.ResponseWriter, r *http.Request) error {
	if s.Containers == nil {
		return fault(http.StatusNotImplemented, "this rack runs no commands")
	}
	app, err := s.app(r.Context(), mux.Vars(r)["app"])
	if err != nil {
		return err
	}
	release := r.Header.Get("Release")
	if release == "" {
		release = app.Release
	}
	if release == "" {
		return fault(http.StatusBadRequest, "app %s has no active release: promote one, or name one", app.Name)
	}
	o, err := s.order(r.Context(), app.Name, mux.Vars(r)["service"], release)
	if err != nil {
		return err
	}
	if o.command = r.Header.Get("Command"); o.command == "" {
		return fault(http.StatusBadRequest, "command is required")
	}
	more, err := url.ParseQuery(r.Header.Get("Environment"))
	if err != nil {
		return err
	}
	for name := range more {
		o.env = append(o.env, name+"="+more.Get(name))
	}
	p, err := s.launch(r.Context(), o)
	if err != nil {
		return err
	}
	record := p.show()
	record.Status = rack.ProcessPending // as a v2 rack answers; clients look again before they go on
	return render(w, record)
}

// stopProcess ends a process and does not show it any more.
func (s *Server) stopProcess(w http.ResponseWriter, r *http.Request) error {
	p, err := s.process(r)
	if isNotFound(err) {
		return fault(http.StatusInternalServerError, "could not find process")
	}
	if err != nil {
		return err
	}
	p.stop()
	<-p.removed
	s.processes.forget(p.record.ID)
	return done(w)
}

// openProcessLog gives the output of a process.
func (s *Server) openProcessLog(ctx context.Context, r *http.Request) (io.ReadCloser, error) {
	p, err := s.process(r)
	if err != nil {
		return nil, err
	}
	wish, err := readWish(r, 0)
	if err != nil {
		return nil, err
	}
	list := []*journal{p.journal} // which ends when the rack does, since the process does
	return &lineReader{
		logWish: wish, client: ctx, rack: context.Background(), news: s.processes.news, at: map[*journal]int{},
		journals: func() []*journal { return list }, last: p.journal.ended,
	}, nil
}

// logAge is how far back the log of an app goes unless the client says.
const logAge = 2 * time.Minute

// openAppLog gives the output of all processes of an app. It stays open for
// those that come, unless the client asks not to follow.
func (s *Server) openAppLog(ctx context.Context, r *http.Request) (io.ReadCloser, error) {
	app := mux.Vars(r)["app"]
	if _, err := s.app(ctx, app); err != nil {
		return nil, err
	}
	wish, err := readWish(r, logAge)
	if err != nil {
		return nil, err
	}
	return &lineReader{
		logWish: wish, client: ctx, rack: s.work, news: s.processes.news, at: map[*journal]int{},
		journals: func() []*journal {
			all := []*journal{s.chronicle.app(app)}
			for _, p := range s.processes.of(app) {
				all = append(all, p.journal)
			}
			return all
		},
		last: func() bool { return false },
	}, nil
}
