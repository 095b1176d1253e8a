package rackd_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

func TestErrorsOfStreamsAreTextInThem(t *testing.T) {
	m := start(t)
	lost := rack.Build{ID: "BLOST", App: "web", Status: rack.BuildFailed, Logs: "object://web/build/BLOST/logs"}
	m.must(m.stores.Builds.SwapBuild(t.Context(), rack.Build{}, lost))
	old := rack.Build{ID: "BOLD", App: "web", Status: rack.BuildFailed} // ended without a log
	m.must(m.stores.Builds.SwapBuild(t.Context(), rack.Build{}, old))
	for target, want := range map[string]string{
		"/apps/none/builds/BNONE/logs": "ERROR: app not found: none\n",
		"/apps/web/builds/BNONE/logs":  "ERROR: build not found: BNONE\n",
		"/apps/web/builds/BLOST/logs":  "ERROR: unable to read logs for build: BLOST\n",
		"/apps/web/builds/BOLD/logs":   "",
		"/apps/none/logs":              "ERROR: app not found: none\n",
	} {
		if got := m.rest(m.socket(target, nil)); got != want {
			t.Errorf("%s: %q, want %q", target, got, want)
		}
	}
}

// A stored log that breaks off must not look as if it had ended.
func TestStoredLogBreaksOff(t *testing.T) {
	m := start(t, func(c *rackd.Config) { c.Stores.Objects = badDisk{c.Stores.Objects} })
	b := rack.Build{ID: "BA", App: "web", Status: rack.BuildFailed, Logs: "object://web/build/BA/logs"}
	m.must(m.stores.Builds.SwapBuild(t.Context(), rack.Build{}, b))
	if got := m.log("BA"); !strings.HasSuffix(got, "xERROR: "+errDisk.Error()+"\n") || len(got) < 100_000 {
		t.Errorf("%d bytes, ending in %q", len(got), got[max(0, len(got)-50):])
	}
}

func TestHandshakes(t *testing.T) {
	m := start(t)
	m.must(m.stores.Builds.SwapBuild(t.Context(), rack.Build{}, rack.Build{ID: "BA", App: "web", Status: rack.BuildFailed}))
	for _, test := range []struct {
		name, header, value string
		status              int
	}{
		{"plain", "", "", 101},
		{"origin with another scheme", "Origin", "https://" + m.host, 101},
		{"origin of another host", "Origin", "https://elsewhere.invalid", 403},
		{"another list", "Connection", "keep-alive, Upgrade", 101},
		{"capitals", "Upgrade", "WebSocket", 404},
		{"another protocol", "Upgrade", "h2c", 404},
		{"another version", "Sec-Websocket-Version", "12", 400},
		{"offers", "Sec-Websocket-Extensions", "permessage-deflate", 101},
		{"subprotocol", "Sec-Websocket-Protocol", "x", 101},
	} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", m.url+"/apps/web/builds/BA/logs?", nil)
		m.must(err)
		for name, value := range map[string]string{
			"Upgrade": "websocket", "Connection": "Upgrade", "Sec-Websocket-Key": "AAECAwQFBgcICQoLDA0ODw==", "Sec-Websocket-Version": "13",
		} {
			r.Header.Set(name, value)
		}
		if test.header != "" {
			r.Header.Set(test.header, test.value)
		}
		resp, err := http.DefaultTransport.RoundTrip(r)
		m.must(err)
		if resp.StatusCode != test.status || resp.Header.Get("Sec-Websocket-Extensions")+resp.Header.Get("Sec-Websocket-Protocol") != "" {
			t.Errorf("%s: %d %v", test.name, resp.StatusCode, resp.Header)
		}
		if test.status == 101 { // an unmasked, whole, empty binary message
			end := make([]byte, 2)
			if _, err := io.ReadFull(resp.Body, end); err != nil || string(end) != "\x82\x00" {
				t.Errorf("%s: stream is %x, %v", test.name, end, err)
			}
		}
		resp.Body.Close()
	}
}

// Nothing runs in an app, but those who watch it while they promote must not
// be sent away.
func TestAppLog(t *testing.T) {
	m := start(t)
	for _, header := range []string{"false", "yes"} {
		if got := m.rest(m.socket("/apps/web/logs", http.Header{"Follow": {header}})); got != "" {
			t.Errorf("Follow: %s: %q", header, got)
		}
	}
	conn := m.socket("/apps/web/logs", http.Header{"Follow": {"true"}, "Since": {"5s"}})
	got := make(chan error, 1)
	go func() {
		kind, p, err := conn.Read(t.Context())
		if err == nil && (kind != websocket.MessageBinary || len(p) != 0) {
			t.Errorf("the end is %v %q", kind, p)
		}
		got <- err
	}()
	m.must(conn.Ping(t.Context())) // by now the rack is in the stream
	select {
	case err := <-got:
		t.Fatalf("the stream ended by itself: %v", err)
	default:
	}
	m.server.Close()
	m.must(<-got)
}

// A reader that leaves a silent stream is let go.
func TestReaderLeavesASilentStream(t *testing.T) {
	gone := make(chan struct{})
	m := start(t, func(c *rackd.Config) { c.Password = "secret" })
	handler := m.server.Handler()
	h := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(w, r)
		close(gone)
	})}
	m.serve(&h)
	conn := m.socket("/apps/web/logs", nil)
	m.must(conn.CloseNow())
	receive(m, gone)
}
