package main

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// frontServer is an HTTPS server before a rack.
type frontServer struct {
	*httptest.Server
	promoted atomic.Bool   // a promote went through
	settled  atomic.Bool   // the story wants the truth about apps
	polled   chan struct{} // gets one when an app was shown after a promote
	closed   chan struct{} // is closed with the front
}

// fronts are what a front may change of a rack's answers.
var fronts = map[string]func(*frontServer, *http.Response) error{
	// busy shows every app as updating, as a rack does whose release does not get healthy.
	"busy": func(f *frontServer, r *http.Response) error { return f.showUpdating(r) },
	// slow shows apps as updating from a promote until the story says "settle".
	"slow": func(f *frontServer, r *http.Response) error {
		if f.promoted.Load() && !f.settled.Load() || strings.HasSuffix(r.Request.URL.Path, "/promote") {
			return f.showUpdating(r)
		}
		return nil
	},
	// uncancellable is a rack from before builds could be cancelled, deaf one that takes
	// no upload: see refuse.
	"uncancellable": func(*frontServer, *http.Response) error { return nil },
	"deaf":          func(*frontServer, *http.Response) error { return nil },
	// v3 and v2 show the rack as one of that generation.
	"v3": func(_ *frontServer, r *http.Response) error { return showV3(r) },
	"v2": func(_ *frontServer, r *http.Response) error { return rewrite(r, showVersion("20260421192607")) },
}

// showVersion changes what a rack says of itself.
func showVersion(version string) func(answer map[string]any, r *http.Request) {
	return func(answer map[string]any, r *http.Request) {
		if r.URL.Path == "/system" {
			answer["version"], answer["provider"], answer["type"] = version, "aws", ""
		}
	}
}

// showV3 also changes what a rack says of apps and builds. A v3 rack names the
// repository of a build that is made elsewhere once, with the password as it is.
func showV3(r *http.Response) error {
	return rewrite(r, func(answer map[string]any, r *http.Request) {
		showVersion("3.24.6")(answer, r)
		if _, app := answer["generation"]; app {
			answer["generation"] = "3"
		}
		named, _ := answer["repository"].(string)
		delete(answer, "repository")
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/builds") {
			answer["repository"] = "https://convox:" + key + named[strings.LastIndex(named, "@"):]
		}
	})
}

// rewrite changes an answer that is a JSON object.
func rewrite(r *http.Response, change func(answer map[string]any, r *http.Request)) error {
	if r.StatusCode != http.StatusOK || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	var answer map[string]any
	if json.Unmarshal(body, &answer) == nil {
		change(answer, r.Request)
		body, _ = json.Marshal(answer)
	}
	setBody(r, body)
	return err
}

func setBody(r *http.Response, body []byte) {
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	r.ContentLength = int64(len(body))
}

// front puts an HTTPS server with a certificate of its own before the rack that
// RACK_HOST names, sets FRONT to its host and writes the certificate to ca.pem. An
// argument names what it changes.
func front(ts *testscript.TestScript, neg bool, args []string) {
	var change func(*frontServer, *http.Response) error
	if len(args) == 1 {
		change = fronts[args[0]]
	}
	if neg || len(args) > 0 && change == nil {
		ts.Fatalf("usage: front [busy | slow | uncancellable | deaf | v2 | v3]")
	}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: ts.Getenv("RACK_HOST")})
	proxy.ErrorLog = log.New(io.Discard, "", 0) // handshakes are refused and clients leave, on purpose
	f := &frontServer{polled: make(chan struct{}, 1), closed: make(chan struct{})}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(args) != 1 || !f.refuse(args[0], w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	if change != nil {
		proxy.ModifyResponse = func(r *http.Response) error { return change(f, r) }
	}
	f.Config.ErrorLog = proxy.ErrorLog
	f.StartTLS()
	if old := storyOf(ts).front; old != nil {
		old.close()
	}
	storyOf(ts).front = f
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw})
	ts.Check(os.WriteFile(ts.MkAbs("ca.pem"), ca, 0o644))
	ts.Setenv("FRONT", f.Listener.Addr().String())
}

// refuse keeps a request from the rack, if a front is to.
func (f *frontServer) refuse(kind string, w http.ResponseWriter, r *http.Request) bool {
	switch {
	case kind == "uncancellable" && strings.HasSuffix(r.URL.Path, "/cancel"):
		w.WriteHeader(http.StatusNotFound)
	case kind == "deaf" && strings.Contains(r.URL.Path, "/objects/"):
		r.Body.Read(make([]byte, 1)) // it has begun, and goes no further
		<-f.closed                   // a server does not see that a client leaves while its body is not read
	default:
		return false
	}
	return true
}

// showUpdating changes what the rack says of an app.
func (f *frontServer) showUpdating(r *http.Response) error {
	switch path := r.Request.URL.Path; {
	case r.Request.Method == http.MethodPost && strings.HasSuffix(path, "/promote"):
		f.promoted.Store(true)
		return nil
	case r.Request.Method != http.MethodGet || strings.Count(path, "/") != 2:
		return nil
	}
	if f.promoted.Load() {
		select {
		case f.polled <- struct{}{}:
		default: // one is enough
		}
	}
	body, err := io.ReadAll(r.Body)
	body = bytes.Replace(body, []byte(`"status": "running"`), []byte(`"status": "updating"`), 1)
	setBody(r, body)
	return err
}

func (f *frontServer) close() {
	close(f.closed)
	f.CloseClientConnections()
	f.Close()
}

// polled waits until someone looks at an app through the front after a promote.
func polled(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 || storyOf(ts).front == nil {
		ts.Fatalf("usage: polled, after front busy or slow")
	}
	select {
	case <-storyOf(ts).front.polled:
	case <-time.After(patience):
		ts.Fatalf("nobody looks at the app")
	}
}

// settle makes a slow front show the truth about apps.
func settle(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 || storyOf(ts).front == nil {
		ts.Fatalf("usage: settle, after front slow")
	}
	storyOf(ts).front.settled.Store(true)
}
