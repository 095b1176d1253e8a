package bake_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/bake"
	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/manifest"
)

// recorder stands for a builder and a registry, and keeps what it was asked for.
// What fail is a part of fails.
type recorder struct {
	specs  []image.Spec
	pulled []string // REF LAYOUT
	pushed []string // LAYOUT REF
	fail   string
}

var errAsked = errors.New("asked to fail")

func (r *recorder) verdict(subject string) error {
	if r.fail != "" && strings.Contains(subject, r.fail) {
		return errAsked
	}
	return nil
}

func (r *recorder) Build(_ context.Context, s image.Spec, log io.Writer) error {
	r.specs = append(r.specs, s)
	fmt.Fprintln(log, "builder output")
	return r.verdict(s.Dockerfile)
}

func (r *recorder) Pull(_ context.Context, ref, layout string) error {
	r.pulled = append(r.pulled, ref+" "+layout)
	return r.verdict(ref)
}

func (r *recorder) Push(_ context.Context, layout, ref string) (string, error) {
	r.pushed = append(r.pushed, layout+" "+ref)
	return "sha256:" + filepath.Base(layout)[:4], r.verdict(ref)
}

// The units of builds with the id build1 of the path . and two Dockerfiles.
const (
	hashRoot  = "049f26f1b03bfca2e3af367d481a7bf1a94564ba"
	hashOther = "63b602b07e75429dbf1ab14132f20c9e5a649f2f"
)

// order is the baking of a manifest and of files by their names.
func order(t *testing.T, yml string, files map[string]string) bake.Order {
	t.Helper()
	m, err := manifest.Load([]byte(yml), nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range files {
		full := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return bake.Order{App: "app1", Build: "build1", Source: dir, Scratch: "/scratch", Manifest: m, Repository: "r.test:5000/app1"}
}

func run(t *testing.T, r *recorder, o bake.Order) ([]bake.Image, string, error) {
	t.Helper()
	var log strings.Builder
	images, err := (&bake.Baker{Builder: r, Registry: r}).Bake(t.Context(), o, &log)
	return images, log.String(), err
}

// TestLog compares the whole log, and what was asked for, with those of a Rack.
func TestLog(t *testing.T) {
	r := &recorder{}
	o := order(t, "services:\n  web:\n    image: httpd\n  web2:\n    build: .\n  web-0:\n    build:\n      manifest: Dockerfile2\n  web1:\n    build: ./\n",
		map[string]string{"Dockerfile": "FROM scratch", "Dockerfile2": "FROM scratch"})
	images, log, err := run(t, r, o)
	if err != nil {
		t.Fatal(err)
	}
	want := `Building: .
builder output
Building: .
builder output
Running: docker pull httpd
Running: docker tag ` + hashRoot + ` convox/app1:web2.build1
Running: docker tag ` + hashRoot + ` convox/app1:web1.build1
Running: docker tag ` + hashOther + ` convox/app1:web-0.build1
Running: docker tag httpd convox/app1:web.build1
Running: docker tag convox/app1:web-0.build1 r.test:5000/app1:web-0.build1
Running: docker push r.test:5000/app1:web-0.build1
Running: docker tag convox/app1:web.build1 r.test:5000/app1:web.build1
Running: docker push r.test:5000/app1:web.build1
Running: docker tag convox/app1:web1.build1 r.test:5000/app1:web1.build1
Running: docker push r.test:5000/app1:web1.build1
Running: docker tag convox/app1:web2.build1 r.test:5000/app1:web2.build1
Running: docker push r.test:5000/app1:web2.build1
`
	if d := cmp.Diff(want, log); d != "" {
		t.Errorf("log (-want +got):\n%s", d)
	}
	httpd := strings.TrimPrefix(r.pulled[0], "httpd ")
	pushed := []string{
		"/scratch/" + hashOther + " r.test:5000/app1:web-0.build1", httpd + " r.test:5000/app1:web.build1",
		"/scratch/" + hashRoot + " r.test:5000/app1:web1.build1", "/scratch/" + hashRoot + " r.test:5000/app1:web2.build1",
	}
	if d := cmp.Diff(pushed, r.pushed); d != "" {
		t.Errorf("pushed (-want +got):\n%s", d)
	}
	specs := []image.Spec{
		{Context: o.Source, Dockerfile: filepath.Join(o.Source, "Dockerfile"), Layout: "/scratch/" + hashRoot},
		{Context: o.Source, Dockerfile: filepath.Join(o.Source, "Dockerfile2"), Layout: "/scratch/" + hashOther},
	}
	if d := cmp.Diff(specs, r.specs); d != "" {
		t.Errorf("built (-want +got):\n%s", d)
	}
	wantImages := []bake.Image{
		{Service: "web", Ref: "r.test:5000/app1:web.build1", Digest: "sha256:" + filepath.Base(httpd)[:4]},
		{Service: "web2", Ref: "r.test:5000/app1:web2.build1", Digest: "sha256:" + hashRoot[:4]},
		{Service: "web-0", Ref: "r.test:5000/app1:web-0.build1", Digest: "sha256:" + hashOther[:4]},
		{Service: "web1", Ref: "r.test:5000/app1:web1.build1", Digest: "sha256:" + hashRoot[:4]},
	}
	if d := cmp.Diff(wantImages, images); d != "" {
		t.Errorf("images (-want +got):\n%s", d)
	}
}

// TestUnits counts what is built and pulled for the services of a manifest.
func TestUnits(t *testing.T) {
	files := map[string]string{"Dockerfile": "", "Other": "", "web/Dockerfile": "", "web/sub/Dockerfile": ""}
	for name, c := range map[string]struct {
		yml    string
		built  []string // Dockerfiles
		pulled []string
	}{
		"no services":               {"services: {}", nil, nil},
		"equal builds":              {"services:\n  a:\n    build: web\n  b:\n    build: web/\n  c:\n    build: {path: ./web, manifest: Dockerfile}", []string{"web/Dockerfile"}, nil},
		"two Dockerfiles":           {"services:\n  a: {}\n  b:\n    build: {manifest: Other}", []string{"Dockerfile", "Other"}, nil},
		"two paths":                 {"services:\n  a:\n    build: web\n  b:\n    build: .", []string{"web/Dockerfile", "Dockerfile"}, nil},
		"arguments tell apart":      {"services:\n  a:\n    build: {args: [X=1]}\n  b:\n    build: .", []string{"Dockerfile", "Dockerfile"}, nil},
		"equal images":              {"services:\n  a:\n    image: x:1\n  b:\n    image: x:1\n  c:\n    image: y:1", nil, []string{"x:1", "y:1"}},
		"image and build":           {"services:\n  a:\n    image: x:1\n    build: nowhere", nil, []string{"x:1"}},
		"Dockerfile out of path":    {"services:\n  a:\n    build: {path: web, manifest: ../Other}", []string{"Other"}, nil},
		"Dockerfile below path":     {"services:\n  a:\n    build: {path: web, manifest: sub/Dockerfile}", []string{"web/sub/Dockerfile"}, nil},
		"path that goes in and out": {"services:\n  a:\n    build: web/sub/..", []string{"web/Dockerfile"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := &recorder{}
			o := order(t, c.yml, files)
			if _, _, err := run(t, r, o); err != nil {
				t.Fatal(err)
			}
			var built, pulled []string
			for _, s := range r.specs {
				rel, err := filepath.Rel(o.Source, s.Dockerfile)
				if err != nil {
					t.Fatal(err)
				}
				built = append(built, filepath.ToSlash(rel))
			}
			for _, p := range r.pulled {
				ref, _, _ := strings.Cut(p, " ")
				pulled = append(pulled, ref)
			}
			if d := cmp.Diff(c.built, built); d != "" {
				t.Errorf("built (-want +got):\n%s", d)
			}
			if d := cmp.Diff(c.pulled, pulled); d != "" {
				t.Errorf("pulled (-want +got):\n%s", d)
			}
			if want := len(o.Manifest.Services); len(r.pushed) != want {
				t.Errorf("%d images pushed, want one for each of %d services", len(r.pushed), want)
			}
		})
	}
}

func TestSpec(t *testing.T) {
	r := &recorder{}
	o := order(t, "services:\n  web:\n    build: {path: web, manifest: ../deploy/Web, args: [UNUSED=1]}",
		map[string]string{"web/x": "", "deploy/Web": "FROM a AS Development\nARG A\nARG B=1\n"})
	o.Env = map[string]string{"A": "1", "C": "3"}
	o.NoCache, o.Development = true, true
	if _, _, err := run(t, r, o); err != nil {
		t.Fatal(err)
	}
	want := []image.Spec{{
		Context: filepath.Join(o.Source, "web"), Dockerfile: filepath.Join(o.Source, "deploy", "Web"),
		Target: "development", Args: []string{"A=1"}, NoCache: true, Layout: r.specs[0].Layout,
	}}
	if d := cmp.Diff(want, r.specs); d != "" {
		t.Errorf("specs (-want +got):\n%s", d)
	}
	r = &recorder{}
	o.Development = false
	if _, _, err := run(t, r, o); err != nil {
		t.Fatal(err)
	}
	if r.specs[0].Target != "" {
		t.Errorf("target of a build that is not for development is %q", r.specs[0].Target)
	}
}

// TestFaultsBeforeTheFirstBuild: nothing is built of a source that lacks a part.
func TestFaultsBeforeTheFirstBuild(t *testing.T) {
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "Dockerfile"), []byte("FROM scratch"), 0o644); err != nil {
		t.Fatal(err)
	}
	for yml, want := range map[string]string{
		"build: ../x":                           "build path ../x leads out of the source",
		"build: ..":                             "build path .. leads out of the source",
		"build: web/../../x":                    "build path ../x leads out of the source",
		"build: " + outside:                     "build path " + outside + " leads out of the source",
		"build: {manifest: ../../x}":            "build path ../../x leads out of the source",
		"build: {path: web, manifest: ../../x}": "build path ../x leads out of the source",
		"build: {path: ../x, manifest: ../src/Dockerfile}": "build path ../x leads out of the source",
		"build: nowhere":                            "build path nowhere is not a directory of the source",
		"build: Dockerfile":                         "build path Dockerfile is not a directory of the source",
		"build: link":                               "build path link is not a directory of the source",
		"build: {manifest: link/Dockerfile}":        "path escapes from parent",
		"build: web":                                "there is no web/Dockerfile in the source",
		"build: {path: web, manifest: Dockerfile2}": "there is no web/Dockerfile2 in the source",
	} {
		r := &recorder{}
		o := order(t, "services:\n  good: {}\n  ready:\n    image: x\n  wrong:\n    "+yml, map[string]string{"Dockerfile": "", "web/x": ""})
		if err := os.Symlink(outside, filepath.Join(o.Source, "link")); err != nil {
			t.Fatal(err)
		}
		images, log, err := run(t, r, o)
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", yml, err, want)
		}
		if len(r.specs) > 0 || log != "" || images != nil {
			t.Errorf("%s: something was done: %v, %q, %v", yml, r.specs, log, images)
		}
	}
}

func TestFirstFaultEndsIt(t *testing.T) {
	for fail, c := range map[string]struct {
		want                  string
		built, pulled, pushed int
	}{
		"one/Dockerfile": {"build one: asked to fail", 1, 0, 0},
		"two/Dockerfile": {"build two: asked to fail", 2, 0, 0},
		"x:1":            {"pull x:1: asked to fail", 2, 1, 0},
		":b.build1":      {"push r.test:5000/app1:b.build1: asked to fail", 2, 2, 2},
	} {
		r := &recorder{fail: fail}
		o := order(t, "services:\n  a:\n    build: one\n  b:\n    build: two\n  c:\n    image: x:1\n  d:\n    image: y:1",
			map[string]string{"one/Dockerfile": "", "two/Dockerfile": ""})
		images, log, err := run(t, r, o)
		if !errors.Is(err, errAsked) || err.Error() != c.want {
			t.Errorf("%s: error %v, want %q", fail, err, c.want)
		}
		if len(r.specs) != c.built || len(r.pulled) != c.pulled || len(r.pushed) != c.pushed || images != nil {
			t.Errorf("%s: built %d, pulled %d, pushed %d, images %v; want %+v", fail, len(r.specs), len(r.pulled), len(r.pushed), images, c)
		}
		if len(r.pulled) == 0 && strings.Contains(log, "docker pull") {
			t.Errorf("%s: the log goes on:\n%s", fail, log)
		}
	}
}

// waiting is a builder that builds until it is told to stop.
type waiting struct{ begun chan struct{} }

func (w waiting) Build(ctx context.Context, _ image.Spec, _ io.Writer) error {
	close(w.begun)
	<-ctx.Done()
	return context.Cause(ctx)
}

func TestCancel(t *testing.T) {
	enough := errors.New("had enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	r, w := &recorder{}, waiting{make(chan struct{})}
	o := order(t, "services:\n  a: {}\n  b:\n    image: x:1", map[string]string{"Dockerfile": ""})
	go func() {
		<-w.begun
		cancel(enough)
	}()
	_, err := (&bake.Baker{Builder: w, Registry: r}).Bake(ctx, o, io.Discard)
	if !errors.Is(err, enough) {
		t.Errorf("error is %v, want the cause", err)
	}
	if len(r.pulled)+len(r.pushed) > 0 {
		t.Errorf("it went on: %v, %v", r.pulled, r.pushed)
	}
}
