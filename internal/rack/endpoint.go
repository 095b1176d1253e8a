package rack

import (
	"errors"
	"net/url"
	"strings"
	"unicode"
)

// Endpoint is where a rack's API is and how to be let in.
type Endpoint struct {
	base     url.URL // without credentials
	user     string
	password *string // behind a pointer, which no verb of package fmt follows; nil is ""
	rack     string  // value of the Rack header, "" for a direct rack
}

// defaultUser is the user name that keys and rack passwords go with; racks ignore it.
const defaultUser = "convox"

// Direct is the endpoint of a rack that is asked without a console in between:
// a URL https://convox:PASSWORD@HOST[:PORT], or http. Characters with a meaning
// in URLs stand percent-encoded in the password, which is sent decoded. An error
// never holds the URL, since that holds the password.
func Direct(raw string) (Endpoint, error) {
	u, err := url.Parse(strings.TrimSpace(raw))
	if err != nil {
		return Endpoint{}, errors.New("not a URL of the form https://convox:PASSWORD@HOST (special characters in the password must be percent-encoded)")
	}
	if u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" {
		return Endpoint{}, errors.New("not an http or https URL of the form https://convox:PASSWORD@HOST")
	}
	if !onlyHost(u) {
		return Endpoint{}, errors.New("has a path, query or fragment; accepted: https://convox:PASSWORD@HOST (special characters in the password must be percent-encoded)")
	}
	password, _ := u.User.Password()
	e := Endpoint{base: url.URL{Scheme: u.Scheme, Host: u.Host}, user: u.User.Username(), password: &password}
	if e.user == "" {
		e.user = defaultUser
	}
	return e, nil
}

// Console is the endpoint of a rack behind a console: the console's host (with
// a port if it has one; always https), a deploy key, and the rack's name as the
// console shows it. An error holds none of them: a host typed as a URL may hold
// the key.
func Console(host, key, rack string) (Endpoint, error) {
	u, err := url.Parse("https://" + strings.TrimPrefix(strings.TrimSpace(host), "https://"))
	if err != nil || u.Hostname() == "" || u.User != nil || !onlyHost(u) {
		return Endpoint{}, errors.New("not a host name; accepted: console.convox.com, console.example.org:8443")
	}
	if strings.ContainsFunc(rack, unicode.IsControl) {
		return Endpoint{}, errors.New("the name of the rack has a line break or another control character in it")
	}
	return Endpoint{base: url.URL{Scheme: "https", Host: u.Host}, user: defaultUser, password: &key, rack: rack}, nil
}

// onlyHost tells whether nothing stands behind the host of a URL.
func onlyHost(u *url.URL) bool {
	return strings.Trim(u.Path, "/") == "" && u.RawQuery == "" && !u.ForceQuery && u.Fragment == ""
}

// Host is the host, with its port, that is asked.
func (e Endpoint) Host() string { return e.base.Host }

// Password is the key or password that is sent; it is for masking only.
func (e Endpoint) Password() string {
	if e.password == nil {
		return ""
	}
	return *e.password
}

// String names the endpoint without its credentials.
func (e Endpoint) String() string {
	if e.rack != "" {
		return e.rack + " at " + e.base.Host
	}
	return e.base.Host
}

// GoString keeps the parts of an endpoint out of %#v.
func (e Endpoint) GoString() string { return "rack.Endpoint(" + e.String() + ")" }
