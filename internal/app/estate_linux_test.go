//go:build !carrier

package app

import (
	"bytes"
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

	"github.com/convox-ci/convox-ci/internal/estate/estatetest"
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

	mu     sync.Mutex
	tables map[string]bool // what was asked of DynamoDB: operation, table or index
	writes int             // to DynamoDB and S3, since killAfter
	kill   int             // after how many of them all fail; -1 for never
}

func newEstateLab(t *testing.T) *estateLab {
	l := &estateLab{storesLab: newStoresLab(t), stacks: estatetest.New(ecrtest.Region), tables: map[string]bool{}, kill: -1}
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
	l.stacks.Put(estatetest.Stack{Name: "office", Tags: map[string]string{"System": "convox", "Type": "rack"}, Outputs: map[string]string{
		"DynamoBuilds": "office-builds", "DynamoReleases": "office-releases", "SettingsBucket": rackBucket, "EncryptionKey": l.key,
		"NotificationTopic": l.topic, "Version": "20260421000000"}})
	l.stacks.Put(estatetest.Stack{Name: "office-web", Tags: map[string]string{"System": "convox", "Type": "app", "Rack": "office", "Name": "web", "Generation": "2"},
		Resources: [][2]string{{"LogGroup", "group"}, {"ServiceRole", "role"}, {"Settings", appBucket}, {"ExecutionRole", "role-2"}, {"Registry", appRepo}}})
	t.Setenv("AWS_ENDPOINT_URL_DYNAMODB", l.proxy(dynalite(t)))
	l.serve("--records", "dynamodb://?kms-key="+l.key, "--objects", "s3://"+appBucket+"?app=web")
	return l
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
		l.tables[strings.TrimSpace("dynamodb:"+operation+" "+on["TableName"]+" "+on["IndexName"])] = true
		l.mu.Unlock()
		if operation == "PutItem" && l.dead() {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"__type":"com.amazonaws.dynamodb.v20120810#AccessDeniedException","Message":"killed"}`)
			return
		}
		pass.ServeHTTP(w, r)
	}))
	l.Cleanup(server.Close)
	l.s3.Before(func(c s3test.Call) s3test.Verdict {
		if c.Action == "s3:PutObject" && l.dead() {
			return s3test.Fail
		}
		return s3test.Pass
	})
	return server.URL
}

// dead counts a write and tells whether it comes too late.
func (l *estateLab) dead() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writes++
	return l.kill >= 0 && l.writes > l.kill
}

// without runs the binary without the variables that begin with a prefix.
func (l *estateLab) without(prefix string, status int, args ...string) string {
	l.Helper()
	environ := l.environ
	l.environ = slices.DeleteFunc(slices.Clone(environ), func(e string) bool { return strings.HasPrefix(e, prefix) })
	defer func() { l.environ = environ }()
	return l.do(status, args...)
}

var ids = regexp.MustCompile(`Build:   (B[A-Z]{10})\n(?s:.*)Release: (R[A-Z]{10})\n`)

// TestDeliveryByAWS: a build that is made here and recorded without the rack is one
// like all others for the rack.
func TestDeliveryByAWS(t *testing.T) {
	l := newEstateLab(t)
	l.do(0, "apps", "create", "web")
	l.do(0, "env", "set", "--app", "web", "SECRET=correct-horse")
	out := l.without("RACK_URL", 0, "build", "--external", "--delivery", "aws", "--rack", "office", "--app", "web", "--description", "by hand", l.app("one"))
	t.Log(out)
	m := ids.FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("no ids in:\n%s", out)
	}
	build, release := m[1], m[2]
	l.has(l.do(0, "builds", "--app", "web"), build+"  complete  "+release)
	l.has(l.do(0, "builds", "info", "--app", "web", build), "by hand")
	l.has(l.do(0, "builds", "logs", "--app", "web", build), "Running: docker push "+strings.TrimPrefix(l.server.URL, "http://")+"/office/web:web."+build)
	l.has(l.do(0, "releases", "--app", "web"), release)
	l.has(l.do(0, "releases", "info", "--app", "web", release), "SECRET")
	l.do(0, "builds", "export", "--app", "web", "--file", filepath.Join(l.dir, "one.tgz"), build)
	l.do(0, "promote", "--app", "web", release)
	l.has(l.do(0, "env", "get", "--app", "web"), "SECRET=correct-horse")
	l.has(l.do(0, "apps"), release)
	if heard := l.stacks.Heard(l.topic); len(heard) != 1 || !strings.Contains(heard[0], `"id":"`+build+`"`) {
		t.Errorf("heard %q", heard)
	}
}
