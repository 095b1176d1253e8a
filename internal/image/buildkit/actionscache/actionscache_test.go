package actionscache_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/convox-ci/convox-ci/internal/image/buildkit/actionscache"
	"github.com/convox-ci/convox-ci/internal/image/buildkit/actionscache/actionscachetest"
)

const main, feature = "refs/heads/main", "refs/heads/feature"

func lab(t *testing.T) (s *actionscachetest.Service, address string) {
	t.Helper()
	s = actionscachetest.New()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.URL
}

func open(t *testing.T, environ map[string]string) *actionscache.Service {
	t.Helper()
	c, err := actionscache.Open(environ["ACTIONS_RESULTS_URL"], environ["ACTIONS_RUNTIME_TOKEN"], nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func save(t *testing.T, c *actionscache.Service, key, text string) {
	t.Helper()
	if err := c.Save(t.Context(), key, strings.NewReader(text), int64(len(text))); err != nil {
		t.Fatal(err)
	}
}

func TestKeys(t *testing.T) {
	s, address := lab(t)
	onMain, onFeature := open(t, s.Environ(address, main)), open(t, s.Environ(address, feature, main))
	save(t, onMain, "list#1", "one")
	save(t, onMain, "list#2", "two")
	save(t, onMain, "empty", "")
	if err := onMain.Save(t.Context(), "list#2", strings.NewReader("other"), 5); !errors.Is(err, actionscache.ErrExists) {
		t.Errorf("a second entry of one key: %v", err)
	}
	for prefix, want := range map[string]string{"list#": "list#2 two", "li": "list#2 two", "list#1": "list#1 one", "other": "", "st#": ""} {
		if got := latest(t, onFeature, prefix); got != want {
			t.Errorf("%s: %q, want %q", prefix, got, want)
		}
	}
	for key, want := range map[string]bool{"list#1": true, "list#": false, "list#3": false} {
		if e, err := onFeature.Find(t.Context(), key); err != nil || (e != nil) != want {
			t.Errorf("%s: %v, %v", key, e, err)
		}
	}
	save(t, onFeature, "list#2", "two of the feature") // another scope
	if got := latest(t, onFeature, "list#"); got != "list#2 two of the feature" {
		t.Errorf("of its own branch comes %q", got)
	}
	if got := latest(t, onMain, "list#"); got != "list#2 two" {
		t.Errorf("of the default branch comes %q", got)
	}
	err := open(t, s.ReadOnly(address, main)).Save(t.Context(), "new", strings.NewReader("x"), 1)
	if refused, ok := errors.AsType[*actionscache.Refusal](err); !ok || refused.Status != http.StatusForbidden || refused.Code != "permission_denied" {
		t.Errorf("a token that may read only: %v", err)
	}
}

func latest(t *testing.T, c *actionscache.Service, prefix string) string {
	t.Helper()
	e, err := c.Latest(t.Context(), prefix)
	if err != nil {
		t.Fatal(err)
	}
	if e == nil {
		return ""
	}
	data, err := e.All(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	return e.Key + " " + string(data)
}

// TestBlocks: what is larger than a request is cut, and read from any place.
func TestBlocks(t *testing.T) {
	s, address := lab(t)
	c := open(t, s.Environ(address, main))
	for size, puts := range map[int]int{8 << 20: 1, 8<<20 + 1: 3, 20 << 20: 4} {
		data := make([]byte, size)
		rand.NewChaCha8([32]byte{byte(puts)}).Read(data)
		key := "blob-" + string(rune('0'+puts))
		if err := c.Save(t.Context(), key, bytes.NewReader(data), int64(size)); err != nil {
			t.Fatal(err)
		}
		sent := slices.DeleteFunc(s.Calls(), func(call string) bool {
			return !strings.HasSuffix(call, key) || strings.HasPrefix(call, "C") || strings.HasPrefix(call, "F")
		})
		if len(sent) != puts {
			t.Errorf("%d bytes went as %q", size, sent)
		}
		e, err := c.Find(t.Context(), key)
		if err != nil || e == nil {
			t.Fatal(e, err)
		}
		blob := e.Blob(t.Context(), int64(size))
		back, err := io.ReadAll(io.NewSectionReader(blob, 0, blob.Size()))
		if err != nil || !bytes.Equal(back, data) {
			t.Errorf("%d bytes are others when they come back: %v", size, err)
		}
		piece := make([]byte, 10)
		if n, err := blob.ReadAt(piece, int64(size)-5); n != 5 || err != io.EOF || !bytes.Equal(piece[:5], data[size-5:]) {
			t.Errorf("the end is %d bytes, %v", n, err)
		}
		if _, err := e.Blob(t.Context(), int64(size)+1).ReadAt(piece[:1], int64(size)); err == nil {
			t.Error("one byte more than there is was read")
		}
		if _, err := e.All(t.Context(), int64(size)-1); err == nil {
			t.Error("an entry was read beyond the limit")
		}
	}
}

// TestWhatTheRepositoryMayHave: what was used least lately goes.
func TestWhatTheRepositoryMayHave(t *testing.T) {
	s, address := lab(t)
	now := time.Now()
	s.Limit, s.Now = 10, func() time.Time { now = now.Add(time.Second); return now }
	c := open(t, s.Environ(address, main))
	save(t, c, "one", "11111")
	save(t, c, "two", "22222")
	latest(t, c, "one")
	save(t, c, "three", "333")
	var keys []string
	for _, e := range s.Entries() {
		keys = append(keys, e.Key)
	}
	if !slices.Equal(keys, []string{"one", "three"}) {
		t.Errorf("left are %q", keys)
	}
}

// way answers requests.
type way func(*http.Request) (*http.Response, error)

// RoundTrip implements [http.RoundTripper].
func (w way) RoundTrip(r *http.Request) (*http.Response, error) { return w(r) }

func answer(status int, body string, header ...string) *http.Response {
	r := &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

var token = "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"ac":"[{\"Scope\":\"refs/heads/main\",\"Permission\":3}]"}`)) + ".c2ln"

// TestAttempts: passing trouble is asked again after a while, and no other.
func TestAttempts(t *testing.T) {
	busy := func(status int, header ...string) way {
		return func(*http.Request) (*http.Response, error) {
			return answer(status, `{"code":"resource_exhausted","msg":"later"}`, header...), nil
		}
	}
	for name, c := range map[string]struct {
		way     way
		within  time.Duration // 0 for no bound
		asked   int
		took    time.Duration
		refusal string
	}{
		"too much":        {busy(429), 0, 3, 3 * time.Second, "GetCacheEntryDownloadURL was refused with 429 Too Many Requests: resource_exhausted: later"},
		"when to come":    {busy(429, "Retry-After", "10"), 0, 3, 20 * time.Second, "429"},
		"in a year":       {busy(503, "Retry-After", "31536000"), 0, 3, 2 * time.Minute, "503"},
		"not in time":     {busy(503, "Retry-After", "10"), 5 * time.Second, 1, 0, "503"},
		"broken":          {busy(500), 0, 3, 3 * time.Second, "500"},
		"forbidden":       {busy(403), 0, 1, 0, "403"},
		"elsewhere":       {busy(302, "Location", "https://elsewhere.test/"), 0, 1, 0, "302"},
		"no connection":   {func(*http.Request) (*http.Response, error) { return nil, errors.New("refused by nobody") }, 0, 3, 3 * time.Second, "GetCacheEntryDownloadURL: refused by nobody"},
		"no answer":       {func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() }, 0, 1, 30 * time.Second, "GetCacheEntryDownloadURL: no answer within 30s"},
		"another service": {func(*http.Request) (*http.Response, error) { return answer(200, "<html>"), nil }, 0, 1, 0, "GetCacheEntryDownloadURL: the answer is not that of the cache service"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked, begin := 0, time.Now()
				s, err := actionscache.Open("https://results.test/", token, way(func(r *http.Request) (*http.Response, error) { asked++; return c.way(r) }))
				if err != nil {
					t.Fatal(err)
				}
				ctx := t.Context()
				if c.within > 0 {
					var done context.CancelFunc
					ctx, done = context.WithTimeout(ctx, c.within)
					defer done()
				}
				_, err = s.Find(ctx, "key")
				if err == nil || !strings.Contains(err.Error(), c.refusal) || asked != c.asked || time.Since(begin) != c.took {
					t.Errorf("asked %d times in %s: %v", asked, time.Since(begin), err)
				}
			})
		})
	}
}

// TestNothingSecretInErrors: neither of the token nor of addresses that are signed.
func TestNothingSecretInErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := actionscache.Open("https://results.test/", token, way(func(r *http.Request) (*http.Response, error) {
			if r.URL.Host == "results.test" {
				return answer(200, `{"ok":true,"signed_upload_url":"https://store.test/blob?sig=orchid","signed_download_url":"https://store.test/blob?sig=orchid","matched_key":"key"}`), nil
			}
			if r.Header.Get("Authorization") != "" {
				t.Error("the store got the token")
			}
			return nil, errors.New("no way")
		}))
		if err != nil {
			t.Fatal(err)
		}
		e, err := s.Find(t.Context(), "key")
		if err != nil {
			t.Fatal(err)
		}
		_, read := e.All(t.Context(), 10)
		wrote := s.Save(t.Context(), "key", strings.NewReader("x"), 1)
		for _, err := range []error{read, wrote} {
			if err == nil || strings.Contains(err.Error(), "orchid") || strings.Contains(err.Error(), token) || !strings.Contains(err.Error(), "no way") {
				t.Errorf("error %v", err)
			}
		}
	})
}

// TestFewerBytes: what the store has not is no end, and is not asked for once more.
func TestFewerBytes(t *testing.T) {
	s, err := actionscache.Open("https://results.test/", token, way(func(r *http.Request) (*http.Response, error) {
		if r.URL.Host == "results.test" {
			return answer(200, `{"ok":true,"signed_download_url":"https://store.test/blob","matched_key":"key"}`), nil
		}
		return answer(206, "ab"), nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	e, err := s.Find(t.Context(), "key")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := e.Blob(t.Context(), 5).ReadAt(make([]byte, 5), 0); n != 0 || err == nil || err.Error() != "the entry has 2 bytes and not 5" {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, c := range [][2]string{{"", token}, {"results.test", token}, {"ftp://results.test", token}, {"https://results.test", ""}, {"https://results.test", "a.b.c"},
		{"https://results.test", "a." + base64.RawURLEncoding.EncodeToString([]byte(`{"ac":"none"}`)) + ".c"}} {
		_, err := actionscache.Open(c[0], c[1], nil)
		if err == nil || !strings.HasPrefix(err.Error(), "ACTIONS_R") || c[1] != "" && strings.Contains(err.Error(), c[1]) {
			t.Errorf("%q: %v", c, err)
		}
	}
}

// FuzzToken: a token is read or refused, and an error has nothing of it.
func FuzzToken(f *testing.F) {
	f.Add(token)
	f.Add("a.bbbb.c")
	f.Add("e30.e30.e30")
	f.Fuzz(func(t *testing.T, token string) {
		s, err := actionscache.Open("https://results.test", token, nil)
		if err == nil && strings.Count(token, ".") != 2 {
			t.Errorf("%q was read as %v", token, s.Scopes())
		}
		if err != nil && len(token) > 20 && strings.Contains(err.Error(), token) {
			t.Errorf("the error has the token: %v", err)
		}
	})
}
