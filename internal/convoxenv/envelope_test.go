package convoxenv

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/nacl/secretbox"
)

// seal makes what open opens.
func seal(t testing.TB, text string, outer []byte) []byte {
	t.Helper()
	inner, nonce := [keySize]byte{1, 2, 3}, [nonceSize]byte{4, 5, 6}
	e := envelope{
		Text:  secretbox.Seal(nil, []byte(text), &nonce, &inner),
		Key:   secretbox.Seal(nonce[:], inner[:], &nonce, (*[keySize]byte)(outer)),
		Nonce: nonce[:],
	}
	data, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestOpen(t *testing.T) {
	outer := []byte(strings.Repeat("k", keySize))
	key, other := base64.StdEncoding.EncodeToString(outer), base64.StdEncoding.EncodeToString([]byte(strings.Repeat("o", keySize)))
	sealed := seal(t, "A=1\nB=2", outer)
	if text, err := open(sealed, key); string(text) != "A=1\nB=2" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	change := func(f func(*envelope)) []byte {
		var e envelope
		if err := json.Unmarshal(sealed, &e); err != nil {
			t.Fatal(err)
		}
		f(&e)
		data, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for name, test := range map[string]struct {
		stored []byte
		key    string
		want   error
	}{
		"another key":         {sealed, other, errSealed},
		"name of a key":       {sealed, "arn:aws:kms:us-east-1:123456789012:key/x", errKey},
		"short key":           {sealed, "a2s=", errKey},
		"text":                {[]byte("A=1"), key, errEnvelope},
		"empty":               {nil, key, errEnvelope},
		"null":                {[]byte("null"), key, errEnvelope},
		"no nonce":            {change(func(e *envelope) { e.Nonce = nil }), key, errEnvelope},
		"no key":              {change(func(e *envelope) { e.Key = nil }), key, errEnvelope},
		"short inner key":     {change(func(e *envelope) { e.Key = e.Key[:nonceSize] }), key, errSealed},
		"changed text":        {change(func(e *envelope) { e.Text[0]++ }), key, errSealed},
		"changed nonce":       {change(func(e *envelope) { e.Nonce[0]++ }), key, errSealed},
		"changed inner key":   {change(func(e *envelope) { e.Key[nonceSize]++ }), key, errSealed},
		"no text":             {change(func(e *envelope) { e.Text = nil }), key, errSealed},
		"something in base64": {[]byte(`{"c":"???"}`), key, errEnvelope},
	} {
		if text, err := open(test.stored, test.key); text != nil || !errors.Is(err, test.want) {
			t.Errorf("%s: %q, %v, want %v", name, text, err, test.want)
		}
	}
}

// TestEncrypted: what is fetched is decrypted, and the command gets no key.
func TestEncrypted(t *testing.T) {
	outer := []byte(strings.Repeat("k", keySize))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(seal(t, "A=stored\nB=hidden", outer)) }))
	t.Cleanup(s.Close)
	v := parse([]string{"A=own", "CONVOX_ENV_URL=" + s.URL + "/env", "CONVOX_ENV_KEY=" + base64.StdEncoding.EncodeToString(outer), "CONVOX_ENV_VARS=A"})
	if err := v.complete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := v.list(), []string{"A=stored", "CONVOX_ENV_VARS=A"}; !slices.Equal(got, want) {
		t.Errorf("environment is %q, want %q", got, want)
	}
}

// FuzzOpen: whatever is stored, it is opened or refused.
func FuzzOpen(f *testing.F) {
	outer := []byte(strings.Repeat("k", keySize))
	key := base64.StdEncoding.EncodeToString(outer)
	f.Add(seal(f, "A=1", outer), key)
	f.Add([]byte(`{"c":"","k":"","n":""}`), "")
	f.Fuzz(func(t *testing.T, stored []byte, key string) {
		if text, err := open(stored, key); err != nil && text != nil {
			t.Errorf("%q with %v", text, err)
		}
	})
}

// FuzzKept: what is kept was stored under a name of the list, is a variable that a
// process can have, and stands over the process's own, which is otherwise as it was.
func FuzzKept(f *testing.F) {
	f.Add("A=1\nB=2\n\nC", "A,B", "A=own")
	f.Add("=x\n==\nA=\r\nA=b=c", "*", "=x")
	f.Add(strings.Repeat("x", 70_000)+"\nA=1", "A,*", "B=1\nB=2")
	f.Fuzz(func(t *testing.T, stored, names, own string) {
		environ := strings.Split(own, "\n")
		before, v := parse(environ), parse(environ)
		more := kept([]byte(stored), names)
		for name, value := range more {
			if list := strings.Split(names, ","); name == "" || strings.ContainsAny(name, "=\n") || !slices.Contains(list, name) && !slices.Contains(list, everything) {
				t.Errorf("%q is kept of %q", name, names)
			}
			if !strings.Contains("\n"+stored, "\n"+name+"="+value) {
				t.Errorf("%q=%q is not stored", name, value)
			}
			v[name] = value
		}
		for name, value := range before {
			if _, over := more[name]; !over && v[name] != value {
				t.Errorf("%q is %q, was %q", name, v[name], value)
			}
		}
		list := v.list()
		if !slices.IsSortedFunc(list, func(a, b string) int {
			a, _, _ = strings.Cut(a, "=")
			b, _, _ = strings.Cut(b, "=")
			return strings.Compare(a, b)
		}) || len(list) != len(v) {
			t.Errorf("list is %q", list)
		}
		if again := parse(list); len(again) != len(v) {
			t.Errorf("read again it is %v, was %v", again, v)
		}
	})
}
