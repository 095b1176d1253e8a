package rack_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/wire"
)

// replay answers what a recording has, to requests that are in it and to no
// others. Each exchange is used once, in order; what is read may be read again.
type replay struct {
	t         *testing.T
	exchanges []wire.Exchange
	mu        sync.Mutex
	used      []bool
}

// play is a client of what was recorded, with the credentials of the recording.
func play(t *testing.T, recordings ...wire.Recording) (*rack.Client, *replay) {
	t.Helper()
	p := &replay{t: t}
	for _, r := range recordings {
		p.exchanges = append(p.exchanges, r.Exchanges...)
	}
	p.used = make([]bool, len(p.exchanges))
	way := serve(t, p)
	plain := roundTripper(func(r *http.Request) (*http.Response, error) { // the connections are in memory, without TLS
		r = r.Clone(r.Context())
		r.URL.Scheme = "http"
		return way.RoundTrip(r)
	})
	return rack.New(credentials(t, p.exchanges), plain, nil), p
}

// credentials is the endpoint that a recorded client used: that of its last
// request, since the first ones of a v3 client have no rack yet.
func credentials(t *testing.T, exchanges []wire.Exchange) rack.Endpoint {
	t.Helper()
	h := exchanges[len(exchanges)-1].Headers
	pair, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(h["Authorization"], "Basic "))
	user, password, ok := strings.Cut(string(pair), ":")
	if err != nil || !ok {
		t.Fatalf("recorded credentials %q", h["Authorization"])
	}
	var e rack.Endpoint
	if name, console := h["Rack"]; console {
		e, err = rack.Console(h["Host"], password, name)
	} else {
		e, err = rack.Direct((&url.URL{Scheme: "http", User: url.UserPassword(user, password), Host: h["Host"]}).String())
	}
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (p *replay) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	e, why := p.find(r, body)
	switch {
	case e == nil && p.aside(w, r):
	case e == nil:
		p.t.Errorf("%s %s?%s with %q is not in the recording:\n%s", r.Method, r.URL.Path, r.URL.RawQuery, body, why)
		answer(w, http.StatusTeapot, "not recorded")
	case e.Status == http.StatusSwitchingProtocols:
		p.talk(w, r, *e)
	default:
		for name, value := range e.ResponseHeaders {
			w.Header().Set(name, value)
		}
		text := e.Body
		if e.Method == http.MethodGet && strings.HasSuffix(e.Path, ".tgz") {
			text = string(exported(p.t, *e))
			w.Header().Set("Content-Length", strconv.Itoa(len(text)))
		}
		w.WriteHeader(e.Status)
		io.WriteString(w, text)
	}
}

// asides are what our client asks for and official ones do not, with the answer
// here: before what must not be done twice it looks at what there is, so as to
// know what came of it where the answer is lost.
var asides = map[string]string{
	"GET builds?limit=20":   "[]",
	"GET releases?limit=20": "[]",
	"GET processes?":        "[]",
}

// aside answers what our client asks for beside what official ones do. A process
// is asked whether a record can be kept in it; here it has no shell, so that the
// command is run as official clients have it run.
func (p *replay) aside(w http.ResponseWriter, r *http.Request) bool {
	if strings.Contains(r.Header.Get("Command"), "/tmp/.convox-ci-") {
		s := upgrade(p.t, w, r)
		s.text("sh: not found\n")
		s.text(rack.ExitPrefix + "127\n")
		s.end()
		return true
	}
	text, ok := asides[r.Method+" "+path.Base(r.URL.Path)+"?"+r.URL.RawQuery]
	if ok {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, text)
	}
	return ok
}

// find looks for the exchange of a request, and tells why those that come near
// are not it.
func (p *replay) find(r *http.Request, body []byte) (*wire.Exchange, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var why []string
	found := -1
	for i, e := range p.exchanges {
		if e.Method != r.Method || e.Path != r.URL.Path {
			continue
		}
		if d := differs(e, r, body); d != "" {
			why = append(why, d)
			continue
		}
		if !p.used[i] {
			p.used[i] = true
			return &p.exchanges[i], ""
		}
		if r.Method == http.MethodGet {
			found = i
		} else {
			why = append(why, "it was there before")
		}
	}
	if found < 0 {
		return nil, strings.Join(why, "\n")
	}
	return &p.exchanges[found], ""
}

// differs tells in what a request is not the recorded one.
func differs(e wire.Exchange, r *http.Request, body []byte) string {
	if e.Query != r.URL.RawQuery {
		return fmt.Sprintf("query %q", e.Query)
	}
	for _, name := range append([]string{"Authorization", "Rack", "Session", "Upgrade", "Sec-Websocket-Version", "Content-Type"}, options...) {
		got, want := r.Header.Get(name), e.Headers[name]
		if name == "Content-Type" && isNothing(e.Form) && len(body) == 0 {
			want = "application/octet-stream"
		}
		if got != want && !saysTheSame(name, want, got) {
			return fmt.Sprintf("%s is %q, recorded %q", name, got, want)
		}
	}
	if e.Form == nil || len(body) == 0 && isNothing(e.Form) {
		if (len(body) > 0) != (e.BodyBytes > 0) && !isNothing(e.Form) {
			return fmt.Sprintf("recorded %d bytes", e.BodyBytes)
		}
		return ""
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return err.Error()
	}
	if !reflect.DeepEqual(map[string][]string(form), e.Form) {
		return fmt.Sprintf("form %v, recorded %v", form, e.Form)
	}
	return ""
}

// options are those that travel in headers.
var options = []string{"Command", "Entrypoint", "Environment", "Filter", "Follow", "Height", "Prefix", "Release", "Since", "Tty", "Width"}

// holding is a command that keeps a process for another one. Ours sleeps for a
// number of seconds by which it is recognised where the answer is lost.
var holding = regexp.MustCompile(`^sleep [0-9]+$`)

// saysTheSame tells whether a rack takes the option of our client for the
// recorded one although they are written otherwise.
func saysTheSame(name, recorded, got string) bool {
	switch name {
	case "Command":
		return holding.MatchString(recorded) && holding.MatchString(got)
	case "Entrypoint":
		return recorded == "false" && got == ""
	case "Since": // what a rack takes where there is none
		return recorded == "" && got == "2m0s"
	}
	return false
}

// isNothing tells whether a form says what no form says too.
func isNothing(form map[string][]string) bool {
	return len(form) == 1 && reflect.DeepEqual(form["force"], []string{"false"})
}

// done fails if a recorded change was not asked for, apart from those on a path
// that ends so.
func (p *replay) done(unwanted ...string) {
	p.t.Helper()
	for i, e := range p.exchanges {
		if e.Method != http.MethodGet && !p.used[i] && !slices.ContainsFunc(unwanted, func(end string) bool { return strings.HasSuffix(e.Path, end) }) {
			p.t.Errorf("%s %s was not sent", e.Method, e.Path)
		}
	}
}

// answered is the recorded answers to a method on a path that ends so.
func answered(t *testing.T, r wire.Recording, method, suffix string) []wire.Exchange {
	t.Helper()
	var es []wire.Exchange
	for _, e := range r.Exchanges {
		if e.Method == method && strings.HasSuffix(e.Path, suffix) {
			es = append(es, e)
		}
	}
	if len(es) == 0 {
		t.Fatalf("%s has no %s %s", r.Name, method, suffix)
	}
	return es
}

// carries fails unless everything that a recorded answer says is in what was
// made of it. What is left out of JSON when it is empty counts as empty.
func carries(t *testing.T, recorded string, got any) {
	t.Helper()
	data, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	var want, have any
	if err := json.Unmarshal([]byte(recorded), &want); err != nil {
		t.Fatalf("recorded %q: %v", recorded, err)
	}
	if err := json.Unmarshal(data, &have); err != nil {
		t.Fatal(err)
	}
	contains(t, "answer", want, have)
}

// unread are the fields of answers that our client leaves where they are.
var unread = map[string]string{
	"router-internal": "only concerns a rack's own router",
	"gpu":             "of a process on v3",
	"service":         "of a process on v3: its name again",
}

func contains(t *testing.T, where string, want, have any) {
	t.Helper()
	switch want := want.(type) {
	case map[string]any:
		have, _ := have.(map[string]any)
		for _, k := range slices.Sorted(maps.Keys(want)) {
			if _, left := unread[k]; left {
				continue
			}
			contains(t, where+"."+k, want[k], have[k])
		}
	case []any:
		have, _ := have.([]any)
		if len(have) != len(want) {
			t.Errorf("%s has %d elements, want %d", where, len(have), len(want))
			return
		}
		for i := range want {
			contains(t, fmt.Sprintf("%s[%d]", where, i), want[i], have[i])
		}
	default:
		if have == nil && (want == "" || want == nil) {
			return
		}
		if !reflect.DeepEqual(want, have) {
			t.Errorf("%s is %v, want %v", where, have, want)
		}
	}
}

// logOf is the text of a recorded stream.
func logOf(e wire.Exchange) string {
	var b bytes.Buffer
	for _, f := range e.Frames {
		if f.Dir == "server" && (f.Type == "text" || f.Type == "continuation") {
			b.WriteString(f.Payload)
		}
	}
	return b.String()
}
