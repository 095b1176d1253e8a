package rack_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/rack"
)

func basic(password string) string {
	return base64.StdEncoding.EncodeToString([]byte("convox:" + password))
}

// roundTripper is a function as a transport.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func reply(status int, body string, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

// seen is what a request was made of.
type seen struct {
	Method, URL, Type, Rack, Body string
	Length                        int64
	HasRack                       bool
}

// record makes one call and returns its request.
func record(t *testing.T, e rack.Endpoint, body string, do func(*rack.Client) error) (seen, *http.Request) {
	t.Helper()
	var got seen
	var req *http.Request
	c := rack.New(e, roundTripper(func(r *http.Request) (*http.Response, error) {
		var data []byte
		if r.Body != nil {
			data, _ = io.ReadAll(r.Body)
			r.Body.Close()
		}
		req = r
		got = seen{Method: r.Method, URL: r.URL.String(), Type: r.Header.Get("Content-Type"), Rack: r.Header.Get("Rack"),
			Body: string(data), Length: r.ContentLength, HasRack: r.Header["Rack"] != nil}
		return reply(200, body), nil
	}), nil)
	if err := do(c); err != nil {
		t.Fatal(err)
	}
	return got, req
}

func TestRequests(t *testing.T) {
	ctx := t.Context()
	no := false
	const octets, form = "application/octet-stream", "application/x-www-form-urlencoded"
	for _, test := range []struct {
		name   string
		do     func(*rack.Client) error
		answer string
		want   seen
	}{
		{"system", func(c *rack.Client) error { _, err := c.System(ctx); return err }, "{}",
			seen{Method: "GET", URL: "/system", Type: octets}},
		{"app", func(c *rack.Client) error { _, err := c.App(ctx, "my app"); return err }, "{}",
			seen{Method: "GET", URL: "/apps/my%20app", Type: octets}},
		{"create app", func(c *rack.Client) error { _, err := c.CreateApp(ctx, "web"); return err }, "{}",
			seen{Method: "POST", URL: "/apps", Type: form, Body: "name=web", Length: 8}},
		{"upload", func(c *rack.Client) error {
			_, err := c.PutObject(ctx, "web", "tmp/0a.tgz", func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("bytes")), nil })
			return err
		}, "{}", seen{Method: "POST", URL: "/apps/web/objects/tmp/0a.tgz", Type: octets, Body: "bytes", Length: -1}},
		{"create build", func(c *rack.Client) error {
			_, err := c.CreateBuild(ctx, "web", "object://web/a", rack.BuildOptions{})
			return err
		}, "{}",
			seen{Method: "POST", URL: "/apps/web/builds", Type: form, Body: "url=object%3A%2F%2Fweb%2Fa", Length: 26}},
		{"create build with all", func(c *rack.Client) error {
			_, err := c.CreateBuild(ctx, "web", "u", rack.BuildOptions{BuildArgs: []string{"A=1", "B=two words"}, Description: "a & b", Development: true,
				GitSHA: "abc", Manifest: "m.yml", NoCache: true, WildcardDomain: &no})
			return err
		}, "{}", seen{Method: "POST", URL: "/apps/web/builds", Type: form, Length: 134,
			Body: "build-args=A%3D1%2CB%3Dtwo+words&description=a+%26+b&development=true&git-sha=abc&manifest=m.yml&no-cache=true&url=u&wildcard-domain=false"}},
		{"build", func(c *rack.Client) error { _, err := c.Build(ctx, "web", "B"); return err }, "{}",
			seen{Method: "GET", URL: "/apps/web/builds/B", Type: octets}},
		{"builds", func(c *rack.Client) error { _, err := c.Builds(ctx, "web", 0); return err }, "null",
			seen{Method: "GET", URL: "/apps/web/builds", Type: octets}},
		{"builds, limited", func(c *rack.Client) error { _, err := c.Builds(ctx, "web", 3); return err }, "[]",
			seen{Method: "GET", URL: "/apps/web/builds?limit=3", Type: octets}},
		{"release", func(c *rack.Client) error { _, err := c.Release(ctx, "web", "R"); return err }, "{}",
			seen{Method: "GET", URL: "/apps/web/releases/R", Type: octets}},
		{"promote", func(c *rack.Client) error { return c.Promote(ctx, "web", "R", false) }, "ok\n",
			seen{Method: "POST", URL: "/apps/web/releases/R/promote", Type: octets}},
		{"promote with force", func(c *rack.Client) error { return c.Promote(ctx, "web", "R", true) }, "ok\n",
			seen{Method: "POST", URL: "/apps/web/releases/R/promote", Type: form, Body: "force=true", Length: 10}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, _ := record(t, console(t), test.answer, test.do)
			test.want.URL = "https://console.invalid" + test.want.URL
			test.want.Rack, test.want.HasRack = "acme/fake", true
			if len(test.want.Body) > 50 {
				test.want.Length = int64(len(test.want.Body))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestPasswordIsSentRaw(t *testing.T) {
	system := func(c *rack.Client) error { _, err := c.System(t.Context()); return err }
	for _, password := range []string{key, "plain", "a/b", "100%", "a@b", "a#b!", "with space", "ü"} {
		d, err := rack.Direct("https://convox:" + strings.ReplaceAll(url.QueryEscape(password), "+", "%20") + "@rack.invalid")
		if err != nil {
			t.Fatal(err)
		}
		c, err := rack.Console("console.invalid", password, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range []rack.Endpoint{c, d} {
			got, req := record(t, e, "{}", system)
			if user, sent, _ := req.BasicAuth(); user != "convox" || sent != password {
				t.Errorf("%s: sent %q, %q for %q", e, user, sent, password)
			}
			if got.HasRack {
				t.Errorf("%s: a Rack header was sent: %q", e, got.Rack)
			}
		}
	}
	d, err := rack.Direct("https://YWNtZS9mYWtl:abc@console.invalid")
	if err != nil {
		t.Fatal(err)
	}
	_, req := record(t, d, "{}", system)
	if user, _, _ := req.BasicAuth(); user != "YWNtZS9mYWtl" {
		t.Errorf("user %q", user)
	}
}

// counted is a body of many bytes that knows how many were taken from it.
type counted struct {
	left, chunk int
	produced    *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), c.left, c.chunk)
	clear(p[:n])
	c.left -= n
	c.produced.Add(int64(n))
	return n, nil
}

func (c *counted) Close() error { return nil }

// The connection is in memory and holds nothing: what was read of the source
// and did not arrive yet is held by the client.
func TestUploadIsStreamed(t *testing.T) {
	const size, allowed = 16 << 20, 256 << 10
	var produced, received, most atomic.Int64
	c, _ := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != -1 || len(r.TransferEncoding) != 1 || r.TransferEncoding[0] != "chunked" {
			t.Errorf("length %d, encoding %v", r.ContentLength, r.TransferEncoding)
		}
		p := make([]byte, 8<<10)
		for {
			n, err := r.Body.Read(p)
			held := produced.Load() - received.Add(int64(n))
			most.Store(max(most.Load(), held))
			if err != nil {
				break
			}
		}
		answer(w, 200, rack.Object{URL: "object://web/k"})
	}))
	o, err := c.PutObject(t.Context(), "web", "k", func() (io.ReadCloser, error) {
		return &counted{left: size, chunk: 32 << 10, produced: &produced}, nil
	})
	if err != nil || o.URL != "object://web/k" {
		t.Fatalf("got %v, %v", o, err)
	}
	if received.Load() != size {
		t.Errorf("%d of %d bytes arrived", received.Load(), size)
	}
	if most.Load() > allowed {
		t.Errorf("%d bytes were held by the client at once", most.Load())
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		n := 0
		c := rack.New(console(t), roundTripper(func(r *http.Request) (*http.Response, error) {
			n++
			return reply(status, `<a href="https://elsewhere.invalid">`, "Location", "https://elsewhere.invalid/"), nil
		}), nil)
		_, err := c.System(t.Context())
		if n != 1 || err == nil || !strings.Contains(err.Error(), "GET /system: answered with status 30") {
			t.Errorf("%d: %d requests, %v", status, n, err)
		}
		showsNothing(t, "the error of a redirect", err.Error())
	}
}

func TestClosesWhatItOpened(t *testing.T) {
	opened, closed := 0, 0
	c, _ := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		answer(w, 200, rack.Object{URL: "u"})
	}))
	if _, err := c.PutObject(context.Background(), "web", "k", func() (io.ReadCloser, error) {
		opened++
		return &closer{Reader: bytes.NewReader([]byte("x")), closed: &closed}, nil
	}); err != nil {
		t.Fatal(err)
	}
	if opened != 1 || closed == 0 {
		t.Errorf("opened %d times, closed %d times", opened, closed)
	}
}

type closer struct {
	io.Reader
	closed *int
}

func (c *closer) Close() error { *c.closed++; return nil }
