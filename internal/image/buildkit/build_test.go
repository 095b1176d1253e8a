package buildkit_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/registry"
)

func TestImage(t *testing.T) {
	onEach(t, func(t *testing.T, b image.Builder) {
		dir := source(t, map[string]string{
			"Dockerfile": "ARG GREETING=unset\nARG PLACE=here\nLABEL greeting=$GREETING\nRUN [\"/step\", \"keep\", \"GREETING\", \"/greeting\"]\n" +
				"RUN [\"/step\", \"keep\", \"PLACE\", \"/place\"]\nCMD [\"/step\", \"keep\"]\n",
		})
		s := spec(t, dir)
		s.Args = []string{"GREETING=hello=world, 1", "UNASKED=1"}
		img, log := mustBuild(t, b, s)
		want := map[string]string{"greeting": "hello=world, 1", "place": "here"}
		if d := cmp.Diff(want, contents(t, img)); d != "" {
			t.Errorf("files (-want +got):\n%s", d)
		}
		config, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if got := config.Config.Labels["greeting"]; got != "hello=world, 1" {
			t.Errorf("label is %q", got)
		}
		if d := cmp.Diff([]string{"/step", "keep"}, config.Config.Cmd); d != "" {
			t.Errorf("command (-want +got):\n%s", d)
		}
		for _, line := range []string{"GREETING is hello=world, 1", `RUN ["/step", "keep", "GREETING", "/greeting"]`} {
			if !strings.Contains(log, line) {
				t.Errorf("log lacks %q:\n%s", line, log)
			}
		}
	})
}

func TestContext(t *testing.T) {
	onEach(t, func(t *testing.T, b image.Builder) {
		dir := source(t, map[string]string{
			"Dockerfile":            "",
			"web/.dockerignore":     "secret*\n!secret.public\n",
			"web/secret.key":        "k",
			"web/secret.public":     "p",
			"web/page":              "hello",
			"deploy/Web.Dockerfile": "FROM scratch\nCOPY . /\n",
		})
		s := spec(t, filepath.Join(dir, "web"))
		s.Dockerfile = filepath.Join(dir, "deploy", "Web.Dockerfile")
		img, _ := mustBuild(t, b, s)
		want := map[string]string{".dockerignore": "secret*\n!secret.public\n", "page": "hello", "secret.public": "p"}
		if d := cmp.Diff(want, contents(t, img)); d != "" {
			t.Errorf("files (-want +got):\n%s", d)
		}
	})
}

// TestAlikeFiles builds two directories whose files have the same names, sizes
// and times, as files have that were unpacked in the same tick of the clock.
func TestAlikeFiles(t *testing.T) {
	onEach(t, func(t *testing.T, b image.Builder) {
		for _, text := range []string{"first!", "second"} {
			dir := source(t, map[string]string{"Dockerfile": "COPY text /" + text + "\n", "text": text})
			for _, name := range []string{"Dockerfile", "text"} {
				at := time.Unix(1_700_000_000, 0)
				if err := os.Chtimes(filepath.Join(dir, name), at, at); err != nil {
					t.Fatal(err)
				}
			}
			img, _ := mustBuild(t, b, spec(t, dir))
			if d := cmp.Diff(map[string]string{text: text}, contents(t, img)); d != "" {
				t.Errorf("files (-want +got):\n%s", d)
			}
		}
	})
}

func TestTarget(t *testing.T) {
	onEach(t, func(t *testing.T, b image.Builder) {
		dir := source(t, map[string]string{
			"Dockerfile": "FROM scratch AS Development\nCOPY a /\nFROM scratch\nCOPY b /\n", "a": "a", "b": "b",
		})
		for target, want := range map[string]map[string]string{"development": {"a": "a"}, "": {"b": "b"}} {
			s := spec(t, dir)
			s.Target = target
			img, _ := mustBuild(t, b, s)
			if d := cmp.Diff(want, contents(t, img)); d != "" {
				t.Errorf("target %q: files (-want +got):\n%s", target, d)
			}
		}
		s := spec(t, dir)
		s.Target = "production"
		if err := b.Build(t.Context(), s, io.Discard); err == nil || !strings.Contains(err.Error(), "production") {
			t.Errorf("unknown target: error %v, want one that names it", err)
		}
	})
}

func TestCache(t *testing.T) {
	onEach(t, func(t *testing.T, b image.Builder) {
		files := map[string]string{"Dockerfile": "RUN [\"/step\", \"random\", \"/random\"]\n"}
		img, log := mustBuild(t, b, spec(t, source(t, files)))
		first := digest(t, img)
		if cached(log, "RUN") {
			t.Errorf("first build took its step from the cache:\n%s", log)
		}
		img, log = mustBuild(t, b, spec(t, source(t, files))) // in another directory
		if got := digest(t, img); got != first {
			t.Errorf("second build made %s, first %s", got, first)
		}
		if !cached(log, "RUN") {
			t.Errorf("second build did not take its step from the cache:\n%s", log)
		}
		s := spec(t, source(t, files))
		s.NoCache = true
		img, log = mustBuild(t, b, s)
		if got := digest(t, img); got == first {
			t.Error("build without cache made the same image")
		}
		if cached(log, "COPY") || cached(log, "RUN") {
			t.Errorf("build without cache took a step from it:\n%s", log)
		}
	})
}

// cached tells whether a log has a step with an instruction that was not run.
func cached(log, instruction string) bool {
	return regexp.MustCompile(`(?m)^(#\d+) \[.*\] ` + instruction + ` .*\n(#\d+) CACHED$`).MatchString(log)
}

func TestFailingStep(t *testing.T) {
	onEach(t, func(t *testing.T, b image.Builder) {
		var log strings.Builder
		err := b.Build(t.Context(), spec(t, source(t, map[string]string{"Dockerfile": "RUN [\"/step\", \"break\"]\n"})), &log)
		if err == nil {
			t.Fatal("no error")
		}
		for _, part := range []string{"/step break", "exit code: 7"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("error lacks %q: %v", part, err)
			}
		}
		for _, noise := range []string{"rpc error", "failed to"} {
			if strings.Contains(err.Error(), noise) {
				t.Errorf("error has %q: %v", noise, err)
			}
		}
		lines := []string{"about to break", "broken"}
		if strings.HasSuffix(t.Name(), "/embedded") { // older engines of Docker do not tell the place
			lines = append(lines, "\nDockerfile:", ">>> RUN [\"/step\", \"break\"]")
		}
		for _, line := range lines {
			if !strings.Contains(log.String(), line) {
				t.Errorf("log lacks %q:\n%s", line, log.String())
			}
		}
	})
}

func TestWrongDockerfile(t *testing.T) {
	onEach(t, func(t *testing.T, b image.Builder) {
		dir := source(t, map[string]string{"Dockerfile": "", "Bad.Dockerfile": "FROM scratch\nCOPI a b\n"})
		for file, want := range map[string]string{"Bad.Dockerfile": "COPI", "No.Dockerfile": "No.Dockerfile", "no/Dockerfile": "folder of the Dockerfile"} {
			s := spec(t, dir)
			s.Dockerfile = filepath.Join(dir, filepath.FromSlash(file))
			if err := b.Build(t.Context(), s, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want one with %q", file, err, want)
			}
		}
	})
}

// gate is a listener that a step of a build connects to and waits at. Steps run
// on the machine's own network, or they could not reach it.
type gate struct{ net.Listener }

func newGate(t *testing.T) gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	l.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	return gate{l}
}

// pass waits for one step at the gate. The step goes on when the connection is closed.
func (g gate) pass(t *testing.T) net.Conn {
	t.Helper()
	conn, err := g.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// spec is a build with a step that waits at the gate; steps of builds with the
// same label are the same step.
func (g gate) spec(t *testing.T, label string) image.Spec {
	s := spec(t, source(t, map[string]string{"Dockerfile": "ENV LABEL=" + label + "\nARG GATE\nRUN [\"/step\", \"gate\", \"GATE\"]\n"}))
	s.Args = []string{"GATE=" + g.Addr().String()}
	return s
}

// watched is a log that tells when a text was first written to it.
type watched struct {
	text string
	seen chan struct{}

	mu  sync.Mutex
	log strings.Builder
}

func watch(text string) *watched { return &watched{text: text, seen: make(chan struct{})} }

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := strings.Contains(w.log.String(), w.text)
	w.log.Write(p)
	if !before && strings.Contains(w.log.String(), w.text) {
		close(w.seen)
	}
	return len(p), nil
}

// begin builds in the background.
func begin(ctx context.Context, b image.Builder, s image.Spec, log io.Writer) <-chan error {
	done := make(chan error, 1)
	go func() { done <- b.Build(ctx, s, log) }()
	return done
}

// end waits for a build.
func end(t *testing.T, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		t.Fatal("the build does not end")
		return nil
	}
}

func TestOutputComesAsItIsWritten(t *testing.T) {
	onEach(t, func(t *testing.T, b image.Builder) {
		g, log := newGate(t), watch("at the gate\n")
		done := begin(t.Context(), b, g.spec(t, "one"), log)
		step := g.pass(t)
		select {
		case <-log.seen:
		case err := <-done:
			t.Fatalf("the build ended before its step: %v\n%s", err, log.log.String())
		case <-time.After(patience):
			t.Fatal("the first line does not come while the step runs")
		}
		step.Close()
		if err := end(t, done); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(log.log.String(), "through the gate\n") {
			t.Errorf("log lacks the last line:\n%s", log.log.String())
		}
	})
}

func TestCancel(t *testing.T) {
	onEach(t, func(t *testing.T, b image.Builder) {
		enough := errors.New("had enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		g := newGate(t)
		done := begin(ctx, b, g.spec(t, "one"), io.Discard)
		step := g.pass(t)
		cancel(enough)
		if err := end(t, done); !errors.Is(err, enough) {
			t.Errorf("error is %v, want the cause", err)
		}
		if n, err := step.Read(make([]byte, 1)); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the step still runs: %v", err)
		}
		mustBuild(t, b, spec(t, source(t, map[string]string{"Dockerfile": "RUN [\"/step\", \"random\", \"/random\"]\n"})))
	})
}

func TestTwoAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, b image.Builder) {
		g := newGate(t)
		one, two := begin(t.Context(), b, g.spec(t, "one"), io.Discard), begin(t.Context(), b, g.spec(t, "two"), io.Discard)
		first, second := g.pass(t), g.pass(t)
		first.Close()
		second.Close()
		if err := errors.Join(end(t, one), end(t, two)); err != nil {
			t.Error(err)
		}
	})
}

// TestBuiltImageIsABase pushes an image as it was built, and builds on it.
func TestBuiltImageIsABase(t *testing.T) {
	onEach(t, func(t *testing.T, b image.Builder) {
		server := httptest.NewServer(registry.Embedded(t.Context(), t.TempDir(), ""))
		defer server.Close()
		ref := strings.TrimPrefix(server.URL, "http://") + "/app:web.b1"
		s := spec(t, source(t, map[string]string{"Dockerfile": "COPY text /text\nENV PLACE=base\n", "text": "from the base"}))
		img, _ := mustBuild(t, b, s)
		if pushed, err := new(registry.Client).Push(t.Context(), s.Layout, ref); err != nil || pushed != digest(t, img) {
			t.Fatalf("pushed %s, %v; want %s", pushed, err, digest(t, img))
		}
		dir := t.TempDir()
		dockerfile := "FROM " + ref + "\nRUN [\"/step\", \"keep\", \"PLACE\", \"/place\"]\n"
		if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o644); err != nil {
			t.Fatal(err)
		}
		img, _ = mustBuild(t, b, spec(t, dir))
		if d := cmp.Diff(map[string]string{"text": "from the base", "place": "base"}, contents(t, img)); d != "" {
			t.Errorf("files (-want +got):\n%s", d)
		}
	})
}
