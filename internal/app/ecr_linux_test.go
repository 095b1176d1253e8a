//go:build !carrier

package app

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/registry/ecr"
	"github.com/convox-ci/convox-ci/internal/registry/ecr/ecrtest"
)

// cloudLab is a stand-in for ECR, and racks that use it.
type cloudLab struct {
	*testing.T
	fake    *ecrtest.Fake
	server  *httptest.Server
	dir     string
	environ []string
	program string       // the binary; "" where this process does as it does
	stop    func()       // the rack that runs
	heard   io.Writer    // of what racks say; once they have stopped, all was written
	ahead   atomic.Int64 // how much later it is at AWS than here, in nanoseconds
}

func newCloudLab(t *testing.T) *cloudLab {
	l := &cloudLab{T: t, dir: t.TempDir(), heard: io.Discard}
	l.fake = ecrtest.New(t.Context(), filepath.Join(l.dir, "ecr"), func() time.Time { return time.Now().Add(time.Duration(l.ahead.Load())) })
	l.server = httptest.NewServer(l.fake)
	t.Cleanup(l.server.Close)
	none := filepath.Join(l.dir, "none")
	for name, value := range map[string]string{ // which the SDK reads itself
		"AWS_ENDPOINT_URL_ECR": l.server.URL, "AWS_REGION": ecrtest.Region, "AWS_ACCESS_KEY_ID": ecrtest.AccessKey, "AWS_SECRET_ACCESS_KEY": "secret",
		"AWS_SESSION_TOKEN": "", "AWS_PROFILE": "", "AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none, "AWS_EC2_METADATA_DISABLED": "true",
		"DOCKER_CONFIG": none,
	} {
		t.Setenv(name, value)
	}
	l.environ = []string{"HOME=" + l.dir, "DOCKER_HOST=unix://" + none, "PATH=" + os.Getenv("PATH")}
	return l
}

// do runs the binary and gives what it prints.
func (l *cloudLab) do(status int, args ...string) string {
	l.Helper()
	out, got := l.run(l.environ, args)
	if got != status {
		l.Fatalf("%q: status %d\n%s", args, got, out)
	}
	return out
}

// run runs the binary for whatever comes of it.
func (l *cloudLab) run(environ, args []string) (said string, status int) {
	l.Helper()
	var out bytes.Buffer
	if l.program == "" {
		status = Main(l.Context(), args, environ, Streams{Out: &out, Err: &out})
		return out.String(), status
	}
	cmd := l.command(environ, args, &out)
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		l.Fatal(err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// command is a call of the binary as a process of its own, which sees of the test's
// variables those of the SDK and of Docker alone.
func (l *cloudLab) command(environ, args []string, out io.Writer) *exec.Cmd {
	cmd := exec.CommandContext(l.Context(), l.program, args...)
	for _, e := range os.Environ() {
		if strings.HasPrefix(e, "AWS_") || strings.HasPrefix(e, "DOCKER_CONFIG=") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	cmd.Env = append(cmd.Env, environ...)
	cmd.Stdout, cmd.Stderr = out, out
	return cmd
}

// serve starts a rack on the stand-in, and points later commands to it.
func (l *cloudLab) serve(args ...string) {
	l.Helper()
	ctx, cancel := context.WithCancelCause(l.Context())
	reader, writer := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		args := append([]string{"rack", "serve", "--listen", "127.0.0.1:0", "--name", "Office", "--registry", "ecr://", "--data", filepath.Join(l.dir, "data")}, args...)
		Main(ctx, args, l.environ, Streams{Out: writer, Err: writer})
		writer.Close()
	}()
	heard := make(chan struct{})
	l.stop = func() { cancel(errors.New("the test stops the rack")); <-ended; <-heard }
	l.Cleanup(l.stop)
	var said strings.Builder
	all := io.TeeReader(reader, l.heard)
	for lines := bufio.NewScanner(all); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if lines.Text() == "Ready" {
			break
		}
	}
	go func() { defer close(heard); io.Copy(io.Discard, all) }()
	m := regexp.MustCompile(`RACK_URL=(\S+)`).FindStringSubmatch(said.String())
	if m == nil || !strings.Contains(said.String(), "Registry: "+strings.TrimPrefix(l.server.URL, "http://")+"/office\n") {
		l.Fatalf("the rack says:\n%s", said.String())
	}
	l.environ = append(slices.DeleteFunc(l.environ, func(e string) bool { return strings.HasPrefix(e, "RACK_URL=") }), m[0])
}

// app writes the source of an app of one service, which says a word.
func (l *cloudLab) app(word string) string {
	l.Helper()
	dir := filepath.Join(l.dir, "source")
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		l.Fatal(err)
	}
	program, err := os.ReadFile(busybox)
	if err != nil {
		l.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		l.Fatal(err)
	}
	for name, text := range map[string]string{
		"busybox": string(program), "word": word, "convox.yml": "services:\n  web:\n    build: .\n",
		"Dockerfile": "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"/bin\"]\nCOPY word /word\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			l.Fatal(err)
		}
	}
	return dir
}

// wantCache compares the repository of the build cache with what it should be.
func (l *cloudLab) wantCache(when string, there, filled bool, days string) {
	l.Helper()
	got, images, policy := l.fake.Has("office-build-cache")
	if got != there || images > 0 != filled || days == "" && policy != "" || days != "" && !strings.Contains(policy, `"countNumber":`+days+`}`) {
		l.Errorf("%s: the cache is there: %v, with %d images and the policy %s", when, got, images, policy)
	}
}

// cacheWarning is any but that a test's binary carries no convox-env.
var cacheWarning = regexp.MustCompile(`WARNING: [^\n]*\bcache\b`)

const cacheARN = "arn:aws:ecr:us-east-1:123456789012:repository/office-build-cache"

// TestRackOnECR goes through all that a rack does with its registry, and compares
// what it was seen to ask for with the permissions that the pages tell people to
// grant.
func TestRackOnECR(t *testing.T) {
	l := newCloudLab(t)
	l.serve()
	l.do(0, "apps", "create", "web")
	l.fake.Before("ecr:UploadLayerPart", l.fake.Revoke) // in the middle of the push
	out := l.do(0, "deploy", "--app", "web", l.app("one"))
	if !strings.Contains(out, "/office/web:web.B") {
		t.Errorf("the build says:\n%s", out)
	}
	if n := l.fake.Seen()[ecrtest.Seen{Action: "ecr:GetAuthorizationToken"}]; n != 2 {
		t.Errorf("%d tokens were asked for, want one and another in its place", n)
	}
	if !l.fake.ScansOnPush("office/web") {
		t.Error("the repository of the app does not scan what is pushed")
	}
	l.wantCache("at first", false, false, "")
	l.do(0, "rack", "params", "set", "BuildCache=Yes")
	l.wantCache("switched on", true, false, "")
	if out = l.do(0, "deploy", "--app", "web", l.app("two")); cacheWarning.MatchString(out) {
		t.Errorf("the build says:\n%s", out)
	}
	l.wantCache("after a build", true, true, "")
	l.stop()
	if err := os.RemoveAll(filepath.Join(l.dir, "data", "buildkit")); err != nil { // what it has of its own
		t.Fatal(err)
	}
	l.pruned()
	out = l.do(0, "deploy", "--app", "web", l.app("three"))
	if !strings.Contains(out, "importing cache manifest from") || !strings.Contains(out, "CACHED") || cacheWarning.MatchString(out) {
		t.Errorf("the build says:\n%s", out)
	}
	id := regexp.MustCompile(`web:web\.(B[A-Z]{10})`).FindStringSubmatch(out)[1]
	l.do(0, "builds", "export", "--app", "web", "--file", filepath.Join(l.dir, "web.tgz"), id)
	l.parameters()
	l.stop()
	l.server.Close() // and with it all that is under way
	l.comparePermissions()
}

// pruned starts a rack that keeps one build, and waits until it removes another.
func (l *cloudLab) pruned() {
	l.Helper()
	reached := make(chan struct{})
	l.fake.Before("ecr:BatchDeleteImage", func() { close(reached) })
	l.serve("--keep-builds", "1")
	<-reached
}

// parameters changes the build cache by parameters.
func (l *cloudLab) parameters() {
	l.Helper()
	l.do(0, "rack", "params", "set", "BuildCacheCleanup=Yes", "BuildCacheRetentionDays=7")
	l.wantCache("with cleanup", true, true, "7")
	l.fake.Deny("ecr:PutLifecyclePolicy")
	out := l.do(1, "rack", "params", "set", "BuildCacheRetentionDays=8", "BuildCpu=512")
	if want := "grant ecr:PutLifecyclePolicy on " + cacheARN + " to " + ecrtest.User; !strings.Contains(out, want) {
		l.Errorf("%s\nwant: %s", out, want)
	}
	l.wantCache("with cleanup that could not be changed", true, true, "7")
	l.fake.Deny("ecr:DeleteRepository")
	out = l.do(1, "rack", "params", "set", "BuildCache=No")
	if want := "grant ecr:DeleteRepository on " + cacheARN + " to " + ecrtest.User; !strings.Contains(out, want) {
		l.Errorf("%s\nwant: %s", out, want)
	}
	l.wantCache("that could not be deleted", true, true, "7")
	out = l.do(0, "rack", "params")
	for _, want := range []string{`BuildCache +Yes`, `BuildCacheRetentionDays +7`, `BuildCpu +256`} {
		if !regexp.MustCompile(want).MatchString(out) {
			l.Errorf("after calls that failed the parameters are:\n%s", out)
		}
	}
	l.fake.Allow("ecr:DeleteRepository")
	l.do(0, "rack", "params", "set", "BuildCacheCleanup=No")
	l.wantCache("without cleanup", true, true, "")
	l.do(0, "rack", "params", "set", "BuildCache=No")
	l.wantCache("switched off", false, false, "")
}

// comparePermissions compares what was allowed with what the table has.
func (l *cloudLab) comparePermissions() {
	l.Helper()
	want := map[ecrtest.Seen]bool{}
	for _, p := range ecr.Permissions() {
		for _, on := range p.On {
			repository := map[string]string{ecr.AnyRegistry: "", ecr.OfApps: "office/web", ecr.OfCache: "office-build-cache"}[on]
			want[ecrtest.Seen{Action: p.Action, Repository: repository}] = true
		}
	}
	got := map[ecrtest.Seen]bool{}
	for s := range maps.Keys(l.fake.Seen()) {
		got[s] = true
	}
	if d := cmp.Diff(want, got); d != "" {
		l.Errorf("permissions of the table (-) and what was needed (+):\n%s", d)
	}
}
