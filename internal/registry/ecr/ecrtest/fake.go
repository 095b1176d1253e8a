// Package ecrtest is a stand-in for Amazon ECR in tests: its API, and the rules of
// its registry in front of the registry of this project. It is not Amazon ECR, and
// says so in the header Server of every answer. It knows the calls that this
// project makes and refuses all others.
package ecrtest

import (
	"context"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/convox-ci/convox-ci/internal/registry"
)

// Software is what the header Server of every answer is.
const Software = "ecrtest (a stand-in for Amazon ECR, for tests)"

// What the stand-in has from the beginning.
const (
	Account   = "123456789012"
	Region    = "us-east-1"
	AccessKey = "AKIDEXAMPLE" // of the user ci; any secret goes with it
	User      = "arn:aws:iam::" + Account + ":user/ci"
)

// tokenLife is how long a token lasts.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html
const tokenLife = 12 * time.Hour

// Seen is something that was asked and allowed.
type Seen struct {
	Action     string // in the words of policies
	Repository string // "" for what concerns none
}

// Fake is the stand-in. It is an [http.Handler] of the API, at the path /, and of
// the registry below /v2/.
type Fake struct {
	// PageSize is how many elements an answer has at most; 0 for 100.
	PageSize int
	// Endpoint is which registry tokens are said to be for; "" for the address that
	// the fake was asked at.
	Endpoint string

	ctx      context.Context
	dir      string
	now      func() time.Time
	mu       sync.Mutex
	tokens   map[string]time.Time // when each ends
	repos    map[string]*repository
	made     int // repositories, over all time
	scripted scripted
	seen     map[Seen]int
	moved    moved
}

// scripted is what a test wants to happen.
type scripted struct {
	denied   map[string]bool
	throttle int
	before   map[string]func()
	keys     map[string]string // ARNs of users by access key
	sessions map[string]string // tokens that have to come with it, likewise
}

// repository is one that was made.
type repository struct {
	handler http.Handler
	created time.Time
	options options
	policy  string
	images  map[string]*stored // by digest
}

// stored is an image in a repository.
type stored struct {
	tags   map[string]bool
	pushed time.Time
}

// New makes a stand-in that keeps images below dir until ctx ends, by a clock.
func New(ctx context.Context, dir string, now func() time.Time) *Fake {
	return &Fake{ctx: ctx, dir: dir, now: now, tokens: map[string]time.Time{}, repos: map[string]*repository{}, seen: map[Seen]int{},
		scripted: scripted{denied: map[string]bool{}, before: map[string]func(){}, keys: map[string]string{AccessKey: User}, sessions: map[string]string{}}}
}

// ServeHTTP implements [http.Handler].
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", Software)
	if r.URL.Path == "/" {
		f.serveAPI(w, r)
		return
	}
	f.serveRegistry(w, r)
}

// Deny has an action refused from now on, as where no policy allows it.
func (f *Fake) Deny(action string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.scripted.denied[action] = true
}

// Allow takes a Deny back.
func (f *Fake) Allow(action string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.scripted.denied, action)
}

// Throttle refuses the next n calls of the API as too many.
func (f *Fake) Throttle(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.scripted.throttle = n
}

// Before calls do once, before the next request for an action is looked at.
func (f *Fake) Before(action string, do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.scripted.before[action] = do
}

// Know adds the access key of a user.
func (f *Fake) Know(accessKey, user string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.scripted.keys[accessKey] = user
}

// KnowSession adds the access key of a session, which is of no use without the token
// of the session.
func (f *Fake) KnowSession(accessKey, token, user string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.scripted.keys[accessKey], f.scripted.sessions[accessKey] = user, token
}

// Revoke forgets all tokens.
func (f *Fake) Revoke() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.tokens)
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

// Has tells whether a repository is there, how many images it has, and what its
// lifecycle policy is, "" for none.
func (f *Fake) Has(repository string) (there bool, images int, policy string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.repos[repository]
	if r == nil {
		return false, 0, ""
	}
	return true, len(r.images), r.policy
}

// ScansOnPush tells how a repository was made.
func (f *Fake) ScansOnPush(repository string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.repos[repository]
	return r != nil && r.options.Scanning.ScanOnPush
}

// Make makes a repository from outside. immutable keeps its tags where they are.
func (f *Fake) Make(repository string, immutable bool) {
	o := options{Name: repository, Mutability: "MUTABLE"}
	if immutable {
		o.Mutability = "IMMUTABLE"
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.create(o)
}

// create makes a repository with a registry of its own: of one that was deleted
// nothing can be left.
func (f *Fake) create(o options) {
	f.made++
	dir := filepath.Join(f.dir, strconv.Itoa(f.made))
	f.repos[o.Name] = &repository{handler: registry.Embedded(f.ctx, dir, ""), created: f.now(), options: o, images: map[string]*stored{}}
}

// arn is the name of a repository in policies.
func arn(repository string) string {
	return "arn:aws:ecr:" + Region + ":" + Account + ":repository/" + repository
}

// prelude does what a test wants to happen before an action.
func (f *Fake) prelude(action string) {
	f.mu.Lock()
	do := f.scripted.before[action]
	delete(f.scripted.before, action)
	f.mu.Unlock()
	if do != nil {
		do()
	}
}

// allow decides about an action of a user, and writes down what it allows. It is
// the text of the refusal, "" for none.
func (f *Fake) allow(user, action, repository string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.scripted.denied[action] {
		on := "*"
		if repository != "" {
			on = arn(repository)
		}
		return "User: " + user + " is not authorized to perform: " + action + " on resource: " + on +
			" because no identity-based policy allows the " + action + " action"
	}
	f.seen[Seen{action, repository}]++
	return ""
}
