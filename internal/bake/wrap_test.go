package bake_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/bake"
	"github.com/convox-ci/convox-ci/internal/image"
)

// wrapper is an [image.Wrapper] that remembers what it was asked for, after what
// the recorder was. Entry points are by Dockerfile, as they were built.
type wrapper struct {
	*recorder
	of    map[string][]string
	done  []string // METHOD LAYOUT, with the number of pushes by then
	fault error    // of Wrap
}

func (w *wrapper) note(method, layout string) {
	w.done = append(w.done, fmt.Sprintf("%s %s %d", method, filepath.Base(layout)[:4], len(w.pushed)))
}

func (w *wrapper) Entrypoint(layout string) ([]string, error) {
	w.note("read", layout)
	i := slices.IndexFunc(w.specs, func(s image.Spec) bool { return s.Layout == layout })
	entrypoint, ok := w.of[filepath.Base(w.specs[i].Dockerfile)]
	if !ok {
		return nil, errAsked
	}
	return entrypoint, nil
}

func (w *wrapper) Wrap(layout string) error {
	w.note("wrap", layout)
	return w.fault
}

// wrapped are a pulled service, two of one build, and one of another.
func wrapped(t *testing.T) (*wrapper, bake.Order) {
	t.Helper()
	w := &wrapper{recorder: &recorder{}, of: map[string][]string{"Dockerfile": {"a", "b"}, "Dockerfile2": nil}}
	return w, order(t, "services:\n  web:\n    image: httpd\n  web2:\n    build: .\n  web0:\n    build:\n      manifest: Dockerfile2\n  web1:\n    build: ./\n",
		map[string]string{"Dockerfile": "FROM scratch", "Dockerfile2": "FROM scratch"})
}

func (w *wrapper) run(t *testing.T, o bake.Order) (string, error) {
	t.Helper()
	var log strings.Builder
	_, err := (&bake.Baker{Builder: w, Registry: w, Wrapper: w}).Bake(t.Context(), o, &log)
	return log.String(), err
}

const builtAndPulled = "Building: .\nbuilder output\nBuilding: .\nbuilder output\nRunning: docker pull httpd\n"

// TestInjecting compares the whole log with that of a Rack that builds on its
// instances: a line for each name of an image.
func TestInjecting(t *testing.T) {
	w, o := wrapped(t)
	log, err := w.run(t, o)
	if err != nil {
		t.Fatal(err)
	}
	want := builtAndPulled + `Running: docker tag ` + hashRoot + ` convox/app1:web2.build1
Injecting: convox-env
Running: docker tag ` + hashRoot + ` convox/app1:web1.build1
Injecting: convox-env
Running: docker tag ` + hashOther + ` convox/app1:web0.build1
Injecting: convox-env
Running: docker tag httpd convox/app1:web.build1
Injecting: convox-env
`
	for _, service := range []string{"web", "web0", "web1", "web2"} {
		want += "Running: docker tag convox/app1:" + service + ".build1 r.test:5000/app1:" + service + ".build1\n" +
			"Running: docker push r.test:5000/app1:" + service + ".build1\n"
	}
	if d := cmp.Diff(want, log); d != "" {
		t.Errorf("log (-want +got):\n%s", d)
	}
	httpd := filepath.Base(strings.Fields(w.pulled[0])[1])[:4]
	asked := []string{"wrap " + hashRoot[:4] + " 0", "wrap " + hashOther[:4] + " 0", "wrap " + httpd + " 0"} // each image once, all before the first push
	if d := cmp.Diff(asked, w.done); d != "" {
		t.Errorf("asked (-want +got):\n%s", d)
	}
}

// TestInjectingOnFargate is likewise for a builder there.
func TestInjectingOnFargate(t *testing.T) {
	w, o := wrapped(t)
	o.Fargate = true
	log, err := w.run(t, o)
	if err != nil {
		t.Fatal(err)
	}
	want := builtAndPulled + strings.Repeat("Injecting: convox-env\n", 3)
	for _, service := range []string{"web", "web0", "web1", "web2"} {
		want += "Running: tag and push r.test:5000/app1:" + service + ".build1\nPushed r.test:5000/app1:" + service + ".build1\n"
	}
	if d := cmp.Diff(want, log); d != "" {
		t.Errorf("log (-want +got):\n%s", d)
	}
	w, o = wrapped(t)
	o.Fargate, w.fail = true, ":web0.build1"
	log, err = w.run(t, o)
	if !errors.Is(err, errAsked) || strings.Contains(log, "Pushed r.test:5000/app1:web0") || !strings.HasSuffix(log, "Running: tag and push r.test:5000/app1:web0.build1\n") {
		t.Errorf("error %v, log of a push that failed:\n%s", err, log)
	}
}

// TestNoProgram: an image for which there is no wrapper stays as it is.
func TestNoProgram(t *testing.T) {
	w, o := wrapped(t)
	w.fault = fmt.Errorf("%w: sparc", image.ErrNoProgram)
	log, err := w.run(t, o)
	if err != nil {
		t.Fatal(err)
	}
	line := "WARNING: httpd starts without convox-env: no program for this architecture: sparc\nRunning: docker tag httpd convox/app1:web.build1\n"
	if strings.Contains(log, "Injecting") || !strings.Contains(log, line) || len(w.pushed) != 4 {
		t.Errorf("pushed %q, log:\n%s", w.pushed, log)
	}
	w, o = wrapped(t)
	w.fault = errAsked
	if log, err = w.run(t, o); !errors.Is(err, errAsked) || err.Error() != "convox-env: asked to fail" || len(w.pushed) > 0 {
		t.Errorf("error %v, pushed %q, log:\n%s", err, w.pushed, log)
	}
}

// TestBuilt: the entry points of what was built are told as they were built, and
// those of what was pulled are nobody's business.
func TestBuilt(t *testing.T) {
	w, o := wrapped(t)
	var told [][]string
	o.Built = func(entrypoint []string) error {
		told = append(told, entrypoint)
		w.done = append(w.done, "told")
		return nil
	}
	if _, err := w.run(t, o); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([][]string{{"a", "b"}}, told); d != "" {
		t.Errorf("told (-want +got):\n%s", d)
	}
	asked := []string{"read " + hashRoot[:4] + " 0", "told", "read " + hashOther[:4] + " 0", "wrap " + hashRoot[:4] + " 0"}
	if d := cmp.Diff(asked, w.done[:4]); d != "" {
		t.Errorf("asked (-want +got):\n%s", d)
	}
	w, o = wrapped(t)
	o.Built = func([]string) error { return errAsked }
	if _, err := w.run(t, o); !errors.Is(err, errAsked) || len(w.pulled) > 0 {
		t.Errorf("it cannot be recorded: %v, pulled %q", err, w.pulled)
	}
	delete(w.of, "Dockerfile")
	if _, err := w.run(t, o); err == nil || err.Error() != "entry point of .: asked to fail" {
		t.Errorf("it cannot be read: %v", err)
	}
}
