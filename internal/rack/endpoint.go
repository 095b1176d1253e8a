package rack

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Endpoint is where a rack's API is and how to be let in.
type Endpoint struct {
	base     url.URL // without credentials
	user     string
	password string
	rack     string // value of the Rack header, "" for a direct rack
}

// defaultUser is the user name that keys and rack passwords go with; racks ignore it.
const defaultUser = "convox"

// Direct is the endpoint of a rack that is asked without a console in between:
// a URL https://convox:PASSWORD@HOST[:PORT], or http. An error never holds the
// URL, since that holds the password.
func Direct(raw string) (Endpoint, error) {
	u, err := url.Parse(strings.TrimSpace(raw))
	if err != nil {
		return Endpoint{}, errors.New("not a URL of the form https://convox:PASSWORD@HOST")
	}
	if u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return Endpoint{}, errors.New("not an http or https URL of the form https://convox:PASSWORD@HOST")
	}
	if u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return Endpoint{}, errors.New("has a path, query or fragment; accepted: https://convox:PASSWORD@HOST")
	}
	e := Endpoint{base: url.URL{Scheme: u.Scheme, Host: u.Host}, user: u.User.Username()}
	e.password, _ = u.User.Password()
	if e.user == "" {
		e.user = defaultUser
	}
	return e, nil
}

// Console is the endpoint of a rack behind a console: the console's host (with
// a port if it has one; always https), a deploy key, and the rack's name as the
// console shows it.
func Console(host, key, rack string) (Endpoint, error) {
	u, err := url.Parse("https://" + strings.TrimSuffix(strings.TrimPrefix(host, "https://"), "/"))
	if err != nil || u.Host == "" || u.Path != "" || u.User != nil || u.RawQuery != "" {
		return Endpoint{}, fmt.Errorf("%q is not a host name; accepted: console.convox.com, console.example.org:8443", redactHost(host))
	}
	return Endpoint{base: url.URL{Scheme: "https", Host: u.Host}, user: defaultUser, password: key, rack: rack}, nil
}

// redactHost drops what stands before an @: a host typed as a URL may hold a password.
func redactHost(host string) string {
	return host[strings.LastIndex(host, "@")+1:]
}

// Host is the host, with its port, that is asked.
func (e Endpoint) Host() string { return e.base.Host }

// Password is the key or password that is sent; it is for masking only.
func (e Endpoint) Password() string { return e.password }

// String names the endpoint without its credentials.
func (e Endpoint) String() string {
	if e.rack != "" {
		return e.rack + " at " + e.base.Host
	}
	return e.base.Host
}

// GoString keeps the password out of %#v.
func (e Endpoint) GoString() string { return "rack.Endpoint(" + e.String() + ")" }
