package ci_test

import (
	"encoding/base64"
	"errors"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/convox-ci/convox-ci/internal/ci"
)

func TestSecretsMask(t *testing.T) {
	const pem = "-----BEGIN KEY-----\r\n  MIIEvQIBADAN  \r\nab\r\n-----END KEY-----\n"
	basic := base64.StdEncoding.EncodeToString([]byte("convox:hunter2hunter2"))
	tests := []struct {
		name, secret, text, want string
	}{
		{"plain", "hunter22", "key=hunter22!", "key=***!"},
		{"twice in a row is one run", "hunter22", "hunter22hunter22", "***"},
		{"overlapping itself", "abcdabcd", "xabcdabcdabcdy", "x***y"},
		{"too short", "hunter2", "hunter2", "hunter2"},
		{"start only", "hunter22", "hunter2", "hunter2"},
		{"start twice", "hunter22", "hunterhunter22", "hunter***"},
		{"blanks around", " hunter22\n", "<hunter22>", "<***>"},
		{"query", "a b/c d/e", "?k=a+b%2Fc+d%2Fe&x", "?k=***&x"},
		{"path", "a b@c d/e", "/a%20b@c%20d%2Fe", "/***"},
		{"userinfo", "p@ss w:rd", "https://u:" + strings.TrimPrefix(url.UserPassword("", "p@ss w:rd").String(), ":") + "@h", "https://u:***@h"},
		{"json", "a\"b<c>\x01\\e", `{"k":"a\"b<c>\u0001\\e"}`, `{"k":"***"}`},
		{"json for html", "a\"b<c>d\\e", `"a\"b\u003cc\u003ed\\e"`, `"***"`},
		{"quoted by Go", "a\x00b\xffc\"def", `"a\x00b\xffc\"def"`, `"***"`},
		{"basic auth", "hunter2hunter2", "Basic " + basic, "Basic Y29udm94Om***"},
		{"line of several", pem, "x MIIEvQIBADAN y", "x *** y"},
		{"short line of several", pem, "cab", "cab"},
		{"password of a URL", "https://convox:hunter%20two@rack.example", "hunter two hunter%20two", "*** ***"},
		{"the URL", "https://convox:hunter22@rack.example", "to https://convox:hunter22@rack.example.", "to ***."},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var s ci.Secrets
			s.Add(test.secret)
			if got := s.Mask(test.text); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestSecretsOverlap(t *testing.T) {
	var s ci.Secrets
	for _, secret := range []string{"abcdefgh", "efghijkl", "bcdefghij", "0123456789", "12345678", "a-long-secret-value", "long-secret"} {
		s.Add(secret)
	}
	if got, want := s.Mask("-abcdefghijkl-01234567890-12345678-a-long-secret."), "-***-***0-***-a-***."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The CI system is told each part once, and never a short line: it would star
// every "ab" of the log.
func TestSecretsAdd(t *testing.T) {
	var s ci.Secrets
	got := s.Add("first line\nab\nsecond line\n")
	if strings.Join(got, "|") != "first line|second line" {
		t.Errorf("got %q", got)
	}
	if again := s.Add("second line"); len(again) > 0 {
		t.Errorf("again: %q", again)
	}
	if short := s.Add("short"); len(short) > 0 {
		t.Errorf("short: %q", short)
	}
}

func TestMaskHoldsBackLittle(t *testing.T) {
	var s ci.Secrets
	s.Add("hunter22")
	var got strings.Builder
	m := ci.NewMask(&got, &s)
	steps := []struct{ write, want string }{
		{"a line\n", "a line\n"},
		{"key=hun", "key="},
		{"t", ""},
		{"ing\n", "hunting\n"},
		{"hunter2", ""},
		{"2", "***"},
		{"\n", "\n"},
	}
	for _, step := range steps {
		got.Reset()
		io.WriteString(m, step.write)
		if got.String() != step.want {
			t.Errorf("after %q: %q, want %q", step.write, got.String(), step.want)
		}
	}
}

func TestMaskSecretAddedMidStream(t *testing.T) {
	var s ci.Secrets
	s.Add("hunter22-and-more")
	var got strings.Builder
	m := ci.NewMask(&got, &s)
	io.WriteString(m, "one hunter22-a")
	s.Add("hunter22")
	io.WriteString(m, "nd two hunter22")
	m.Close()
	if want := "one ***-and two ***"; got.String() != want {
		t.Errorf("got %q, want %q", got.String(), want)
	}
}

// A secret found before the set grew stays hidden, though part of it is gone
// from the mask's memory.
func TestMaskKeepsHiddenOverUpdate(t *testing.T) {
	var s ci.Secrets
	s.Add("abcdefghxyz")
	s.Add("xyz-tail-of-another")
	var got strings.Builder
	m := ci.NewMask(&got, &s)
	io.WriteString(m, "abcdefghxyz")
	s.Add("unrelated")
	io.WriteString(m, "!")
	m.Close()
	if want := "***!"; got.String() != want {
		t.Errorf("got %q, want %q", got.String(), want)
	}
}

func TestMaskClose(t *testing.T) {
	var got strings.Builder
	var s ci.Secrets
	s.Add("hunter22")
	m := ci.NewMask(&got, &s)
	io.WriteString(m, "hunter2")
	if err := errors.Join(m.Close(), m.Close()); err != nil || got.String() != "hunter2" {
		t.Errorf("%q, %v", got.String(), err)
	}
	if _, err := io.WriteString(m, "late"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("write after close: %v", err)
	}
}

// The output never holds a secret nor a usual encoding of one, is the same
// however the input is cut, and is what a slow and obvious mask makes of it.
func FuzzMask(f *testing.F) {
	f.Add("key=hunter22\n", "hunter22", "", uint8(7))
	f.Add("hunterhunter22unter22", "hunter22", "unterhun", uint8(3))
	f.Add("aaaaaaaaaaaaab", "aaaaaaaa", "aaaaaaab", uint8(1))
	f.Add("Y29udm94Omh1bnRlcjJodW50ZXIy", "hunter2hunter2", "", uint8(2))
	f.Add("-----BEGIN-----\nabc\ndefghijk\n", "-----BEGIN-----\nabc\ndefghijk\n", "ab", uint8(4))
	f.Add("https://a:b%2Fcdefghi@h", "https://a:b%2Fcdefghi@h", "b/cdefghi", uint8(5))
	f.Fuzz(func(t *testing.T, log, one, two string, piece uint8) {
		if strings.Contains(one+two, "*") || piece == 0 {
			t.Skip()
		}
		var s ci.Secrets
		s.Add(one)
		s.Add(two)
		var got strings.Builder
		m := ci.NewMask(&got, &s)
		for rest := log; rest != ""; {
			n := min(int(piece), len(rest))
			io.WriteString(m, rest[:n])
			rest = rest[n:]
		}
		m.Close()
		if whole := s.Mask(log); got.String() != whole {
			t.Errorf("in pieces of %d: %q, whole: %q", piece, got.String(), whole)
		}
		if want := slowMask(log, append(ci.Forms(one), ci.Forms(two)...)); got.String() != want {
			t.Errorf("got %q, want %q", got.String(), want)
		}
		for _, secret := range []string{one, two} {
			checkAbsent(t, got.String(), strings.TrimSpace(secret))
		}
	})
}

// Many secrets that begin alike, in a text made of parts of them, are all hidden and nothing else
// is, wherever the text is cut.
func TestMaskManySecrets(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	word := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteByte("abc"[random.IntN(3)])
		}
		return b.String()
	}
	for range 200 {
		var s ci.Secrets
		var all, text []string
		for range 20 {
			secret := word(8 + random.IntN(12))
			s.Add(secret)
			all = append(all, secret)
			from := random.IntN(len(secret))
			text = append(text, secret[from:from+random.IntN(len(secret)-from)], "abc-"[random.IntN(4):], secret[:random.IntN(len(secret)+1)])
		}
		var got strings.Builder
		m := ci.NewMask(&got, &s)
		log := strings.Join(text, "")
		for rest := log; rest != ""; {
			n := 1 + random.IntN(min(30, len(rest)))
			io.WriteString(m, rest[:n])
			rest = rest[n:]
		}
		m.Close()
		var forms []string
		for _, secret := range all {
			forms = append(forms, ci.Forms(secret)...)
		}
		if want := slowMask(log, forms); got.String() != want {
			t.Fatalf("%q with %q: got %q, want %q", log, all, got.String(), want)
		}
	}
}

func checkAbsent(t *testing.T, got, secret string) {
	t.Helper()
	if len(secret) < ci.MinSecret {
		return
	}
	for _, form := range []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret),
		base64.StdEncoding.EncodeToString([]byte(secret)),
		base64.URLEncoding.EncodeToString([]byte("convox:" + secret)),
	} {
		if strings.Contains(got, form) {
			t.Errorf("%q still holds %q", got, form)
		}
	}
}

// slowMask hides every occurrence of every form, found one by one.
func slowMask(log string, forms []string) string {
	hidden := make([]bool, len(log))
	for _, form := range forms {
		for i := range log {
			if strings.HasPrefix(log[i:], form) {
				for j := range form {
					hidden[i+j] = true
				}
			}
		}
	}
	var b strings.Builder
	for i := range len(log) {
		switch {
		case !hidden[i]:
			b.WriteByte(log[i])
		case i == 0 || !hidden[i-1]:
			b.WriteString("***")
		}
	}
	return b.String()
}

func BenchmarkMask(b *testing.B) {
	var s ci.Secrets
	s.Add("0f0c4b0e-5a0d-4f3f-9f5e-1d2c3b4a5968")
	line := []byte("#12 [build 4/7] RUN npm ci --no-audit 4f3f added 1203 packages in 21s\n")
	m := ci.NewMask(io.Discard, &s)
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		m.Write(line)
	}
}
