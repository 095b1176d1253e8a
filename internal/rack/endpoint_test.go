package rack_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/rack"
)

func TestDirect(t *testing.T) {
	for _, test := range []struct{ name, raw, host, password string }{
		{"as documented", "https://convox:abc123@rack.example.org", "rack.example.org", "abc123"},
		{"with a port", "https://convox:abc123@rack.example.org:5443", "rack.example.org:5443", "abc123"},
		{"plain http", "http://convox:abc123@127.0.0.1:5000", "127.0.0.1:5000", "abc123"},
		{"a slash at the end", "https://convox:abc123@rack.example.org/", "rack.example.org", "abc123"},
		{"blanks around it", " https://convox:abc123@rack.example.org\n", "rack.example.org", "abc123"},
		{"password percent-encoded", "https://convox:" + url.QueryEscape("a/b%@#!") + "@rack.example.org", "rack.example.org", "a/b%@#!"},
		{"no password", "https://rack.example.org", "rack.example.org", ""},
		{"IPv6", "https://convox:abc@[::1]:5443", "[::1]:5443", "abc"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e, err := rack.Direct(test.raw)
			if err != nil {
				t.Fatal(err)
			}
			if e.Host() != test.host || e.Password() != test.password {
				t.Errorf("got %s, %q", e.Host(), e.Password())
			}
			if e.String() != test.host {
				t.Errorf("named %s", e)
			}
		})
	}
}

func TestDirectRefuses(t *testing.T) {
	for _, raw := range []string{
		"", "rack.example.org", "convox:s3cretkey@rack.example.org", "ftp://convox:s3cretkey@rack.example.org",
		"https://convox:s3cretkey@", "https://convox:s3cretkey@:443", "https://convox:s3cret/key@rack.example.org",
		"https://convox:s3cret#key@rack.example.org", "https://convox:s3cret%key@rack.example.org",
		"https://convox:s3cretkey@rack.example.org/apps", "https://convox:s3cretkey@rack.example.org?a=s3cret",
		"https://convox:s3cretkey@rack.example.org#s3cret", "https://convox:s3cretkey@ra ck", "https:s3cretkey@rack",
		"https://convox:12?s3cret@rack.example.org", "https://convox:12/s3cret@rack.example.org", "https://convox:s3cret\nkey@rack",
	} {
		_, err := rack.Direct(raw)
		if err == nil {
			t.Errorf("%q was accepted", raw)
		} else if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "rack.example") {
			t.Errorf("%q: the error shows it: %v", raw, err)
		}
	}
}

func TestConsole(t *testing.T) {
	for _, test := range []struct{ host, want string }{
		{"console.convox.com", "console.convox.com"},
		{"console.example.org:8443", "console.example.org:8443"},
		{"https://console.convox.com", "console.convox.com"},
		{"https://console.convox.com/", "console.convox.com"},
		{"console.convox.com/", "console.convox.com"},
		{" console.convox.com\n", "console.convox.com"},
	} {
		e, err := rack.Console(test.host, "key", "acme/production")
		if err != nil {
			t.Errorf("%q: %v", test.host, err)
			continue
		}
		if e.Host() != test.want || e.Password() != "key" || e.String() != "acme/production at "+test.want {
			t.Errorf("%q: got %s, %s", test.host, e.Host(), e)
		}
	}
	for _, host := range []string{
		"", "http://console.convox.com", "convox:s3cret@console.convox.com", "https://convox:s3cret@console.convox.com",
		"convox:s3cret", "console.convox.com/s3cret", "console.convox.com?s3cret", "console.convox.com?", "console.convox.com#s3cret", ":443", "a b",
		"https://convox:s3/cret@console.convox.com",
	} {
		_, err := rack.Console(host, "s3cret", "acme/production")
		if err == nil {
			t.Errorf("%q was accepted", host)
		} else if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "s3/cret") {
			t.Errorf("%q: the error shows the key: %v", host, err)
		}
	}
	if _, err := rack.Console("console.convox.com", "key", "acme/production\r\nEvil: 1"); err == nil {
		t.Error("a rack's name with a line break was accepted")
	}
}

// What holds the key must not show it, by whatever verb it is printed.
func TestKeyIsNeverPrinted(t *testing.T) {
	e := console(t)
	d, err := rack.Direct("https://convox:" + url.QueryEscape(key) + "@rack.invalid")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{e, &e, d, &d, []rack.Endpoint{e}, map[string]rack.Endpoint{"e": d}, struct{ inner rack.Endpoint }{e},
		rack.New(e, nil, nil), rack.New(d, nil, nil)} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			showsNothing(t, verb, fmt.Sprintf(verb, v))
		}
	}
}

// showsNothing fails if a text holds the key, or the URL it goes with, in any
// form they are sent or printed in.
func showsNothing(t *testing.T, what, text string) {
	t.Helper()
	for _, secret := range []string{
		key, url.QueryEscape(key), url.PathEscape(key), url.UserPassword("convox", key).String(), basic(key), fmt.Sprintf("%x", key), "p/w%", "p%2Fw",
		"://console.invalid", "://rack.invalid", "secret-of-the-rack", basic("secret-of-the-rack"),
	} {
		if strings.Contains(text, secret) {
			t.Errorf("%s shows %q: %s", what, secret, text)
		}
	}
}
