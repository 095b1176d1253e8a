package actionscache

import (
	"context"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// blockSize is how much goes with one request, in bytes. What is on its way is
	// that much more in memory for a reader, and nothing for a writer.
	blockSize = 8 << 20
	// blockTimeout bounds such a request: a line that is slower is not worth a cache.
	blockTimeout = 2 * time.Minute
	// streams is how many blocks of an entry are sent at once.
	streams = 4
	// storeVersion is that of the store's rules. https://learn.microsoft.com/rest/api/storageservices/versioning-for-the-azure-storage-services
	storeVersion = "2021-12-02"
)

// upload puts bytes where a signed address says: at once, or as blocks and a list of
// them. https://learn.microsoft.com/rest/api/storageservices/put-block-list
func (s *Service) upload(ctx context.Context, address string, bytes io.ReaderAt, size int64) error {
	if size <= blockSize {
		return s.put(ctx, "the upload", address, nil, io.NewSectionReader(bytes, 0, size))
	}
	var list struct {
		XMLName xml.Name `xml:"BlockList"`
		Latest  []string
	}
	g, within := errgroup.WithContext(ctx)
	g.SetLimit(streams)
	for at := int64(0); at < size; at += blockSize {
		id := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%08d", len(list.Latest))) // all as long
		list.Latest = append(list.Latest, id)
		g.Go(func() error {
			return s.put(within, "the upload of a block", address, url.Values{"comp": {"block"}, "blockid": {id}},
				io.NewSectionReader(bytes, at, min(blockSize, size-at)))
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	text, err := xml.Marshal(list)
	if err != nil {
		return err
	}
	body := strings.NewReader(string(text))
	return s.put(ctx, "the list of blocks", address, url.Values{"comp": {"blocklist"}}, io.NewSectionReader(body, 0, body.Size()))
}

// put sends a request to the store.
func (s *Service) put(ctx context.Context, name, address string, query url.Values, body *io.SectionReader) error {
	return s.try(ctx, try{
		name: name, timeout: blockTimeout,
		request: func(ctx context.Context) (*http.Request, error) {
			r, err := ofStore(ctx, http.MethodPut, address)
			if err != nil {
				return nil, err
			}
			if query != nil {
				r.URL.RawQuery += "&" + query.Encode() // beside what is signed, which is left as it is
			} else {
				r.Header.Set("X-Ms-Blob-Type", "BlockBlob")
			}
			r.ContentLength = body.Size()
			if r.ContentLength > 0 {
				r.Body = io.NopCloser(io.NewSectionReader(body, 0, body.Size()))
			}
			return r, nil
		},
		read: func(io.Reader) error { return nil },
	})
}

func ofStore(ctx context.Context, method, address string) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err == nil {
		r.Header.Set("X-Ms-Version", storeVersion)
	}
	return r, err
}

// get fetches bytes of an entry from a place on: n, or all there are if less.
func (e *Entry) get(ctx context.Context, at, n int64) (data []byte, err error) {
	err = e.service.try(ctx, try{
		name: "the download", timeout: blockTimeout,
		request: func(ctx context.Context) (*http.Request, error) {
			r, err := ofStore(ctx, http.MethodGet, e.url)
			if err == nil {
				r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", at, at+n-1))
			}
			return r, err
		},
		read: func(r io.Reader) (err error) {
			data, err = io.ReadAll(io.LimitReader(r, n))
			return err
		},
	})
	return data, err
}

// All fetches the whole of an entry, and fails if it has more than limit bytes.
func (e *Entry) All(ctx context.Context, limit int64) ([]byte, error) {
	data, err := e.get(ctx, 0, limit+1)
	if err == nil && int64(len(data)) > limit {
		return nil, fmt.Errorf("the entry has more than %d bytes", limit)
	}
	return data, err
}

// Blob reads an entry of a known size by blocks, best from the beginning to the end.
// Whether the bytes are right is for the reader to tell.
type Blob struct {
	ctx   context.Context // of the reading, which [io.ReaderAt] has no place for
	entry *Entry
	size  int64

	mu    sync.Mutex
	block []byte
	at    int64 // of the block
}

// Blob reads the bytes of an entry that has size of them, as long as ctx is not done.
func (e *Entry) Blob(ctx context.Context, size int64) *Blob {
	return &Blob{ctx: ctx, entry: e, size: size}
}

// Size is how many bytes it has.
func (b *Blob) Size() int64 { return b.size }

// Close ends the reading.
func (b *Blob) Close() error { return nil }

// ReadAt implements [io.ReaderAt].
func (b *Blob) ReadAt(p []byte, at int64) (n int, err error) {
	if at < 0 {
		return 0, errors.New("a place before the beginning")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for n < len(p) {
		from := at + int64(n)
		if from >= b.size {
			return n, io.EOF
		}
		if from < b.at || from >= b.at+int64(len(b.block)) {
			want := min(blockSize, b.size-from)
			data, err := b.entry.get(b.ctx, from, want)
			if err == nil && int64(len(data)) < want {
				err = fmt.Errorf("the entry has %d bytes and not %d", from+int64(len(data)), b.size)
			}
			if err != nil {
				return n, err
			}
			b.block, b.at = data, from
		}
		n += copy(p[n:], b.block[from-b.at:])
	}
	return n, nil
}
