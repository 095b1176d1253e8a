package registry

import (
	"strconv"
	"strings"

	"github.com/distribution/distribution/v3/registry/api/errcode"
)

// contentRange reads where the first and the last byte of a piece of an upload
// belong: "0-1023".
func contentRange(text string) (first, last int64, ok bool) {
	a, b, _ := strings.Cut(text, "-")
	x, fault := strconv.ParseUint(a, 10, 63)
	y, worse := strconv.ParseUint(b, 10, 63)
	if fault != nil || worse != nil || x > y {
		return 0, 0, false
	}
	return int64(x), int64(y), true
}

// fits judges a piece of an upload that has size bytes: that it continues where
// the upload is, and is as long as it says.
func (r request) fits(size int64) error {
	text := r.Header.Get("Content-Range")
	if text == "" {
		return nil
	}
	first, last, ok := contentRange(text)
	if !ok || first != size {
		return errcode.ErrorCodeRangeInvalid.WithDetail(map[string]string{"range": text})
	}
	if r.ContentLength >= 0 && r.ContentLength-1 != last-first {
		return errcode.ErrorCodeSizeInvalid.WithDetail(map[string]string{"range": text})
	}
	return nil
}
