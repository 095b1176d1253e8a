package rackd_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/rackd"
)

// tokens lets a rack give tokens.
func tokens(c *rackd.Config) { c.Access.Tokens = []byte("a key of the test, of 32 bytes..") }

// ask asks for a token, and returns the header that it is sent in.
func (m *machine) ask(role, hours string) http.Header {
	m.Helper()
	got := decode[struct{ Token string }](m, m.post("/system/jwt/token", url.Values{"role": {role}, "durationInHour": {hours}}))
	return basic("jwt:" + got.Token)
}

func TestTokens(t *testing.T) {
	m := start(t, password("secret"), tokens)
	read, write := m.ask("read", "1"), m.ask("write", "8760")
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	post := func(h http.Header) answer {
		h.Set("Content-Type", form.Get("Content-Type"))
		return m.do("POST", "/apps/web/releases", h, strings.NewReader("env=A%3D1"))
	}
	for name, h := range map[string]http.Header{"read": read, "write": write} {
		m.want(name, m.do("GET", "/auth", h, nil), 200, "ok\n")
		if a := m.do("HEAD", "/apps/web/objects/a", h, nil); a.status != 200 {
			t.Errorf("HEAD with the token to %s: %d", name, a.status)
		}
	}
	m.want("change by a reader", post(read), 401, "you are unauthorized to access this\n")
	if got := m.releases(); len(got) != 0 {
		t.Errorf("a reader has made %v", got)
	}
	m.want("token for a reader", m.do("POST", "/system/jwt/token", read, strings.NewReader("role=write&durationInHour=1")),
		401, "you are unauthorized to access this\n")
	if a := post(write); a.status != 200 {
		t.Errorf("change by a writer: %d %s", a.status, a.body)
	}
	exec := m.rest(m.socket("/apps/web/processes/none/exec", read))
	if want := "ERROR: process exec requires write access\n"; !strings.HasSuffix(exec, want) {
		t.Errorf("exec by a reader: %q", exec)
	}
	if exec = m.rest(m.socket("/apps/web/processes/none/exec", write)); !strings.Contains(exec, "process id not found for web") {
		t.Errorf("exec by a writer: %q", exec)
	}
	m.want("role", m.post("/system/jwt/token", url.Values{"role": {"admin"}, "durationInHour": {"1"}}), 400, "invalid role: read or write is allowed\n")
	for _, hours := range []string{"", "0", "-1", "8761", "x"} {
		m.want(hours, m.post("/system/jwt/token", url.Values{"role": {"read"}, "durationInHour": {hours}}), 400,
			"invalid duration: 1 to 8760 hours are allowed\n")
	}
}

// TestForgedTokens changes a token in every way that known attacks do.
func TestForgedTokens(t *testing.T) {
	m := start(t, password("secret"), tokens)
	_, token, _ := (&http.Request{Header: m.ask("read", "1")}).BasicAuth()
	part := strings.Split(token, ".")
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	for name, test := range map[string]struct{ token, want string }{
		"none":           {encode(`{"alg":"none","typ":"JWT"}`) + "." + part[1] + ".", "signature is invalid"},
		"no signature":   {part[0] + "." + part[1], "signature is invalid"},
		"bad signature":  {token[:len(token)-1] + "!", "token is malformed"},
		"more rights":    {part[0] + "." + encode(`{"expiresAt":9999999999,"role":"rw","user":"x"}`) + "." + part[2], "signature is invalid"},
		"another header": {encode(`{"alg":"HS256"}`) + "." + part[1] + "." + part[2], "signature is invalid"},
		"cut short":      {token[:len(token)-3], "signature is invalid"},
		"more parts":     {token + ".x", "token is malformed"},
		"the password":   {"secret", "token is malformed"},
		"endless":        {strings.Repeat("a.", 4<<10), "token is malformed"},
		"empty":          {"", "token is malformed"},
	} {
		m := start(t, password("secret"), tokens) // one each, or the last ones would be locked out
		m.want(name, m.do("GET", "/auth", basic("jwt:"+test.token), nil), 401, "invalid authentication: "+test.want+"\n")
	}
	other := start(t, password("another"), tokens)
	other.want("after the password was changed", other.do("GET", "/auth", basic("jwt:"+token), nil), 401,
		"invalid authentication: signature is invalid\n")
	open := start(t, tokens) // without a password a token still says what it allows
	read := open.ask("read", "1")
	open.want("change by a reader of an open rack", open.do("DELETE", "/apps/web/processes/x", read, nil), 401, "you are unauthorized to access this\n")
}

// TestTokensExpire: the clock is that of the test.
func TestTokensExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := unserved(t, t.TempDir(), password(""), tokens)
		a := m.direct("POST", "/system/jwt/token?role=write&durationInHour=2", nil)
		h := basic("jwt:" + decode[struct{ Token string }](m, a).Token)
		time.Sleep(2*time.Hour - time.Second)
		m.want("before", m.direct("GET", "/auth", h), 200, "ok\n")
		time.Sleep(time.Second)
		m.want("after", m.direct("GET", "/auth", h), 401, "invalid authentication: token is expired\n")
	})
}

// TestGuessing: after ten failures within a minute an address is not even told
// whether it is right, for a minute.
func TestGuessing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := unserved(t, t.TempDir(), password("secret"), tokens)
		right := basic("convox:secret")
		for i := range 10 {
			user := []string{"convox", "jwt"}[i%2] // both count
			if a := m.direct("GET", "/auth", basic(fmt.Sprint(user, ":guess", i))); a.status != 401 {
				t.Errorf("guess %d: %d", i, a.status)
			}
		}
		time.Sleep(time.Second)
		a := m.direct("GET", "/auth", right)
		m.want("locked out", a, 429, "too many failed logins from this address: try again in 59 seconds\n")
		if a.header.Get("Retry-After") != "59" {
			t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
		}
		m.want("without a login", m.direct("GET", "/auth", nil), 401, "invalid authentication\n")
		m.want("load balancer", m.direct("GET", "/check", nil), 200, "ok")
		time.Sleep(59 * time.Second)
		m.want("later", m.direct("GET", "/auth", right), 200, "ok\n")
		for range 9 {
			m.direct("GET", "/auth", basic("convox:guess"))
		}
		m.want("before the tenth", m.direct("GET", "/auth", right), 200, "ok\n")
	})
}

// TestAudit: every change is told of, with who asked for it and nothing secret.
func TestAudit(t *testing.T) {
	var mu sync.Mutex
	var noted []rackd.Change
	m := start(t, password("secret"), tokens, func(c *rackd.Config) {
		c.Access.Audit = func(c rackd.Change) {
			mu.Lock()
			defer mu.Unlock()
			noted = append(noted, c)
		}
	})
	m.get("/apps")
	read := m.ask("read", "1")
	m.post("/apps/web/releases", url.Values{"env": {"PASSWORD=correct-horse"}})
	m.do("POST", "/apps?name=query-secret", read, nil)
	m.do("POST", "/apps", basic("secret-user:wrong"), nil)
	m.rest(m.socket("/apps/web/processes/p/exec?command=secret-command", nil))
	type row struct{ User, Role, Method, Path, Status string }
	var got []row
	for _, c := range noted {
		got = append(got, row{c.User, c.Role, c.Method, c.Path, fmt.Sprint(c.Status)})
		if c.At.IsZero() || !strings.HasPrefix(c.Address, "127.0.0.1:") {
			t.Errorf("at %v from %s", c.At, c.Address)
		}
	}
	want := []row{
		{"password", "rw", "POST", "/system/jwt/token", "200"},
		{"password", "rw", "POST", "/apps/web/releases", "200"},
		{"system-read", "r", "POST", "/apps", "401"},
		{"", "", "POST", "/apps", "401"},
		{"password", "rw", "GET", "/apps/web/processes/p/exec", "200"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("noted (-want +got):\n%s", d)
	}
	text, err := json.Marshal(noted)
	m.must(err)
	for _, secret := range []string{"secret", "correct-horse", "eyJ"} {
		if strings.Contains(string(text), secret) {
			t.Errorf("the notes hold %q:\n%s", secret, text)
		}
	}
}
