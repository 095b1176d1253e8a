package ci

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// minSecret is the length in bytes from which a value is masked. Shorter ones
// occur by chance: masking "prod" would star half the log, and show by the stars
// what the secret is.
const minSecret = 8

// stars is what is shown in place of a secret; the same on every CI system.
const stars = "***"

// Secrets is a set of values never to be shown. The zero value is an empty set,
// ready for use by several goroutines.
type Secrets struct {
	mu      sync.Mutex
	forms   map[string]bool
	machine atomic.Pointer[machine]
}

// Add puts a secret into the set: the value, each of its lines, the password in
// it when it is a URL, and the usual encodings of these. It returns what the CI
// system should be told to hide as well, which finds the encodings by itself:
// none when the value is too short or known.
func (s *Secrets) Add(secret string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.forms == nil {
		s.forms = make(map[string]bool)
	}
	var fresh []string
	for _, part := range parts(secret) {
		if !s.forms[part] {
			fresh = append(fresh, part)
		}
	}
	before := len(s.forms)
	for _, form := range forms(secret) {
		s.forms[form] = true
	}
	if len(s.forms) > before {
		s.machine.Store(newMachine(slices.Sorted(maps.Keys(s.forms))))
	}
	return fresh
}

// Mask returns text with stars in place of each secret in the set.
func (s *Secrets) Mask(text string) string {
	var b strings.Builder
	m := NewMask(&b, s)
	_, _ = m.Write([]byte(text)) // a strings.Builder takes everything
	_ = m.Close()
	return b.String()
}

// current returns the machine that finds what is in the set now.
func (s *Secrets) current() *machine {
	if m := s.machine.Load(); m != nil {
		return m
	}
	s.machine.CompareAndSwap(nil, newMachine(nil))
	return s.machine.Load()
}

// parts returns what of a secret is secret alone: each line of at least
// minSecret bytes (short ones, such as the "{" of a JSON key, occur everywhere)
// and the password of a URL.
func parts(secret string) []string {
	var list []string
	for line := range strings.Lines(secret) {
		list = append(list, strings.TrimSpace(line))
	}
	if password := urlPassword(secret); password != "" {
		list = append(list, password)
	}
	return distinct(list)
}

// forms returns every spelling under which a secret is looked for.
func forms(secret string) []string {
	list := append(parts(secret), spellings(strings.TrimSpace(secret))...)
	if password := urlPassword(secret); password != "" {
		list = append(list, spellings(password)...)
	}
	return distinct(list)
}

// urlPassword returns the password in a URL, decoded; "" when there is none.
func urlPassword(secret string) string {
	u, err := url.Parse(strings.TrimSpace(secret))
	if err != nil || u.User == nil {
		return ""
	}
	password, _ := u.User.Password()
	return password
}

// spellings returns value as it looks in a URL, in JSON, in Go's %q and in
// base64 (an HTTP basic-auth header for example).
func spellings(value string) []string {
	list := []string{
		value,
		url.QueryEscape(value),
		url.PathEscape(value),
		strings.TrimPrefix(url.UserPassword("", value).String(), ":"),
		unquote(strconv.Quote(value)),
		cleaned(value), // as a log shows it
	}
	if utf8.ValidString(value) {
		list = append(list, jsonForms(value)...)
	}
	list = append(list, base64Forms(base64.RawStdEncoding, value)...)
	return append(list, base64Forms(base64.RawURLEncoding, value)...)
}

// jsonForms returns value as in a JSON string, with and without the escapes for
// <, > and & that Go's encoder adds unless told not to.
func jsonForms(value string) []string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(value) // a string always encodes
	escaped, _ := json.Marshal(value)
	return []string{unquote(strings.TrimSuffix(b.String(), "\n")), unquote(string(escaped))}
}

func unquote(s string) string { return s[1 : len(s)-1] }

// base64Forms returns the characters that value alone decides in the base64 of
// any text around it. Base64 turns three bytes into four characters, so they
// depend on where among three the value begins, and on nothing else.
func base64Forms(encoding *base64.Encoding, value string) []string {
	var list []string
	for before := range 3 {
		text := encoding.EncodeToString([]byte(strings.Repeat("\x00", before) + value))
		const bits = 6 // of a character; a byte has 8
		first := (before*8 + bits - 1) / bits
		last := (before + len(value)) * 8 / bits
		list = append(list, text[min(first, last):last])
	}
	return list
}

// distinct returns the members of list that are long enough to mask, each once.
func distinct(list []string) []string {
	slices.Sort(list)
	list = slices.Compact(list)
	return slices.DeleteFunc(list, func(s string) bool { return len(s) < minSecret })
}
