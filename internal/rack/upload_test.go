package rack_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/convox-ci/convox-ci/internal/rack"
)

// slowly is a source that takes its time before each piece.
type slowly struct {
	pieces int
	wait   time.Duration
}

func (s *slowly) Read(p []byte) (int, error) {
	if s.pieces == 0 {
		return 0, io.EOF
	}
	s.pieces--
	time.Sleep(s.wait)
	return copy(p, bytes.Repeat([]byte("x"), 32<<10)), nil
}

// A body that is not taken ends the request; one that is slow to make does not.
func TestUploadThatIsNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		again := make(chan struct{})
		c, said := client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if n.Add(1) == 1 {
				<-again
				return
			}
			if n.Load() == 2 {
				close(again)
			}
			size, err := io.Copy(io.Discard, r.Body)
			if err != nil || size == 0 {
				t.Errorf("%d bytes, %v", size, err)
			}
			answer(w, 200, rack.Object{URL: "object://web/k"})
		}))
		begun := time.Now()
		o, err := c.PutObject(t.Context(), "web", "k", func() (io.ReadCloser, error) {
			return io.NopCloser(&slowly{pieces: 4}), nil
		})
		if took := time.Since(begun); err != nil || o.URL == "" || took < 2*time.Minute || took > 2*time.Minute+5*time.Second {
			t.Errorf("got %v, %v after %s", o, err, took)
		}
		if lines := said.all(); len(lines) != 1 || !strings.Contains(lines[0], "nothing was taken of what is sent") {
			t.Errorf("said %q", lines)
		}
		begun = time.Now()
		_, err = c.PutObject(t.Context(), "web", "k", func() (io.ReadCloser, error) {
			return io.NopCloser(&slowly{pieces: 3, wait: 10 * time.Minute}), nil
		})
		if took := time.Since(begun); err != nil || took != 30*time.Minute || len(said.all()) != 1 {
			t.Errorf("a slow source: %v after %s, said %q", err, took, said.all())
		}
	})
}

// A rack that has answered is waited for as long as it takes to be replaced.
func TestPatienceWithARackThatAnswered(t *testing.T) {
	for _, test := range []struct {
		away time.Duration
		ok   bool
	}{{100 * time.Second, true}, {time.Hour, false}} {
		synctest.Test(t, func(t *testing.T) {
			to := serve(t, &counter{})
			var gone time.Time
			tries := 0
			c := rack.New(direct(t), roundTripper(func(r *http.Request) (*http.Response, error) {
				if !gone.IsZero() && time.Since(gone) < test.away {
					tries++
					return nil, errRefused
				}
				return to.RoundTrip(r)
			}), nil)
			if _, err := c.App(t.Context(), "web"); err != nil {
				t.Fatal(err)
			}
			gone = time.Now()
			_, err := c.App(t.Context(), "web")
			took := time.Since(gone)
			if (err == nil) != test.ok || err != nil && !errors.Is(err, rack.ErrUnavailable) || tries <= 5 {
				t.Errorf("away for %s: %v after %s and %d tries", test.away, err, took, tries)
			}
			if took > 2*time.Minute+23*time.Second { // the last wait, which is spread, is begun within the time
				t.Errorf("away for %s: took %s", test.away, took)
			}
		})
	}
}

// brokenBody is a try of an upload that does not go well.
type brokenBody struct {
	take   int  // bytes of the body that are read before
	status int  // of the answer; 0: the connection breaks
	whole  bool // all of the body is read, and what was asked for is done
}

// breaks makes faults of bytes.
func breaks(plan []byte) []brokenBody {
	statuses := []int{0, 429, 502, 503, 504, 200} // 200 with a page
	var all []brokenBody
	for _, b := range plan {
		all = append(all, brokenBody{take: int(b) * 37, status: statuses[int(b)%len(statuses)], whole: b&0x40 != 0})
	}
	return all
}

// Whatever happens to the tries before: the rack has the whole body in the end,
// and each try has opened it once and closed it.
func FuzzReopenedBody(f *testing.F) {
	f.Add([]byte("short"), []byte{0})
	f.Add(bytes.Repeat([]byte("long "), 2000), []byte{255, 1, 64, 7})
	f.Add([]byte{}, []byte{5, 6, 12})
	f.Fuzz(func(t *testing.T, body, plan []byte) {
		plan = plan[:min(len(plan), 4)] // of five tries one is left
		synctest.Test(t, func(t *testing.T) {
			faults := breaks(plan)
			opened, closed, tries := 0, 0, 0
			var stored []byte
			c := rack.New(direct(t), roundTripper(func(r *http.Request) (*http.Response, error) {
				tries++
				defer r.Body.Close()
				if opened != tries {
					t.Fatalf("opened %d times at try %d", opened, tries)
				}
				if tries <= len(faults) {
					x := faults[tries-1]
					if x.whole {
						x.take = len(body)
					}
					got, err := io.ReadAll(io.LimitReader(r.Body, int64(x.take)))
					if err != nil || !bytes.HasPrefix(body, got) {
						t.Fatalf("try %d: read %d bytes of another body, %v", tries, len(got), err)
					}
					if x.status == 0 {
						return nil, errReset
					}
					return reply(x.status, "<html>"), nil
				}
				var err error
				if stored, err = io.ReadAll(r.Body); err != nil {
					t.Fatal(err)
				}
				return reply(200, fmt.Sprintf(`{"Url":"object://web/%d"}`, tries)), nil
			}), nil)
			o, err := c.PutObject(t.Context(), "web", "k", func() (io.ReadCloser, error) {
				opened++
				return &closer{Reader: bytes.NewReader(body), closed: &closed}, nil
			})
			if err != nil || o.URL != fmt.Sprintf("object://web/%d", len(faults)+1) || !bytes.Equal(stored, body) {
				t.Errorf("got %v, %v; %d bytes of %d are stored", o, err, len(stored), len(body))
			}
			if opened != tries || closed != opened {
				t.Errorf("%d tries, opened %d times, closed %d times", tries, opened, closed)
			}
		})
	})
}
