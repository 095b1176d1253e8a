package rack_test

import (
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// tlsRack is a rack with a certificate that nobody knows; it counts requests.
func tlsRack(t *testing.T) (e rack.Endpoint, ca string, requests *atomic.Int64) {
	t.Helper()
	requests = new(atomic.Int64)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if r.Header.Get("Upgrade") != "" {
			upgrade(t, w, r).end()
			return
		}
		answer(w, 200, rack.Build{Status: rack.BuildComplete})
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of clients that do not trust it
	s.StartTLS()
	t.Cleanup(s.Close)
	ca = filepath.Join(t.TempDir(), "ca.pem")
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(ca, data, 0o600); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("convox", key)
	e, err = rack.Direct(u.String())
	if err != nil {
		t.Fatal(err)
	}
	return e, ca, requests
}

func TestTLS(t *testing.T) {
	e, ca, requests := tlsRack(t)
	for _, test := range []struct {
		name    string
		tls     rack.TLS
		trusted bool
	}{
		{"an unknown authority", rack.TLS{}, false},
		{"an authority from a file", rack.TLS{CAFile: ca}, true},
		{"any certificate", rack.TLS{SkipVerify: true}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			tr, err := rack.Transport(test.tls)
			if err != nil {
				t.Fatal(err)
			}
			defer tr.CloseIdleConnections()
			n := &notices{}
			c := rack.New(e, tr, n.add)
			requests.Store(0)
			_, err = c.System(t.Context())
			if test.trusted {
				if err != nil || requests.Load() != 1 {
					t.Errorf("%d requests, %v", requests.Load(), err)
				}
				if err := c.Log(t.Context(), "web", "B", io.Discard); err != nil || len(n.all()) > 0 {
					t.Errorf("the log: %v; said %q", err, n.all())
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), "certificate") {
				t.Errorf("got %v", err)
			}
			if requests.Load() != 0 || len(n.all()) != 0 {
				t.Errorf("%d requests; tried again: %q", requests.Load(), n.all())
			}
			showsNothing(t, "the error", err.Error())
		})
	}
}

func TestTransportNeedsAuthorities(t *testing.T) {
	if _, err := rack.Transport(rack.TLS{CAFile: filepath.Join(t.TempDir(), "none.pem")}); err == nil {
		t.Error("a missing file was accepted")
	}
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := rack.Transport(rack.TLS{CAFile: empty}); err == nil || !strings.Contains(err.Error(), empty) {
		t.Errorf("a file without certificates: %v", err)
	}
}

func TestNotTLS(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	defer s.Close()
	c, n := overTLS(t, strings.TrimPrefix(s.URL, "http://"))
	_, err := c.System(t.Context())
	if err == nil || !strings.Contains(err.Error(), "HTTP response to HTTPS client") || len(n.all()) > 0 {
		t.Errorf("got %v, said %q", err, n.all())
	}
}

func overTLS(t *testing.T, host string) (*rack.Client, *notices) {
	t.Helper()
	e, err := rack.Console(host, key, "acme/fake")
	if err != nil {
		t.Fatal(err)
	}
	tr, err := rack.Transport(rack.TLS{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.CloseIdleConnections)
	n := &notices{}
	return rack.New(e, tr, n.add), n
}
