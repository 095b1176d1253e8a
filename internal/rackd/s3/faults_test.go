package s3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/convox-ci/convox-ci/internal/rackd/s3"
	"github.com/convox-ci/convox-ci/internal/rackd/s3/s3test"
)

const part = 8 << 20 // of a large object, in bytes

// content is as long as it is to be, and differs from part to part.
func content(size int) []byte {
	b := make([]byte, size)
	for i := 0; i < size; i += 1 << 10 {
		copy(b[i:], fmt.Sprint("at ", i))
	}
	return b
}

// wantObject compares an object with those that it may be.
func (l *lab) wantObject(when string, s *s3.Store, may ...[]byte) {
	l.Helper()
	r, err := s.OpenObject(l.Context(), "web", "tmp/a")
	if err != nil {
		l.Errorf("%s: %v", when, err)
		return
	}
	got, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		l.Errorf("%s: %v", when, err)
	}
	for _, m := range may {
		if bytes.Equal(got, m) {
			return
		}
	}
	l.Errorf("%s: the object is %.20q… of %d bytes", when, got, len(got))
}

// wantNoParts fails if anything is left of uploads but, where that may be, their
// names.
func (l *lab) wantNoParts(when string, names int) {
	l.Helper()
	uploads, parts, err := l.fake.Left(bucket)
	if err != nil || uploads > names || parts > 0 {
		l.Errorf("%s: %d uploads are left, with %d parts: %v", when, uploads, parts, err)
	}
}

// Whatever happens to one of the calls, as often as it is tried, what is there
// afterwards is one of the two objects, and nothing else.
func TestFaultsBetweenAnyTwoCalls(t *testing.T) {
	was, next := []byte("what was there"), content(2*part+part/2)
	for name, verdict := range map[string]s3test.Verdict{"fails": s3test.Fail, "is cut": s3test.Cut, "is done and not answered": s3test.Lose} {
		for n := range 5 { // begins, three parts, ends
			l := newLab(t)
			s := l.store()
			if err := s.PutObject(t.Context(), "web", "tmp/a", bytes.NewReader(was)); err != nil {
				t.Fatal(err)
			}
			var mu sync.Mutex
			var order []string // of different calls
			tries := 0
			l.fake.Before(func(c s3test.Call) s3test.Verdict {
				mu.Lock()
				defer mu.Unlock()
				if c.Action != "s3:PutObject" {
					return s3test.Pass
				}
				what := c.Method + strings.Split(c.Query, "uploadId")[0]
				if c.Method == http.MethodPut {
					what = c.Query
				}
				at := -1
				for i, o := range order {
					if o == what {
						at = i
					}
				}
				if at < 0 {
					order = append(order, what)
					at = len(order) - 1
				}
				if at != n {
					return s3test.Pass
				}
				tries++
				return verdict
			})
			err := s.PutObject(t.Context(), "web", "tmp/a", bytes.NewReader(next))
			l.fake.Before(nil)
			when := fmt.Sprintf("call %d %s", n, name)
			if err == nil || tries < 2 {
				t.Errorf("%s: tried %d times: %v", when, tries, err)
			}
			names := 0
			if n == 0 && verdict == s3test.Lose {
				names = tries // that nobody was told
			}
			l.wantNoParts(when, names)
			if n == 4 && verdict == s3test.Lose {
				l.wantObject(when, s, next)
			} else {
				l.wantObject(when, s, was)
			}
		}
	}
}

// A reader that ends in an error, wherever and with whatever, leaves what was there.
func TestReadersThatFail(t *testing.T) {
	l := newLab(t)
	s := l.store()
	was := []byte("what was there")
	if err := s.PutObject(t.Context(), "web", "tmp/a", bytes.NewReader(was)); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 1, 64 << 10, 64<<10 + 1, part, part + 1, 2*part + part/2} {
		for _, fault := range []error{io.ErrUnexpectedEOF, fmt.Errorf("the client: %w", io.EOF), errors.New("the client is gone")} {
			when := fmt.Sprintf("%v after %d bytes", fault, size)
			err := s.PutObject(t.Context(), "web", "tmp/a", io.MultiReader(bytes.NewReader(content(size)), iotest.ErrReader(fault)))
			if !errors.Is(err, fault) {
				t.Errorf("%s: %v", when, err)
			}
			l.wantNoParts(when, 0)
			l.wantObject(when, s, was)
		}
	}
}

// Sizes around those of buffers and parts arrive whole.
func TestSizes(t *testing.T) {
	l := newLab(t)
	s := l.store()
	for _, size := range []int{64<<10 - 1, 64 << 10, 64<<10 + 1, part - 1, part, part + 1, 2 * part} {
		want := content(size)
		if err := s.PutObject(t.Context(), "web", "tmp/a", iotest.DataErrReader(bytes.NewReader(want))); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
		l.wantObject(fmt.Sprint(size, " bytes"), s, want)
		l.wantNoParts(fmt.Sprint(size, " bytes"), 0)
	}
}

// onRead calls do once, when so much was read.
type onRead struct {
	io.Reader
	after int
	do    func()
}

func (r *onRead) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if r.after > 0 && n >= r.after {
		r.do()
	}
	r.after -= n
	return n, err
}

// An upload that is cancelled leaves nothing, with the reason as its error.
func TestCancelledUploads(t *testing.T) {
	l := newLab(t)
	s := l.store()
	was, reason := []byte("what was there"), errors.New("the build was cancelled")
	if err := s.PutObject(t.Context(), "web", "tmp/a", bytes.NewReader(was)); err != nil {
		t.Fatal(err)
	}
	for _, after := range []int{1, part + 1, 2*part + 1, 2*part + part/2} {
		ctx, cancel := context.WithCancelCause(t.Context())
		r := &onRead{bytes.NewReader(content(2*part + part/2)), after, func() { cancel(reason) }}
		when := fmt.Sprint("cancelled after ", after)
		if err := s.PutObject(ctx, "web", "tmp/a", r); !errors.Is(err, reason) {
			t.Errorf("%s: %v", when, err)
		}
		l.wantNoParts(when, 0)
		l.wantObject(when, s, was)
	}
}

// What cannot be given up is said.
func TestPartsThatStay(t *testing.T) {
	l := newLab(t)
	l.fake.Deny("s3:AbortMultipartUpload")
	broken := errors.New("the client is gone")
	err := l.store().PutObject(t.Context(), "web", "tmp/a", io.MultiReader(bytes.NewReader(content(part+1)), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) || !errors.Is(err, s3.ErrDenied) ||
		!strings.Contains(err.Error(), "parts of racks/office/web/tmp/a are left in the bucket: S3: bucket rack-objects: access denied: grant s3:AbortMultipartUpload on") {
		t.Errorf("%v", err)
	}
}

// wire takes the place of S3, and lets bodies pass without keeping them.
type wire struct{}

func (wire) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return nil, err
		}
	}
	body, status := "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>", http.StatusOK
	return &http.Response{StatusCode: status, Header: http.Header{"Etag": {`"e"`}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// A source of gigabytes must not pass through memory.
func TestPutObjectNeedsLittleMemory(t *testing.T) {
	l := newLab(t)
	s := l.store(func(o *s3.Options) { o.Config.HTTPClient = wire{} })
	const size = 20 * part
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := s.PutObject(t.Context(), "web", "tmp/a", io.LimitReader(zeros{}, size)); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 4*part {
		t.Errorf("storing %d bytes allocated %d", size, used)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
