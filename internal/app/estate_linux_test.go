//go:build !carrier

package app

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/convox-ci/convox-ci/internal/estate/estatetest"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd/dynamodb"
	"github.com/convox-ci/convox-ci/internal/rackd/s3/s3test"
	"github.com/convox-ci/convox-ci/internal/registry/ecr/ecrtest"
)

// What the stacks of the lab name.
const (
	appBucket  = "office-web-settings-1abcd"
	rackBucket = "office-settings-2efgh"
	appRepo    = "office/web"
)

// estateLab is a storesLab with the stacks of a v2 rack and of its app web. A rack on
// it stands for the v2 rack: it has the same tables, bucket, repository and key.
type estateLab struct {
	*storesLab
	stacks *estatetest.Fake
	key    string // of KMS
	topic  string

	before map[string]int // what was asked of other stand-ins that does not count

	mu      sync.Mutex
	tables  map[string]bool // what was asked of DynamoDB: operation, table or index
	objects map[string]bool // what was asked of S3: action and the first part of the key
	written strings.Builder // what was stored in tables
	writes  int             // to DynamoDB and S3
	kill    int             // after how many of them all fail; -1 for never
	once    bool            // only one does
	denied  string          // what DynamoDB denies, as in tables
	lose    bool            // what DynamoDB stores next is denied after it was stored
}

func newEstateLab(t *testing.T) *estateLab {
	l := &estateLab{storesLab: newStoresLab(t), stacks: estatetest.New(ecrtest.Region), tables: map[string]bool{}, objects: map[string]bool{}, kill: -1}
	l.stacks.PageSize = 2
	onStacks := httptest.NewServer(l.stacks)
	t.Cleanup(onStacks.Close)
	t.Setenv("AWS_ENDPOINT_URL_CLOUDFORMATION", onStacks.URL)
	t.Setenv("AWS_ENDPOINT_URL_SNS", onStacks.URL)
	l.key = l.kms.Make("convox-office")
	l.topic = l.stacks.MakeTopic("office-notifications")
	l.fake.Make(appRepo, false)
	for _, bucket := range []string{appBucket, rackBucket} {
		if err := l.s3.Make(bucket, ecrtest.Region, true); err != nil {
			t.Fatal(err)
		}
	}
	l.stacks.Put(l.rackStack())
	l.stacks.Put(l.appStack())
	t.Setenv("AWS_ENDPOINT_URL_DYNAMODB", l.proxy(dynalite(t)))
	l.serve("--name", "office", "--records", "dynamodb://?kms-key="+l.key, "--objects", "s3://"+appBucket+"?app=web")
	return l
}

// rackStack and appStack are what CloudFormation has.
func (l *estateLab) rackStack() estatetest.Stack {
	return estatetest.Stack{Name: "office", Tags: map[string]string{"System": "convox", "Type": "rack"}, Outputs: map[string]string{
		"DynamoBuilds": "office-builds", "DynamoReleases": "office-releases", "SettingsBucket": rackBucket, "EncryptionKey": l.key,
		"NotificationTopic": l.topic, "Version": "20260421000000"}}
}

func (l *estateLab) appStack() estatetest.Stack {
	return estatetest.Stack{Name: "office-web", Tags: map[string]string{"System": "convox", "Type": "app", "Rack": "office", "Name": "web", "Generation": "2"},
		Resources: [][2]string{{"LogGroup", "group"}, {"ServiceRole", "role"}, {"Settings", appBucket}, {"ExecutionRole", "role-2"}, {"Registry", appRepo}}}
}

// serve starts the rack that stands for the v2 rack.
func (l *estateLab) serve(where ...string) {
	l.Helper()
	l.do(0, append([]string{"rack", "init", "--name", "Office"}, where...)...)
	l.storesLab.serve(where...)
}

// proxy stands in front of DynamoDB and S3, sees what is asked of them, and lets
// nothing more be written once the one who writes is to be killed.
func (l *estateLab) proxy(dynamo string) (endpoint string) {
	to, err := url.Parse(dynamo)
	if err != nil {
		l.Fatal(err)
	}
	pass := httputil.NewSingleHostReverseProxy(to)
	table := regexp.MustCompile(`"(TableName|IndexName)": ?"([^"]+)"`)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		on := map[string]string{}
		for _, m := range table.FindAllStringSubmatch(string(body), -1) {
			on[m[1]] = m[2]
		}
		l.mu.Lock()
		what := strings.TrimSpace("dynamodb:" + operation + " " + on["TableName"] + " " + on["IndexName"])
		l.tables[what] = true
		denied := what == l.denied
		if l.lose && operation == "PutItem" {
			denied, l.lose = true, false
			pass.ServeHTTP(httptest.NewRecorder(), r)
		}
		writes := operation == "PutItem" || operation == "UpdateItem" && !bytes.Contains(body, []byte(`{"S":"B"}`)) // which nothing has
		if writes {
			l.written.Write(body)
		}
		l.mu.Unlock()
		if denied || writes && l.dead() {
			const answer = `{"__type":"com.amazonaws.dynamodb.v20120810#AccessDeniedException","Message":"killed"}`
			w.Header().Set("X-Amz-Crc32", fmt.Sprint(crc32.ChecksumIEEE([]byte(answer))))
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, answer)
			return
		}
		pass.ServeHTTP(w, r)
	}))
	l.Cleanup(server.Close)
	l.s3.Before(func(c s3test.Call) s3test.Verdict {
		l.object(c)
		if c.Action == "s3:PutObject" {
			l.dead() // who decides when it is denied
		}
		return s3test.Pass
	})
	return server.URL
}

// build makes a build by AWS without a key to the rack, and gives the ids.
func (l *estateLab) build(args ...string) (build, release, out string) {
	l.Helper()
	out = l.without("RACK_URL", 0, append([]string{"build", "--external", "--delivery", "aws", "--rack", "office", "--app", "web"}, args...)...)
	m := ids.FindStringSubmatch(out)
	if m == nil {
		l.Fatalf("no ids in:\n%s", out)
	}
	return m[1], m[2], out
}

// TestDeliveryByAWS: a build that is made here and recorded without the rack is one
// like all others for the rack. What it took is what the table of permissions has,
// and no secret is in what it said or stored.
func TestDeliveryByAWS(t *testing.T) {
	l := newEstateLab(t)
	l.wrapper()
	l.do(0, "apps", "create", "web")
	l.do(0, "env", "set", "--app", "web", "SECRET=correct-horse")
	l.addRegistry("other.example", "battery-staple")
	l.keepCache()
	l.do(0, "build", "--app", "web", l.app("zero")) // which leaves its steps
	l.forget()
	source := l.app("one")
	l.entrypoint(source)
	build, release, out := l.build("--description", "by hand", "--git-sha", "0123abc", source)
	l.comparePermissions()
	l.has(out, "aws (as delivery says)", "Injecting: convox-env\n", "CACHED")
	l.has(l.do(0, "builds", "--app", "web"), build+"  complete  "+release)
	info := l.do(0, "builds", "info", "--app", "web", "--json", build)
	l.has(info, `"by hand"`, `"0123abc"`, `"entrypoint": "/bin/echo hello"`, `"object://web/build/`+build+`/logs"`, `services:\n`)
	logs := l.do(0, "builds", "logs", "--app", "web", build)
	l.has(logs, "Running: docker push "+l.host()+"/office/web:web."+build)
	l.has(l.do(0, "releases", "--app", "web"), release+"          "+build)
	l.has(l.do(0, "releases", "info", "--app", "web", release), "SECRET", "by hand")
	l.do(0, "builds", "export", "--app", "web", "--file", filepath.Join(l.dir, "one.tgz"), build)
	l.do(0, "promote", "--app", "web", release)
	l.has(l.do(0, "env", "get", "--app", "web"), "SECRET=correct-horse")
	l.has(l.do(0, "apps"), release)
	heard := l.stacks.Heard(l.topic)
	if len(heard) != 1 || !strings.HasPrefix(heard[0], `build:create {"action":"build:create","data":{"app":"web","id":"`+build+`","rack":"office","release_id":"`+release+`"},"status":"success",`) {
		t.Errorf("heard %q", heard)
	}
	for _, secret := range []string{"correct-horse", "battery-staple", "AWS4-HMAC"} {
		if said := out + info + logs + strings.Join(heard, "") + l.everything(); strings.Contains(said, secret) {
			t.Errorf("%s is said or stored:\n%s", secret, said)
		}
	}
}

// TestDeliveryDeploys: the rack itself promotes.
func TestDeliveryDeploys(t *testing.T) {
	l := newEstateLab(t)
	l.do(0, "apps", "create", "web")
	out := l.do(0, "deploy", "--external", "--delivery", "aws", "--app", "web", l.app("one"))
	m := ids.FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("no ids in:\n%s", out)
	}
	l.has(out, "by aws (as delivery says)", "Release "+m[2]+" is live\n")
	l.has(l.without("RACK_URL", 2, "deploy", "--external", "--delivery", "aws", "--rack", "office", "--app", "web", l.app("one")), "password: is required")
	l.has(l.without("RACK_URL", 2, "build", "--external", "--delivery", "aws", l.app("one")), "rack: is required", "app: is required")
}

// TestDeliveriesAreEqual: whichever way the images go, they are the same, and by AWS
// nothing is sent that is there.
func TestDeliveriesAreEqual(t *testing.T) {
	l := newEstateLab(t)
	l.wrapper()
	l.do(0, "apps", "create", "web")
	l.deliverAlike()
}

// TestDeliveryMounts: layers of other repositories of the registry are not sent, and
// are if they may not be taken.
func TestDeliveryMounts(t *testing.T) {
	l := newEstateLab(t)
	l.do(0, "apps", "create", "web")
	build, _, _ := l.build(l.app("one"))
	l.fake.Make("office/base", false)
	l.copyImage("web."+build, "office/base:1")
	layers := l.layers("web." + build)
	l.fake.Make("office/side", false)
	side := l.appStack()
	side.Resources = [][2]string{{"Settings", appBucket}, {"Registry", "office/side"}}
	l.stacks.Put(side)
	dir := l.app("one")
	l.file(dir, "convox.yml", "services:\n  web:\n    image: "+l.host()+"/office/base:1\n")
	l.fake.Moved()
	l.build(dir)
	_, uploaded, mounted := l.fake.Moved()
	want := slices.Sorted(slices.Values(layers[:len(layers)-1]))
	if !slices.Equal(mounted, want) || len(uploaded) != 1 {
		t.Errorf("mounted %q, want %q; sent %q", mounted, want, uploaded)
	}

	// The same of an image that a Dockerfile names.
	l.fake.Make("office/top", false)
	side.Resources[1][1] = "office/top"
	l.stacks.Put(side)
	l.file(dir, "convox.yml", "services:\n  web:\n    build: .\n")
	l.file(dir, "Dockerfile", "FROM "+l.host()+"/office/base:1\nCOPY word /other\n")
	l.build(dir)
	_, uploaded, mounted = l.fake.Moved()
	if !slices.Equal(mounted, want) || len(uploaded) != 2 {
		t.Errorf("mounted %q, want %q; sent %q", mounted, want, uploaded)
	}

	// Who may not take layers from there sends them.
	l.fake.Make("office/last", false)
	side.Resources[1][1] = "office/last"
	l.stacks.Put(side)
	l.fake.Before("ecr:InitiateLayerUpload", func() { l.fake.Deny("ecr:GetDownloadUrlForLayer") })
	l.build(dir)
	if _, uploaded, mounted = l.fake.Moved(); len(mounted) > 0 || len(uploaded) != len(want)+2 {
		t.Errorf("mounted %q, sent %q", mounted, uploaded)
	}
}

// TestDeliveryKilled: whatever was written last before the process was killed, no
// release is without its environment and its build, the last stage of the step ends
// the build, and the next run ends in a right state.
func TestDeliveryKilled(t *testing.T) {
	l := newEstateLab(t)
	l.do(0, "apps", "create", "web")
	l.do(0, "env", "set", "--app", "web", "SECRET=correct-horse")
	source := l.app("one")
	l.entrypoint(source)
	l.build(source)
	complete := 1 // builds
	for n := 0; ; n++ {
		l.killAfter(n)
		state := filepath.Join(l.dir, fmt.Sprint("state", n))
		l.environ = append(l.environ, "GITHUB_ACTIONS=true", "GITHUB_STATE="+state)
		out, status := l.try("build", "--external", "--delivery", "aws", "--rack", "office", "--app", "web", source)
		l.environ = l.environ[:len(l.environ)-2]
		l.heal()
		id := remembered(t, state)
		if status == 0 {
			if n < 7 || id != "" {
				t.Errorf("after %d writes there was nothing left to do, and %q is remembered", n, id)
			}
			break
		}
		t.Logf("killed after %d writes, build %q", n, id)
		made := regexp.MustCompile(`Build:   (B[A-Z]{10})`).FindStringSubmatch(out)
		if (made == nil) != (id == "") || (n == 0) != (id == "") {
			t.Errorf("after %d writes %q is remembered:\n%s", n, id, out)
		}
		l.checkRecords(n, id)
		if id != "" {
			l.environ = append(l.environ, "GITHUB_ACTIONS=true", "STATE_estate="+id, "INPUT_RACK=office", "INPUT_APP=web")
			l.without("RACK_URL", 0, "post")
			l.environ = l.environ[:len(l.environ)-4]
			complete += l.checkEnded(n, id)
		}
	}
	l.build(source)
	complete += 2
	if got := strings.Count(l.do(0, "builds", "--app", "web", "--limit", "50"), "  complete  "); got != complete {
		t.Errorf("%d builds are complete, want %d:\n%s", got, complete, l.do(0, "builds", "--app", "web", "--limit", "50"))
	}
}

// TestDeliveryUnasked: AWS is taken only where it leads to the rack that is asked and
// lets the build be recorded; else one line says why not.
func TestDeliveryUnasked(t *testing.T) {
	l := newEstateLab(t)
	l.do(0, "apps", "create", "web")
	source := l.app("one")
	build := func(status int, words ...string) string {
		t.Helper()
		out := l.do(status, "build", "--external", "--app", "web", source)
		l.has(out, words...)
		if status == 0 && !strings.Contains(words[0], "(credentials") && !strings.Contains(out, "Sending the images") {
			t.Errorf("the images were not sent by import:\n%s", out)
		}
		return out
	}
	if err := dynamodb.Init(t.Context(), l.config(), dynamodb.TablesOf("other")); err != nil {
		t.Fatal(err)
	}
	stack, other := l.rackStack(), dynamodb.Visit(l.config(), dynamodb.TablesOf("other"))
	stack.Outputs["DynamoReleases"] = "other-releases"
	l.stacks.Put(stack)
	if err := other.AddRelease(t.Context(), rack.Release{ID: "RSTRANGER", App: "web", Created: time.Now()}); err != nil {
		t.Fatal(err)
	}
	const stranger = "the stack office that the credentials of AWS lead to is another rack than the one that is asked: it has the release RSTRANGER of web, of which the rack that is asked has none"
	l.has(l.do(1, "build", "--external", "--delivery", "aws", "--app", "web", source), stranger)
	l.stacks.Put(l.rackStack())
	build(0, "by import (not by aws: web has no release yet by which it could be told whether the stack office is the rack that is asked)\n")
	made := ids.FindStringSubmatch(build(0, "the images get to the Rack by aws (credentials of AWS lead to it)\n", "Release: R"))

	web := l.appStack()
	web.Tags["Generation"] = "1"
	l.stacks.Put(web)
	build(0, "by import (not by aws: the stack office-web in us-east-1 has the tag Generation=\"1\", and not Generation=2)\n")
	web = l.appStack()
	l.stacks.Put(web)
	for denied, words := range map[string]string{
		"cloudformation:DescribeStacks":     "AWS: access denied: grant cloudformation:DescribeStacks on the stack office to " + estatetest.User,
		"cloudformation:ListStackResources": "AWS: access denied: grant cloudformation:ListStackResources on the stack office-web to " + estatetest.User,
	} {
		l.stacks.Deny(denied, true)
		build(0, "by import (not by aws: "+words+")\n")
		l.stacks.Deny(denied, false)
	}
	cached := l.rackStack()
	cached.Parameters = map[string]string{"BuildCache": "Yes"} // for builds by AWS only
	l.stacks.Put(cached)
	l.killAfter(0) // nothing may be written
	l.s3.Allow("s3:PutObject")
	build(1, "by aws (credentials of AWS lead to it)\n", "By import after all: the build could not be recorded: DynamoDB: access denied: grant dynamodb:PutItem on the table office-builds")
	l.heal()
	stack.Parameters = cached.Parameters
	l.stacks.Put(stack)
	build(0, "by import (not by aws: the stack office that the credentials of AWS lead to is another rack than the one that is asked: it has no release R")
	strange := l.private("web."+made[1], "battery-staple") // whose login the stranger has
	l.addRegistry("http://"+strange[:strings.Index(strange, "/")], "battery-staple")
	l.file(source, "convox.yml", "services:\n  web:\n    image: "+strange+"\n")
	if out := build(1, "by import (not by aws: the stack office "); !strings.Contains(out, "401") && !strings.Contains(out, "nauthorized") {
		t.Errorf("not refused by the registry:\n%s", out)
	}
	l.file(source, "convox.yml", "services:\n  web:\n    build: .\n")
	newest := regexp.MustCompile(`\bR[A-Z]{10}\b`).FindString(l.do(0, "releases", "--app", "web"))
	if err := other.AddRelease(t.Context(), rack.Release{ID: newest, App: "web", Created: time.Now()}); err != nil {
		t.Fatal(err)
	}
	l.denied = "dynamodb:Query other-releases app.created"
	build(0, "by import (not by aws: DynamoDB: access denied: grant dynamodb:Query on the index app.created of the table other-releases")
	l.cacheUnasked()
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	out := l.do(1, "build", "--external", "--delivery", "aws", "--app", "web", source)
	l.has(out, "error: no credentials of AWS were found: set role-to-assume, or AWS_ACCESS_KEY_ID")
}

// TestDeliveryFails: a build that fails is a failed one with its log and without a
// release; one that cannot be begun leaves nothing.
func TestDeliveryFails(t *testing.T) {
	l := newEstateLab(t)
	l.do(0, "apps", "create", "web")
	source := l.app("one")
	args := []string{"build", "--external", "--delivery", "aws", "--rack", "office", "--app", "web", source}
	l.file(source, "convox.yml", "environment:\n  - NEEDED\nservices:\n  web:\n    build: .\n")
	l.has(l.without("RACK_URL", 2, args...), "required env: NEEDED")
	if out := l.do(0, "builds", "--app", "web"); strings.Contains(out, "  running") || strings.Contains(out, "  failed") {
		t.Errorf("a build that could not begin is recorded:\n%s", out)
	}
	l.file(source, "convox.yml", "services:\n  web:\n    build: .\n")
	l.file(source, "Dockerfile", "FROM scratch\nCOPY nothing /\n")
	out := l.without("RACK_URL", 1, args...)
	build := regexp.MustCompile(`Build:   (B[A-Z]{10})`).FindStringSubmatch(out)[1]
	l.has(l.do(0, "builds", "--app", "web"), build+"  failed")
	l.has(l.do(0, "builds", "logs", "--app", "web", build), "ERROR: build .: ")
	l.fake.Deny("ecr:PutImage")
	out = l.without("RACK_URL", 1, append(args[:len(args)-1:len(args)-1], l.app("one"))...)
	l.has(out, "grant ecr:PutImage on arn:aws:ecr:us-east-1:123456789012:repository/office/web to ")
	if out := l.do(0, "releases", "--app", "web"); regexp.MustCompile(`\bR[A-Z]{10}\b`).MatchString(out) {
		t.Errorf("builds that have failed have releases:\n%s", out)
	}
}

// TestDeliveryPulls: registries that were added to the rack are pulled from; where
// they cannot be read, that is said, and the rest goes on.
func TestDeliveryPulls(t *testing.T) {
	l := newEstateLab(t)
	l.do(0, "apps", "create", "web")
	source := l.app("one")
	build, _, _ := l.build(source)
	ref := l.private("web."+build, "battery-staple")
	l.file(source, "convox.yml", "services:\n  web:\n    image: "+ref+"\n  side:\n    build: .\n")
	l.file(source, "Dockerfile", "FROM "+ref+"\nCOPY word /word\n")
	l.addRegistry("http://"+ref[:strings.Index(ref, "/")], "battery-staple")
	l.build(source)
	l.s3.Deny("s3:ListBucket")
	out := l.without("RACK_URL", 1, "build", "--external", "--delivery", "aws", "--rack", "office", "--app", "web", source)
	l.has(out, "The registries that were added to the Rack could not be read, so only those count that this machine can sign in to: S3: bucket "+rackBucket+": access denied: grant s3:ListBucket on arn:aws:s3:::"+rackBucket)
}

// TestDeliveryMeetsAFault: where one write fails and the next ones do not, the build
// is ended by the same run: as complete if its release was made, else as failed, with
// its log.
func TestDeliveryMeetsAFault(t *testing.T) {
	l := newEstateLab(t)
	l.do(0, "apps", "create", "web")
	source := l.app("one")
	l.entrypoint(source)
	var ended []string
	for n := 0; ; n++ {
		l.mu.Lock()
		l.once = true
		l.mu.Unlock()
		l.killAfter(n)
		out, status := l.try("build", "--external", "--delivery", "aws", "--rack", "office", "--app", "web", source)
		l.heal()
		if status == 0 && !strings.Contains(out, "is complete on the rack, though not every answer of it came through") {
			break
		}
		m := regexp.MustCompile(`Build:   (B[A-Z]{10})`).FindStringSubmatch(out)
		if m == nil {
			continue
		}
		b, err := l.records().Build(t.Context(), "web", m[1])
		_, missing := l.records().Release(t.Context(), "web", "R"+m[1][1:])
		if err != nil || !b.Final() || (b.Status == rack.BuildComplete) != (missing == nil) || (b.Release != "") != (missing == nil) {
			t.Errorf("after %d writes: %+v, %v, release: %v\n%s", n, b, err, missing, out)
		}
		if log := l.do(0, "builds", "logs", "--app", "web", m[1]); b.Status == rack.BuildFailed && !strings.Contains(log, "ERROR: ") || n > 1 && !strings.Contains(log, "Building: .\n") {
			t.Errorf("after %d writes the log is\n%s", n, log)
		}
		ended = append(ended, b.Status)
	}
	if want := "failed failed failed failed failed failed complete"; strings.Join(ended, " ") != want {
		t.Errorf("builds were ended as %q, want %q", ended, want)
	}
}

// TestDeliveryLosesABuild: a build that was recorded, though the answer said otherwise,
// does not go on running.
func TestDeliveryLosesABuild(t *testing.T) {
	l := newEstateLab(t)
	l.do(0, "apps", "create", "web")
	l.mu.Lock()
	l.lose = true
	l.mu.Unlock()
	out := l.without("RACK_URL", 1, "build", "--external", "--delivery", "aws", "--rack", "office", "--app", "web", l.app("one"))
	l.has(out, "Build:   B")
	if list := l.do(0, "builds", "--app", "web"); strings.Count(list, "  failed") != 1 || strings.Contains(list, "  running") {
		t.Errorf("builds are\n%s\n%s", list, out)
	}
}
