package main

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// acknowledged is what a rack has said that it did.
type acknowledged struct {
	source []byte // of builds
	rounds int    // in which it was killed
	enough func(log bool)

	mu       sync.Mutex
	releases map[string]string // environments by id
	apps     map[string]bool
	builds   map[string]*cutOff // by id
	promoted wish
	number   wish // that both of a pair of parameters have

	complete, cut, set int // builds that ended, and those that were under way; changes of parameters
}

// wish is what was asked for last, and what the rack said that it did.
type wish struct{ asked, done string }

// cutOff is a build of which a rack has said that it began.
type cutOff struct {
	streamed string // of its log
	complete bool
}

func newAcknowledged(source []byte) *acknowledged {
	return &acknowledged{source: source, releases: map[string]string{}, apps: map[string]bool{"web": true}, builds: map[string]*cutOff{}}
}

// note takes note of an answer.
func (a *acknowledged) note(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
	a.enough(false)
}

// ask takes note of what is about to be asked for.
func (a *acknowledged) ask(w *wish, what string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w.asked = what
}

func (a *acknowledged) release(_ *testing.T, r *killable, name string) error {
	var got rack.Release
	if err := r.ask("POST", "/apps/web/releases", url.Values{"env": {"SECRET=" + name}}, &got); err != nil {
		return err
	}
	a.note(func() { a.releases[got.ID] = "SECRET=" + name })
	a.ask(&a.promoted, got.ID)
	if err := r.ask("POST", "/apps/web/releases/"+got.ID+"/promote", nil, nil); err != nil {
		return err
	}
	a.note(func() { a.promoted.done = got.ID })
	return nil
}

func (a *acknowledged) app(_ *testing.T, r *killable, name string) error {
	err := r.ask("POST", "/apps", url.Values{"name": {name}}, nil)
	if err == nil {
		a.note(func() { a.apps[name] = true })
	}
	return err
}

// parameters sets two parameters of the rack to the same number.
func (a *acknowledged) parameters(_ *testing.T, r *killable, _ string) error {
	a.mu.Lock()
	last, _ := strconv.Atoi(a.number.asked)
	a.mu.Unlock()
	number := strconv.Itoa(last + 1)
	a.ask(&a.number, number)
	pair := url.Values{"BuildVolumeSize": {number}, "PruneOlderImagesInHour": {number}}
	err := r.ask("PUT", "/system", url.Values{"parameters": {pair.Encode()}}, nil)
	if err == nil {
		a.note(func() { a.number.done = number; a.set++ })
	}
	return err
}

// build starts a build and follows its log.
func (a *acknowledged) build(t *testing.T, r *killable, name string) error {
	if err := r.put("/apps/web/objects/tmp/"+name, a.source); err != nil {
		return err
	}
	var got rack.Build
	err := r.ask("POST", "/apps/web/builds", url.Values{"url": {"object://web/tmp/" + name}, "build-args": {"NAME=" + name}}, &got)
	if err != nil {
		return err
	}
	b := &cutOff{}
	a.note(func() { a.builds[got.ID] = b })
	conn, err := r.dial(t.Context(), "/apps/web/builds/"+got.ID+"/logs")
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	for {
		kind, p, err := conn.Read(t.Context())
		if err != nil {
			a.cut++ // there is one such client
			return err
		}
		if kind == websocket.MessageBinary {
			break
		}
		a.read(b, string(p))
	}
	if err := r.ask("GET", "/apps/web/builds/"+got.ID, nil, &got); err != nil {
		return err
	}
	if got.Status != rack.BuildComplete {
		t.Errorf("build %s is %s: %s", got.ID, got.Status, got.Reason)
	}
	a.note(func() { b.complete = true; a.complete++ })
	return nil
}

// read takes note of a piece of a log.
func (a *acknowledged) read(b *cutOff, text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	b.streamed += text
	a.enough(true)
}

// check compares what a rack has with what it said before it was killed.
func (a *acknowledged) check(t *testing.T, r *killable) {
	t.Helper()
	for id, env := range a.releases {
		var got rack.Release
		if err := r.ask("GET", "/apps/web/releases/"+id, nil, &got); err != nil || got.Env != env {
			t.Errorf("release %s: env %q, want %q (%v)", id, got.Env, env, err)
		}
	}
	for name := range a.apps {
		var got rack.App
		if err := r.ask("GET", "/apps/"+name, nil, &got); err != nil || got.Status != rack.AppRunning {
			t.Errorf("app %s is %q (%v)", name, got.Status, err)
		}
		if name == "web" {
			a.promoted.check(t, "active release", got.Release)
		}
	}
	var system rack.System
	if err := r.ask("GET", "/system", nil, &system); err != nil {
		t.Error(err)
	}
	one, other := system.Parameters["BuildVolumeSize"], system.Parameters["PruneOlderImagesInHour"]
	if a.number.asked != "" && one != other && a.number.done != "" {
		t.Errorf("parameters that were set together are %q and %q", one, other)
	}
	if a.number.done != "" {
		a.number.check(t, "parameter", one)
	}
	a.checkBuilds(t, r)
}

// check fails if something is neither what was done nor what was asked for last.
func (w wish) check(t *testing.T, what, got string) {
	t.Helper()
	if got != w.done && got != w.asked {
		t.Errorf("the %s is %q, it was %q, and asked for was %q", what, got, w.done, w.asked)
	}
}

func (a *acknowledged) checkBuilds(t *testing.T, r *killable) {
	t.Helper()
	var builds []rack.Build
	if err := r.ask("GET", "/apps/web/builds?limit=100000", nil, &builds); err != nil {
		t.Error(err)
	}
	found := map[string]bool{}
	for _, b := range builds { // also those that were never answered
		found[b.ID] = true
		if err := checkEnded(r, b); err != nil {
			t.Errorf("build %s: %v", b.ID, err)
		}
		known := a.builds[b.ID]
		if known == nil {
			continue
		}
		if known.complete && b.Status != rack.BuildComplete {
			t.Errorf("build %s became %s", b.ID, b.Status)
		}
		log, err := r.get("/apps/web/objects/build/" + b.ID + "/logs")
		if err != nil || !strings.HasPrefix(log, known.streamed) {
			t.Errorf("the log of build %s is %q (%v), streamed was %q", b.ID, log, err, known.streamed)
		}
	}
	for id := range a.builds {
		if !found[id] {
			t.Errorf("build %s is lost", id)
		}
	}
}

// checkEnded tells what is wrong with a build of a rack that has just started.
func checkEnded(r *killable, b rack.Build) error {
	if !b.Final() {
		return fmt.Errorf("it is %s for ever", b.Status)
	}
	if b.Status != rack.BuildComplete {
		return nil
	}
	var release rack.Release
	if err := r.ask("GET", "/apps/web/releases/"+b.Release, nil, &release); err != nil || release.Build != b.ID {
		return fmt.Errorf("it is complete, and its release %q is of build %q (%v)", b.Release, release.Build, err)
	}
	return nil
}
