package rack_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/wire"
)

// exportFault is how the recorded racks end an archive that fails at once: with
// the text of the error, after the header of gzip.
const exportFault = "unable to find the image of the service called web in here"

// exported is an archive with the entries of a recorded one.
func exported(t *testing.T, e wire.Exchange) []byte {
	t.Helper()
	if e.Tar == nil {
		return append(archiveV2(t)[:10:10], exportFault+"\n"...)
	}
	var parts []part
	for _, entry := range e.Tar {
		p := part{entry.Name, strings.Repeat("x", int(entry.Size))}
		if entry.Name == "build.json" {
			p = recordPart(t)
		}
		parts = append(parts, p)
	}
	return archiveOf(t, parts...)
}

func export(t *testing.T, r wire.Recording) {
	c, p := play(t, r)
	body, err := c.ExportBuild(t.Context(), "myapp", "BSEEDBUILDA")
	if err != nil {
		t.Fatal(err)
	}
	a := rack.CheckArchive(body)
	layout, err := a.Layout()
	if string(layout) != r.Server || err != nil {
		t.Errorf("layout is %q, %v", layout, err)
	}
	if _, err := io.Copy(io.Discard, a); err != nil {
		t.Error(err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	p.done()
}

func exportFailed(t *testing.T, r wire.Recording) {
	c, _ := play(t, r)
	body, err := c.ExportBuild(t.Context(), "fail", "BSEEDBUILDA")
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	var e *rack.ArchiveError
	if _, err := io.Copy(io.Discard, rack.CheckArchive(body)); !errors.As(err, &e) || e.Said != exportFault {
		t.Errorf("error is %v", err)
	}
}

func importBuild(t *testing.T, r wire.Recording) {
	c, p := play(t, r)
	b, err := c.ImportBuildOnce(t.Context(), "myapp", opened(archiveV2(t)), func() rack.Build { return rack.Build{} })
	if err != nil {
		t.Fatal(err)
	}
	carries(t, answered(t, r, "POST", "/import")[0].Body, b)
	if !strings.Contains(r.Stdout+r.Stderr, b.Release) {
		t.Errorf("release is %q", b.Release)
	}
	p.done()
}

func importBad(t *testing.T, r wire.Recording) {
	c, p := play(t, r)
	if _, err := c.ImportBuild(t.Context(), "myapp", opened([]byte("not a gzip\n"))); err == nil || err.Error() != "gzip: invalid header" {
		t.Errorf("error is %v", err)
	}
	p.done()
}

func opened(data []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
}

// TestImportOfABadFile: an archive that turns out not to be sound while it is
// sent ends the request, before the rack can take it for whole.
func TestImportOfABadFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		whole := make(chan error, 1)
		c, _ := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, err := io.Copy(io.Discard, r.Body)
			whole <- err
			answer(w, 200, rack.Build{ID: "B"})
		}))
		archive := append(archiveV2(t), "some more\n"...)
		_, err := c.ImportBuild(t.Context(), "web", func() (io.ReadCloser, error) {
			return rack.CheckArchive(bytes.NewReader(archive)), nil
		})
		var e *rack.ArchiveError
		if !errors.As(err, &e) || e.Said != "some more" {
			t.Errorf("error is %v", err)
		}
		if err := <-whole; err == nil {
			t.Error("the rack got a whole request")
		}
	})
}

// TestDownloadStandsStill: a rack that is slow is waited for, one that is silent
// is not.
func TestDownloadStandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for range 5 {
				io.WriteString(w, "some")
				http.NewResponseController(w).Flush()
				time.Sleep(8 * time.Minute)
			}
			<-r.Context().Done()
		}))
		begun := time.Now()
		body, err := c.ExportBuild(t.Context(), "web", "B")
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		got, err := io.ReadAll(body)
		if string(got) != "somesomesomesomesome" || !errors.Is(err, rack.ErrUnavailable) || !strings.Contains(err.Error(), "no answer in time") {
			t.Errorf("got %q, %v", got, err)
		}
		if took := time.Since(begun); took != 42*time.Minute {
			t.Errorf("took %s", took)
		}
	})
}

func TestDownloadIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		enough := errors.New("had enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		c, _ := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "some")
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}))
		body, err := c.ExportBuild(ctx, "web", "B")
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		time.AfterFunc(time.Second, func() { cancel(enough) })
		if got, err := io.ReadAll(body); string(got) != "some" || err != enough {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

// TestDownloadRetries only until the answer has begun.
func TestDownloadRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		way := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if asked.Add(1) < 3 {
				answer(w, 502, "no")
				return
			}
			io.WriteString(w, "some")
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}))
		body, err := rack.New(direct(t), &flaky{to: way, faults: []fault{{before: errReset}}}, nil).ExportBuild(t.Context(), "web", "B")
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		if got, err := io.ReadAll(body); string(got) != "some" || !errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(err, rack.ErrUnavailable) {
			t.Errorf("got %q, %v", got, err)
		}
		if n := asked.Load(); n != 3 {
			t.Errorf("asked %d times", n)
		}
	})
}

// TestUnsupported: what a rack says to a request that it does not know, and
// what it does not.
func TestUnsupported(t *testing.T) {
	for _, test := range []struct {
		status int
		body   string
		want   bool
	}{{404, "", true}, {405, "", true}, {404, "build not found: B\n", false}, {409, "build is not running: B\n", false}, {403, "", false}} {
		c := rack.New(direct(t), roundTripper(func(*http.Request) (*http.Response, error) { return reply(test.status, test.body), nil }), nil)
		if err := c.CancelBuild(t.Context(), "web", "B"); err == nil || errors.Is(err, rack.ErrUnsupported) != test.want {
			t.Errorf("%d %q: error is %v", test.status, test.body, err)
		}
	}
}
