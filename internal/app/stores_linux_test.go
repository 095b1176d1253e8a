//go:build !carrier

package app

import (
	"bufio"
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/rackd/kms"
	"github.com/convox-ci/convox-ci/internal/rackd/kms/kmstest"
	"github.com/convox-ci/convox-ci/internal/rackd/s3/s3test"
	"github.com/convox-ci/convox-ci/internal/rackd/vault"
	"github.com/convox-ci/convox-ci/internal/registry/ecr/ecrtest"
)

// storesLab is a cloudLab with stand-ins for all else that a rack can use of AWS.
type storesLab struct {
	*cloudLab
	s3  *s3test.Fake
	kms *kmstest.Fake
}

func newStoresLab(t *testing.T) *storesLab {
	l := &storesLab{cloudLab: newCloudLab(t), s3: s3test.New(), kms: kmstest.New(ecrtest.Region)}
	onS3, onKMS := httptest.NewServer(l.s3), httptest.NewServer(l.kms)
	t.Cleanup(onS3.Close)
	t.Cleanup(onKMS.Close)
	l.kms.Make("office")
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_S3": onS3.URL, "AWS_ENDPOINT_URL_STS": onS3.URL, "AWS_ENDPOINT_URL_KMS": onKMS.URL, "AWS_ENDPOINT_URL_DYNAMODB": dynalite(t),
	} {
		t.Setenv(name, value)
	}
	return l
}

// dynalite starts a stand-in for DynamoDB, which ends with the test.
func dynalite(t *testing.T) (endpoint string) {
	t.Helper()
	module, err := filepath.Abs("../../bin/tools/dynalite/node_modules/dynalite")
	if err != nil {
		t.Fatal(err)
	}
	const program = `const server = require(process.argv[1])({createTableMs: 0, deleteTableMs: 0})
server.listen(0, "127.0.0.1", () => console.log(server.address().port))
process.stdin.on("end", () => process.exit()).resume()`
	cmd := exec.Command("node", "-e", program, module)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("dynalite does not start; scripts/need dynalite installs it: %v", err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("dynalite does not start; scripts/need dynalite installs it: %v", err)
	}
	return "http://127.0.0.1:" + strings.TrimSpace(port)
}

// has fails unless all words are in what a command prints.
func (l *storesLab) has(out string, words ...string) {
	l.Helper()
	for _, word := range words {
		if !strings.Contains(out, word) {
			l.Errorf("%q is not in:\n%s", word, out)
		}
	}
}

// TestRackOnAWS has nothing of a rack on its machine but what can be lost: another
// one goes on with what the first has left.
func TestRackOnAWS(t *testing.T) {
	l := newStoresLab(t)
	where := []string{"--records", "dynamodb://?kms-key=alias/office", "--objects", "s3://office-objects/racks"}
	stores := "Records:  office-builds, office-releases, office-records in us-east-1\n"
	early := l.do(2, append([]string{"rack", "serve", "--name", "Office", "--data", filepath.Join(l.dir, "early")}, where...)...)
	l.has(early, "error: objects: S3: bucket office-objects: no such bucket (s3:ListBucket): The specified bucket does not exist; rack init makes it\n")
	made := l.do(0, append([]string{"rack", "init", "--name", "Office"}, where...)...)
	l.has(made, "Made:     bucket office-objects in us-east-1\n", "Objects:  s3://office-objects/racks\n", stores)
	if again := l.do(0, append([]string{"rack", "init", "--name", "Office"}, where...)...); strings.Contains(again, "Made") {
		t.Errorf("init made something twice:\n%s", again)
	}
	l.serve(where...)
	l.do(0, "apps", "create", "web")
	l.do(0, "env", "set", "--app", "web", "SECRET=correct-horse")
	out := l.do(0, "deploy", "--app", "web", l.app("one"))
	build := regexp.MustCompile(`web:web\.(B[A-Z]{10})`).FindStringSubmatch(out)[1]
	l.do(0, "env", "set", "--app", "web", "OTHER=battery-staple")
	second := l.do(0, "build", "--app", "web", l.app("two"))
	release := regexp.MustCompile(`\bR[A-Z]{10}\b`).FindString(second)
	l.do(0, "promote", "--app", "web", release)
	l.do(0, "builds", "export", "--app", "web", "--file", filepath.Join(l.dir, "one.tgz"), build)
	questions := [][]string{{"apps"}, {"builds", "--app", "web"}, {"releases", "--app", "web"}, {"env", "get", "--app", "web"}, {"builds", "logs", "--app", "web", build}}
	var answers []string
	for _, q := range questions {
		answers = append(answers, l.do(0, q...))
	}
	l.has(answers[0], release)
	l.has(answers[3], "SECRET=correct-horse", "OTHER=battery-staple")
	l.stop()

	if err := os.RemoveAll(filepath.Join(l.dir, "data")); err != nil { // another machine
		t.Fatal(err)
	}
	l.serve(where...)
	for i, q := range questions {
		if got := l.do(0, q...); got != answers[i] {
			t.Errorf("%q on another machine:\n%s\nwas:\n%s", q, got, answers[i])
		}
	}
	l.do(0, "builds", "export", "--app", "web", "--file", filepath.Join(l.dir, "again.tgz"), build)
	l.do(0, "builds", "import", "--app", "web", "--file", filepath.Join(l.dir, "one.tgz"))
	l.do(0, "deploy", "--app", "web", l.app("three"))
	l.stop()
}

// TestSharedWithAV2Rack: the environment of a release is where a v2 rack looks for it,
// under its key and sealed as it does that.
func TestSharedWithAV2Rack(t *testing.T) {
	l := newStoresLab(t)
	where := []string{"--records", "dynamodb:///convox?kms-key=alias/office", "--objects", "s3://convox-web-settings?app=web"}
	l.do(0, append([]string{"rack", "init"}, where...)...)
	l.serve(where...)
	l.do(0, "apps", "create", "web")
	l.do(0, "env", "set", "--app", "web", "SECRET=correct-horse")
	release := regexp.MustCompile(`\bR[A-Z]{10}\b`).FindString(l.do(0, "releases", "--app", "web"))
	l.stop()
	a := &account{mask: func(string) {}}
	c, err := a.config(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	objects, err := bucket(t.Context(), objectsPlace{bucket: "convox-web-settings", app: "web"}, a)
	if err != nil {
		t.Fatal(err)
	}
	object, err := objects.OpenObject(t.Context(), "web", "releases/"+release+"/env")
	if err != nil {
		t.Fatal(err)
	}
	defer object.Close()
	var sealed vault.Envelope
	if err := json.NewDecoder(object).Decode(&sealed); err != nil {
		t.Fatal(err)
	}
	key, err := kms.Open(t.Context(), c, "alias/office")
	if err != nil {
		t.Fatal(err)
	}
	if env, err := key.Open(t.Context(), &sealed, ""); err != nil || env != "SECRET=correct-horse" {
		t.Errorf("a v2 rack reads %q, %v", env, err)
	}
}

// TestStoreInputs: what the inputs mean, and that what is wrong with them is said
// before anything is done.
func TestStoreInputs(t *testing.T) {
	for _, test := range []struct{ records, objects, want string }{
		{"dynamodb://", "", ""},
		{"dynamodb:///team", "s3://bucket-1", ""},
		{"dynamodb://eu-west-1/team?kms-key=arn:aws:kms:eu-west-1:123456789012:key/1234", "s3://bucket/a/b?region=us-gov-west-1&app=web", ""},
		{"eu-west-1", "", `records: "eu-west-1" is not of the form dynamodb://REGION/PREFIX`},
		{"dynamodb:eu-west-1", "", "is not of the form"},
		{"s3://bucket", "", "is not of the form"},
		{"dynamodb://me:secret@eu-west-1", "", "is not of the form"},
		{"dynamodb://Office", "", "Office is not a region of AWS"},
		{"dynamodb:///a/b", "", "a/b cannot begin the names of tables"},
		{"dynamodb://?key=x", "", "has no key"},
		{"dynamodb://?kms-key=", "", "needs one value of kms-key"},
		{"dynamodb://?kms-key=a&kms-key=b", "", "needs one value of kms-key"},
		{"dynamodb://?kms-key=%zz", "", "is not of the form"},
		{"", "s3://", "does not name a bucket"},
		{"", "s3://Bucket", "does not name a bucket"},
		{"", "s3://bucket?region=here", "here is not a region of AWS"},
		{"", "s3://bucket#a", "is not of the form s3://BUCKET/PREFIX"},
		{"", "", "records: and objects are both missing"},
	} {
		err := (&InitInputs{StoreInputs{Name: "local", Records: test.records, Objects: test.objects}}).Check(nil)
		switch {
		case err == nil && test.want != "", err != nil && (test.want == "" || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%q, %q: %v, want %q", test.records, test.objects, err, test.want)
		}
	}
	in := StoreInputs{Name: "Our Office", Records: "dynamodb://?kms-key=alias/a", Objects: "s3://bucket/a/b/?region=us-east-2&app=web"}
	records, _ := in.records()
	objects, _ := in.objects()
	if want := (recordsPlace{key: "alias/a"}); records != want || records.tables(in.Name).Builds != "our-office-builds" {
		t.Errorf("records are %+v", records)
	}
	if want := (objectsPlace{region: "us-east-2", bucket: "bucket", prefix: "a/b", app: "web"}); objects != want {
		t.Errorf("objects are %+v", objects)
	}
}
