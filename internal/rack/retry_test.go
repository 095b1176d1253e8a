package rack_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// fault is what goes wrong with one request.
type fault struct {
	before error          // the request is not sent
	after  error          // it takes effect, and its answer is lost
	answer *http.Response // something in front answers in the rack's place
}

// flaky is a way to a rack on which the first requests meet faults.
type flaky struct {
	to     http.RoundTripper
	faults []fault
	n      atomic.Int64
}

func (f *flaky) RoundTrip(r *http.Request) (*http.Response, error) {
	n := int(f.n.Add(1)) - 1
	if n >= len(f.faults) {
		return f.to.RoundTrip(r)
	}
	x := f.faults[n]
	if x.before != nil || x.answer != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		return x.answer, x.before
	}
	res, err := f.to.RoundTrip(r)
	if err == nil {
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
	return nil, x.after
}

var (
	errReset   = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	errProxy   = &net.OpError{Op: "proxyconnect", Net: "tcp", Err: syscall.ECONNREFUSED}
	errNoName  = &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "rack.invalid", IsNotFound: true}}
	errDNS     = &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "server misbehaving", Name: "rack.invalid", IsTemporary: true}}
)

// counter is a rack that counts what reached it.
type counter struct {
	gets, uploads, builds, imports, promotes, apps atomic.Int64
	bodies                                         safeBuffer
}

func (c *counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	switch {
	case r.Method == "GET":
		c.gets.Add(1)
		answer(w, 200, rack.App{Name: "web"})
	case strings.Contains(r.URL.Path, "/objects/"):
		c.uploads.Add(1)
		fmt.Fprintf(&c.bodies, "[%s]", data)
		answer(w, 200, rack.Object{URL: "object://web/k"})
	case strings.HasSuffix(r.URL.Path, "/builds"):
		c.builds.Add(1)
		answer(w, 200, rack.Build{ID: "B"})
	case strings.HasSuffix(r.URL.Path, "/builds/import"):
		c.imports.Add(1)
		answer(w, 200, rack.Build{ID: "B"})
	case strings.HasSuffix(r.URL.Path, "/promote"):
		c.promotes.Add(1)
		io.WriteString(w, "ok\n")
	default:
		c.apps.Add(1)
		answer(w, 200, rack.App{Name: "web"})
	}
}

// verbs are calls of each kind. The first two may be done twice.
var verbs = []struct {
	name       string
	repeatable bool
	do         func(context.Context, *rack.Client) error
	count      func(*counter) int64
}{
	{"get", true, func(ctx context.Context, c *rack.Client) error { _, err := c.App(ctx, "web"); return err },
		func(c *counter) int64 { return c.gets.Load() }},
	{"upload", true, func(ctx context.Context, c *rack.Client) error {
		_, err := c.PutObject(ctx, "web", "k", func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("whole")), nil })
		return err
	}, func(c *counter) int64 { return c.uploads.Load() }},
	{"create build", false, func(ctx context.Context, c *rack.Client) error {
		_, err := c.CreateBuild(ctx, "web", "u", rack.BuildOptions{})
		return err
	}, func(c *counter) int64 { return c.builds.Load() }},
	{"promote", false, func(ctx context.Context, c *rack.Client) error { return c.Promote(ctx, "web", "R", false) },
		func(c *counter) int64 { return c.promotes.Load() }},
	{"import build", false, func(ctx context.Context, c *rack.Client) error {
		_, err := c.ImportBuild(ctx, "web", func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("whole")), nil })
		return err
	}, func(c *counter) int64 { return c.imports.Load() }},
	{"create app", false, func(ctx context.Context, c *rack.Client) error { _, err := c.CreateApp(ctx, "web"); return err },
		func(c *counter) int64 { return c.apps.Load() }},
}

func TestRetry(t *testing.T) {
	for _, test := range []struct {
		name         string
		fault        fault
		repeatable   bool // tried again if it may be done twice
		unrepeatable bool // and if not
		arrived      int64
	}{
		{"connection refused", fault{before: errRefused}, true, true, 0},
		{"proxy refused", fault{before: errProxy}, true, true, 0},
		{"name server busy", fault{before: errDNS}, true, true, 0},
		{"no such name", fault{before: errNoName}, false, false, 0},
		{"lost before", fault{before: errReset}, true, false, 0},
		{"lost after", fault{after: errReset}, true, false, 1},
		{"lost at EOF", fault{after: io.ErrUnexpectedEOF}, true, false, 1},
		{"429", fault{answer: reply(429, "slow down")}, true, true, 0},
		{"502", fault{answer: reply(502, "<html>")}, true, false, 0},
		{"503", fault{answer: reply(503, "")}, true, false, 0},
		{"504", fault{answer: reply(504, "")}, true, false, 0},
		{"400", fault{answer: reply(400, "bad")}, false, false, 0},
		{"401", fault{answer: reply(401, "invalid authentication\n")}, false, false, 0},
		{"403", fault{answer: reply(403, "app is currently updating\n")}, false, false, 0},
		{"404", fault{answer: reply(404, "")}, false, false, 0},
		{"409", fault{answer: reply(409, "")}, false, false, 0},
		{"500", fault{answer: reply(500, "strconv.Atoi\n")}, false, false, 0},
	} {
		for _, verb := range verbs {
			t.Run(test.name+"/"+verb.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					server := &counter{}
					way := &flaky{to: serve(t, server), faults: []fault{test.fault}}
					n := &notices{}
					err := verb.do(t.Context(), rack.New(direct(t), way, n.add))
					again := test.unrepeatable
					if verb.repeatable {
						again = test.repeatable
					}
					want := test.arrived
					if again {
						want++
					}
					if (err == nil) != again || verb.count(server) != want || (len(n.all()) == 1) != again {
						t.Errorf("error %v, arrived %d times, want %d; said %q", err, verb.count(server), want, n.all())
					}
					if verb.name == "upload" && server.bodies.String() != strings.Repeat("[whole]", int(want)) {
						t.Errorf("uploaded %s", &server.bodies)
					}
				})
			})
		}
	}
}

func TestRetryEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all []fault
		for range 20 {
			all = append(all, fault{before: errReset})
		}
		way := &flaky{to: serve(t, &counter{}), faults: all}
		begun := time.Now()
		_, err := rack.New(direct(t), way, nil).App(t.Context(), "web")
		if !errors.Is(err, rack.ErrUnavailable) || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(begun); way.n.Load() != 5 || took < 3*time.Second || took > 15*time.Second {
			t.Errorf("%d tries in %s", way.n.Load(), took)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	for _, test := range []struct {
		value    string
		min, max time.Duration
	}{
		{"20", 20 * time.Second, 20 * time.Second},
		{"86400", time.Minute, time.Minute},
		{"date", 29 * time.Second, 30 * time.Second},
		{"-5", 0, time.Second},
		{"soon", 0, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			value := test.value
			if value == "date" {
				value = time.Now().Add(30 * time.Second).UTC().Format(http.TimeFormat)
			}
			way := &flaky{to: serve(t, &counter{}), faults: []fault{{answer: reply(429, "", "Retry-After", value)}}}
			begun := time.Now()
			_, err := rack.New(direct(t), way, nil).App(t.Context(), "web")
			if took := time.Since(begun); err != nil || took < test.min || took > test.max {
				t.Errorf("%s: waited %s, %v", test.value, took, err)
			}
		})
	}
}

func TestCancelledCallReturnsTheCause(t *testing.T) {
	cause := errors.New("the job was cancelled")
	for _, verb := range verbs {
		for name, faults := range map[string][]fault{
			"while the rack is silent":  nil,
			"while waiting for a retry": {{answer: reply(429, "", "Retry-After", "60")}},
		} {
			t.Run(verb.name+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					silent := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						io.Copy(io.Discard, r.Body)
						<-r.Context().Done()
					})
					ctx, cancel := context.WithCancelCause(t.Context())
					time.AfterFunc(5*time.Second, func() { cancel(cause) })
					begun := time.Now()
					n := &notices{}
					err := verb.do(ctx, rack.New(direct(t), &flaky{to: serve(t, silent), faults: faults}, n.add))
					if err != cause || time.Since(begun) != 5*time.Second || len(n.all()) != len(faults) {
						t.Errorf("got %v after %s, said %q", err, time.Since(begun), n.all())
					}
				})
			})
		}
	}
}

// A context that ends while the answer is half here is not a fault of the rack.
func TestCancelledWithinAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("the job was cancelled")
		ctx, cancel := context.WithCancelCause(t.Context())
		c, n := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, `{"id":`)
			http.NewResponseController(w).Flush()
			cancel(cause)
			<-r.Context().Done()
		}))
		if _, err := c.CreateBuild(ctx, "web", "u", rack.BuildOptions{}); err != cause || len(n.all()) > 0 {
			t.Errorf("got %v, said %q", err, n.all())
		}
	})
}

// A rack, or what is in front of it, that takes a request and says nothing must
// not stop the polls for ever.
func TestSilentAnswerToAGet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		c, said := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch n.Add(1) {
			case 1:
				<-r.Context().Done() // not a byte
			case 2:
				io.WriteString(w, `{"name":`)
				http.NewResponseController(w).Flush()
				<-r.Context().Done() // half an answer
			default:
				answer(w, 200, rack.App{Name: "web"})
			}
		}))
		a, err := c.App(t.Context(), "web")
		if err != nil || a.Name != "web" || len(said.all()) != 2 {
			t.Errorf("got %v, %v, said %q", a, err, said.all())
		}
	})
}

func TestSilenceIsNotTheCallersDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		_, err := c.App(t.Context(), "web")
		if !errors.Is(err, rack.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestEmptyAnswerIsTriedAgain(t *testing.T) {
	for _, body := range []string{"", "\n", "{\"name\": \"w", "ok\n", `["web"]`} {
		synctest.Test(t, func(t *testing.T) {
			way := &flaky{to: serve(t, &counter{}), faults: []fault{{answer: reply(200, body)}}}
			c := rack.New(direct(t), way, nil)
			if a, err := c.App(t.Context(), "web"); err != nil || a.Name != "web" {
				t.Errorf("%q: got %v, %v", body, a, err)
			}
			way.n.Store(0)
			way.faults = []fault{{answer: reply(200, body)}}
			if b, err := c.CreateBuild(t.Context(), "web", "u", rack.BuildOptions{}); err == nil {
				t.Errorf("%q: a build was made of it: %v", body, b)
			}
			if n := way.n.Load(); n != 1 {
				t.Errorf("%q: a create was sent %d times", body, n)
			}
		})
	}
}

func TestFaultOfTheSource(t *testing.T) {
	cause := errors.New("disk on fire")
	for name, open := range map[string]func() (io.ReadCloser, error){
		"opening": func() (io.ReadCloser, error) { return nil, cause },
		"reading": func() (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader("begin"), faulty{cause})), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, opened := &counter{}, 0
				c, n := client(t, server)
				_, err := c.PutObject(t.Context(), "web", "k", func() (io.ReadCloser, error) { opened++; return open() })
				if err != cause || opened != 1 || len(n.all()) > 0 || server.uploads.Load() != 0 {
					t.Errorf("got %v, opened %d times, said %q, %d uploads", err, opened, n.all(), server.uploads.Load())
				}
			})
		})
	}
}

type faulty struct{ err error }

func (f faulty) Read([]byte) (int, error) { return 0, f.err }

// What breaks the connection closes the source; that the source then cannot be
// read is not what went wrong.
func TestLostConnectionClosesTheSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		c := rack.New(direct(t), roundTripper(func(r *http.Request) (*http.Response, error) {
			n++
			reading := make(chan error)
			go func() {
				_, err := io.Copy(io.Discard, r.Body)
				reading <- err
			}()
			synctest.Wait()
			r.Body.Close()
			if err := <-reading; err == nil {
				t.Error("the source could be read to its end")
			}
			return nil, errReset
		}), nil)
		_, err := c.PutObject(t.Context(), "web", "k", func() (io.ReadCloser, error) {
			from, _ := io.Pipe()
			return from, nil
		})
		if !errors.Is(err, syscall.ECONNRESET) || n != 5 {
			t.Errorf("got %v after %d tries", err, n)
		}
	})
}

// A promote is done when its status is there, whatever becomes of the rest.
func TestLostRestOfAnAnswer(t *testing.T) {
	c := rack.New(direct(t), roundTripper(func(*http.Request) (*http.Response, error) {
		res := reply(200, "")
		res.Body = io.NopCloser(faulty{errReset})
		return res, nil
	}), nil)
	if err := c.Promote(t.Context(), "web", "R", false); err != nil {
		t.Error(err)
	}
}

// An answer that comes before the upload has ended is the answer.
func TestAnswerBeforeTheUploadEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answer(w, 401, "invalid authentication")
		}))
		_, err := c.PutObject(t.Context(), "web", "k", func() (io.ReadCloser, error) {
			from, to := io.Pipe()
			go func() {
				for {
					if _, err := to.Write(make([]byte, 4<<10)); err != nil {
						return
					}
				}
			}()
			return from, nil
		})
		if !errors.Is(err, rack.ErrUnauthorized) {
			t.Errorf("got %v", err)
		}
	})
}
