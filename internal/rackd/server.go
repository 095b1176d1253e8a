// Package rackd is a Convox Rack on one machine: the HTTP API that official
// clients speak, a worker that builds, and the stores it needs declared as
// interfaces.
package rackd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/convox-ci/convox-ci/internal/bake"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// Version is the version that the rack reports: that of the v2 racks whose
// behaviour it reproduces. Clients compare it as text to choose their calls.
const Version = "20260531001024"

// DefaultBuilds is how many builds run at once unless [Limits] say otherwise:
// a build is as wide as its Dockerfiles allow, so a few fill a machine.
const DefaultBuilds = 2

// Config is what a rack is made of.
type Config struct {
	Name     string // of the rack
	Password string // every client must know it; "" lets everybody in
	Stores   Stores
	Baker    *bake.Baker
	Images   Images
	Registry string       // what the names of images begin with: the host, and maybe a path, that repositories are below
	Notice   func(string) // told what no client is told; nil for nobody
	Spool    string       // directory for the logs and sources of running builds
	Limits   Limits       // of builds

	Containers Containers // that commands are run in; nil refuses them
	Cache      BuildCache // nil for a registry that can have none
	Access     Access     // of those who have no password, and who is told of it
}

// Server is a rack. Make one with [New], serve its [Server.Handler], end it with
// [Server.Close].
type Server struct {
	Config
	logs      *hub
	logins    *logins
	cancels   *cancels
	queue     *queue // of builds
	processes processes
	chronicle *chronicle
	busy      sync.WaitGroup  // builds, processes and commands in them
	work      context.Context // ends when the server closes
	stop      context.CancelCauseFunc
	locks
}

// locks keep parts of a rack's work out of each other's way.
type locks struct {
	closing   sync.RWMutex // held, to read, while one of what is busy begins
	releasing sync.Mutex   // held while a release is made from the latest one, or becomes active
	updating  sync.Mutex   // held while parameters are changed and take effect
	pushing   sync.RWMutex // held, to read, while a build or an import may push
}

// New makes a rack over its stores. Builds that the stores still call running
// belong to a process that is gone: they become failed, and their logs say why.
func New(ctx context.Context, c Config) (*Server, error) {
	if c.Limits.AtOnce < 1 {
		c.Limits.AtOnce = DefaultBuilds
	}
	logs, err := newHub(c.Spool)
	if err != nil {
		return nil, err
	}
	s := &Server{
		Config: c, logs: logs, logins: newLogins(), cancels: &cancels{of: map[string]context.CancelCauseFunc{}}, queue: newQueue(c.Limits.AtOnce), processes: newProcesses(),
	}
	s.chronicle = newChronicle(s.processes.news)
	s.work, s.stop = context.WithCancelCause(context.WithoutCancel(ctx))
	if err := errors.Join(s.recover(ctx), s.recoverApps(ctx)); err != nil {
		s.stop(err)
		return nil, fmt.Errorf("end what was left unfinished: %w", err)
	}
	s.keepCache(ctx)
	return s, nil
}

// Close stops the running builds, which become failed, and waits until that is
// recorded; it ends all processes, and waits until they are gone. Neither can be
// started from then on; all else is still answered.
func (s *Server) Close() {
	s.closing.Lock()
	s.stop(errStopped)
	s.closing.Unlock()
	s.busy.Wait()
}

// say tells whoever runs the rack what no client is told.
func (s *Server) say(format string, args ...any) {
	if s.Notice != nil {
		s.Notice(fmt.Sprintf(format, args...))
	}
}

// host is that of the registry.
func (s *Server) host() string {
	host, _, _ := strings.Cut(s.Registry, "/")
	return host
}

// now is the time as records hold it: in UTC and without a monotonic part, so
// that a record equals itself after it was stored.
func now() time.Time { return time.Now().UTC().Round(0) }

// updateBuild changes a record by compare-and-swap until it succeeds.
func (s *Server) updateBuild(ctx context.Context, app, id string, change func(*rack.Build)) (rack.Build, error) {
	for {
		old, err := s.Stores.Builds.Build(ctx, app, id)
		if err != nil {
			return rack.Build{}, err
		}
		next := old
		change(&next)
		if err := s.Stores.Builds.SwapBuild(ctx, old, next); !isConflict(err) {
			return next, err
		}
	}
}
