package rackd

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/convox-ci/convox-ci/internal/container"
	"github.com/convox-ci/convox-ci/internal/rack"
)

// Containers runs the images of apps. The methods may be called from many
// goroutines at once.
type Containers interface {
	// Create makes a container of the image that ref names, in which nothing
	// runs yet, under a new id of letters and digits.
	Create(ctx context.Context, id, ref string) error
	// Run runs a command in a container until it ends, and gives its exit
	// status. The error means that it was not started.
	Run(id string, c container.Command) (status int, err error)
	// Remove ends all that runs in a container and removes it. It does nothing
	// where there is none.
	Remove(id string) error
	Files
}

// Files are those in containers. Neither a name nor a link leads out of the
// container, whatever runs in it at the time.
type Files interface {
	// Unpack puts the files of a tar stream into a container, from its root.
	Unpack(id string, r io.Reader) error
	// Pack writes a file, or a folder with all below it, as a tar stream. It
	// returns an error that is [fs.ErrNotExist] before it writes anything if
	// there is no such file.
	Pack(id, name string, w io.Writer) error
	// Delete removes files, and folders with all below them.
	Delete(id string, names []string) error
}

// keepEnded is how long a process that ended is still shown, so that whoever
// follows it sees the end.
const keepEnded = 10 * time.Minute

// process is a container of an app in which a command runs once, or into which
// clients bring their commands.
type process struct {
	order
	journal *journal
	asked   context.Context // ends when it is to be stopped
	stop    context.CancelFunc
	removed chan struct{} // closed when its container is gone

	mu     sync.Mutex
	record rack.Process
}

// order is what a process was asked for.
type order struct {
	app, service, release string
	ref                   string   // of the image
	env                   []string // NAME=VALUE
	command               string
}

// show gives the record as it is now.
func (p *process) show() rack.Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.record
}

func (p *process) is(status string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.record.Status = status
}

// processes are those of all apps.
type processes struct {
	news *news // of all that they write
	mu   sync.Mutex
	byID map[string]*process
}

func newProcesses() processes { return processes{news: newNews(), byID: map[string]*process{}} }

// add enters a process under a new id.
func (t *processes) add(ctx context.Context, o order, rackName string) *process {
	t.mu.Lock()
	defer t.mu.Unlock()
	id := processID()
	for t.byID[id] != nil {
		id = processID()
	}
	p := &process{order: o, removed: make(chan struct{}), record: rack.Process{
		ID: id, App: o.app, Command: strings.ToValidUTF8(o.command, "\uFFFD"), Name: o.service, Ports: []string{}, Release: o.release,
		Started: now(), Status: rack.ProcessPending, Placement: rack.Placement{Host: "127.0.0.1", Image: o.ref, Instance: rackName},
	}}
	p.asked, p.stop = context.WithCancel(ctx)
	p.journal = newJournal(fmt.Sprintf("service/%s/%s", o.service, id), t.news)
	t.byID[id] = p
	return p
}

// processID is 12 random hex digits, as on a v2 rack.
func processID() string {
	var b [6]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// find gives a process of an app; nil if there is none.
func (t *processes) find(app, id string) *process {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.byID[id]; p != nil && p.app == app {
		return p
	}
	return nil
}

func (t *processes) forget(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.byID, id)
}

// of lists the processes of an app, the latest first.
func (t *processes) of(app string) []*process {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []*process
	for _, p := range t.byID {
		if p.app == app {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b *process) int {
		return cmp.Or(b.record.Started.Compare(a.record.Started), strings.Compare(a.record.ID, b.record.ID)) // neither of the two changes
	})
	return all
}
