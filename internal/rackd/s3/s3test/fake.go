// Package s3test is a stand-in for Amazon S3 in tests: gofakes3, with the rules of
// the real one in front of it that gofakes3 does not have, and faults between any
// two calls. It is not Amazon S3, and says so in the header Server of every answer.
// It refuses all calls that this project does not make.
package s3test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// Software is what the header Server of every answer is.
const Software = "s3test (a stand-in for Amazon S3, for tests)"

// What the stand-in has from the beginning.
const (
	Account   = "123456789012"
	AccessKey = "AKIDEXAMPLE" // of the user ci; any secret goes with it
	User      = "arn:aws:iam::" + Account + ":user/ci"
)

// foreign is another account.
const foreign = "210987654321"

// Fake is the stand-in, an [http.Handler] of the API of S3 with the bucket in the
// path, and of the call of STS that tells who one is.
type Fake struct {
	handler http.Handler
	mu      sync.Mutex
	buckets map[string]*bucket
	seen    map[Seen]int
	denied  map[string]bool
	before  func(Call) Verdict
}

// bucket is what gofakes3 does not know of one.
type bucket struct {
	region, owner string
	settings      map[string][]byte // by the name of the subresource
}

// Seen is something that was asked and allowed.
type Seen struct {
	Action string // in the words of policies
	Object bool   // it was about what is in a bucket, and not about that
}

// Call is a request, before it is looked at.
type Call struct {
	Action      string // in the words of policies
	Method, Key string
	Query       string
}

// Verdict is what becomes of a call.
type Verdict int

// What a test can do to a call.
const (
	Pass Verdict = iota // nothing
	Fail                // it is answered with an error of the server, as often as it is tried
	Cut                 // its connection breaks before it is done
	Lose                // its connection breaks when it is done
)

// New makes a stand-in without any bucket.
func New() *Fake {
	return &Fake{handler: gofakes3.New(s3mem.New(), gofakes3.WithTimeSkewLimit(0), gofakes3.WithoutVersioning()).Server(),
		buckets: map[string]*bucket{}, seen: map[Seen]int{}, denied: map[string]bool{}}
}

// Deny has an action refused from now on, as where no policy allows it: on all, or,
// for s3:DeleteObject with a key after a space, on one object.
func (f *Fake) Deny(action string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.denied[action] = true
}

// Allow takes a Deny back.
func (f *Fake) Allow(action string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.denied, action)
}

// Before has every call judged from now on; nil ends that.
func (f *Fake) Before(judge func(Call) Verdict) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before = judge
}

// Seen is what was asked and allowed, with how often.
func (f *Fake) Seen() map[Seen]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := map[Seen]int{}
	for s, n := range f.seen {
		all[s] = n
	}
	return all
}

// Make makes a bucket from outside: one of another account if it is not ours, which
// lets everybody use it.
func (f *Fake) Make(name, region string, ours bool) error {
	r, err := http.NewRequest(http.MethodPut, "http://s3.test/"+name, nil)
	if err != nil {
		return err
	}
	f.handler.ServeHTTP(&discarded{}, r)
	owner := Account
	if !ours {
		owner = foreign
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.buckets[name] = &bucket{region: region, owner: owner, settings: map[string][]byte{}}
	return nil
}

// Setting is what was set for a bucket, by the name of the subresource; "" for
// nothing.
func (f *Fake) Setting(bucket, name string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if b := f.buckets[bucket]; b != nil {
		return string(b.settings[name])
	}
	return ""
}

// Set sets something for a bucket from outside.
func (f *Fake) Set(bucket, name, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.buckets[bucket].settings[name] = []byte(text)
}

// discarded is an answer that nobody reads.
type discarded struct{ header http.Header }

func (d *discarded) Header() http.Header {
	if d.header == nil {
		d.header = http.Header{}
	}
	return d.header
}
func (d *discarded) Write(p []byte) (int, error) { return len(p), nil }
func (d *discarded) WriteHeader(int)             {}

// fault is an error of the API.
type fault struct {
	status        int
	code, message string
}

func (f *fault) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(f.status)
	xml.NewEncoder(w).Encode(struct {
		XMLName       xml.Name `xml:"Error"`
		Code, Message string
	}{Code: f.code, Message: f.message})
}

// ServeHTTP implements [http.Handler].
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost && r.URL.Path == "/" {
		w.Header().Set("Server", Software)
		serveSTS(w, r)
		return
	}
	c, fail := f.examine(r)
	if fail == nil {
		fail = f.permit(w, r, c)
	}
	switch f.judge(c) {
	case Fail:
		fail = &fault{http.StatusInternalServerError, "InternalError", "We encountered an internal error. Please try again."}
	case Cut:
		panic(http.ErrAbortHandler)
	case Lose:
		f.serve(&discarded{}, r, c)
		panic(http.ErrAbortHandler)
	}
	if fail != nil {
		w.Header().Set("Server", Software)
		io.Copy(io.Discard, r.Body)
		fail.write(w)
		return
	}
	f.serve(&named{w}, r, c)
}

// named is an answer that says what it comes from.
type named struct{ http.ResponseWriter }

func (n *named) WriteHeader(status int) {
	n.Header().Set("Server", Software)
	n.ResponseWriter.WriteHeader(status)
}

func (n *named) Write(p []byte) (int, error) {
	n.Header().Set("Server", Software)
	return n.ResponseWriter.Write(p)
}

func (f *Fake) judge(c call) Verdict {
	f.mu.Lock()
	judge := f.before
	f.mu.Unlock()
	if judge == nil {
		return Pass
	}
	return judge(Call{Action: c.action, Method: c.method, Key: c.key, Query: c.query})
}

// permit decides about a call, and writes down what it allows.
func (f *Fake) permit(w http.ResponseWriter, r *http.Request, c call) *fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.buckets[c.bucket]
	if f.denied[c.action] && !(c.action == deleteObject && c.key == "") { // which is decided for each object
		return &fault{http.StatusForbidden, "AccessDenied", "User: " + User + " is not authorized to perform: " + c.action + " on resource: \"" + c.arn() +
			"\" because no identity-based policy allows the " + c.action + " action"}
	}
	if b == nil && c.action != "s3:CreateBucket" {
		return &fault{http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist"}
	}
	if b != nil && c.action != "s3:CreateBucket" {
		if b.region != c.region {
			w.Header().Set("X-Amz-Bucket-Region", b.region)
			return &fault{http.StatusMovedPermanently, "PermanentRedirect", "The bucket you are attempting to access must be addressed using the specified endpoint. " +
				"Please send all future requests to this endpoint."}
		}
		if owner := r.Header.Get("X-Amz-Expected-Bucket-Owner"); owner != "" && owner != b.owner {
			return &fault{http.StatusForbidden, "AccessDenied", "Access Denied"}
		}
	}
	f.seen[Seen{c.action, c.key != "" || c.action == deleteObject}]++
	return nil
}

// serveSTS tells who one is.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
func serveSTS(w http.ResponseWriter, r *http.Request) {
	if r.PostFormValue("Action") != "GetCallerIdentity" || signature.FindStringSubmatch(r.Header.Get("Authorization")) == nil {
		(&fault{http.StatusBadRequest, "InvalidAction", "no call that is known here"}).write(w)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	io.WriteString(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>`+User+
		`</Arn><UserId>AIDAEXAMPLE</UserId><Account>`+Account+`</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
}

var errMalformed = errors.New("no XML")

// readXML reads a body as XML, and leaves it to be read again.
func readXML(r *http.Request, into any) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	if xml.Unmarshal(body, into) != nil {
		return errMalformed
	}
	return nil
}

// signature is what Signature Version 4 puts into the header. The stand-in cannot
// check more than that it is there, and for this service: it knows no secrets.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
var signature = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=([^/]+)/\d{8}/([^/]+)/([^/]+)/aws4_request, ?SignedHeaders=([^,]+), ?Signature=[0-9a-f]{64}$`)

// arn is what the call is about, in policies.
func (c call) arn() string { return strings.TrimSuffix("arn:aws:s3:::"+c.bucket+"/"+c.key, "/") }

// Left counts the uploads in a bucket that were neither finished nor given up, and
// their parts.
func (f *Fake) Left(bucket string) (uploads, parts int, err error) {
	ask := func(path string, into any) error {
		r, err := http.NewRequest(http.MethodGet, "http://s3.test/"+bucket+path, nil)
		if err != nil {
			return err
		}
		answer := httptest.NewRecorder()
		f.handler.ServeHTTP(answer, r)
		return xml.Unmarshal(answer.Body.Bytes(), into)
	}
	var all struct {
		Upload []struct{ Key, UploadId string }
	}
	if err := ask("?uploads", &all); err != nil {
		return 0, 0, err
	}
	for _, u := range all.Upload {
		var one struct{ Part []struct{ PartNumber int } }
		if err := ask("/"+u.Key+"?uploadId="+u.UploadId, &one); err != nil {
			return 0, 0, err
		}
		parts += len(one.Part)
	}
	return len(all.Upload), parts, nil
}
