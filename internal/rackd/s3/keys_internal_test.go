package s3

import (
	"bytes"
	"encoding/xml"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/convox-ci/convox-ci/internal/rackd"
)

// FuzzNames: keys that differ are under names that differ, whatever they are; each
// name can be sent and listed, also by servers that keep files, and tells its key
// unless that was very long.
func FuzzNames(f *testing.F) {
	for _, key := range []string{"tmp/0123.tgz", "../../etc/passwd", "a/./b", "a", "a/", "a//b", "/", "a/" + strings.Repeat("k", maxPart+1), strings.Repeat("k", 126), strings.Repeat("k", 127), "!/2e", "!!/", "a\x01", "a\r\n", "ünï/世界", "\uFFFE", strings.Repeat("k", rackd.MaxKey), strings.Repeat("\n", rackd.MaxKey)} {
		f.Add("web", key, key+"/")
	}
	f.Fuzz(func(t *testing.T, app, a, b string) {
		if !validKey(a) || !validKey(b) || garbled(app) || strings.Contains(app, "/") || app == "" || len(app) > 100 || !utf8.ValidString(app) {
			return
		}
		s := &Store{prefix: strings.Repeat("p", maxPrefix) + "/"}
		one, err1 := s.name(app, a)
		other, err2 := s.name(app, b)
		if err1 != nil || err2 != nil || (one == other) != (a == b) {
			t.Fatalf("%q is under %q, %v; %q is under %q, %v", a, one, err1, b, other, err2)
		}
		base, _ := s.base(app)
		name, ok := strings.CutPrefix(one, base)
		if !ok || len(one) > maxName {
			t.Fatalf("%q is under %q of %d bytes", a, one, len(one))
		}
		segments := strings.Split(name, "/")
		for _, segment := range segments {
			if segment == "" || segment == "." || segment == ".." || len(segment) > maxPart {
				t.Fatalf("%q is under %q", a, one)
			}
		}
		if len(segments) == 1 {
			t.Fatalf("%q is under %q, where it can be the folder of others", a, one)
		}
		var text bytes.Buffer
		var read string
		if err := xml.EscapeText(&text, []byte(one)); err != nil {
			t.Fatal(err)
		}
		if err := xml.Unmarshal([]byte("<K>"+text.String()+"</K>"), &read); err != nil || read != one {
			t.Fatalf("%q comes out of a list as %q, %v", one, read, err)
		}
		if strings.HasPrefix(name, strangeKeys) && strings.HasPrefix(other, one+"/") {
			t.Fatalf("%q is under %q, the folder of %q", a, one, b)
		}
		if strings.HasPrefix(b, a) && !strings.HasPrefix(strangeName(b), strangeName(a)) {
			t.Fatalf("%q begins with %q, and %q not with %q", b, a, strangeName(b), strangeName(a))
		}
		switch {
		case strings.HasPrefix(name, hashedKeys):
			if len(a) <= 80 {
				t.Fatalf("of %q only a hash is left", a)
			}
		case strings.HasPrefix(name, strangeKeys):
			if key, err := strangeKey(name); err != nil || key != a {
				t.Fatalf("%q is under %q, which is %q, %v", a, one, key, err)
			}
		case name != a:
			t.Fatalf("%q is under %q", a, one)
		}
	})
}

func validKey(key string) bool {
	return key != "" && len(key) <= rackd.MaxKey && utf8.ValidString(key)
}
