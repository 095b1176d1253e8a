package rackd_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/convox-ci/convox-ci/internal/wire"
)

// archive makes a source with the entries of a recorded one, and a Dockerfile,
// which the recorded builds did without.
func archive(t *testing.T, entries []wire.Entry) []byte {
	t.Helper()
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	w := tar.NewWriter(zip)
	entries = append(entries[:len(entries):len(entries)], wire.Entry{Name: "Dockerfile", Type: "0", Mode: "644"})
	for _, e := range entries {
		content := strings.Repeat("x", int(e.Size))
		switch e.Name {
		case "convox.yml":
			content = recordedManifest
			if int(e.Size) == len(smallManifest) {
				content = smallManifest
			}
		case "Dockerfile":
			content = "FROM scratch\n"
		}
		mode, err := strconv.ParseInt(e.Mode, 8, 32)
		h := tar.Header{Name: e.Name, Typeflag: e.Type[0], Mode: mode & 0o777, Linkname: e.Link, Size: int64(len(content))}
		err = errors.Join(err, w.WriteHeader(&h))
		if err == nil {
			_, err = io.WriteString(w, content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// leaves lists the fields of JSON in their order: path, type and value. A time
// that is set becomes a word, and what may differ from a real rack is left out.
func leaves(t *testing.T, route, body string) []string {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(body))
	d.UseNumber()
	l := lister{route: route, decoder: d}
	err := l.value("")
	if err == nil {
		_, err = d.Token()
	}
	if !errors.Is(err, io.EOF) {
		t.Fatalf("%s: %v in %s", route, err, body)
	}
	return l.lines
}

type lister struct {
	route   string
	decoder *json.Decoder
	lines   []string
}

// value lists the next value, which stands at a path.
func (l *lister) value(path string) error {
	token, err := l.decoder.Token()
	if err != nil {
		return err
	}
	why, skip := differs[l.route+": "+path]
	begin := len(l.lines)
	switch v := token.(type) {
	case json.Delim:
		l.lines = append(l.lines, path+" "+v.String())
		err = l.inner(path, v)
	case nil:
		l.lines = append(l.lines, path+" null")
	default:
		text := fmt.Sprint(v)
		if at, err := time.Parse(time.RFC3339Nano, text); err == nil && !at.IsZero() {
			text = "a time"
		}
		l.lines = append(l.lines, fmt.Sprintf("%s %T %s", path, v, text))
	}
	if skip { // its name and type are to be the same all the same
		first := strings.Join(strings.SplitN(l.lines[begin], " ", 3)[:2], " ")
		l.lines = append(l.lines[:begin], first)
		if strings.HasPrefix(why, "gone") || path == "[]" {
			l.lines = l.lines[:begin]
		}
	}
	return err
}

func (l *lister) inner(path string, open json.Delim) error {
	for l.decoder.More() {
		below := path + "[]"
		if open == '{' {
			name, err := l.decoder.Token()
			if err != nil {
				return err
			}
			below = path + "." + name.(string)
		}
		if err := l.value(below); err != nil {
			return err
		}
	}
	_, err := l.decoder.Token()
	return err
}

// The comparison must see what a client would: names, their order, types, values.
func TestLeavesTellAnswersApart(t *testing.T) {
	const route, body = "GET /apps/X/builds/X", `{"id": "BAAAAAAAAAA", "entrypoint": "x", "list": [{"n": 1}], "null": null, "at": "2026-01-02T03:04:05.6Z"}`
	want := leaves(t, route, body)
	for _, same := range []string{
		`{"id": "BAAAAAAAAAA", "entrypoint": "another", "list": [{"n": 1}], "null": null, "at": "2026-02-03T04:05:06Z"}`,
	} {
		if d := cmp.Diff(want, leaves(t, route, same)); d != "" {
			t.Errorf("%s (-want +got):\n%s", same, d)
		}
	}
	for _, other := range []string{
		`{"ID": "BAAAAAAAAAA", "entrypoint": "x", "list": [{"n": 1}], "null": null, "at": "2026-01-02T03:04:05.6Z"}`,
		`{"entrypoint": "x", "id": "BAAAAAAAAAA", "list": [{"n": 1}], "null": null, "at": "2026-01-02T03:04:05.6Z"}`,
		`{"id": "BAAAAAAAAAA", "entrypoint": 1, "list": [{"n": 1}], "null": null, "at": "2026-01-02T03:04:05.6Z"}`,
		`{"id": "BAAAAAAAAAA", "list": [{"n": 1}], "null": null, "at": "2026-01-02T03:04:05.6Z"}`,
		`{"id": "BAAAAAAAAAA", "entrypoint": "x", "list": [{"n": 2}], "null": null, "at": "2026-01-02T03:04:05.6Z"}`,
		`{"id": "BAAAAAAAAAA", "entrypoint": "x", "list": [], "null": null, "at": "2026-01-02T03:04:05.6Z"}`,
		`{"id": "BAAAAAAAAAA", "entrypoint": "x", "list": [{"n": 1}], "null": "", "at": "2026-01-02T03:04:05.6Z"}`,
		`{"id": "BAAAAAAAAAA", "entrypoint": "x", "list": [{"n": 1}], "null": null, "at": "0001-01-01T00:00:00Z"}`,
		`{"id": "BAAAAAAAAAA", "entrypoint": "x", "list": [{"n": 1}], "null": null, "at": "2026-01-02T03:04:05.6Z", "more": true}`,
	} {
		if cmp.Diff(want, leaves(t, route, other)) == "" {
			t.Errorf("%s passes for %s", other, body)
		}
	}
}
