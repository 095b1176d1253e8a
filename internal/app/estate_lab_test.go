//go:build linux && !carrier

package app

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/convox-ci/convox-ci/internal/estate"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd/dynamodb"
	"github.com/convox-ci/convox-ci/internal/rackd/kms"
	"github.com/convox-ci/convox-ci/internal/rackd/s3"
	"github.com/convox-ci/convox-ci/internal/rackd/s3/s3test"
	"github.com/convox-ci/convox-ci/internal/registry"
	"github.com/convox-ci/convox-ci/internal/registry/ecr"
)

// wrapper puts convox-env beside this program, where it is looked for.
func (l *estateLab) wrapper() {
	l.Helper()
	self, err := os.Executable()
	if err != nil {
		l.Fatal(err)
	}
	file := filepath.Join(filepath.Dir(self), "convox-env")
	l.compile(file)
	l.Cleanup(func() { os.Remove(file) })
}

// compile builds one of our programs, by the name of its file.
func (l *estateLab) compile(file string) {
	l.Helper()
	cmd := exec.Command("go", "build", "-o", file, "../../cmd/"+filepath.Base(file))
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		l.Fatalf("%v\n%s", err, out)
	}
}

func (l *estateLab) host() string { return strings.TrimPrefix(l.server.URL, "http://") }

func (l *estateLab) config() aws.Config {
	l.Helper()
	c, err := config.LoadDefaultConfig(l.Context())
	if err != nil {
		l.Fatal(err)
	}
	return c
}

// bucket are the objects of a bucket as a v2 rack has them.
func (l *estateLab) bucket(name string) *s3.Store {
	l.Helper()
	s, err := s3.New(s3.Options{Config: l.config(), Bucket: name, App: "any"})
	if err != nil {
		l.Fatal(err)
	}
	return s
}

// addRegistry stores the credentials of a registry as a v2 rack does.
func (l *estateLab) addRegistry(server, password string) {
	l.Helper()
	key, err := kms.Open(l.Context(), l.config(), l.key)
	if err != nil {
		l.Fatal(err)
	}
	text, _ := json.Marshal(map[string]string{"server": server, "username": "convox", "password": password})
	sealed, err := key.Seal(l.Context(), string(text), "")
	if err != nil {
		l.Fatal(err)
	}
	text, _ = json.Marshal(sealed)
	if err := l.bucket(rackBucket).PutObject(l.Context(), "any", "system/registries/"+strings.Repeat("ab", 20), strings.NewReader(string(text))); err != nil {
		l.Fatal(err)
	}
}

// everything is all that was written into tables and buckets.
func (l *estateLab) everything() string {
	l.Helper()
	var all strings.Builder
	for _, name := range []string{appBucket, rackBucket} {
		b := l.bucket(name)
		for _, prefix := range []string{"system/registries/", "releases/", "build/"} {
			keys, err := b.ListObjects(l.Context(), "any", prefix)
			if err != nil {
				l.Fatal(err)
			}
			for _, key := range keys {
				object, err := b.OpenObject(l.Context(), "any", key)
				if err != nil {
					l.Fatal(err)
				}
				text, err := io.ReadAll(object)
				if err != nil {
					l.Fatal(err)
				}
				all.Write(text)
			}
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return all.String() + l.written.String()
}

// entrypoint gives the image of a source one.
func (l *estateLab) entrypoint(source string) {
	l.Helper()
	f, err := os.OpenFile(filepath.Join(source, "Dockerfile"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		l.Fatal(err)
	}
	defer f.Close()
	if _, err := io.WriteString(f, "ENTRYPOINT [\"/bin/echo\", \"hello\"]\n"); err != nil {
		l.Fatal(err)
	}
}

// forget has comparePermissions look only at what comes from now on.
func (l *estateLab) forget() {
	all := l.asked()
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.tables)
	clear(l.objects)
	l.before = all
}

// asked is how often something was asked of the stand-ins, but for tables and objects.
func (l *estateLab) asked() map[string]int {
	all := map[string]int{}
	for s, n := range l.fake.Seen() {
		all[strings.TrimSpace(s.Action+" "+s.Repository)] = n
	}
	for action, n := range l.kms.Seen() {
		all[action] = n
	}
	for s, n := range l.stacks.Seen() {
		all[s.Action+" "+s.Resource] = n
	}
	return all
}

// places are the resources of permissions in the lab, as the stand-ins name them.
func (l *estateLab) places() map[string]string {
	const stack = "arn:aws:cloudformation:us-east-1:123456789012:stack/"
	return map[string]string{estate.Anywhere: "", estate.OnRackStack: stack + "office/*", estate.OnAppStack: stack + "office-web/*",
		estate.OnBuilds: "office-builds", estate.OnReleases: "office-releases", estate.OnIndex: "office-releases app.created",
		estate.OnLogs: "build/", estate.OnSecrets: "releases/", estate.OnRepository: appRepo, estate.OnKey: "", estate.OnTopic: l.topic,
		estate.OnCache: ownCache, estate.OnRackBucket: "list", estate.OnLogins: "system/"}
}

// comparePermissions compares what was asked since forget with the table. What S3
// needs to encrypt it asks for itself.
func (l *estateLab) comparePermissions() {
	l.Helper()
	want, got := map[string]bool{}, map[string]bool{}
	for _, p := range estate.Permissions() {
		for _, on := range p.On {
			if on != estate.OnBucketKey {
				want[strings.TrimSpace(p.Action+" "+l.places()[on])] = true
			}
		}
	}
	for what, n := range l.asked() {
		if n > l.before[what] {
			got[what] = true
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for what := range l.tables {
		got[what] = true
	}
	for what := range l.objects {
		got[what] = true
	}
	if d := cmp.Diff(want, got); d != "" {
		l.Errorf("permissions of the table (-) and what was needed (+):\n%s", d)
	}
}

// object notes what is asked of S3.
func (l *estateLab) object(c s3test.Call) {
	place, _, _ := strings.Cut(c.Key, "/")
	place += "/"
	if c.Key == "" {
		place = "list"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.objects[c.Action+" "+place] = true
}

// remote gives a reference to the registry, and the way there.
func (l *estateLab) remote(ref string) (name.Reference, []remote.Option) {
	l.Helper()
	r, err := name.ParseReference(l.host() + "/" + ref)
	if err != nil {
		l.Fatal(err)
	}
	c := l.config()
	service := ecr.New(ecr.Options{Config: func(context.Context) (aws.Config, error) { return c, nil }})
	if _, err := service.Open(l.Context(), "", appRepo); err != nil {
		l.Fatal(err)
	}
	return r, []remote.Option{remote.WithAuthFromKeychain(service), remote.WithContext(l.Context())}
}

func (l *estateLab) image(ref string) v1.Image {
	l.Helper()
	r, way := l.remote(ref)
	img, err := remote.Image(r, way...)
	if err != nil {
		l.Fatal(err)
	}
	return img
}

// layers are the digests of the layers of an image of the app, and of its
// configuration at the end.
func (l *estateLab) layers(tag string) []string {
	l.Helper()
	m, err := l.image(appRepo + ":" + tag).Manifest()
	if err != nil {
		l.Fatal(err)
	}
	var all []string
	for _, layer := range m.Layers {
		all = append(all, layer.Digest.String())
	}
	return append(all, m.Config.Digest.String())
}

// copyImage copies an image of the app to another repository.
func (l *estateLab) copyImage(tag, to string) {
	l.Helper()
	img := l.image(appRepo + ":" + tag)
	r, way := l.remote(to)
	if err := remote.Write(r, img, way...); err != nil {
		l.Fatal(err)
	}
}

// private copies an image of the app to a registry that wants a password, and gives
// its name there.
func (l *estateLab) private(tag, password string) (ref string) {
	l.Helper()
	open := registry.Embedded(l.Context(), filepath.Join(l.dir, "private"), "")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, given, _ := r.BasicAuth(); given != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="private"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		open.ServeHTTP(w, r)
	}))
	l.Cleanup(server.Close)
	ref = strings.TrimPrefix(server.URL, "http://") + "/base:1"
	r, err := name.ParseReference(ref)
	if err != nil {
		l.Fatal(err)
	}
	if err := remote.Write(r, l.image(appRepo+":"+tag), remote.WithAuth(&authn.Basic{Username: "convox", Password: password})); err != nil {
		l.Fatal(err)
	}
	return ref
}

// file writes a file of a source.
func (l *estateLab) file(source, name, text string) {
	l.Helper()
	if err := os.WriteFile(filepath.Join(source, name), []byte(text), 0o644); err != nil {
		l.Fatal(err)
	}
}

var ids = regexp.MustCompile(`Build:   (B[A-Z]{10})\n(?s:.*)Release: (R[A-Z]{10})\n`)

// without runs the binary without the variables that begin with a prefix.
func (l *estateLab) without(prefix string, status int, args ...string) string {
	l.Helper()
	environ := l.environ
	l.environ = slices.DeleteFunc(slices.Clone(environ), func(e string) bool { return strings.HasPrefix(e, prefix) })
	defer func() { l.environ = environ }()
	return l.do(status, args...)
}

// killAfter has everything fail that is written after n more writes, as where the
// process that writes is killed.
func (l *estateLab) killAfter(n int) {
	l.mu.Lock()
	l.writes, l.kill = 0, n
	l.mu.Unlock()
	if n == 0 {
		l.s3.Deny("s3:PutObject")
	}
}

// heal has nothing fail any more.
func (l *estateLab) heal() {
	l.mu.Lock()
	l.kill, l.once = -1, false
	l.mu.Unlock()
	l.s3.Allow("s3:PutObject")
}

// dead counts a write and tells whether it comes too late.
func (l *estateLab) dead() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writes++
	if l.writes == l.kill {
		l.s3.Deny("s3:PutObject") // from the next one on
	}
	if l.once && l.writes > l.kill {
		l.s3.Allow("s3:PutObject")
		return l.writes == l.kill+1
	}
	return l.kill >= 0 && l.writes > l.kill
}

// try is do without a key to the rack, for whatever comes of it.
func (l *estateLab) try(args ...string) (out string, status int) {
	environ := slices.DeleteFunc(slices.Clone(l.environ), func(e string) bool { return strings.HasPrefix(e, "RACK_URL") })
	return l.run(environ, args)
}

// remembered is the build that a step on GitHub has kept for its last stage.
func remembered(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	all := regexp.MustCompile(`(?m)^estate<<(\S+)\n(.*)\n\S+$`).FindAllStringSubmatch(string(text), -1)
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1][2]
}

// records opens the tables as a v2 rack does.
func (l *estateLab) records() *dynamodb.Guest {
	l.Helper()
	return dynamodb.Visit(l.config(), dynamodb.TablesOf("office"))
}

// checkRecords fails unless a build that was killed is running, and its release, if
// there is one, has all that belongs to it.
func (l *estateLab) checkRecords(n int, id string) {
	l.Helper()
	if id == "" {
		return
	}
	b, err := l.records().Build(l.Context(), "web", id)
	if err != nil || b.Status != rack.BuildRunning || b.Release != "" {
		l.Errorf("after %d writes the build is %+v, %v", n, b, err)
	}
	release := "R" + id[1:]
	r, err := l.records().Release(l.Context(), "web", release)
	if errors.Is(err, rack.ErrNotFound) {
		return
	}
	if err != nil || r.Build != id || b.Logs == "" || r.Manifest == "" {
		l.Errorf("after %d writes the release is %+v, %v, of %+v", n, r, err, b)
	}
	l.has(l.do(0, "releases", "info", "--app", "web", release), "SECRET")
	log, err := l.bucket(appBucket).OpenObject(l.Context(), "any", rack.LogKey(id))
	if err != nil {
		l.Errorf("after %d writes there is a release, and the log is not there: %v", n, err)
		return
	}
	if text, err := io.ReadAll(log); err != nil || !strings.Contains(string(text), "Running: docker push ") {
		l.Errorf("after %d writes the log is %q, %v", n, text, err)
	}
	log.Close()
}

// checkEnded fails unless a build that was ended is complete with its release, or has
// failed and has none, and tells how many are complete.
func (l *estateLab) checkEnded(n int, id string) int {
	l.Helper()
	b, err := l.records().Build(l.Context(), "web", id)
	_, missing := l.records().Release(l.Context(), "web", "R"+id[1:])
	if listed := strings.Contains(l.do(0, "releases", "--app", "web", "--limit", "50"), id); listed != (b.Status == rack.BuildComplete) {
		l.Errorf("after %d writes the build is %s, and that a release is listed is %v", n, b.Status, listed)
	}
	switch {
	case err == nil && b.Status == rack.BuildComplete && missing == nil && b.Release == "R"+id[1:] && !b.Ended.IsZero():
		return 1
	case err != nil || b.Status != rack.BuildFailed || b.Ended.IsZero() || !errors.Is(missing, rack.ErrNotFound):
		l.Errorf("after %d writes the build was ended as %+v, %v; its release: %v", n, b, err, missing)
	}
	l.do(0, "builds", "logs", "--app", "web", id)
	return 0
}
