// Package summary is what is left to read of a run once it has ended: collected
// while the work goes on, and rendered as Markdown and as plain text.
package summary

import (
	"sync"
	"time"
)

// Run is where a report comes from. A field is empty if that is not known.
type Run struct {
	Verb    string // what was done: build, deploy, …
	Subject string // first line of the message of the commit
	Branch  string
	Actor   string // who started it
}

// Phase is a part of the work and how long it took.
type Phase struct {
	Name string
	Took time.Duration
}

// Image is the image of a service.
type Image struct {
	Ref    string // repository:tag
	Digest string // sha256:…; "" if not known
}

// Built is what the log of a build has told.
type Built struct {
	Cached, Steps int // steps from the cache and all; none at all where the log does not say
	Images        []Image
	Tail          string // last lines of the log of a build that failed
}

// Report is what becomes known of a run while it lasts. It may be used by several
// goroutines. A nil one takes everything and keeps nothing.
type Report struct {
	Run Run

	mu     sync.Mutex
	values map[string]string // outputs by name
	phases []Phase
	upload string
	urls   []string
	built  Built
}

// Note keeps an output of the run. What a summary says of ids and verdicts is
// what the outputs say.
func (r *Report) Note(name, value string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.values == nil {
		r.values = map[string]string{}
	}
	r.values[name] = value
}

// Begin starts the clock of a phase; end stops it. A phase that took place twice
// is one, with the time of both.
func (r *Report) Begin(phase string) (end func()) {
	if r == nil {
		return func() {}
	}
	began := time.Now()
	return func() {
		took := time.Since(began)
		r.mu.Lock()
		defer r.mu.Unlock()
		for i := range r.phases {
			if r.phases[i].Name == phase {
				r.phases[i].Took += took
				return
			}
		}
		r.phases = append(r.phases, Phase{Name: phase, Took: took})
	}
}

// Upload keeps what was uploaded, in words.
func (r *Report) Upload(words string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.upload = words
}

// URLs keeps where the app is reached.
func (r *Report) URLs(list []string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.urls = list
}

// Build keeps what the log of the build has told.
func (r *Report) Build(b Built) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.built = b
}

// Value is an output that was kept, "" if there is none of that name.
func (r *Report) Value(name string) string {
	if r == nil {
		return ""
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.values[name]
}
