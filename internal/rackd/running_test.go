package rackd_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

// steps lets a test lead builds by the hand: each says when it is in, and
// writes what it is told until it is told to end.
type steps struct {
	in   chan struct{}
	say  chan string
	done chan error
}

func lead(m *machine) *steps {
	s := &steps{in: make(chan struct{}), say: make(chan string), done: make(chan error)}
	m.engine.work = func(ctx context.Context, _ image.Spec, log io.Writer) error {
		select {
		case s.in <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		for {
			select {
			case text := <-s.say:
				io.WriteString(log, text)
			case err := <-s.done:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return s
}

func slots(n int) func(*rackd.Config) { return func(c *rackd.Config) { c.Limits.AtOnce = n } }

// firstLine is what a log of the steps begins with.
const firstLine = "Building: .\n"

func TestLogComesWhileTheBuildRuns(t *testing.T) {
	m := start(t)
	s := lead(m)
	b := m.create(nil)
	if b := m.build(b.ID); b.Status != rack.BuildRunning || b.Logs != "" || !b.Ended.IsZero() {
		t.Errorf("build at once: %+v", b)
	}
	receive(m, s.in)
	conn := m.socket("/apps/web/builds/"+b.ID+"/logs", nil)
	got := m.read(conn)
	for _, text := range []string{"half a line", ", the other half\n", strings.Repeat("x", 100_000), "\xff\xfe\n", "ü"[:1]} {
		s.say <- text
		for got += m.read(conn); !strings.HasSuffix(got, text); got += m.read(conn) {
		}
	}
	late := m.socket("/apps/web/builds/"+b.ID+"/logs", nil) // reads all from the start
	s.done <- nil
	whole := got + m.rest(conn)
	if other := m.rest(late); other != whole {
		t.Errorf("a late reader got %d bytes, want %d", len(other), len(whole))
	}
	if b := m.build(b.ID); b.Status != rack.BuildComplete || b.Release == "" {
		t.Errorf("build when the log ended: %+v", b)
	}
	m.want("stored log", m.get("/apps/web/objects/build/"+b.ID+"/logs"), 200, whole)
}

func TestReaderLeavesInMidLog(t *testing.T) {
	m := start(t)
	s := lead(m)
	b := m.create(nil)
	receive(m, s.in)
	leaving, staying := m.socket("/apps/web/builds/"+b.ID+"/logs", nil), m.socket("/apps/web/builds/"+b.ID+"/logs", nil)
	m.read(leaving)
	m.must(leaving.CloseNow())
	s.say <- "more\n"
	s.done <- nil
	if got := m.rest(staying); !strings.HasPrefix(got, firstLine+"more\n") {
		t.Errorf("log of the one who stayed: %q", got)
	}
	if b := m.build(b.ID); b.Status != rack.BuildComplete {
		t.Errorf("build is %s: %s", b.Status, b.Reason)
	}
}

// A client may say what it likes on a log's socket: it has its log all the same.
func TestReaderSpeaks(t *testing.T) {
	m := start(t)
	s := lead(m)
	b := m.create(nil)
	receive(m, s.in)
	conn := m.socket("/apps/web/builds/"+b.ID+"/logs", nil)
	got := m.read(conn)
	m.must(conn.Write(t.Context(), websocket.MessageText, []byte(strings.Repeat("input", 20_000))))
	m.must(conn.Write(t.Context(), websocket.MessageBinary, nil)) // the end of it
	next := make(chan string, 1)
	go func() {
		_, p, _ := conn.Read(t.Context()) // takes the answer to the ping on the way
		next <- string(p)
	}()
	m.must(conn.Ping(t.Context())) // its answer shows that the rack has read all this
	s.say <- "more\n"
	got += <-next
	s.done <- nil
	got += m.rest(conn)
	m.want("stored log", m.get("/apps/web/objects/build/"+b.ID+"/logs"), 200, got)
}

func TestManyReaders(t *testing.T) {
	m := start(t)
	s := lead(m)
	b := m.create(nil)
	receive(m, s.in)
	const readers, lines = 20, 50
	logs := make([]string, readers)
	var all sync.WaitGroup
	for i := range readers {
		conn := m.socket("/apps/web/builds/"+b.ID+"/logs", nil)
		all.Go(func() { logs[i] = m.rest(conn) })
	}
	for i := range lines {
		s.say <- fmt.Sprintf("line %d\n", i)
	}
	s.done <- nil
	all.Wait()
	stored := m.get("/apps/web/objects/build/" + b.ID + "/logs").body
	for i, log := range logs {
		if log != stored {
			t.Errorf("reader %d got %d bytes, want %d", i, len(log), len(stored))
		}
	}
}

func TestSlots(t *testing.T) {
	m := start(t, slots(2))
	s := lead(m)
	first, second := m.create(nil), m.create(nil)
	receive(m, s.in)
	receive(m, s.in) // both run at once
	third := m.create(nil)
	conn := m.socket("/apps/web/builds/"+third.ID+"/logs", nil)
	waiting := m.read(conn)
	if want := "Waiting: as many builds run as may run at once (2)\n"; waiting != want {
		t.Errorf("log of the third begins %q, want %q", waiting, want)
	}
	if b := m.build(third.ID); b.Status != rack.BuildRunning {
		t.Errorf("third build is %s", b.Status)
	}
	select {
	case <-s.in:
		t.Fatal("three builds run at once")
	default:
	}
	s.done <- nil
	receive(m, s.in) // now the third
	s.done <- nil
	s.done <- nil
	if log := waiting + m.rest(conn); !strings.HasPrefix(log, waiting+firstLine) {
		t.Errorf("log of the third: %q", log)
	}
	for _, b := range []rack.Build{first, second, third} {
		m.log(b.ID)
		if b = m.build(b.ID); b.Status != rack.BuildComplete {
			t.Errorf("build is %s: %s", b.Status, b.Reason)
		}
	}
	if n := len(m.releases()); n != 3 {
		t.Errorf("%d releases", n)
	}
}

// Each of many builds at once ends with a release of its own, and every release
// is later than the one before.
func TestManyBuilds(t *testing.T) {
	m := start(t, slots(4))
	form := map[string][]string{"url": {m.upload(plain)}}
	const builds = 12
	made := map[string]bool{}
	for range builds {
		made[m.create(form).ID] = true
	}
	for id := range made {
		m.log(id)
	}
	releases := decode[[]rack.Release](m, m.get("/apps/web/releases?limit=100"))
	for i, r := range releases {
		if b := m.build(r.Build); b.Release != r.ID || !made[b.ID] {
			t.Errorf("release %s is of build %s, whose release is %s", r.ID, b.ID, b.Release)
		}
		if i > 0 && !releases[i-1].Created.After(r.Created) {
			t.Errorf("releases %d and %d are not one after the other", i-1, i)
		}
	}
	if len(made) != builds || len(releases) != builds {
		t.Errorf("%d ids, %d releases", len(made), len(releases))
	}
}

func TestCloseStopsBuilds(t *testing.T) {
	m := start(t, slots(1))
	s := lead(m)
	running := m.create(nil)
	receive(m, s.in)
	waiting := m.create(nil)
	conn := m.socket("/apps/web/builds/"+running.ID+"/logs", nil)
	got := m.read(conn)
	m.server.Close()
	const why = "the rack was stopped while the build ran"
	if got += m.rest(conn); got != firstLine+"ERROR: "+why+"\n" {
		t.Errorf("log is %q", got)
	}
	m.wantFailed(running.ID, why, plain["convox.yml"])
	m.wantFailed(waiting.ID, why, "")
	m.want("a build after that", m.post("/apps/web/builds", map[string][]string{"url": {"object://web/tmp/source.tgz"}}), 503, "the rack is being stopped\n")
	if n := len(decode[[]rack.Build](m, m.get("/apps/web/builds"))); n != 2 {
		t.Errorf("%d builds", n)
	}
}

// A build that was through when the rack was told to stop has not failed.
func TestCloseLeavesWhatIsDone(t *testing.T) {
	m := start(t)
	in := make(chan struct{})
	m.engine.work = func(ctx context.Context, _ image.Spec, _ io.Writer) error {
		close(in)
		<-ctx.Done()
		return nil
	}
	b := m.create(nil)
	receive(m, in)
	m.server.Close()
	if b = m.build(b.ID); b.Status != rack.BuildComplete || b.Release == "" || b.Reason != "" {
		t.Errorf("build is %s: %s", b.Status, b.Reason)
	}
}

// A builder's word after the end of its build goes nowhere, and harms nobody.
func TestBuilderSpeaksTooLate(t *testing.T) {
	m := start(t)
	late := make(chan io.Writer, 1)
	m.engine.work = func(_ context.Context, _ image.Spec, log io.Writer) error {
		late <- log
		return nil
	}
	b := m.create(nil)
	log := m.log(b.ID)
	m.server.Close()
	if n, err := io.WriteString(<-late, "too late"); err == nil {
		t.Errorf("%d bytes written to a log that has ended", n)
	}
	if again := m.log(b.ID); again != log {
		t.Errorf("log is %q, was %q", again, log)
	}
}

func TestNothingIsLeftOfABuild(t *testing.T) {
	m := start(t)
	m.log(m.create(nil).ID)
	m.server.Close() // waits until it is tidied up too
	m.wantEmptySpool()
}
