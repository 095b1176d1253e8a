//go:build linux && !carrier

package app

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/convox-ci/convox-ci/internal/ci"
	"github.com/convox-ci/convox-ci/internal/commit"
	"github.com/convox-ci/convox-ci/internal/image"
	"github.com/convox-ci/convox-ci/internal/image/entry"
	"github.com/convox-ci/convox-ci/internal/options"
	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/registry/ecr/ecrtest"
	"github.com/convox-ci/convox-ci/internal/workflow"
)

// faultsLab is an estateLab with a front before each service of AWS, in which calls
// can meet faults. Deliveries are made on a clock of their own, on which no wait takes
// any time: what they ask is asked over the network, as always, and no connection is
// kept, since a clock stands still while one is open.
type faultsLab struct {
	*estateLab
	source string

	frontMu sync.Mutex
	faults  []*hurdle

	within func(call string) // is called on the clock of the delivery before a request to the registry
}

// hurdle is a fault that calls meet.
type hurdle struct {
	call   string // of policies, with what it is on if that matters, or a service: "dynamodb:PutItem office-builds", "s3:"
	after  int    // so many calls that do not
	times  int    // how many do; 0 for all
	answer answer
	met    int
}

// answer answers a call in place of a stand-in, which is behind pass.
type answer func(w http.ResponseWriter, r *http.Request, pass http.Handler)

func newFaultsLab(t *testing.T) *faultsLab {
	l := &faultsLab{estateLab: newEstateLab(t), source: t.TempDir(), within: func(string) {}}
	l.do(0, "apps", "create", "web")
	l.do(0, "env", "set", "--app", "web", "SECRET=correct-horse")
	for _, name := range []string{"ECR", "S3", "KMS", "DYNAMODB", "CLOUDFORMATION", "SNS"} {
		variable := "AWS_ENDPOINT_URL_" + name
		to, err := url.Parse(os.Getenv(variable))
		if err != nil {
			t.Fatal(err)
		}
		pass := &httputil.ReverseProxy{ErrorLog: log.New(io.Discard, "", 0), // of those who do not wait for an answer
			Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = r.In.Host }} // which ECR names
		service := strings.ToLower(name)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { l.front(w, r, service, pass) }))
		server.Config.SetKeepAlivesEnabled(false)
		t.Cleanup(server.Close)
		t.Setenv(variable, server.URL)
	}
	direct := remote.DefaultTransport
	remote.DefaultTransport = passing{l, direct.(*http.Transport).Clone()}
	t.Cleanup(func() { remote.DefaultTransport = direct })
	for name, text := range map[string]string{"convox.yml": "services:\n  web:\n    build: .\n", "Dockerfile": "FROM scratch\n"} {
		l.file(l.source, name, text)
	}
	return l
}

// passing is the way to the registry, on the clock of the delivery.
type passing struct {
	lab *faultsLab
	*http.Transport
}

// RoundTrip implements [http.RoundTripper].
func (p passing) RoundTrip(r *http.Request) (*http.Response, error) {
	p.DisableKeepAlives = true // also of one that nobody waits for any more
	p.lab.within(callOf("ecr", r, nil))
	return p.Transport.RoundTrip(r)
}

// front lets a call meet its fault, or pass.
func (l *faultsLab) front(w http.ResponseWriter, r *http.Request, service string, pass http.Handler) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if meets := l.meets(callOf(service, r, body)); meets != nil {
		meets(w, r, pass)
		return
	}
	pass.ServeHTTP(w, r)
}

// meets is what a call meets; nil for nothing.
func (l *faultsLab) meets(call string) answer {
	l.frontMu.Lock()
	defer l.frontMu.Unlock()
	for _, f := range l.faults {
		same := call == f.call || strings.HasPrefix(call, f.call+" ") || strings.HasSuffix(f.call, ":") && strings.HasPrefix(call, f.call)
		switch {
		case !same || f.times > 0 && f.met == f.times:
		case f.after > 0:
			f.after--
		default:
			f.met++
			return f.answer
		}
	}
	return nil
}

// meet has calls meet faults from now on, in place of all before.
func (l *faultsLab) meet(faults ...hurdle) {
	l.frontMu.Lock()
	defer l.frontMu.Unlock()
	l.faults = nil
	for _, f := range faults {
		l.faults = append(l.faults, &f)
	}
}

// unmet are the faults that no call has met, or not as often as it should.
func (l *faultsLab) unmet() (all []string) {
	l.frontMu.Lock()
	defer l.frontMu.Unlock()
	for _, f := range l.faults {
		if f.met < max(f.times, 1) {
			all = append(all, fmt.Sprintf("%s %d times", f.call, f.met))
		}
	}
	return all
}

// onTable is the table, or the index, that a call of DynamoDB is on.
var onTable = regexp.MustCompile(`"(?:IndexName|TableName)": ?"([^"]+)"`)

// onStack is the stack that a call of CloudFormation is on.
var onStack = regexp.MustCompile(`(?:^|&)(Action|StackName)=([^&]+)`)

// toRegistry is a path of the protocol of registries.
var toRegistry = regexp.MustCompile(`^/v2/.+/(blobs/uploads/|blobs/|manifests/)`)

// callOf names a call as policies do.
func callOf(service string, r *http.Request, body []byte) string {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	switch service {
	case "dynamodb":
		on := ""
		for _, m := range onTable.FindAllStringSubmatch(string(body), -1) {
			if on == "" || !strings.HasPrefix(m[1], "office-") {
				on = m[1]
			}
		}
		return "dynamodb:" + operation + " " + on
	case "cloudformation", "sns":
		form := map[string]string{}
		for _, m := range onStack.FindAllStringSubmatch(string(body), -1) {
			form[m[1]] = m[2]
		}
		return strings.TrimSpace(service + ":" + form["Action"] + " " + form["StackName"])
	case "s3":
		bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		verb := map[string]string{http.MethodGet: "Get", http.MethodPut: "Put"}[r.Method] + "Object"
		if key == "" {
			return "s3:ListBucket " + bucket
		}
		return "s3:" + verb + " " + key[:strings.Index(key, "/")+1]
	case "ecr":
		if m := toRegistry.FindStringSubmatch(r.URL.Path); m != nil {
			operation = map[string]string{"HEAD blobs/": "BatchCheckLayerAvailability", "POST blobs/uploads/": "InitiateLayerUpload", "PATCH blobs/uploads/": "UploadLayerPart",
				"PUT blobs/uploads/": "CompleteLayerUpload", "HEAD manifests/": "BatchGetImage", "PUT manifests/": "PutImage"}[r.Method+" "+m[1]]
		}
	}
	return service + ":" + operation
}

// The answers of the services, in their own forms.

// inJSON is an error of ECR or KMS: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/CommonErrors.html
func inJSON(status int, code, message string) answer {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"__type":%q,"message":%q}`, code, message)
	}
}

// inDynamo is an error of DynamoDB, with the namespace that it has there and the sum
// that its clients check.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.LowLevelAPI.html
func inDynamo(code, message string) answer {
	space, name := "com.amazonaws.dynamodb.v20120810#", "message"
	switch code {
	case "AccessDeniedException", "ExpiredTokenException":
		space, name = "com.amazon.coral.service#", "Message"
	case "ThrottlingException":
		space = "com.amazon.coral.availability#"
	}
	status := http.StatusBadRequest
	if code == "InternalServerError" {
		status = http.StatusInternalServerError
	}
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		text := fmt.Sprintf(`{"__type":%q,%q:%q}`, space+code, name, message)
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.Header().Set("X-Amz-Crc32", fmt.Sprint(crc32.ChecksumIEEE([]byte(text))))
		w.WriteHeader(status)
		io.WriteString(w, text)
	}
}

// inXML is an error of S3: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
func inXML(status int, code, message string) answer {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		fmt.Fprintf(w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>%s</Message><RequestId>4442587FB7D0A2F9</RequestId><HostId>Uuag1LuByRx9e6j5</HostId></Error>", code, message)
	}
}

// inQuery is an error of CloudFormation or SNS: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/CommonErrors.html
func inQuery(status int, code, message string) answer {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(status)
		fmt.Fprintf(w, "<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>59dbff89</RequestId></ErrorResponse>", code, message)
	}
}

// byRegistry is an error in the protocol of registries; without a code it has no body.
func byRegistry(status int, code, message string) answer {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(status)
		if code != "" {
			fmt.Fprintf(w, `{"errors":[{"code":%q,"message":%q}]}`, code, message)
		}
	}
}

// denies says that a user may not do something, as services of AWS do.
func denies(action, on string) string {
	return "User: " + ecrtest.User + " is not authorized to perform: " + action + " on resource: " + on + " because no identity-based policy allows the " + action + " action"
}

// inForm gives an error of a service, of which the user may not do something, its form.
func inForm(service, message string) answer {
	switch service {
	case "dynamodb":
		return inDynamo("AccessDeniedException", message)
	case "s3":
		return inXML(http.StatusForbidden, "AccessDenied", message)
	case "cloudformation":
		return inQuery(http.StatusForbidden, "AccessDenied", message)
	case "sns":
		return inQuery(http.StatusForbidden, "AuthorizationError", message)
	case "registry":
		return byRegistry(http.StatusForbidden, "DENIED", message)
	}
	return inJSON(http.StatusBadRequest, "AccessDeniedException", message)
}

// lost does what is asked for, and breaks the connection in place of an answer.
func lost(_ http.ResponseWriter, r *http.Request, pass http.Handler) {
	pass.ServeHTTP(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

// maker is an engine that makes images of two layers by hand, with a word in each.
type maker struct {
	onsite
	word string
}

func newMaker(word string) maker {
	programs := func(string) ([]byte, error) { return []byte("a program"), nil }
	return maker{onsite{Wrapper: &entry.Wrapper{Programs: programs}, keys: authn.DefaultKeychain}, word}
}

// digest is that of the image as it has to be pushed.
func (m maker) digest(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := errors.Join(m.Build(t.Context(), image.Spec{Layout: dir}, nil), m.Wrap(dir)); err != nil {
		t.Fatal(err)
	}
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	return manifest.Manifests[0].Digest.String()
}

// Build implements [image.Builder].
func (m maker) Build(_ context.Context, s image.Spec, _ io.Writer) error {
	return writeImage(s.Layout, "first "+m.word, "second "+m.word)
}

// delivered is what came of a delivery.
type delivered struct {
	status  int    // to exit with
	err     error  //
	printed string // all of it
	build   string // id, "" for none
	left    string // what is remembered for the last stage of the step
}

// deliver makes a build with an engine and has it delivered by AWS, on a clock of its
// own that begins now.
func (l *faultsLab) deliver(t *testing.T, engine maker) (d delivered) {
	now := time.Now()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(now))
		var printed said
		run := ci.Run{System: ci.Plain}
		console := ci.Open(run, nil, &printed)
		p := &process{run: run, console: console}
		job := workflow.Job{
			Log: console, Outputs: console, Estate: p.openEstate,
			Commit: func(context.Context, string) commit.Commit { return commit.Commit{SHA: "0123abcd"} },
			Engine: func(context.Context) (workflow.Engine, error) { return engine, nil },
			Remember: func(name, value string) error {
				if name == "estate" {
					d.left = value
				}
				return nil
			},
		}
		var in workflow.BuildInputs
		in.Rack, in.App, in.Context, in.Manifest = "office", "web", options.Path(l.source), "convox.yml"
		in.Timeout, in.External.External, in.Delivery = 100*time.Hour, true, "aws"
		_, d.err = workflow.Build(t.Context(), job, in)
		d.status = p.report(d.err)
		d.build = console.Outputs()["build"]
		if err := console.Close(); err != nil {
			t.Error(err)
		}
		d.printed = printed.String()
	})
	return d
}

// plain is what was printed without what differs from run to run.
func (l *faultsLab) plain(text string, d delivered) string {
	endpoint := func(name string) string { return strings.TrimPrefix(os.Getenv("AWS_ENDPOINT_URL_"+name), "http://") }
	pairs := []string{endpoint("ECR"), "HOST", l.key, "KEY", l.topic, "TOPIC"}
	if d.build != "" {
		pairs = append(pairs, d.build, "BUILD", "R"+d.build[1:], "RELEASE")
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// became is what is recorded of a delivery in the end: nothing (-), a build that has
// failed with its log (failed) or without (failed, no log), one that still runs and is
// left to the last stage of the step (left), or one that is complete, with its release,
// its log, and its image under the tag of the build. What is left is ended by that stage
// (left, then …).
func (l *faultsLab) became(d delivered, repository, digest string) string {
	l.Helper()
	if d.build == "" {
		return "-"
	}
	if b, err := l.records().Build(l.Context(), "web", d.build); err == nil && b.Status == rack.BuildRunning && d.left == b.ID {
		l.environ = append(l.environ, "GITHUB_ACTIONS=true", "STATE_estate="+d.left, "INPUT_RACK=office", "INPUT_APP=web")
		l.without("RACK_URL", 0, "post")
		l.environ = l.environ[:len(l.environ)-4]
		d.left = ""
		return "left, then " + l.became(d, repository, digest)
	}
	b, err := l.records().Build(l.Context(), "web", d.build)
	if err != nil {
		return err.Error()
	}
	text := l.log(d.build)
	r, released := l.records().Release(l.Context(), "web", "R"+d.build[1:])
	pushed := l.fake.Digest(repository, "web."+d.build)
	switch {
	case b.Status == rack.BuildComplete && released == nil && b.Release == r.ID && r.Build == b.ID && b.Logs != "" && !b.Ended.IsZero() && pushed == digest && d.left == "" &&
		strings.Contains(text, "@"+digest) && !strings.Contains(text, "ERROR: "):
		return "complete"
	case b.Status == rack.BuildFailed && errors.Is(released, rack.ErrNotFound) && b.Release == "" && !b.Ended.IsZero() && d.left == "":
		if b.Logs == "" {
			return "failed, no log"
		}
		if strings.Contains(text, "ERROR: ") {
			return "failed"
		}
	}
	return fmt.Sprintf("half done: %+v, release %v, image %q, %q is remembered, log:\n%s", b, cmp.Or(released, errors.New("is there")), pushed, d.left, text)
}

// log is that of a build, "" for none.
func (l *faultsLab) log(build string) string {
	l.Helper()
	object, err := l.bucket(appBucket).OpenObject(l.Context(), "any", rack.LogKey(build))
	if errors.Is(err, rack.ErrNotFound) {
		return ""
	}
	if err != nil {
		l.Fatal(err)
	}
	defer object.Close()
	text, err := io.ReadAll(object)
	if err != nil {
		l.Fatal(err)
	}
	return string(text)
}
